"""Dashboard, alarms and saved queries: they look at what is there, and say what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, Final

import pytest

from gluebrake.contract import NAMESPACE
from gluebrake.decisions.routing import Backoff
from gluebrake.model import AwsEnvironment, Invalid
from gluebrake.parsing import dispatcher
from infra.config import Config
from infra.queries import QUERIES
from infra.runbook import RUNBOOK
from tests.infra.conftest import Synthesise
from tests.infra.emitted import Emitted, everything
from tests.infra.event_patterns import matches
from tests.infra.template import Template, plain
from tests.support.builders import message
from tests.support.insights import fields_of

_TOPIC: Final = "<ObservabilityAlarmTopic>"
_ALARM: Final = "AWS::CloudWatch::Alarm"

# What AWS emits, by namespace and dimensions, as far as we look at it.
_OF_AWS: Final = {
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
    # A rule of the default bus goes by its name, one of another bus by both names.
    ("AWS/Events", ("EventBusName", "RuleName")): {"InvocationsFailedToBeSentToDlq"},
    ("AWS/Events", ("RuleName",)): {"InvocationsFailedToBeSentToDlq"},
    # https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
    ("AWS/SNS", ("TopicName",)): {"NumberOfNotificationsFailedToRedriveToDlq"},
}

Metric = tuple[str, str, dict[str, Any]]
"""Namespace, name, dimensions."""


@pytest.fixture(scope="module")
def every_option(synthesised: Synthesise) -> Template:
    """Return the template with every rule that there can be, and somebody to call."""
    return synthesised(stopOnRunStatus=["etl"], stopOnAlarms=["Glue"], alarmEmail="on-call@example.com")


@pytest.fixture(scope="module")
def emitted() -> Emitted:
    """Return what the functions write when everything happens."""
    return everything()


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


def _of_alarm(alarm: Mapping[str, Any]) -> Iterator[Metric]:
    stats = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    for metric in stats or [alarm]:
        dimensions = {pair["Name"]: pair["Value"] for pair in metric["Dimensions"]}
        yield metric["Namespace"], metric["MetricName"], dimensions


def _of_widget(widget: Mapping[str, Any]) -> Iterator[Metric]:
    for row in widget["properties"].get("metrics", []):
        if isinstance(row[0], str):
            namespace, name, *pairs = (part for part in row if isinstance(part, str))
            yield namespace, name, dict(zip(pairs[::2], pairs[1::2], strict=True))


def _looked_at(template: Template) -> list[Metric]:
    """Return each metric that an alarm or a widget names."""
    by_alarms = [metric for alarm in _alarms(template).values() for metric in _of_alarm(alarm)]
    return [*by_alarms, *(metric for widget in _widgets(template) for metric in _of_widget(widget))]


def test_every_metric_of_ours_is_one_that_the_functions_emit(template: Template, emitted: Emitted) -> None:
    """Name and dimensions are those of a real run: a misspelt metric would be silent for ever."""
    ours = {(n, name, frozenset(d.items())) for n, name, d in _looked_at(template) if n == NAMESPACE}
    assert ours <= emitted.metrics
    not_shown = {("StopCalls", "confirm"), ("StateReads", "stop"), ("StateReads", "confirm")}
    assert {(name, dict(d)["service"]) for _, name, d in emitted.metrics - ours} == not_shown


def test_every_other_metric_is_one_that_aws_emits(every_option: Template) -> None:
    """Namespace, name and dimensions stand in AWS's documentation, and each value is a resource of ours."""
    for namespace, name, dimensions in _looked_at(every_option):
        if namespace == NAMESPACE:
            continue
        assert name in _OF_AWS[namespace, tuple(sorted(dimensions))]
        assert all(_is_ours(value) for value in dimensions.values())


def _is_ours(value: Any) -> bool:
    # The name of a rule is a part of its ARN.
    text = value["Fn::Select"][1]["Fn::Split"][1] if isinstance(value, dict) else value
    return bool(re.fullmatch(r"<\w+(\.(Arn|QueueName|TopicName))?>", text))


def test_each_rule_goes_by_the_name_that_its_arn_ends_in(every_option: Template) -> None:
    """A rule of the default bus is the ARN's second part, one of our own bus the third."""
    lost = _of_alarm(_alarms(every_option)["DeliveriesLost"])
    selected = [dimensions["RuleName"]["Fn::Select"] for _, _, dimensions in lost if "RuleName" in dimensions]
    assert {split["Fn::Split"][1]: index for index, split in selected} == {
        "<IntakeStopRequests.Arn>": 2,
        "<SignalsRunStatus.Arn>": 1,
        "<SignalsAlarmState.Arn>": 1,
    }


def test_nothing_that_is_lost_goes_unnoticed(every_option: Template) -> None:
    """Whatever can fail to reach even the dead-letter queue is watched: functions, every rule, the topic."""
    lost = list(_of_alarm(_alarms(every_option)["DeliveriesLost"]))
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


