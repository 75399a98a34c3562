"""Events in the format of each AWS service, with example names. A test changes the members that matter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import UNSET

from gluebrake.contract import STOP_REQUESTED, Selection, StopRequest
from gluebrake.model import Message
from tests.support.fakes.aws_server import ACCOUNT, REGION

Json = dict[str, Any]

ELSEWHERE: Final[Json] = {"account": "999900001111", "region": "ap-south-1"}

CHANGED_AT: Final = datetime(2026, 3, 14, 9, 26, 53, 589_000, tzinfo=UTC)
"""When the alarms below changed to ALARM."""
SENT_AT: Final = CHANGED_AT + timedelta(seconds=20)
"""When the messages below were sent."""

JOB: Final = "Nightly load/orders (v2)"
RUN: Final = "jr_" + "5d41402abc4b2a76" * 4
ALARM: Final = "orders: too slow"
ALARM_ARN: Final = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{ALARM}"
REASON: Final = "Threshold Crossed: 1 out of the last 1 datapoints [5400000.0 (14/03/26 09:21:00)] was greater"
ELAPSED_TIME: Final = "glue.driver.aggregate.elapsedTime"
TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"

# CloudWatch writes `+0000`, not `+00:00`.
_CHANGED: Final = "2026-03-14T09:26:53.589+0000"
_BEFORE: Final = "2026-03-14T07:02:11.004+0000"


def of_alarm(*run_ids: str, at: datetime = CHANGED_AT, **changes: Any) -> StopRequest:
    """Build the request of an alarm: for the runs, or for every run that was active at that time."""
    fields = {
        "job_name": JOB,
        "job_run_ids": run_ids or UNSET,
        "select": UNSET if run_ids else Selection(started_before=at),
        "reason": f"alarm {ALARM}: {REASON}",
        "requested_by": ALARM_ARN,
    }
    return StopRequest(**{**fields, **changes})


def message(body: str | Json, **changes: Any) -> Message:
    """Build the message of an event, or of any other text."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Message(
        **{"message_id": "m-7", "body": text, "sent_at": SENT_AT, "sender": "AIDAEXAMPLE", **changes}
    )


def request(*run_ids: str, **fields: Any) -> Json:
    """Build a stop request; with `Select` among the fields it has no run ids."""
    which = {} if "Select" in fields else {"JobRunIds": list(run_ids or (RUN,))}
    return {"JobName": JOB, **which, **fields}


def eventbridge(detail_type: str, detail: Any, source: str = "aws.glue", **changes: Any) -> Json:
    """Build an event of a bus."""
    return {
        "version": "0",
        "id": "3f8a6c1e-0b52-4d17-9e66-a1c2d3e4f506",
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": "2026-03-14T09:26:54Z",
        "region": REGION,
        "resources": [],
        "detail": detail,
        **changes,
    }


def stop_request_event(detail: Any, **changes: Any) -> Json:
    """Build the event of a stop request on the bus."""
    return eventbridge(STOP_REQUESTED, detail, "guardrail.orders", **changes)


def run_status(state: str = "RUNNING", envelope: Mapping[str, Any] | None = None, **detail: Any) -> Json:
    """Build Glue's event that a run takes longer than its NotifyDelayAfter."""
    members = {
        "jobName": JOB,
        "severity": "INFO",
        "notificationCondition": {"NotifyDelayAfter": 45.0},
        "state": state,
        "jobRunId": RUN,
        "message": f"Job is in {state} state",
        "startedOn": "2026-03-14T08:41:50.120Z",
    }
    return eventbridge("Glue Job Run Status", {**members, **detail}, **(envelope or {}))


def job_state(state: str = "STOPPED", **detail: Any) -> Json:
    """Build Glue's event that a run ended."""
    members = {
        "jobName": JOB,
        "severity": "INFO",
        "state": state,
        "jobRunId": RUN,
        "message": "Job run stopped",
    }
    return eventbridge("Glue Job State Change", {**members, **detail})


def dimensions(run_id: str | None = "ALL", job_name: str = JOB) -> dict[str, str]:
    """Build the dimensions of a job's metric; a run id that is None is left out."""
    run = {} if run_id is None else {"JobRunId": run_id}
    return {"Type": "count", **run, "JobName": job_name}


