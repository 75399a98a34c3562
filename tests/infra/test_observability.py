"""Dashboard, alarms and saved queries: they use metrics and fields that exist, and name the action to take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from gluebrake.contract import NAMESPACE
from gluebrake.decisions.routing import Backoff
from gluebrake.model import AwsEnvironment
from gluebrake.parsing import dispatcher
from gluebrake.parsing.errors import ParsingError
from gluebrake.parsing.messages import parse_message
from gluebrake.parsing.provenance import with_via
from infra.config import Config
from infra.queries import QUERIES
from infra.runbook import RUNBOOK, runbook
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.emitted import Emitted, simulate_all_outcomes
from tests.infra.event_patterns import matches
from tests.infra.template import Template, plain
from tests.support.builders import message
from tests.support.insights import fields_of

_ALARM_TOPIC: Final = "<ObservabilityAlarmTopic>"
_ALARM: Final = "AWS::CloudWatch::Alarm"

# The metrics of AWS services that the stack uses, by namespace and dimensions.
_AWS_METRICS: Final = {
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    ("AWS/SQS", ("QueueName",)): {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfMessagesSent",
    },
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    ("AWS/Lambda", ("FunctionName",)): {
        "DeadLetterErrors",
        "Duration",
        "Errors",
        "RecursiveInvocationsDropped",
        "Throttles",
    },
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    # A rule of the default bus has the dimension RuleName, a rule of another bus has both.
    ("AWS/Events", ("EventBusName", "RuleName")): {"InvocationsFailedToBeSentToDlq"},
    ("AWS/Events", ("RuleName",)): {"InvocationsFailedToBeSentToDlq"},
    # https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
    ("AWS/SNS", ("TopicName",)): {"NumberOfNotificationsFailed", "NumberOfNotificationsFailedToRedriveToDlq"},
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html
    ("AWS/Scheduler", ("ScheduleGroup",)): {"InvocationDroppedCount"},
}

Metric = tuple[str, str, dict[str, Any]]
"""Namespace, name, dimensions."""


@pytest.fixture(scope="module")
def every_option(synthesised: Synthesise) -> Template:
    """Return the template with every optional rule, e-mail subscriptions and guardrail policies."""
    return synthesised(
        stopOnRunStatus=["etl"],
        stopOnAlarms=["Glue"],
        dashboard=True,
        alarmEmail="on-call@example.com",
        notifyEmail="team@example.com",
        policies=POLICIES,
    )


@pytest.fixture(scope="module")
def emitted() -> Emitted:
    """Return what the functions write when every outcome occurs."""
    return simulate_all_outcomes(sweeps=True)


def _alarms(template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of each alarm by its name in the runbook."""
    names = {name: name.removeprefix("Observability")[:-8] for name in template.resources(_ALARM)}
    return {names[name]: plain(r["Properties"]) for name, r in template.resources(_ALARM).items()}


def _widgets(template: Template) -> list[dict[str, Any]]:
    body = template.only("AWS::CloudWatch::Dashboard")["DashboardBody"]
    widgets: list[dict[str, Any]] = json.loads(body)["widgets"]
    return widgets


def _queries(template: Template) -> dict[str, dict[str, Any]]:
    queries = [plain(r["Properties"]) for r in template.resources("AWS::Logs::QueryDefinition").values()]
    return {query["Name"]: query for query in queries}


def _metrics_of_alarm(alarm: Mapping[str, Any]) -> Iterator[Metric]:
    metrics = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    for metric in metrics or [alarm]:
        dimensions = {pair["Name"]: pair["Value"] for pair in metric["Dimensions"]}
        yield metric["Namespace"], metric["MetricName"], dimensions


def _metrics_of_widget(widget: Mapping[str, Any]) -> Iterator[Metric]:
    for row in widget["properties"].get("metrics", []):
        if isinstance(row[0], str):
            namespace, name, *pairs = (part for part in row if isinstance(part, str))
            yield namespace, name, dict(zip(pairs[::2], pairs[1::2], strict=True))


def _all_metrics(template: Template) -> list[Metric]:
    """Return the metrics of all alarms and widgets."""
    by_alarms = [metric for alarm in _alarms(template).values() for metric in _metrics_of_alarm(alarm)]
    return [*by_alarms, *(metric for widget in _widgets(template) for metric in _metrics_of_widget(widget))]


def test_the_custom_metrics_are_those_that_the_functions_emit(every_option: Template, emitted: Emitted) -> None:
    """A metric with a wrong name or dimension would never have data. One that nothing shows would be waste."""
    used = {(n, name, frozenset(d.items())) for n, name, d in _all_metrics(every_option) if n == NAMESPACE}
    assert used == emitted.metrics