def test_every_expression_is_over_metrics_that_stand_beside_it(template: Template) -> None:
    """An id that is not there, or is not used, would be a slip."""
    queries = [alarm["Metrics"] for alarm in _alarms(template).values() if "Metrics" in alarm]
    assert queries
    for query in queries:
        (expression,) = (one["Expression"] for one in query if "Expression" in one)
        ids = {one["Id"] for one in query if "MetricStat" in one}
        assert set(re.findall(r"\b[a-z]\w*", expression)) == ids
        assert [one["Id"] for one in query if one["ReturnData"]] == [
            one["Id"] for one in query if "Expression" in one
        ]


def test_each_alarm_says_what_it_means_and_what_to_do(template: Template) -> None:
    """The runbook's line is the description, within CloudWatch's 1,024 characters."""
    alarms = _alarms(template)
    assert list(alarms) == list(RUNBOOK)
    for name, alarm in alarms.items():
        assert alarm["AlarmDescription"].startswith(f"{RUNBOOK[name].means} {RUNBOOK[name].do} ")
        assert len(alarm["AlarmDescription"]) <= 1024


def test_alarms_call_people_and_nothing_else(template: Template) -> None:
    """Their one action is the topic of their own, which stops no run; without data they are quiet."""
    for alarm in _alarms(template).values():
        assert alarm["AlarmActions"] == [_TOPIC]
        assert not {"OKActions", "InsufficientDataActions", "ActionsEnabled", "AlarmName"} & alarm.keys()
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_one_of_anything_bad_is_enough(template: Template) -> None:
    """Only ages have a threshold of their own; a period is five minutes, and the last one counts."""
    ages = {"StopQueueStalls", "ConfirmQueueStalls"}
    longer = {"DeadLettersArrive": (1, 3), "DeadLettersWait": (12, 12)}
    for name, alarm in _alarms(template).items():
        assert name in ages or alarm["Threshold"] == 1
        assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == longer.get(name, (1, 1))
        stats = [alarm, *(query["MetricStat"] for query in alarm.get("Metrics", []) if "MetricStat" in query)]
        assert {stat["Period"] for stat in stats if "Period" in stat} == {300}


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"retrySeconds": [900, 900], "maxAttempts": 1},
        {"retrySeconds": [1, 900], "maxAttempts": 100, "confirmSeconds": [5, 60]},
        {"batchSize": 1000, "batchWindowSeconds": 300},
    ],
)
def test_a_queue_stalls_only_when_no_delay_of_ours_explains_it(
    synthesised: Synthesise, chosen: dict[str, Any]
) -> None:
    """The threshold is the longest delay that can be, and once the time for which a crash hides a message."""
    template, config = synthesised(**chosen), Config()
    attempts = chosen.get("maxAttempts", config.max_attempts)
    first, longest = chosen.get("retrySeconds", config.retry_seconds)
    retry = Backoff(first, longest, first_attempt=1)
    hidden = template.only("AWS::SQS::Queue", "MessagingStopQueue")["VisibilityTimeout"]
    longest_retry = max(retry.seconds(attempt, 1.0) for attempt in range(attempts))
    _, longest_look = chosen.get("confirmSeconds", config.confirm_seconds)
    alarms = _alarms(template)
    assert alarms["StopQueueStalls"]["Threshold"] == longest_retry + hidden
    assert alarms["ConfirmQueueStalls"]["Threshold"] == longest_look + hidden


def test_dead_letters_are_counted_whoever_puts_them_there(template: Template) -> None:
    """What SQS moves is not among what it counts as sent, so growth is looked at as well."""
    metrics = {metric["Id"]: metric for metric in _alarms(template)["DeadLettersArrive"]["Metrics"]}
    (expression,) = (metric["Expression"] for metric in metrics.values() if "Expression" in metric)
    assert expression == "MAX([sent, DIFF(FILL(lying, 0))])"
    assert metrics["sent"]["MetricStat"]["Metric"]["MetricName"] == "NumberOfMessagesSent"
    assert metrics["lying"]["MetricStat"]["Metric"]["MetricName"] == "ApproximateNumberOfMessagesVisible"
    queues = {
        name: dimensions["QueueName"] for _, name, dimensions in _of_alarm(_alarms(template)["DeadLettersWait"])
    }
    assert queues == {"ApproximateNumberOfMessagesVisible": "<MessagingDeadLetterQueue.QueueName>"}


def test_the_alarm_topic_lets_in_alarms_by_tls_alone(template: Template) -> None:
    """It is as closed as the signals' topic, whose test says how."""
    ours, theirs = (template.only("AWS::SNS::TopicPolicy", of) for of in ("Observability", "Signals"))
    assert json.loads(json.dumps(theirs).replace("<SignalsTopic>", _TOPIC)) == ours


def test_nobody_is_written_to_unless_asked_for(template: Template) -> None:
    """Without `alarmEmail` the topic has no subscription: the only one is the signals'."""
    assert [plain(s["Properties"]["TopicArn"]) for s in _subscriptions(template)] == ["<SignalsTopic>"]


