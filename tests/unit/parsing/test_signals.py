"""Tests of what each event requests: a stop request, or nothing, or why it cannot be used."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from gluebrake.contract import OUTCOME_SOURCE, SWEEP_REPORT, Selection, StopRequest
from gluebrake.model import ParsedRequest
from tests.support.builders import AWS_ENVIRONMENT, Ignored, Invalid, parse_one
from tests.unit.parsing.events import (
    ALARM,
    ALARM_ARN,
    BUDGET,
    COST_ANOMALY,
    DYNAMODB_RECORDS,
    ELAPSED_TIME,
    ELSEWHERE,
    EXPRESSION,
    HEALTH,
    HTTP_REQUESTS,
    JOB,
    KINESIS_RECORDS,
    REASON,
    RUN,
    S3_RECORDS,
    SENT_AT,
    TRIGGER_EXPRESSION,
    Json,
    alarm_action,
    alarm_data,
    alarm_event,
    alarm_in,
    alarm_notification,
    as_list,
    composite_data,
    composite_notification,
    destination_record,
    dimensions,
    eventbridge,
    job_state,
    message,
    metric,
    metric_math_trigger,
    notification,
    of_alarm,
    request,
    run_status,
    sqs_record,
    state_of_alarm,
    stop_request_event,
    subscription,
    trigger,
    trigger_metric,
)

pytestmark = pytest.mark.disable_socket

STRANGE: Final = '  a/b "c" \\ {d} é \U0001f6d1 \t<x>&y'
LONGEST: Final = "j" * 255
SERVER: Final = {"InstanceId": "i-0aa11bb22cc33dd44"}
OTHER_RUN: Final = "jr_" + "0f" * 32


def of_run_status(**changes: Any) -> StopRequest:
    """Build the request of Glue's event that a run takes too long."""
    fields = {
        "job_name": JOB,
        "job_run_ids": (RUN,),
        "reason": "runs longer than its NotifyDelayAfter of 45 minutes: Job is in RUNNING state",
        "requested_by": "aws.glue",
    }
    return StopRequest(**{**fields, **changes})


def of_request(**changes: Any) -> StopRequest:
    """Build the request of a message that is a stop request."""
    return StopRequest(**{"job_name": JOB, "job_run_ids": (RUN,), **changes})


def of_event(**changes: Any) -> StopRequest:
    """Build the request of a stop request on the bus. Its sender is the event's source."""
    return of_request(**{"requested_by": "guardrail.orders", **changes})


def without(event: Json, *names: str) -> Json:
    """Return the event without some members."""
    return {name: value for name, value in event.items() if name not in names}


def alarm_on(*metrics: Json, **changes: Any) -> Json:
    """Build the event of an alarm on these metrics."""
    return alarm_event(alarm_data(*metrics), **changes)


def alarm_with(**changes: Any) -> Json:
    """Build the event of an alarm with changes of its state."""
    return alarm_event(alarm_in(state_of_alarm(**changes)))