def test_every_other_metric_is_documented_by_aws(every_option: Template) -> None:
    """Namespace, name and dimensions are documented, and each dimension's value is a resource of the stack."""
    for namespace, name, dimensions in _all_metrics(every_option):
        if namespace == NAMESPACE:
            continue
        assert name in _AWS_METRICS[namespace, tuple(sorted(dimensions))]
        assert all(_is_in_stack(value) for value in dimensions.values())


def _is_in_stack(value: Any) -> bool:
    # A rule's name is a part of its ARN.
    text = value["Fn::Select"][1]["Fn::Split"][1] if isinstance(value, dict) else value
    return bool(re.fullmatch(r"<\w+(\.(Arn|QueueName|TopicName))?>", text))


def test_a_rules_dimension_is_the_name_at_the_end_of_its_arn(every_option: Template) -> None:
    """The name is the ARN's second part for a rule of the default bus, and the third on another bus."""
    lost = _metrics_of_alarm(_alarms(every_option)["DeliveriesLost"])
    selected = [dimensions["RuleName"]["Fn::Select"] for _, _, dimensions in lost if "RuleName" in dimensions]
    assert {split["Fn::Split"][1]: index for index, split in selected} == {
        "<IntakeStopRequests.Arn>": 2,
        "<SignalsRunStatus.Arn>": 1,
        "<SignalsAlarmState.Arn>": 1,
    }


def test_every_lost_delivery_fires_an_alarm(every_option: Template) -> None:
    """The alarm covers everything that sends to the dead-letter queue: functions, rules and the topic."""
    lost = list(_metrics_of_alarm(_alarms(every_option)["DeliveriesLost"]))
    assert [name for _, name, _ in lost].count("DeadLetterErrors") == len(
        every_option.resources("AWS::Lambda::Function")
    )
    rules = every_option.resources("AWS::Events::Rule")
    assert [name for _, name, _ in lost].count("InvocationsFailedToBeSentToDlq") == len(rules)
    assert (
        "AWS/SNS",
        "NumberOfNotificationsFailedToRedriveToDlq",
        {"TopicName": "<SignalsTopic.TopicName>"},
    ) in lost


def test_every_expression_uses_exactly_its_own_metrics(every_option: Template) -> None:
    """An expression has no undefined id, no metric is unused, and there are no more than CloudWatch allows.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-limits.html
    """
    queries = [alarm["Metrics"] for alarm in _alarms(every_option).values() if "Metrics" in alarm]
    assert queries
    for query in queries:
        (expression,) = (metric for metric in query if "Expression" in metric)
        ids = {metric["Id"] for metric in query if "MetricStat" in metric}
        assert set(re.findall(r"\b[a-z]\w*", expression["Expression"])) == ids
        assert len(ids) <= 10
        assert [metric["Id"] for metric in query if metric["ReturnData"]] == [expression["Id"]]


def test_an_alarms_description_has_its_meaning_and_action(template: Template) -> None:
    """The description is the runbook's entry, within CloudWatch's 1,024 characters."""
    alarms = _alarms(template)
    assert list(alarms) == list(runbook(Config()))
    for name, alarm in alarms.items():
        assert alarm["AlarmDescription"].startswith(f"{RUNBOOK[name].meaning} {RUNBOOK[name].action} ")
        assert runbook(Config())[name].watches in alarm["AlarmDescription"]
        assert len(alarm["AlarmDescription"]) <= 1024


def test_alarms_only_notify_their_topic(template: Template) -> None:
    """Each alarm notifies its topic when it fires and when it is over. The topic stops no run."""
    for alarm in _alarms(template).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [_ALARM_TOPIC]
        assert not {"InsufficientDataActions", "ActionsEnabled", "AlarmName"} & alarm.keys()
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_missing_data_ends_no_alarm_about_waiting_dead_letters(template: Template) -> None:
    """SQS can stop reporting an idle queue in which dead letters wait. Otherwise, no data means no fault."""
    treatments = {name: alarm["TreatMissingData"] for name, alarm in _alarms(template).items()}
    assert treatments.pop("DeadLettersWait") == "ignore"
    assert set(treatments.values()) == {"notBreaching"}