def test_whoever_is_to_be_called_gets_an_e_mail(every_option: Template) -> None:
    """With `alarmEmail` the alarms' topic writes to that address, and to nobody else."""
    (theirs,) = (s for s in _subscriptions(every_option) if plain(s["Properties"]["TopicArn"]) == _TOPIC)
    assert plain(theirs["Properties"]) == {
        "Protocol": "email",
        "Endpoint": "on-call@example.com",
        "TopicArn": _TOPIC,
    }


def _subscriptions(template: Template) -> list[dict[str, Any]]:
    return list(template.resources("AWS::SNS::Subscription").values())


def _state_change(template: Template, name: str) -> dict[str, Any]:
    """Write the event that an alarm of that name sends when it goes off; the metric is the first of ours."""
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
                    for n, metric, _ in _looked_at(template)[:1]
                ]
            },
        },
    }


def test_no_alarm_of_ours_sets_off_another(every_option: Template) -> None:
    """However wide a prefix in `stopOnAlarms`, our own alarms do not reach the stop queue; others do.

    One that did would be a dead letter, since it names no job; that would set off the next alarm, and so on.
    """
    pattern = every_option.only("AWS::Events::Rule", "SignalsAlarmState")["EventPattern"]
    # CloudFormation's own names: the stack's, the logical id, something random.
    ours = [
        _state_change(every_option, f"Gluebrake-{name}-1A2B3C4D5E6F") for name in every_option.resources(_ALARM)
    ]
    assert not [event for event in ours if matches(pattern, event)]
    assert matches(pattern, _state_change(every_option, "Gluebrakes-are-slow"))
    read = dispatcher.read(message(body=json.dumps(ours[0])), AwsEnvironment("123456789012", "eu-west-1"))
    assert isinstance(read, Invalid)
    assert "names no job" in read.why


def test_the_dashboard_fits_together(every_option: Template) -> None:
    """Its body is JSON; no widget lies over another or beyond the grid's 24 columns."""
    widgets = _widgets(every_option)
    assert all(w["x"] + w["width"] <= 24 for w in widgets)
    assert not [pair for pair in combinations(widgets, 2) if _overlap(*pair)]


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(
        max(one[at], other[at]) < min(one[at] + one[size], other[at] + other[size])
        for at, size in (("x", "width"), ("y", "height"))
    )


def test_the_dashboard_says_what_to_do(template: Template) -> None:
    """A line for each alarm, the queries, the operator's command; and beside it the alarms' states."""
    text, states, *_ = (widget["properties"] for widget in _widgets(template))
    for name, line in RUNBOOK.items():
        assert f"- **{name}** {line.do}\n" in text["markdown"]
    assert all(f"`{name}`" in text["markdown"] for name in QUERIES)
    assert "gluebrake" in text["markdown"]
    assert states["alarms"] == [f"<Observability{name}.Arn>" for name in RUNBOOK]


def test_queries_are_saved_over_both_logs(template: Template) -> None:
    """They stand in a folder of the stack's name, and look at what both functions wrote."""
    assert {name: query["QueryString"] for name, query in _queries(template).items()} == {
        f"Gluebrake/{name}": query for name, query in QUERIES.items()
    }
    groups = {tuple(query["LogGroupNames"]) for query in _queries(template).values()}
    assert groups == {("<StopLogs>", "<ConfirmLogs>")}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_reads_fields_that_are_logged(emitted: Emitted, name: str) -> None:
    """Every field of a saved query occurs in real lines, and so does every value that it compares with."""
    assert fields_of(QUERIES[name])
    assert fields_of(QUERIES[name]) <= emitted.fields
    compared = re.findall(r'(\w+) !?= "([^"]+)"', re.sub(r"^#.*$", "", QUERIES[name], flags=re.MULTILINE))
    values = {(field, value) for field, value in compared if value != "jr_0"}
    assert values <= {
        (field, value) for line in emitted.lines for field, value in line.items() if value == str(value)
    }


def test_a_query_with_a_slip_would_be_seen(emitted: Emitted) -> None:
    """The reading of queries finds each field that is not logged, wherever it stands."""
    query = (
        '# note\nfilter outcom = "x" and ispresent(job)\n| stats count(*) as n, latest(eror) by whom\n| sort n'
    )
    assert fields_of(query) - emitted.fields == {"outcom", "job", "eror", "whom"}


def test_what_must_be_seen_to_is_a_warning(emitted: Emitted) -> None:
    """The query for failures goes by the level: what becomes a dead letter has it, and nothing else."""
    levels = {line["outcome"]: line["level"] for line in emitted.lines if "outcome" in line}
    dead = {"Failed", "NotFound", "NotAllowed", "InvalidRequest", "TooManyRuns", "StopTimedOut"}
    assert {outcome for outcome, level in levels.items() if level == "WARNING"} == dead