REQUESTS: Final[dict[str, tuple[Json, StopRequest]]] = {
    # A run that takes longer than its NotifyDelayAfter.
    "running too long": (run_status(), of_run_status()),
    "starting too long": (
        run_status("STARTING"),
        of_run_status(reason="runs longer than its NotifyDelayAfter of 45 minutes: Job is in STARTING state"),
    ),
    "a fraction of a minute": (
        run_status(notificationCondition={"NotifyDelayAfter": 0.25}, message="slow"),
        of_run_status(reason="runs longer than its NotifyDelayAfter of 0.25 minutes: slow"),
    ),
    "no condition": (
        run_status(notificationCondition=None, message=None),
        of_run_status(reason="runs too long"),
    ),
    "an empty condition": (
        run_status(notificationCondition={}, message="slow"),
        of_run_status(reason="runs too long: slow"),
    ),
    "another attempt": (
        run_status(jobRunId=f"{RUN}_attempt_1"),
        of_run_status(job_run_ids=(f"{RUN}_attempt_1",)),
    ),
    "a run id of another form": (run_status(jobRunId="jr-1"), of_run_status(job_run_ids=("jr-1",))),
    "a strange name": (run_status(jobName=STRANGE), of_run_status(job_name=STRANGE)),
    "the longest name": (run_status(jobName=LONGEST), of_run_status(job_name=LONGEST)),
    "no resources": (without(run_status(), "resources"), of_run_status()),
    "resources that are null": (run_status(envelope={"resources": None}), of_run_status()),
    "a replay": (run_status(envelope={"replay-name": "march"}), of_run_status()),
    "new members": (
        {**run_status(previousRunId=RUN, retries=[{"n": None}]), "trace": {"x": 1}},
        of_run_status(),
    ),
    "a long message": (
        run_status(message="é" * 2000),
        of_run_status(reason=("runs longer than its NotifyDelayAfter of 45 minutes: " + "é" * 2000)[:1024]),
    ),
    "a message with control characters": (
        run_status(message="a\x00b\nc\x1b"),
        of_run_status(reason="runs longer than its NotifyDelayAfter of 45 minutes: a\ufffdb\nc\ufffd"),
    ),
    # An alarm as an EventBridge event.
    "alarm on all runs": (alarm_event(), of_alarm()),
    "alarm on one run": (alarm_on(metric(dimensions(RUN))), of_alarm(RUN)),
    "alarm without a run": (alarm_on(metric(dimensions(None))), of_alarm()),
    "alarm with the job alone": (alarm_on(metric({"JobName": JOB})), of_alarm()),
    "expression first": (alarm_on(EXPRESSION, metric()), of_alarm()),
    "expression last": (alarm_on(metric(), EXPRESSION), of_alarm()),
    "Glue's metric in the middle": (
        alarm_on(EXPRESSION, metric(SERVER, "AWS/EC2", id="m2"), metric(dimensions(RUN)), metric({}, "Own")),
        of_alarm(RUN),
    ),
    "two metrics of a job": (alarm_on(metric(), metric(dimensions(None), id="m2")), of_alarm()),
    "two metrics of a run": (
        alarm_on(metric(dimensions(RUN)), metric(dimensions(RUN), id="m2")),
        of_alarm(RUN),
    ),
    "the job's name in another namespace": (
        alarm_on(metric(dimensions(RUN, "baseline"), "Baselines"), metric(dimensions(RUN))),
        of_alarm(RUN),
    ),
    "Glue's metric without a job": (alarm_on(metric({"Type": "count"}), metric()), of_alarm()),
    "metric of this account": (alarm_on(metric(accountId=AWS_ENVIRONMENT.account)), of_alarm()),
    "dimensions in a list": (
        alarm_on(
            {
                "metricStat": {
                    "metric": {
                        "namespace": "Glue",
                        "name": ELAPSED_TIME,
                        "dimensions": as_list({"JobName": JOB}),
                    }
                }
            }
        ),
        of_alarm(),
    ),
    "alarm with a strange job": (alarm_on(metric(dimensions("ALL", STRANGE))), of_alarm(job_name=STRANGE)),
    "alarm without a reason": (alarm_with(reason=None), of_alarm(reason=f"alarm {ALARM}")),
    "alarm with an empty reason": (alarm_with(reason=""), of_alarm(reason=f"alarm {ALARM}")),
    "alarm without resources": (
        without(alarm_event(), "resources"),
        of_alarm(requested_by=f"alarm {ALARM}"),
    ),
    "alarm with a colon in its name": (
        alarm_event({**alarm_data(), "alarmName": "a:b"}, resources=[f"{ALARM_ARN}:b"]),
        of_alarm(reason=f"alarm a:b: {REASON}", requested_by=f"{ALARM_ARN}:b"),
    ),
    "alarm with new members": (
        alarm_event(alarm_in(state_of_alarm(evaluationState="PARTIAL_DATA", x=[None]), more={})),
        of_alarm(),
    ),
    "suppressor that is null": (alarm_with(actionsSuppressedBy=None), of_alarm()),
    "actions were suppressed before": (
        alarm_event(alarm_data(previousState={"value": "ALARM", "actionsSuppressedBy": "Alarm"})),
        of_alarm(),
    ),
    "a replayed alarm": ({**alarm_event(), "replay-name": "march"}, of_alarm()),
    "a time with a colon in its offset": (alarm_with(timestamp="2026-03-14T11:26:53.589+02:00"), of_alarm()),
    "a time after the message's": (alarm_with(timestamp="2026-03-14T09:27:14.000+0000"), of_alarm(at=SENT_AT)),
    "no time but the event's": (
        alarm_with(timestamp=None),
        of_alarm(at=datetime(2026, 3, 14, 9, 26, 54, tzinfo=UTC)),
    ),
    "no time at all": (without(alarm_with(timestamp=None), "time"), of_alarm(at=SENT_AT)),
    "a time in words": (alarm_with(timestamp="yesterday"), of_alarm(at=SENT_AT)),
    "a time without an offset": (alarm_with(timestamp="2026-03-14T09:26:53"), of_alarm(at=SENT_AT)),
    "a time of the first year": (
        alarm_with(timestamp="0001-01-01T00:00:00+14:00"),
        of_alarm(at=datetime.fromisoformat("0001-01-01T00:00:00+14:00")),
    ),
    # An alarm that invokes the function by a Lambda action.
    "action": (alarm_action(), of_alarm()),
    "action for one run": (alarm_action(alarm_data(EXPRESSION, metric(dimensions(RUN)))), of_alarm(RUN)),
    "action whose ARN is of another account": (
        alarm_action(alarmArn=f"arn:aws:cloudwatch:eu-west-1:999900001111:alarm:{ALARM}"),
        of_alarm(requested_by=f"arn:aws:cloudwatch:eu-west-1:999900001111:alarm:{ALARM}"),
    ),
    "action without a time of its state": (
        alarm_action(alarm_in(without(state_of_alarm(), "timestamp"))),
        of_alarm(),
    ),
    "action in a notification": (notification(alarm_action()), of_alarm()),
    # An alarm that publishes to an SNS topic.
    "notification": (alarm_notification(), of_alarm()),
    "notification in its envelope": (notification(alarm_notification()), of_alarm()),
    "notification for one run": (notification(alarm_notification(trigger(dimensions(RUN)))), of_alarm(RUN)),
    "notification with dimensions in a map": (
        alarm_notification(trigger(Dimensions=dimensions(RUN))),
        of_alarm(RUN),
    ),
    "notification with metric math": (
        notification(
            alarm_notification(metric_math_trigger(TRIGGER_EXPRESSION, trigger_metric(dimensions(RUN))))
        ),
        of_alarm(RUN),
    ),
    "notification with metric math with a server": (
        alarm_notification(
            metric_math_trigger(trigger_metric(SERVER, "AWS/EC2"), trigger_metric(), TRIGGER_EXPRESSION)
        ),
        of_alarm(),
    ),
    "metric of this account in a notification": (
        alarm_notification(metric_math_trigger(trigger_metric(AccountId=AWS_ENVIRONMENT.account))),
        of_alarm(),
    ),
    "notification without an ARN": (
        alarm_notification(AlarmArn=...),
        of_alarm(requested_by=f"alarm {ALARM}"),
    ),
    "notification without an ARN in its envelope": (
        notification(alarm_notification(AlarmArn=...)),
        of_alarm(requested_by=f"alarm {ALARM}"),
    ),
    "notification without a time": (
        notification(alarm_notification(StateChangeTime=...)),
        of_alarm(at=datetime(2026, 3, 14, 9, 26, 55, 101_000, tzinfo=UTC)),
    ),
    "notification with a null for a reason": (
        alarm_notification(NewStateReason=None),
        of_alarm(reason=f"alarm {ALARM}"),
    ),
    "an event through a topic": (notification(run_status()), of_run_status()),
    # A stop request, by itself and inside of an event or notification.
    "plain": (request(), of_request()),
    "on the bus": (stop_request_event(request()), of_event()),
    "on the bus without resources": (without(stop_request_event(request()), "resources", "time"), of_event()),
    "on the bus of another account": (stop_request_event(request(), **ELSEWHERE), of_event()),
    "replayed": (stop_request_event(request(), **{"replay-name": "march"}), of_event()),
    "through a topic": (notification(request(Reason="over budget")), of_request(reason="over budget")),
    "through a topic without a subject": (without(notification(request()), "Subject"), of_request()),
    "through an ordered topic": (
        {**without(notification(request()), "Signature", "SigningCertURL"), "SequenceNumber": "10000000"},
        of_request(),
    ),
    "through two topics": (notification(notification(request())), of_request()),
    "through a bus and a topic": (notification(stop_request_event(request())), of_event()),
    "a selection": (
        request(Select={"States": ["WAITING"]}),
        of_request(job_run_ids=UNSET, select=Selection(states=("WAITING",), started_before=SENT_AT)),
    ),
    "a selection on the bus": (
        stop_request_event(request(Select={}), time="2026-03-14T09:00:00Z"),
        of_event(job_run_ids=UNSET, select=Selection(started_before=datetime(2026, 3, 14, 9, tzinfo=UTC))),
    ),
    "a selection through a topic": (
        notification(request(Select={"OlderThanMinutes": 60}), Timestamp="2026-03-14T09:00:00.000Z"),
        of_request(job_run_ids=UNSET, select=Selection(started_before=datetime(2026, 3, 14, 8, tzinfo=UTC))),
    ),
}