def metric(
    of: Mapping[str, str] | None = None, namespace: str = "Glue", name: str = ELAPSED_TIME, **changes: Any
) -> Json:
    """Build a metric of an alarm's configuration; `of` are its dimensions."""
    stat = {
        "metric": {
            "namespace": namespace,
            "name": name,
            "dimensions": dict(dimensions() if of is None else of),
        },
        "period": 300,
        "stat": "Sum",
    }
    return {"id": "m1", "metricStat": stat, "returnData": False, **changes}


EXPRESSION: Final[Json] = {"id": "e1", "expression": "m1 / 60000", "label": "minutes", "returnData": True}


def state_of_alarm(value: str = "ALARM", **changes: Any) -> Json:
    """Build the new state of an alarm."""
    state = {"value": value, "reason": REASON, "reasonData": '{"version":"1.0"}', "timestamp": _CHANGED}
    return {**state, **changes}


def alarm_data(*metrics: Json, state: str = "ALARM", **changes: Any) -> Json:
    """Build the data of an alarm in events and actions."""
    return {
        "alarmName": ALARM,
        "state": state_of_alarm(state),
        "previousState": {"value": "OK", "reason": "below the threshold", "timestamp": _BEFORE},
        "configuration": {"description": "orders take **hours**", "metrics": list(metrics or [metric()])},
        **changes,
    }


def alarm_in(state: Json, *metrics: Json, **changes: Any) -> Json:
    """Build the data of an alarm with a given state."""
    return {**alarm_data(*metrics, **changes), "state": state}


def alarm_event(data: Json | None = None, **changes: Any) -> Json:
    """Build the event of an alarm's change of state."""
    detail = alarm_data() if data is None else data
    envelope = {"source": "aws.cloudwatch", "resources": [ALARM_ARN]}
    return eventbridge("CloudWatch Alarm State Change", detail, **{**envelope, **changes})


def alarm_action(data: Json | None = None, **changes: Any) -> Json:
    """Build the event with which an alarm's Lambda action invokes the function."""
    return {
        "source": "aws.cloudwatch",
        "alarmArn": ALARM_ARN,
        "accountId": ACCOUNT,
        "time": _CHANGED,
        "region": REGION,
        "alarmData": alarm_data() if data is None else data,
        **changes,
    }


QUERY: Final = (
    'SELECT SUM("glue.driver.aggregate.elapsedTime") FROM SCHEMA(Glue, JobName, JobRunId, Type)'
    " WHERE Type = 'count' AND JobRunId != 'ALL' GROUP BY JobName, JobRunId ORDER BY SUM() DESC"
)
"""The query of an alarm over every run."""

MUTED: Final[Json] = {
    "mutedByArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm-mute-rule:back-fill",
    "muteWindowStart": "2026-03-14T09:00:00.000+0000",
    "muteWindowEnd": "2026-03-14T12:00:00.000+0000",
}
"""What the events of a muted alarm have."""


def query(expression: str = QUERY, **changes: Any) -> Json:
    """Build the entry of a Metrics Insights query in an alarm's configuration."""
    return {"id": "m1", "expression": expression, "returnData": True, "period": 10800, **changes}


def attributes(run_id: str | None = RUN, job_name: str | None = JOB, **others: str) -> dict[str, str]:
    """Build the attributes of a contributor; one that is None is left out."""
    named = {"JobName": job_name, "JobRunId": run_id, **others}
    return {name: value for name, value in named.items() if value is not None}


def contributor_data(of: Mapping[str, str] | None = None, *metrics: Json, **changes: Any) -> Json:
    """Build the data of a contributor in events and actions; `of` are its attributes."""
    contributor = {"id": "6d442278dba546f6", "attributes": dict(attributes() if of is None else of)}
    data = alarm_data(*(metrics or (query(),)), alarmContributor=contributor)
    del data["previousState"]
    return {**data, **changes}


def contributor_event(data: Json | None = None, **changes: Any) -> Json:
    """Build the event of a contributor's change of state."""
    detail_type = {"detail-type": "CloudWatch Alarm Contributor State Change"}
    return alarm_event(contributor_data() if data is None else data, **detail_type, **changes)


def as_list(of: Mapping[str, str]) -> list[dict[str, str]]:
    """Build dimensions as in a notification: a list, with `value` before `name`."""
    return [{"value": value, "name": name} for name, value in of.items()]