def test_an_alarm_fires_on_the_first_failure(template: Template) -> None:
    """The threshold is 1, except for ages. By default, one breaching period of five minutes is enough."""
    ages = {"StopQueueStalls", "ConfirmQueueStalls"}
    longer = {"DeadLettersArrive": (1, 3), "DeadLettersWait": (12, 12)}
    for name, alarm in _alarms(template).items():
        assert name in ages or alarm["Threshold"] == 1
        assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == longer.get(name, (1, 1))
        stats = [alarm, *(query["MetricStat"] for query in alarm.get("Metrics", []) if "MetricStat" in query)]
        assert {stat["Period"] for stat in stats if "Period" in stat} == {300}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"retrySeconds": [900, 900], "maxAttempts": 1},
        {"retrySeconds": [1, 900], "maxAttempts": 100, "confirmSeconds": [5, 60]},
        {"batchSize": 1000, "batchWindowSeconds": 300},
    ],
)
def test_a_queue_stalls_only_beyond_every_configured_delay(
    synthesised: Synthesise, values: dict[str, Any]
) -> None:
    """The threshold is the longest possible delay, plus one visibility timeout of the queue."""
    template, config = synthesised(**values), Config()
    attempts = values.get("maxAttempts", config.max_attempts)
    first, longest = values.get("retrySeconds", config.retry_seconds)
    retry = Backoff(first, longest, first_attempt=1)
    hidden, confirm_hidden = (
        template.only("AWS::SQS::Queue", f"Messaging{queue}")["VisibilityTimeout"]
        for queue in ("StopQueue", "ConfirmQueue")
    )
    longest_retry = max(retry.seconds(attempt, 1.0) for attempt in range(attempts))
    _, longest_poll_delay = values.get("confirmSeconds", config.confirm_seconds)
    alarms = _alarms(template)
    assert alarms["StopQueueStalls"]["Threshold"] == longest_retry + hidden
    assert alarms["ConfirmQueueStalls"]["Threshold"] == longest_poll_delay + confirm_hidden


def test_dead_letters_of_every_sender_are_counted(template: Template) -> None:
    """SQS does not count messages that it moves itself as sent, so the expression adds the queue's growth."""
    metrics = {metric["Id"]: metric for metric in _alarms(template)["DeadLettersArrive"]["Metrics"]}
    (expression,) = (metric["Expression"] for metric in metrics.values() if "Expression" in metric)
    assert expression == "MAX([sent, DIFF(FILL(visible, 0))])"
    assert metrics["sent"]["MetricStat"]["Metric"]["MetricName"] == "NumberOfMessagesSent"
    assert metrics["visible"]["MetricStat"]["Metric"]["MetricName"] == "ApproximateNumberOfMessagesVisible"
    queues = {
        name: dimensions["QueueName"]
        for _, name, dimensions in _metrics_of_alarm(_alarms(template)["DeadLettersWait"])
    }
    assert queues == {"ApproximateNumberOfMessagesVisible": "<MessagingDeadLetterQueue.QueueName>"}