NOTHING_TO_STOP: Final = "there is nothing to stop"
FOREIGN: Final = "it is of account 999900001111 in ap-south-1; only runs of account 123456789012 in eu-west-1"

IGNORED: Final[dict[str, tuple[Json, str]]] = {
    "stopping": (run_status("STOPPING"), f"the run is STOPPING: {NOTHING_TO_STOP}"),
    "an unknown state": (run_status("PAUSED"), NOTHING_TO_STOP),
    "run elsewhere": (run_status(envelope=ELSEWHERE), FOREIGN),
    "run of another account": (run_status(envelope={"account": "999900001111"}), "account 999900001111"),
    "run of another Region": (run_status(envelope={"region": "ap-south-1"}), "in ap-south-1"),
    "run without account and Region": (without(run_status(), "account", "region"), "it is of account  in "),
    **{state: (job_state(state), "'Glue Job State Change'") for state in ("STOPPED", "FAILED", "SUCCEEDED")},
    "job state that claims to run": (job_state("RUNNING"), "'Glue Job State Change'"),
    "crawler": (
        eventbridge(
            "Glue Crawler State Change",
            {"crawlerName": JOB, "accountId": "1234", "state": "Failed", "runningTime (sec)": "9"},
        ),
        "'Glue Crawler State Change' requests no stop",
    ),
    **{
        f"catalog {kind}": (
            eventbridge(f"Glue Data Catalog {kind} State Change", {"typeOfChange": "CreateTable"}),
            "requests no stop",
        )
        for kind in ("Table", "Database")
    },
    "data quality": (
        eventbridge(
            "Data Quality Evaluation Results Available",
            {"context": {"contextType": "GLUE_JOB", "jobId": RUN, "jobName": JOB}, "state": "FAILED"},
            "aws.glue-dataquality",
        ),
        "requests no stop",
    ),
    "report of a sweep": (
        eventbridge(SWEEP_REPORT, {"complete": True, "runs": []}, OUTCOME_SOURCE),
        f"'{SWEEP_REPORT}' requests no stop",
    ),
    "call of Gluebrake": (
        eventbridge(
            "AWS API Call via CloudTrail",
            {"eventName": "BatchStopJobRun", "requestParameters": {"jobName": JOB, "jobRunIds": [RUN]}},
        ),
        "'AWS API Call via CloudTrail' requests no stop",
    ),
    "start of a run": (
        eventbridge(
            "AWS API Call via CloudTrail",
            {"eventName": "StartJobRun", "responseElements": None, "errorCode": "Throttling"},
        ),
        "requests no stop",
    ),
    **{
        f"{name} {state}": (event, f"the alarm is in {state}")
        for state in ("OK", "INSUFFICIENT_DATA", "alarm", "")
        for name, event in {
            "event": alarm_event(alarm_data(state=state)),
            "action": alarm_action(alarm_data(state=state)),
            "notification": notification(alarm_notification(state=state)),
            "composite": composite_notification(state),
            "composite event": alarm_event(composite_data(state)),
        }.items()
    },
    "configuration of an alarm": (
        eventbridge(
            "CloudWatch Alarm Configuration Change",
            {**alarm_in(without(state_of_alarm(), "reason")), "operation": "update"},
            "aws.cloudwatch",
        ),
        "requests no stop",
    ),
    "suppressed": (alarm_with(actionsSuppressedBy="WaitPeriod"), "the alarm's actions are suppressed"),
    "suppressed composite": (
        alarm_event(composite_data(actionsSuppressedBy="Alarm")),
        "the alarm's actions are suppressed",
    ),
    "alarm elsewhere": (alarm_event(**ELSEWHERE), FOREIGN),
    "alarm of another account": (alarm_event(account="999900001111"), "account 999900001111"),
    "alarm of another Region": (alarm_event(region="ap-south-1"), "in ap-south-1"),
    "action elsewhere": (alarm_action(region="ap-south-1"), "in ap-south-1"),
    "action of another account": (alarm_action(accountId="999900001111"), "account 999900001111"),
    "notification elsewhere": (
        alarm_notification(AlarmArn=f"arn:aws:cloudwatch:ap-south-1:123456789012:alarm:{ALARM}"),
        "in ap-south-1",
    ),
    "notification of another account": (
        alarm_notification(AWSAccountId="999900001111"),
        "account 999900001111",
    ),
    "notification without an ARN through a topic elsewhere": (
        notification(alarm_notification(AlarmArn=...), TopicArn="arn:aws:sns:ap-south-1:123456789012:alarms"),
        "in ap-south-1",
    ),
    "metric of another account": (alarm_on(metric(accountId="999900001111")), "account 999900001111"),
    "metric of another account in a notification": (
        alarm_notification(metric_math_trigger(trigger_metric(AccountId="999900001111"))),
        "account 999900001111",
    ),
    "subscription": (subscription(), "an SNS message of type 'SubscriptionConfirmation' publishes nothing"),
    "subscription ended": (
        notification(request(), Type="UnsubscribeConfirmation"),
        "an SNS message of type 'UnsubscribeConfirmation' publishes nothing",
    ),
}