def trigger(of: Mapping[str, str] | None = None, namespace: str = "Glue", **changes: Any) -> Json:
    """Build the trigger of an alarm on one metric; `of` are its dimensions."""
    return {
        "MetricName": ELAPSED_TIME,
        "Namespace": namespace,
        "StatisticType": "Statistic",
        "Statistic": "SUM",
        "Unit": None,
        "Dimensions": as_list(dimensions() if of is None else of),
        "Period": 300,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 3600000.0,
        "TreatMissingData": "missing",
        "EvaluateLowSampleCountPercentile": "",
        **changes,
    }


def trigger_metric(of: Mapping[str, str] | None = None, namespace: str = "Glue", **changes: Any) -> Json:
    """Build a metric of a trigger with metric math; `of` are its dimensions."""
    stat = {
        "Metric": {
            "Dimensions": as_list(dimensions() if of is None else of),
            "MetricName": ELAPSED_TIME,
            "Namespace": namespace,
        },
        "Period": 300,
        "Stat": "Sum",
    }
    return {"Id": "m1", "MetricStat": stat, "ReturnData": False, **changes}


TRIGGER_EXPRESSION: Final[Json] = {
    "Expression": "m1 / 60000",
    "Id": "e1",
    "Label": "minutes",
    "ReturnData": True,
}


def trigger_query(expression: str = QUERY, **changes: Any) -> Json:
    """Build the entry of a Metrics Insights query in a trigger."""
    return {"Expression": expression, "Id": "m1", "Period": 10800, "ReturnData": True, **changes}


def metric_math_trigger(*metrics: Json) -> Json:
    """Build the trigger of an alarm on metric math."""
    return {
        "Period": 300,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 60.0,
        "TreatMissingData": "missing",
        "EvaluateLowSampleCountPercentile": "",
        "Metrics": list(metrics),
    }


def alarm_notification(of: Json | None = None, state: str = "ALARM", **changes: Any) -> Json:
    """Build the notification of an alarm; a member that is changed to `...` is left out."""
    members = {
        "AlarmName": ALARM,
        "AlarmDescription": None,
        "AWSAccountId": ACCOUNT,
        "AlarmConfigurationUpdatedTimestamp": "2026-02-01T10:00:00.000+0000",
        "NewStateValue": state,
        "NewStateReason": REASON,
        "StateChangeTime": _CHANGED,
        "Region": "EU (Ireland)",
        "AlarmArn": ALARM_ARN,
        "OldStateValue": "INSUFFICIENT_DATA",
        "OKActions": [],
        "AlarmActions": [TOPIC],
        "InsufficientDataActions": [],
        "Trigger": trigger() if of is None else of,
        **changes,
    }
    return {name: value for name, value in members.items() if value is not ...}


def contributor_notification(of: Mapping[str, str] | None = None, **changes: Any) -> Json:
    """Build the notification of a contributor; `of` are its attributes."""
    members = {
        "AlarmContributorId": "6d442278dba546f6",
        "AlarmContributorAttributes": dict(attributes() if of is None else of),
    }
    return alarm_notification(metric_math_trigger(trigger_query()), **{**members, **changes})


def composite_notification(state: str = "ALARM") -> Json:
    """Build the notification of a composite alarm, which has a rule and no trigger."""
    rule = 'ALARM("orders: too slow")'
    return alarm_notification(state=state, Trigger=..., AlarmRule=rule, TriggeringChildren=[])


def composite_data(state: str = "ALARM", **changes: Any) -> Json:
    """Build the data of a composite alarm, which has a rule and no metrics."""
    configuration = {"alarmRule": 'ALARM("orders: too slow")', "actionsSuppressor": "maintenance"}
    return alarm_in(state_of_alarm(state, **changes), configuration=configuration)


def notification(published: Any, **changes: Any) -> Json:
    """Build the notification in which a topic wraps a published message."""
    return {
        "Type": "Notification",
        "MessageId": "0c7e11d2-55aa-5b7c-8e0f-4a3b2c1d0e9f",
        "TopicArn": TOPIC,
        "Subject": f'ALARM: "{ALARM}" in EU (Ireland)',
        "Message": published if isinstance(published, str) else json.dumps(published),
        "Timestamp": "2026-03-14T09:26:55.101Z",
        "SignatureVersion": "1",
        "Signature": "c2lnbmF0dXJl",
        "SigningCertURL": f"https://sns.{REGION}.amazonaws.com/SimpleNotificationService-0.pem",
        "UnsubscribeURL": f"https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe",
        **changes,
    }