def test_every_alarm_of_the_account_can_publish_to_the_alarm_topic(template: Template) -> None:
    """The topic stops no run, so `stopOnAlarms` does not bound it. No other account can."""
    (_, allow) = template.only("AWS::SNS::TopicPolicy", "Observability")["PolicyDocument"]["Statement"]
    assert allow == {
        "Sid": "AllowAlarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": _ALARM_TOPIC,
        "Condition": {
            "StringEquals": {"aws:SourceAccount": ["123456789012"]},
            "ArnLike": {"aws:SourceArn": ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:*"]},
        },
    }


def test_by_default_the_alarm_topic_has_no_subscription(template: Template) -> None:
    """Without `alarmEmail`, the only subscription is that of the signal topic."""
    assert [plain(s["Properties"]["TopicArn"]) for s in _subscriptions(template)] == ["<SignalsTopic>"]


def test_alarm_email_subscribes_to_the_alarm_topic(every_option: Template) -> None:
    """With `alarmEmail`, the alarm topic has one subscription: that address."""
    properties = [plain(s["Properties"]) for s in _subscriptions(every_option)]
    (subscription,) = (p for p in properties if p["TopicArn"] == _ALARM_TOPIC)
    assert subscription == {
        "Protocol": "email",
        "Endpoint": "on-call@example.com",
        "TopicArn": _ALARM_TOPIC,
    }


def _subscriptions(template: Template) -> list[dict[str, Any]]:
    return list(template.resources("AWS::SNS::Subscription").values())


def _state_change(template: Template, name: str) -> dict[str, Any]:
    """Return the event that an alarm sends when it fires, with one of the stack's metrics."""
    return {
        "version": "0",
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "account": "123456789012",
        "region": "eu-west-1",
        "time": "2026-11-24T12:00:00Z",
        "resources": [f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"],
        "detail": {
            "alarmName": name,
            "state": {"value": "ALARM", "reason": "Threshold Crossed"},
            "configuration": {
                "metrics": [
                    {"metricStat": {"metric": {"namespace": n, "name": metric, "dimensions": {}}}}
                    for n, metric, _ in _all_metrics(template)[:1]
                ]
            },
        },
    }


def test_an_alarm_of_the_stack_fires_no_other_alarm(every_option: Template) -> None:
    """With any prefix in `stopOnAlarms`, the stack's own alarms do not reach the stop queue.

    An alarm of the stack names no job. It would become a dead letter, which fires the next alarm, and so on.
    """
    pattern = every_option.only("AWS::Events::Rule", "SignalsAlarmState")["EventPattern"]
    # CloudFormation generates names of the stack's name, the logical id and a random suffix.
    own = [
        _state_change(every_option, f"Gluebrake-{name}-1A2B3C4D5E6F") for name in every_option.resources(_ALARM)
    ]
    assert not [event for event in own if matches(pattern, event)]
    assert matches(pattern, _state_change(every_option, "Gluebrakes-are-slow"))
    environment = AwsEnvironment("123456789012", "eu-west-1")
    with pytest.raises(ParsingError, match="names no job"):
        parse_message(message(body=json.dumps(own[0])), dispatcher.parse, environment)


def test_queries_are_saved_over_both_logs(template: Template) -> None:
    """The folder has the stack's name, and the queries read the logs of both functions."""
    assert {name: query["QueryString"] for name, query in _queries(template).items()} == {
        f"Gluebrake/{name}": query for name, query in QUERIES.items()
    }
    groups = {tuple(query["LogGroupNames"]) for query in _queries(template).values()}
    assert groups == {("<StopLogs>", "<ConfirmLogs>")}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_reads_fields_that_are_logged(emitted: Emitted, name: str) -> None:
    """Every field of a saved query is in the log, and so is every value that the query compares with."""
    assert fields_of(QUERIES[name])
    assert fields_of(QUERIES[name]) <= emitted.fields
    compared = re.findall(r'(\w+) !?= "([^"]+)"', re.sub(r"^#.*$", "", QUERIES[name], flags=re.MULTILINE))
    values = {(field, value) for field, value in compared if value != "jr_0"}
    assert values <= {
        (field, value) for line in emitted.lines for field, value in line.items() if value == str(value)
    }


def test_an_unknown_field_in_a_query_is_found(emitted: Emitted) -> None:
    """`fields_of` finds a field in every clause of a query."""
    query = """\
# note
filter outcom = "x" and ispresent(job)
| parse vai / from (?<origin>.+)/
| fields coalesce(origin, sendr) as sent_by
| stats count(*) as n, latest(eror) by whom, sent_by
| sort n"""
    assert fields_of(query) - emitted.fields == {"outcom", "job", "vai", "sendr", "eror", "whom"}


@pytest.mark.parametrize(
    ("body", "origin"),
    [
        (
            {
                "detail-type": "Glue Job Run Status",
                "source": "aws.glue",
                "id": "6f87",
                "account": "123456789012",
            },
            "aws.glue in account 123456789012",
        ),
        ({"TopicArn": "arn:aws:sns:eu-west-1:123456789012:signals", "MessageId": "22b8"}, None),
        ({"alarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:cost of etl"}, None),
    ],
)
def test_requests_are_counted_by_their_origin(body: dict[str, str], origin: str | None) -> None:
    """Each event and each notification has an id of its own, by which no query can group requests."""
    (pattern,) = re.findall(r"parse via /(.+)/", QUERIES["requests-by-sender"])
    via = with_via(message(body=json.dumps(body))).via
    found = re.search(pattern.replace("(?<", "(?P<"), via)
    assert found
    assert found["origin"] == (origin or next(value for value in body.values() if value.startswith("arn:")))


def test_only_problems_are_logged_as_warnings(emitted: Emitted) -> None:
    """The query for failures selects by level: exactly the outcomes that an alarm counts have WARNING."""
    levels = {line["outcome"]: line["level"] for line in emitted.lines if "outcome" in line}
    failures = {"Failed", "NotFound", "NotAllowed", "InvalidRequest", "TooManyRuns"}
    failures |= {"StopTimedOut", "Unconfirmed", "SweepLate"}
    assert {outcome for outcome, level in levels.items() if level == "WARNING"} == failures