NO_GLUE_JOB: Final = "the alarm: watches no metric with the dimension JobName, so it names no job"
SEND_A_REQUEST: Final = "it names no Glue job; send a stop request that names the job instead"
ONE_LINE: Final = "must be one line of text without control characters"

JOB_NAMED: Final = {"name": "JobName", "value": JOB}

INVALID: Final[dict[str, tuple[str | Json, str]]] = {
    "too long a name": (run_status(jobName="j" * 300), "detail.jobName: Expected `str` of length <= 255"),
    "no name": (run_status(jobName=""), "detail.jobName: Expected `str` of length >= 1"),
    "a name on two lines": (run_status(jobName="a\nb"), f"detail.JobName: {ONE_LINE}"),
    "a field of a stop request beside an event": (
        {**run_status(), "JobName": 5},
        "JobName: is beside an event; put it into the stop request",
    ),
    "no run": (run_status(jobRunId=""), "detail.jobRunId: Expected `str` of length >= 1"),
    "run that is null": (run_status(jobRunId=None), "detail.jobRunId: Expected `str`, got `null`"),
    "state that is null": (
        {**run_status(), "detail": {"jobName": JOB, "jobRunId": RUN, "state": None}},
        "detail.state: Expected `str`, got `null`",
    ),
    "run missing": ({**run_status(), "detail": {"jobName": JOB}}, "detail.jobRunId: missing"),
    "detail missing": (without(run_status(), "detail"), "detail: missing; it is required"),
    "event of another source": (run_status(envelope={"source": "me"}), "source: must be 'aws.glue'"),
    "alarm of another source": (alarm_event(source="me"), "source: must be 'aws.cloudwatch'"),
    "resources that are not a list": (
        run_status(envelope={"resources": "x"}),
        "resources: Expected `array | null`, got `str`",
    ),
    "two jobs": (
        alarm_on(metric(), metric(dimensions("ALL", "baseline")), EXPRESSION),
        f"is ambiguous, since it watches more than one job or run: {JOB} (ALL), baseline (ALL)",
    ),
    "two runs": (
        alarm_on(metric(dimensions(RUN)), metric(dimensions(OTHER_RUN))),
        f"is ambiguous, since it watches more than one job or run: {JOB} ({OTHER_RUN}), {JOB} ({RUN})",
    ),
    "a run and all": (alarm_on(metric(), metric(dimensions(RUN))), "is ambiguous"),
    "a baseline in a notification": (
        alarm_notification(
            metric_math_trigger(trigger_metric(), trigger_metric(dimensions("ALL", "baseline")))
        ),
        "is ambiguous",
    ),
    "a baseline in an action": (
        alarm_action(alarm_data(metric(), metric(dimensions("ALL", "baseline")))),
        "is ambiguous",
    ),
    "a thousand jobs": (
        alarm_on(*(metric(dimensions("ALL", f"job {number}")) for number in range(1000))),
        "is ambiguous",
    ),
    "metrics of two accounts": (
        alarm_on(metric(), metric(accountId="999900001111")),
        "is ambiguous, since its metrics are of several accounts: 123456789012, 999900001111",
    ),
    "a dimension twice": (
        alarm_on(metric() | {"metricStat": {"metric": {"namespace": "Glue", "dimensions": [JOB_NAMED] * 2}}}),
        "the alarm: is ambiguous, since one of its metrics has a dimension twice",
    ),
    "alarm on a run without an id": (
        alarm_on(metric(dimensions(""))),
        "dimensions.JobRunIds[0]: Expected `str` of length >= 1",
    ),
    "alarm on a name of two lines": (
        alarm_on(metric(dimensions("ALL", "a\nb"))),
        f"dimensions.JobName: {ONE_LINE}",
    ),
    "alarm on a nameless job": (
        alarm_on(metric(dimensions("ALL", ""))),
        "dimensions.JobName: Expected `str` of length >= 1",
    ),
    "alarm on too long a name": (
        alarm_on(metric(dimensions("ALL", "j" * 300))),
        "dimensions.JobName: Expected `str` of length <= 255",
    ),
    "alarm on a server": (alarm_on(metric(SERVER, "AWS/EC2")), NO_GLUE_JOB),
    "alarm on the quota": (
        alarm_on(metric(namespace="AWS/Glue")),
        f"the alarm: the metric '{ELAPSED_TIME}' is in namespace 'AWS/Glue'; allowed: Glue;",
    ),
    "alarm on another case": (alarm_on(metric(namespace="glue")), "is in namespace 'glue'; allowed: Glue;"),
    "alarm without dimensions": (alarm_on(metric({})), NO_GLUE_JOB),
    "alarm on an expression": (alarm_on(EXPRESSION), NO_GLUE_JOB),
    "alarm without metrics": (alarm_event({**alarm_data(), "configuration": {"metrics": []}}), NO_GLUE_JOB),
    "alarm without a configuration": (alarm_event({**alarm_data(), "configuration": None}), NO_GLUE_JOB),
    "composite": (alarm_event(composite_data()), NO_GLUE_JOB),
    "composite action": (alarm_action(composite_data()), NO_GLUE_JOB),
    "composite notification": (notification(composite_notification()), NO_GLUE_JOB),
    "notification without dimensions": (alarm_notification(trigger({})), NO_GLUE_JOB),
    "notification of the quota": (
        alarm_notification(trigger(namespace="AWS/Glue")),
        "is in namespace 'AWS/Glue'; allowed: Glue;",
    ),
    "notification with dimensions that are null": (alarm_notification(trigger(Dimensions=None)), NO_GLUE_JOB),
    "notification without a trigger": (alarm_notification(Trigger=None), NO_GLUE_JOB),
    "dimension that is not text": (
        alarm_notification(trigger(Dimensions=[{"name": "JobName", "value": 5}])),
        "Trigger.Dimensions[0].value: Expected `str`, got `int`",
    ),
    "alarm without a state": (alarm_event(without(alarm_data(), "state")), "detail.state: missing"),
    "action without a state": (alarm_action(without(alarm_data(), "state")), "alarmData.state: missing"),
    "action without data": (alarm_action(alarmData=None), "alarmData: Expected `object`, got `null`"),
    "notification without an account": (alarm_notification(AWSAccountId=...), "AWSAccountId: missing"),
    "notification without a state": (
        alarm_notification(NewStateValue=None),
        "NewStateValue: Expected `str`, got `null`",
    ),
    "budget": (BUDGET, "is AWS Budgets' text, which names no Glue job; send a stop request instead"),
    "budget through a topic": (
        notification(BUDGET),
        "in the SNS notification's Message: the body: is AWS Budgets' text, which names no Glue job",
    ),
    "prose through a topic": (
        notification("please stop"),
        "in the SNS notification's Message: the body: is not",
    ),
    "nothing through a topic": (notification(""), "in the SNS notification's Message: the body: is empty"),
    "topic without a message": (without(notification("x"), "Message"), "Message: missing"),
    "topic that is null": (notification(request(), TopicArn=None), "TopicArn: Expected `str`, got `null`"),
    "topic's message that is not text": (
        {**notification("x"), "Message": {}},
        "Message: Expected `str`, got `object`",
    ),
    "wrong field through a topic": (
        notification(request(DryRan=True)),
        "in the SNS notification's Message: DryRan: unknown field; allowed: JobName, JobRunIds, Select",
    ),
    "anomaly": (COST_ANOMALY, f"this is a cost anomaly; {SEND_A_REQUEST}"),
    "anomaly through a topic": (notification(COST_ANOMALY), f"this is a cost anomaly; {SEND_A_REQUEST}"),
    "anomaly on the bus": (
        eventbridge("Anomaly Detected", {"anomalyId": "a-1", "dimensionValue": "AWS Glue"}, "aws.ce"),
        f"detail-type 'Anomaly Detected': {SEND_A_REQUEST}",
    ),
    "health": (HEALTH, f"detail-type 'AWS Health Event': {SEND_A_REQUEST}"),
    "rule on a schedule": (
        without(eventbridge("Scheduled Event", {}, "aws.events"), "version"),
        f"detail-type 'Scheduled Event': {SEND_A_REQUEST}",
    ),
    "schedule without input": (eventbridge("Scheduled Event", "{}", "aws.scheduler"), SEND_A_REQUEST),
    "schedule's dead letter": (
        {"MessageBody": json.dumps(request()), "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/stop"},
        "MessageBody: unknown field",
    ),
    "destination": (destination_record(), "requestContext: this is a Lambda destination's record"),
    "destination without a response": (
        without(destination_record(), "responseContext"),
        "requestContext: this is a Lambda destination's record",
    ),
    "destination on the bus": (
        eventbridge("Lambda Function Invocation Result - Failure", destination_record(), "lambda"),
        SEND_A_REQUEST,
    ),
    "destination of an alarm": (destination_record(requestPayload=alarm_action()), "requestContext"),
    **{name: (event, "an HTTP request; send the stop request itself") for name, event in HTTP_REQUESTS.items()},
    "S3": (S3_RECORDS, f"Records: these are records of another service; {SEND_A_REQUEST}"),
    "S3's test": ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "orders"}, "Service: unknown"),
    "S3 on the bus": (eventbridge("Object Created", {"bucket": {}}, "aws.s3"), SEND_A_REQUEST),
    "Kinesis": (KINESIS_RECORDS, SEND_A_REQUEST),
    "DynamoDB": (DYNAMODB_RECORDS, SEND_A_REQUEST),
    "a queue's records in a message": ({"Records": [sqs_record(request())]}, SEND_A_REQUEST),
    "Firehose": ({"invocationId": "i", "records": [{"data": "e30="}]}, "invocationId: unknown field"),
    "logs": ({"awslogs": {"data": "H4sIAAAA"}}, "awslogs: unknown field"),
    "Step Functions": ({"TaskToken": "AAAA", "Id": RUN, "JobName": JOB}, "TaskToken: unknown field"),
    "response of StartJobRun": ({"JobName": JOB, "Id": RUN}, "Id: unknown field"),
    "event of another detail-type": (
        eventbridge("orders-late", request(), "orders"),
        f"detail-type 'orders-late': {SEND_A_REQUEST}",
    ),
    "a template that broke": ('{"JobName": "say "hi"", "JobRunIds": ["jr_1"]}', "the body: is not JSON"),
    "a template that dropped a value": (
        '{"JobName": , "JobRunIds": ["jr_1"]}',
        "the body: is not JSON (invalid character (byte 12))",
    ),
    **{
        f"detail alone of {name}": (
            event["detail"],
            "the body: is the detail of an EventBridge event; send the whole event, from a rule",
        )
        for name, event in {
            "a run status": run_status(),
            "a job state": job_state(),
            "an alarm": alarm_event(),
        }.items()
    },
    "camel case": ({"jobName": JOB, "jobRunIds": [RUN]}, "jobName: unknown field"),
    "an event that was cut": (json.dumps(alarm_event())[:-1], "the body: is not JSON"),
    "half of a pair in an event": (
        json.dumps(run_status(jobName="?")).replace("?", r"\ud800"),
        "the body: is not JSON",
    ),
    "half of a pair in a detail": (
        json.dumps(stop_request_event(request(Reason="?"))).replace("?", r"\ud800"),
        "the body: is not JSON",
    ),
    "encoded twice": (json.dumps(json.dumps(alarm_event())), "is JSON inside a JSON string"),
    "detail that is text": (
        stop_request_event(json.dumps(request())),
        "detail: Expected `object`, got `str`",
    ),
    "wrong field on the bus": (stop_request_event(request(Dryrun=True)), "detail.Dryrun: unknown field"),
    "selection on the bus": (
        stop_request_event(request(Select={"Since": 1})),
        "detail.Select.Since: unknown field; allowed: States, OlderThanMinutes, StartedBefore",
    ),
    "older than the calendar": (
        stop_request_event(request(Select={"OlderThanMinutes": 1}), time="0001-01-01T00:00:00Z"),
        "the body: has a time that is too early to calculate with",
    ),
    "a list of requests": (json.dumps([request()]), "the body: Expected `object`, got `array`"),
}


