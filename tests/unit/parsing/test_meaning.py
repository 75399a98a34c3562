"""What each event means: exactly this stop request, or nothing, or a reason that helps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest
from msgspec import UNSET

from gluebrake.contract import Selection, StopRequest
from gluebrake.model import Ignored, Invalid, ParsedRequest
from gluebrake.parsing import dispatcher
from tests.unit.parsing.events import (
    ALARM,
    ALARM_ARN,
    AWS_ENVIRONMENT,
    BUDGET,
    CHANGED_AT,
    COST_ANOMALY,
    DYNAMODB_RECORDS,
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
    composite_data,
    composite_notification,
    destination_record,
    dimensions,
    eventbridge,
    job_state,
    message,
    metric,
    notification,
    reckoning,
    request,
    run_status,
    sqs_record,
    state_of_alarm,
    stop_requested,
    subscription,
    trigger,
    trigger_metric,
)

pytestmark = pytest.mark.disable_socket

STRANGE: Final = '  a/b "c" \\ {d} é \U0001f6d1 \t<x>&y'
LONGEST: Final = "j" * 255
SERVER: Final = {"InstanceId": "i-0aa11bb22cc33dd44"}
OTHER_RUN: Final = "jr_" + "0f" * 32


def threshold(**changes: Any) -> StopRequest:
    """Build what an event about a run over its threshold asks for."""
    usual = {
        "job_name": JOB,
        "job_run_ids": (RUN,),
        "reason": "runs longer than its NotifyDelayAfter of 45 minutes: Job is in RUNNING state",
        "requested_by": "aws.glue",
    }
    return StopRequest(**{**usual, **changes})


def alarmed(*run_ids: str, at: datetime = CHANGED_AT, **changes: Any) -> StopRequest:
    """Build what an alarm asks for: the runs, or every one that was active at that time."""
    usual = {
        "job_name": JOB,
        "job_run_ids": run_ids or UNSET,
        "select": UNSET if run_ids else Selection(started_before=at),
        "reason": f"alarm {ALARM}: {REASON}",
        "requested_by": ALARM_ARN,
    }
    return StopRequest(**{**usual, **changes})


def asked(**changes: Any) -> StopRequest:
    """Build what a stop request asks for."""
    return StopRequest(**{"job_name": JOB, "job_run_ids": (RUN,), **changes})


def without(event: Json, *names: str) -> Json:
    """Leave members out."""
    return {name: value for name, value in event.items() if name not in names}


def alarm_on(*metrics: Json, **changes: Any) -> Json:
    """Write the event of an alarm on these metrics."""
    return alarm_event(alarm_data(*metrics), **changes)


def alarm_with(**of_state: Any) -> Json:
    """Write the event of an alarm whose state differs."""
    return alarm_event(alarm_in(state_of_alarm(**of_state)))


ASKED: Final[dict[str, tuple[Json, StopRequest]]] = {
    # A run over its threshold.
    "running too long": (run_status(), threshold()),
    "starting too long": (
        run_status("STARTING"),
        threshold(reason="runs longer than its NotifyDelayAfter of 45 minutes: Job is in STARTING state"),
    ),
    "a fraction of a minute": (
        run_status(notificationCondition={"NotifyDelayAfter": 0.25}, message="slow"),
        threshold(reason="runs longer than its NotifyDelayAfter of 0.25 minutes: slow"),
    ),
    "no condition": (
        run_status(notificationCondition=None, message=None),
        threshold(reason="runs too long"),
    ),
    "an empty condition": (
        run_status(notificationCondition={}, message="slow"),
        threshold(reason="runs too long: slow"),
    ),
    "another attempt": (run_status(jobRunId=f"{RUN}_attempt_1"), threshold(job_run_ids=(f"{RUN}_attempt_1",))),
    "a run id of another form": (run_status(jobRunId="jr-1"), threshold(job_run_ids=("jr-1",))),
    "a strange name": (run_status(jobName=STRANGE), threshold(job_name=STRANGE)),
    "the longest name": (run_status(jobName=LONGEST), threshold(job_name=LONGEST)),
    "a run without resources": (without(run_status(), "resources"), threshold()),
    "resources that are null": (run_status(envelope={"resources": None}), threshold()),
    "a replay": (run_status(envelope={"replay-name": "march"}), threshold()),
    "new members": (
        {**run_status(previousRunId=RUN, retries=[{"n": None}]), "trace": {"x": 1}, "JobName": 5},
        threshold(),
    ),
    "a long message": (
        run_status(message="é" * 2000),
        threshold(reason=("runs longer than its NotifyDelayAfter of 45 minutes: " + "é" * 2000)[:1024]),
    ),
    "a message with control characters": (
        run_status(message="a\x00b\nc\x1b"),
        threshold(reason="runs longer than its NotifyDelayAfter of 45 minutes: a\ufffdb\nc\ufffd"),
    ),
    # An alarm, as a bus delivers it.
    "alarm on all runs": (alarm_event(), alarmed()),
    "alarm on one run": (alarm_on(metric(dimensions(RUN))), alarmed(RUN)),
    "alarm without a run": (alarm_on(metric(dimensions(None))), alarmed()),
    "alarm with the job alone": (alarm_on(metric({"JobName": JOB})), alarmed()),
    "expression first": (alarm_on(EXPRESSION, metric()), alarmed()),
    "expression last": (alarm_on(metric(), EXPRESSION), alarmed()),
    "Glue's metric in the middle": (
        alarm_on(EXPRESSION, metric(SERVER, "AWS/EC2", id="m2"), metric(dimensions(RUN)), metric({}, "Own")),
        alarmed(RUN),
    ),
    "two metrics of a job": (alarm_on(metric(), metric(dimensions(None), id="m2")), alarmed()),
    "two metrics of a run": (alarm_on(metric(dimensions(RUN)), metric(dimensions(RUN), id="m2")), alarmed(RUN)),
    "the job's name in another namespace": (
        alarm_on(metric(dimensions(RUN, "baseline"), "Baselines"), metric(dimensions(RUN))),
        alarmed(RUN),
    ),
    "Glue's metric without a job": (alarm_on(metric({"Type": "count"}), metric()), alarmed()),
    "metric of this account": (alarm_on(metric(accountId=AWS_ENVIRONMENT.account)), alarmed()),
    "dimensions in a list": (
        alarm_on(
            {"metricStat": {"metric": {"namespace": "Glue", "dimensions": [{"value": JOB, "name": "JobName"}]}}}
        ),
        alarmed(),
    ),
    "alarm with a strange job": (alarm_on(metric(dimensions("ALL", STRANGE))), alarmed(job_name=STRANGE)),
    "alarm without a reason": (alarm_with(reason=None), alarmed(reason=f"alarm {ALARM}")),
    "alarm with an empty reason": (alarm_with(reason=""), alarmed(reason=f"alarm {ALARM}")),
    "alarm without resources": (
        without(alarm_event(), "resources"),
        alarmed(requested_by=f"alarm {ALARM}"),
    ),
    "alarm with a colon in its name": (
        alarm_event({**alarm_data(), "alarmName": "a:b"}, resources=[f"{ALARM_ARN}:b"]),
        alarmed(reason=f"alarm a:b: {REASON}", requested_by=f"{ALARM_ARN}:b"),
    ),
    "alarm with new members": (
        alarm_event(alarm_in(state_of_alarm(evaluationState="PARTIAL_DATA", x=[None]), more={})),
        alarmed(),
    ),
    "actions suppressed by nobody": (alarm_with(actionsSuppressedBy=None), alarmed()),
    "actions were suppressed before": (
        alarm_event(alarm_data(previousState={"value": "ALARM", "actionsSuppressedBy": "Alarm"})),
        alarmed(),
    ),
    "a replayed alarm": ({**alarm_event(), "replay-name": "march"}, alarmed()),
    "a time with a colon in its offset": (alarm_with(timestamp="2026-03-14T11:26:53.589+02:00"), alarmed()),
    "a time after the message's": (alarm_with(timestamp="2026-03-14T09:27:14.000+0000"), alarmed(at=SENT_AT)),
    "no time but the event's": (
        alarm_with(timestamp=None),
        alarmed(at=datetime(2026, 3, 14, 9, 26, 54, tzinfo=UTC)),
    ),
    "no time at all": (without(alarm_with(timestamp=None), "time"), alarmed(at=SENT_AT)),
    "a time that is none": (alarm_with(timestamp="yesterday"), alarmed(at=SENT_AT)),
    "a time without an offset": (alarm_with(timestamp="2026-03-14T09:26:53"), alarmed(at=SENT_AT)),
    "a time of the first year": (
        alarm_with(timestamp="0001-01-01T00:00:00+14:00"),
        alarmed(at=datetime.fromisoformat("0001-01-01T00:00:00+14:00")),
    ),
    # An alarm that invokes the function.
    "action": (alarm_action(), alarmed()),
    "action for one run": (alarm_action(alarm_data(EXPRESSION, metric(dimensions(RUN)))), alarmed(RUN)),
    "action whose ARN is of another account": (
        alarm_action(alarmArn=f"arn:aws:cloudwatch:eu-west-1:999900001111:alarm:{ALARM}"),
        alarmed(requested_by=f"arn:aws:cloudwatch:eu-west-1:999900001111:alarm:{ALARM}"),
    ),
    "action without a time of its state": (
        alarm_action(alarm_in(without(state_of_alarm(), "timestamp"))),
        alarmed(),
    ),
    "action in the mail": (notification(alarm_action()), alarmed()),
    # An alarm that publishes to a topic.
    "notification": (alarm_notification(), alarmed()),
    "notification in its envelope": (notification(alarm_notification()), alarmed()),
    "notification for one run": (notification(alarm_notification(trigger(dimensions(RUN)))), alarmed(RUN)),
    "notification with dimensions in a map": (
        alarm_notification(trigger(Dimensions=dimensions(RUN))),
        alarmed(RUN),
    ),
    "notification of a reckoning": (
        notification(alarm_notification(reckoning(TRIGGER_EXPRESSION, trigger_metric(dimensions(RUN))))),
        alarmed(RUN),
    ),
    "notification of a reckoning with a server": (
        alarm_notification(reckoning(trigger_metric(SERVER, "AWS/EC2"), trigger_metric(), TRIGGER_EXPRESSION)),
        alarmed(),
    ),
    "metric of this account in a notification": (
        alarm_notification(reckoning(trigger_metric(AccountId=AWS_ENVIRONMENT.account))),
        alarmed(),
    ),
    "notification without an ARN": (
        alarm_notification(AlarmArn=...),
        alarmed(requested_by=f"alarm {ALARM}"),
    ),
    "notification without an ARN in its envelope": (
        notification(alarm_notification(AlarmArn=...)),
        alarmed(requested_by=f"alarm {ALARM}"),
    ),
    "notification without a time": (
        notification(alarm_notification(StateChangeTime=...)),
        alarmed(at=datetime(2026, 3, 14, 9, 26, 55, 101_000, tzinfo=UTC)),
    ),
    "notification with a null for a reason": (
        alarm_notification(NewStateReason=None),
        alarmed(reason=f"alarm {ALARM}"),
    ),
    "an event through a topic": (notification(run_status()), threshold()),
    # A stop request, whoever carries it.
    "plain": (request(), asked()),
    "on the bus": (stop_requested(request()), asked()),
    "on the bus without resources": (without(stop_requested(request()), "resources", "time"), asked()),
    "on the bus of another account": (stop_requested(request(), **ELSEWHERE), asked()),
    "replayed": (stop_requested(request(), **{"replay-name": "march"}), asked()),
    "through a topic": (notification(request(Reason="over budget")), asked(reason="over budget")),
    "through a topic without a subject": (without(notification(request()), "Subject"), asked()),
    "through an ordered topic": (
        {**without(notification(request()), "Signature", "SigningCertURL"), "SequenceNumber": "10000000"},
        asked(),
    ),
    "through a topic and another": (notification(notification(request())), asked()),
    "through a bus and a topic": (notification(stop_requested(request())), asked()),
    "a selection": (
        request(Select={"States": ["WAITING"]}),
        asked(job_run_ids=UNSET, select=Selection(states=("WAITING",), started_before=SENT_AT)),
    ),
    "a selection on the bus": (
        stop_requested(request(Select={}), time="2026-03-14T09:00:00Z"),
        asked(job_run_ids=UNSET, select=Selection(started_before=datetime(2026, 3, 14, 9, tzinfo=UTC))),
    ),
    "a selection through a topic": (
        notification(request(Select={"OlderThanMinutes": 60}), Timestamp="2026-03-14T09:00:00.000Z"),
        asked(job_run_ids=UNSET, select=Selection(started_before=datetime(2026, 3, 14, 8, tzinfo=UTC))),
    ),
}

NOTHING_TO_STOP: Final = "there is nothing to stop"
OF_ELSEWHERE: Final = (
    "it is of account 999900001111 in ap-south-1; only runs of account 123456789012 in eu-west-1"
)

IGNORED: Final[dict[str, tuple[Json, str]]] = {
    "stopping": (run_status("STOPPING"), f"the run is STOPPING: {NOTHING_TO_STOP}"),
    "a state that nobody knows": (run_status("PAUSED"), NOTHING_TO_STOP),
    "run elsewhere": (run_status(envelope=ELSEWHERE), OF_ELSEWHERE),
    "run of another account": (run_status(envelope={"account": "999900001111"}), "account 999900001111"),
    "run of another Region": (run_status(envelope={"region": "ap-south-1"}), "in ap-south-1"),
    "run of nowhere": (without(run_status(), "account", "region"), "it is of account  in "),
    **{state: (job_state(state), "'Glue Job State Change'") for state in ("STOPPED", "FAILED", "SUCCEEDED")},
    "job state that claims to run": (job_state("RUNNING"), "'Glue Job State Change'"),
    "crawler": (
        eventbridge(
            "Glue Crawler State Change",
            {"crawlerName": JOB, "accountId": "1234", "state": "Failed", "runningTime (sec)": "9"},
        ),
        "'Glue Crawler State Change' asks for nothing",
    ),
    **{
        f"catalog {kind}": (
            eventbridge(f"Glue Data Catalog {kind} State Change", {"typeOfChange": "CreateTable"}),
            "asks for nothing",
        )
        for kind in ("Table", "Database")
    },
    "data quality": (
        eventbridge(
            "Data Quality Evaluation Results Available",
            {"context": {"contextType": "GLUE_JOB", "jobId": RUN, "jobName": JOB}, "state": "FAILED"},
            "aws.glue-dataquality",
        ),
        "asks for nothing",
    ),
    "our own call": (
        eventbridge(
            "AWS API Call via CloudTrail",
            {"eventName": "BatchStopJobRun", "requestParameters": {"jobName": JOB, "jobRunIds": [RUN]}},
        ),
        "'AWS API Call via CloudTrail' asks for nothing",
    ),
    "a start": (
        eventbridge(
            "AWS API Call via CloudTrail",
            {"eventName": "StartJobRun", "responseElements": None, "errorCode": "Throttling"},
        ),
        "asks for nothing",
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
        "asks for nothing",
    ),
    "suppressed": (alarm_with(actionsSuppressedBy="WaitPeriod"), "the alarm's actions are suppressed"),
    "suppressed composite": (
        alarm_event(composite_data(actionsSuppressedBy="Alarm")),
        "the alarm's actions are suppressed",
    ),
    "alarm elsewhere": (alarm_event(**ELSEWHERE), OF_ELSEWHERE),
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
    "metric of another account beside ours": (
        alarm_on(metric(), metric(accountId="999900001111")),
        "account 999900001111",
    ),
    "metric of another account in a notification": (
        alarm_notification(reckoning(trigger_metric(AccountId="999900001111"))),
        "account 999900001111",
    ),
    "subscription": (subscription(), "an SNS message of type 'SubscriptionConfirmation' publishes nothing"),
    "subscription ended": (
        notification(request(), Type="UnsubscribeConfirmation"),
        "an SNS message of type 'UnsubscribeConfirmation' publishes nothing",
    ),
}

NO_GLUE_JOB: Final = "watches no metric of namespace Glue with the dimension JobName, so it names no job"
SEND_THIS: Final = "it names no Glue job; send a stop request that names the job instead"
ONE_LINE: Final = "must be one line of text without control characters"

JOB_NAMED: Final = {"name": "JobName", "value": JOB}

INVALID: Final[dict[str, tuple[str | Json, str]]] = {
    "too long a name": (run_status(jobName="j" * 300), "detail.jobName: must be text of length <= 255"),
    "no name": (run_status(jobName=""), "detail.jobName: must be text of length >= 1"),
    "a name on two lines": (run_status(jobName="a\nb"), f"detail.JobName: {ONE_LINE}"),
    "no run": (run_status(jobRunId=""), "detail.jobRunId: must be text of length >= 1"),
    "run that is null": (run_status(jobRunId=None), "detail.jobRunId: must be text, not null"),
    "state that is null": (
        {**run_status(), "detail": {"jobName": JOB, "jobRunId": RUN, "state": None}},
        "detail.state: must be text, not null",
    ),
    "run missing": ({**run_status(), "detail": {"jobName": JOB}}, "detail.jobRunId: missing"),
    "detail missing": (without(run_status(), "detail"), "detail: missing; it is required"),
    "somebody else's event": (run_status(envelope={"source": "me"}), "source: must be 'aws.glue'"),
    "somebody else's alarm": (alarm_event(source="me"), "source: must be 'aws.cloudwatch'"),
    "resources that are no list": (run_status(envelope={"resources": "x"}), "resources: must be a list"),
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
        alarm_notification(reckoning(trigger_metric(), trigger_metric(dimensions("ALL", "baseline")))),
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
    "a dimension twice": (
        alarm_on(metric() | {"metricStat": {"metric": {"namespace": "Glue", "dimensions": [JOB_NAMED] * 2}}}),
        "the alarm: is ambiguous, since a metric of it has a dimension twice",
    ),
    "alarm on a run without an id": (
        alarm_on(metric(dimensions(""))),
        "dimensions.JobRunIds[0]: must be text of length",
    ),
    "alarm on a name of two lines": (
        alarm_on(metric(dimensions("ALL", "a\nb"))),
        f"dimensions.JobName: {ONE_LINE}",
    ),
    "alarm on a nameless job": (
        alarm_on(metric(dimensions("ALL", ""))),
        "dimensions.JobName: must be text of length >= 1",
    ),
    "alarm on too long a name": (
        alarm_on(metric(dimensions("ALL", "j" * 300))),
        "dimensions.JobName: must be text of length <= 255",
    ),
    "alarm on a server": (alarm_on(metric(SERVER, "AWS/EC2")), NO_GLUE_JOB),
    "alarm on the quota": (alarm_on(metric(namespace="AWS/Glue")), NO_GLUE_JOB),
    "alarm on another case": (alarm_on(metric(namespace="glue")), NO_GLUE_JOB),
    "alarm without dimensions": (alarm_on(metric({})), NO_GLUE_JOB),
    "alarm on an expression": (alarm_on(EXPRESSION), NO_GLUE_JOB),
    "alarm without metrics": (alarm_event({**alarm_data(), "configuration": {"metrics": []}}), NO_GLUE_JOB),
    "alarm without a configuration": (alarm_event({**alarm_data(), "configuration": None}), NO_GLUE_JOB),
    "composite": (alarm_event(composite_data()), NO_GLUE_JOB),
    "composite action": (alarm_action(composite_data()), NO_GLUE_JOB),
    "composite notification": (notification(composite_notification()), NO_GLUE_JOB),
    "notification without dimensions": (alarm_notification(trigger({})), NO_GLUE_JOB),
    "notification of the quota": (alarm_notification(trigger(namespace="AWS/Glue")), NO_GLUE_JOB),
    "notification with dimensions that are null": (alarm_notification(trigger(Dimensions=None)), NO_GLUE_JOB),
    "notification without a trigger": (alarm_notification(Trigger=None), NO_GLUE_JOB),
    "dimension that is no text": (
        alarm_notification(trigger(Dimensions=[{"name": "JobName", "value": 5}])),
        "Trigger.Dimensions[0].value: must be text, not a whole number",
    ),
    "alarm without a state": (alarm_event(without(alarm_data(), "state")), "detail.state: missing"),
    "action without a state": (alarm_action(without(alarm_data(), "state")), "alarmData.state: missing"),
    "action without data": (alarm_action(alarmData=None), "alarmData: must be a JSON object, not null"),
    "notification without an account": (alarm_notification(AWSAccountId=...), "AWSAccountId: missing"),
    "notification without a state": (alarm_notification(NewStateValue=None), "NewStateValue: must be text"),
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
    "topic that is null": (notification(request(), TopicArn=None), "TopicArn: must be text, not null"),
    "topic's message that is no text": ({**notification("x"), "Message": {}}, "Message: must be text"),
    "wrong field through a topic": (
        notification(request(DryRan=True)),
        "in the SNS notification's Message: DryRan: unknown field; allowed: JobName, JobRunIds, Select",
    ),
    "anomaly": (COST_ANOMALY, f"this is a cost anomaly; {SEND_THIS}"),
    "anomaly through a topic": (notification(COST_ANOMALY), f"this is a cost anomaly; {SEND_THIS}"),
    "anomaly on the bus": (
        eventbridge("Anomaly Detected", {"anomalyId": "a-1", "dimensionValue": "AWS Glue"}, "aws.ce"),
        f"detail-type 'Anomaly Detected': {SEND_THIS}",
    ),
    "health": (HEALTH, f"detail-type 'AWS Health Event': {SEND_THIS}"),
    "rule on a schedule": (
        without(eventbridge("Scheduled Event", {}, "aws.events"), "version"),
        f"detail-type 'Scheduled Event': {SEND_THIS}",
    ),
    "schedule without input": (eventbridge("Scheduled Event", "{}", "aws.scheduler"), SEND_THIS),
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
        SEND_THIS,
    ),
    "destination of an alarm": (destination_record(requestPayload=alarm_action()), "requestContext"),
    **{name: (event, "an HTTP request; send the stop request itself") for name, event in HTTP_REQUESTS.items()},
    "S3": (S3_RECORDS, f"Records: these are records of another service; {SEND_THIS}"),
    "S3's test": ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "orders"}, "Service: unknown"),
    "S3 on the bus": (eventbridge("Object Created", {"bucket": {}}, "aws.s3"), SEND_THIS),
    "Kinesis": (KINESIS_RECORDS, SEND_THIS),
    "DynamoDB": (DYNAMODB_RECORDS, SEND_THIS),
    "a queue's records in a message": ({"Records": [sqs_record(request())]}, SEND_THIS),
    "Firehose": ({"invocationId": "i", "records": [{"data": "e30="}]}, "invocationId: unknown field"),
    "logs": ({"awslogs": {"data": "H4sIAAAA"}}, "awslogs: unknown field"),
    "Step Functions": ({"TaskToken": "AAAA", "Id": RUN, "JobName": JOB}, "TaskToken: unknown field"),
    "what starting a run answered": ({"JobName": JOB, "Id": RUN}, "Id: unknown field"),
    "a put event": (eventbridge("orders-late", request(), "orders"), f"detail-type 'orders-late': {SEND_THIS}"),
    "a template that broke": ('{"JobName": "say "hi"", "JobRunIds": ["jr_1"]}', "the body: is not JSON"),
    "a template that dropped a value": (
        '{"JobName": , "JobRunIds": ["jr_1"]}',
        "the body: is not JSON (invalid character (byte 12))",
    ),
    "camel case": ({"jobName": JOB, "jobRunIds": [RUN]}, "jobName: unknown field"),
    "an event that was cut": (json.dumps(alarm_event())[:-1], "the body: is not JSON"),
    "half of a pair in an event": (
        json.dumps(run_status(jobName="?")).replace("?", r"\ud800"),
        "the body: is not JSON",
    ),
    "half of a pair in a detail": (
        json.dumps(stop_requested(request(Reason="?"))).replace("?", r"\ud800"),
        "the body: is not JSON",
    ),
    "encoded twice": (json.dumps(json.dumps(alarm_event())), "is JSON inside a JSON string"),
    "detail that is text": (stop_requested(json.dumps(request())), "detail: must be a JSON object, not text"),
    "wrong field on the bus": (stop_requested(request(Dryrun=True)), "detail.Dryrun: unknown field"),
    "selection on the bus": (
        stop_requested(request(Select={"Since": 1})),
        "detail.Select.Since: unknown field; allowed: States, OlderThanMinutes, StartedBefore",
    ),
    "older than the calendar": (
        stop_requested(request(Select={"OlderThanMinutes": 1}), time="0001-01-01T00:00:00Z"),
        "the body: a time in it is too early to be reckoned with",
    ),
    "a list of requests": (json.dumps([request()]), "the body: must be a JSON object, not a list"),
}


class TestMeaning:
    """Each event, read as it comes out of a queue."""

    @pytest.mark.parametrize(("event", "meant"), ASKED.values(), ids=ASKED.keys())
    def test_event_asks_for_exactly_this(self, event: Json, meant: StopRequest) -> None:
        """A signal says the same as one certain stop request, which names its runs or selects them."""
        read = dispatcher.read(message(event), AWS_ENVIRONMENT)
        assert isinstance(read, ParsedRequest), read.why
        assert read.request == meant
        assert read.run_ids == (meant.job_run_ids or ())

    @pytest.mark.parametrize(("event", "why"), IGNORED.values(), ids=IGNORED.keys())
    def test_event_asks_for_nothing(self, event: Json, why: str) -> None:
        """An event that is understood and leaves nothing to do is ignored, for a reason."""
        read = dispatcher.read(message(event), AWS_ENVIRONMENT)
        assert isinstance(read, Ignored)
        assert read.message == message(event)
        assert why in read.why

    @pytest.mark.parametrize(("event", "why"), INVALID.values(), ids=INVALID.keys())
    def test_event_cannot_be_used(self, event: str | Json, why: str) -> None:
        """What nobody can act on says what is wrong with it, or how to get what was meant."""
        read = dispatcher.read(message(event), AWS_ENVIRONMENT)
        assert isinstance(read, Invalid)
        assert read.message == message(event)
        assert why in read.why
        assert len(read.why) <= 1024

    @pytest.mark.parametrize("event", [alarm_event(), alarm_action(), notification(alarm_notification())])
    def test_alarm_that_was_put_aside_means_no_younger_runs(self, event: Json) -> None:
        """An alarm that comes out of a dead-letter queue a day later selects what it did on its day."""
        read = dispatcher.read(message(event, sent_at=SENT_AT + timedelta(days=1)), AWS_ENVIRONMENT)
        assert isinstance(read, ParsedRequest)
        assert read.request == alarmed()

    @pytest.mark.parametrize(("event", "meant"), ASKED.values(), ids=ASKED.keys())
    def test_what_is_asked_can_be_asked_again(self, event: Json, meant: StopRequest) -> None:
        """The request that a signal stands for is a valid message: a retry of it means the same."""
        read = dispatcher.read(message(event), AWS_ENVIRONMENT)
        assert isinstance(read, ParsedRequest)
        again = dispatcher.read(message(msgspec.json.encode(read.request).decode()), AWS_ENVIRONMENT)
        assert isinstance(again, ParsedRequest)
        assert again.request == meant