def subscription() -> Json:
    """Build the message that a topic sends to a new subscriber."""
    members = {"Token": "2336412f37", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSub"}
    return notification(
        "You have chosen to subscribe to the topic.", Type="SubscriptionConfirmation", **members
    )


def sns_record(published: Any, **changes: Any) -> Json:
    """Build the record with which a topic invokes a function."""
    return {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": f"{TOPIC}:21be56ed-a058-49f5-8c98-aedd2564c486",
        "Sns": {**notification(published), "MessageAttributes": {}, **changes},
    }


def sqs_record(body: Any, message_id: str = "m-7", **changes: Any) -> Json:
    """Build the record of a queue's message."""
    return {
        "messageId": message_id,
        "receiptHandle": f"{message_id}/1",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(round(SENT_AT.timestamp() * 1000)),
            "SenderId": "AIDAEXAMPLE",
            "ApproximateFirstReceiveTimestamp": str(round(SENT_AT.timestamp() * 1000) + 4),
        },
        "messageAttributes": {},
        "md5OfBody": "0" * 32,
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:stop",
        "awsRegion": REGION,
        **changes,
    }


BUDGET: Final = """AWS Budget Notification March 14, 2026
AWS Account 123456789012

Dear AWS Customer,

You requested that we alert you when the ACTUAL Cost associated with your data platform budget is greater than \
$1,000.00 for the current month. The ACTUAL Cost associated with this budget is $1,004.21.

Budget Name: data platform
Alert Type: ACTUAL

[1] https://console.aws.amazon.com/costmanagement/home#/budgets
"""

COST_ANOMALY: Final[Json] = {
    "accountId": ACCOUNT,
    "anomalyId": "0e1d2c3b-4a59-4687-9786-a5b4c3d2e1f0",
    "anomalyDetailsLink": "https://console.aws.amazon.com/cost-management/home#/anomaly-detection",
    "dimensionalValue": "AWS Glue",
    "impact": {"maxImpact": 90.5, "totalImpact": 181},
    "rootCauses": [{"service": "AWS Glue", "region": REGION, "linkedAccount": ACCOUNT, "usageType": ""}],
    "subscriptionId": "f0e1d2c3-b4a5-4697-8879-6a5b4c3d2e1f",
}

S3_RECORDS: Final[Json] = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventName": "ObjectCreated:Put",
            "requestParameters": {"sourceIPAddress": "192.0.2.7"},
            "s3": {"bucket": {"name": "orders"}, "object": {"key": "2026/03/14.csv", "size": 5}},
        }
    ]
}

KINESIS_RECORDS: Final[Json] = {
    "Records": [{"eventSource": "aws:kinesis", "eventID": "shardId-0:1", "kinesis": {"data": "e30="}}]
}

DYNAMODB_RECORDS: Final[Json] = {
    "Records": [{"eventSource": "aws:dynamodb", "eventName": "INSERT", "dynamodb": {"Keys": {"k": {"S": "1"}}}}]
}


def destination_record(**changes: Any) -> Json:
    """Build what Lambda sends to the destination of a function that failed for a stop request."""
    return {
        "version": "1.0",
        "timestamp": "2026-03-14T09:27:01.500Z",
        "requestContext": {
            "requestId": "8f14e45f-ceea-467f-9c5a-7d0b8a2f1c33",
            "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:orders:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": request(),
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        **changes,
    }


HTTP_REQUESTS: Final[dict[str, Json]] = {
    "function URL": {
        "version": "2.0",
        "rawPath": "/stop",
        "headers": {"content-type": "application/json"},
        "requestContext": {"accountId": "anonymous", "http": {"method": "POST", "path": "/stop"}},
        "body": json.dumps(request()),
        "isBase64Encoded": False,
    },
    "API Gateway": {
        "resource": "/stop",
        "path": "/stop",
        "httpMethod": "POST",
        "requestContext": {"accountId": ACCOUNT, "stage": "prod", "requestId": "r-1"},
        "body": json.dumps(request()),
        "isBase64Encoded": False,
    },
}

HEALTH: Final = eventbridge(
    "AWS Health Event",
    {
        "eventArn": f"arn:aws:health:{REGION}::event/GLUE/AWS_GLUE_OPERATIONAL_ISSUE/1",
        "service": "GLUE",
        "eventTypeCode": "AWS_GLUE_OPERATIONAL_ISSUE",
        "startTime": "Sat, 14 Mar 2026 05:01:10 GMT",
        "backupEvent": "true",
        "affectedEntities": [{"entityValue": JOB}],
    },
    "aws.health",
)