class TestSignals:
    """Each event in a message of the stop queue."""

    @pytest.mark.parametrize(("event", "expected"), REQUESTS.values(), ids=REQUESTS.keys())
    def test_event_is_parsed_as_one_request(self, event: Json, expected: StopRequest) -> None:
        """An event is equal to one stop request, which names its runs or selects them."""
        parsed = parse_one(message(event))
        assert isinstance(parsed, ParsedRequest), parsed.why
        assert parsed.request == expected
        assert parsed.run_ids == (expected.job_run_ids or ())

    @pytest.mark.parametrize(("event", "why"), IGNORED.values(), ids=IGNORED.keys())
    def test_event_requests_nothing(self, event: Json, why: str) -> None:
        """An event that is understood and requests no stop is ignored, with a reason."""
        parsed = parse_one(message(event))
        assert isinstance(parsed, Ignored)
        assert replace(parsed.message, via="") == message(event)
        assert why in parsed.why

    @pytest.mark.parametrize(("event", "why"), INVALID.values(), ids=INVALID.keys())
    def test_event_cannot_be_used(self, event: str | Json, why: str) -> None:
        """The error of an unusable event has the wrong field, or what to send instead."""
        parsed = parse_one(message(event))
        assert isinstance(parsed, Invalid)
        assert replace(parsed.message, via="") == message(event)
        assert why in parsed.why
        assert len(parsed.why) <= 1024

    @pytest.mark.parametrize(
        ("event", "path"),
        [
            (request(TaskToken="AAAA"), "TaskToken"),
            (request(taskToken="AAAA"), "taskToken"),
            (stop_request_event(request(TaskToken="AAAA")), "detail.TaskToken"),
        ],
    )
    def test_task_token_is_refused_with_advice(self, event: Json, path: str) -> None:
        """The error of a request with a Step Functions task token says how to wait for the run instead."""
        parsed = parse_one(message(event))
        assert isinstance(parsed, Invalid)
        assert parsed.why.startswith(f"{path}: unknown field; allowed: JobName, ")
        assert parsed.why.endswith(
            "; Gluebrake does not return a task token: leave it out, then poll GetJobRun until the run is over"
        )

    @pytest.mark.parametrize("event", [alarm_event(), alarm_action(), notification(alarm_notification())])
    def test_redriven_alarm_selects_no_younger_runs(self, event: Json) -> None:
        """An alarm that is redriven from a dead-letter queue a day later selects the same runs."""
        parsed = parse_one(message(event, sent_at=SENT_AT + timedelta(days=1)))
        assert isinstance(parsed, ParsedRequest)
        assert parsed.request == of_alarm()

    @pytest.mark.parametrize(("event", "expected"), REQUESTS.values(), ids=REQUESTS.keys())
    def test_request_of_an_event_is_a_valid_message(self, event: Json, expected: StopRequest) -> None:
        """A retry message with the request of an event is parsed as the same request."""
        parsed = parse_one(message(event))
        assert isinstance(parsed, ParsedRequest)
        retried = parse_one(message(msgspec.json.encode(parsed.request).decode()))
        assert isinstance(retried, ParsedRequest)
        assert retried.request == expected
