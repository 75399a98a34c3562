"""Whom the template's policies let in, where the emulator does not ask them: an evaluator decides."""

from typing import Any, Final

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate, evaluate_resource_policy, parse_policy_document

from tests.infra.conftest import Synthesise
from tests.infra.template import Template

_ACCOUNT: Final = "123456789012"
_REGION: Final = "eu-west-1"
_RULES: Final = {"requests": "IntakeStopRequests", "runs": "SignalsRunStatus", "alarms": "SignalsAlarmState"}
_TOPIC: Final = "<SignalsTopic>"
_ALARM: Final = f"arn:aws:cloudwatch:{_REGION}:{_ACCOUNT}:alarm:glue-slow"
_LOG_STREAM: Final = ["logs:CreateLogStream", "logs:PutLogEvents"]

both_functions = pytest.mark.parametrize(
    ("function", "queue"), [("Stop", "StopQueue"), ("Confirm", "ConfirmQueue")]
)


@pytest.fixture(scope="module")
def open_to_all(synthesised: Synthesise) -> Template:
    """Return the template with every way in that can be asked for."""
    return synthesised(stopOnRunStatus=["nightly-*"], stopOnAlarms=["glue-"])


def _context(action: str, resource: str, *, by: str = "", secure: bool = True, source: str = "") -> EvalContext:
    account = source.split(":")[4] if source.startswith("arn:") else _ACCOUNT
    return EvalContext(
        principal_arn=by if by.startswith("arn:") else "*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=_REGION,
        secure_transport=secure,
        service_context={"aws:sourcearn": source, "aws:sourceaccount": account} if source else {},
    )


def _queue_takes(template: Template, queue: str, **sender: Any) -> bool:
    policy = template.only("AWS::SQS::QueuePolicy", f"Messaging{queue}")["PolicyDocument"]
    context = _context("sqs:SendMessage", f"<Messaging{queue}.Arn>", **sender)
    return str(evaluate_resource_policy(policy, context, service=sender["by"]).decision) == "Allow"


def _topic_takes(template: Template, **sender: Any) -> bool:
    policy = template.only("AWS::SNS::TopicPolicy", "Signals")["PolicyDocument"]
    context = _context("sns:Publish", _TOPIC, **sender)
    return str(evaluate_resource_policy(policy, context, service=sender["by"]).decision) == "Allow"


_EVENTBRIDGE: Final = [{"by": "events.amazonaws.com", "source": f"<{rule}.Arn>"} for rule in _RULES.values()]
_INSIDERS: Final = [*_EVENTBRIDGE, {"by": "sns.amazonaws.com", "source": _TOPIC}]

_OUTSIDERS: Final = [
    {"by": "events.amazonaws.com"},
    {"by": "events.amazonaws.com", "source": f"arn:aws:events:{_REGION}:{_ACCOUNT}:rule/mine"},
    {"by": "events.amazonaws.com", "source": f"arn:aws:events:{_REGION}:210987654321:rule/theirs"},
    {"by": "sns.amazonaws.com", "source": f"arn:aws:sns:{_REGION}:{_ACCOUNT}:mine"},
    {"by": "sns.amazonaws.com", "source": f"arn:aws:sns:{_REGION}:210987654321:theirs"},
    {"by": "sns.amazonaws.com", "source": "<IntakeStopRequests.Arn>"},
    {"by": "s3.amazonaws.com", "source": "<IntakeStopRequests.Arn>"},
    {"by": "scheduler.amazonaws.com", "source": "<IntakeStopRequests.Arn>"},
    {"by": "arn:aws:iam::210987654321:root"},
    {"by": "arn:aws:iam::210987654321:user/theirs", "source": _TOPIC},
]


@pytest.mark.parametrize("queue", ["StopQueue", "DeadLetterQueue"])
@pytest.mark.parametrize("sender", _INSIDERS)
def test_a_queue_takes_what_the_stacks_own_rules_and_topic_send(
    open_to_all: Template, queue: str, sender: dict[str, str]
) -> None:
    """Each rule and the topic reach the stop queue and, failing that, the dead-letter queue; by TLS alone."""
    assert _queue_takes(open_to_all, queue, **sender)
    assert not _queue_takes(open_to_all, queue, **sender, secure=False)


@pytest.mark.parametrize("queue", ["StopQueue", "DeadLetterQueue", "ConfirmQueue"])
@pytest.mark.parametrize("sender", _OUTSIDERS)
def test_a_queue_takes_nothing_from_anybody_else(
    open_to_all: Template, queue: str, sender: dict[str, str]
) -> None:
    """Other rules, topics, services and accounts are let into no queue."""
    assert not _queue_takes(open_to_all, queue, **sender)


@pytest.mark.parametrize("sender", _INSIDERS)
def test_nobody_but_the_functions_puts_a_run_under_watch(open_to_all: Template, sender: dict[str, str]) -> None:
    """The confirm queue's policy lets in nobody at all."""
    assert not _queue_takes(open_to_all, "ConfirmQueue", **sender)


def test_a_rule_that_was_not_asked_for_has_no_way_in(template: Template) -> None:
    """Without signals only the bus's own rule and the topic are let in."""
    taken = [one for one in _INSIDERS if _queue_takes(template, "StopQueue", **one)]
    assert taken == [_EVENTBRIDGE[0], _INSIDERS[-1]]


_CLOUDWATCH: Final = {"by": "cloudwatch.amazonaws.com", "source": _ALARM}


def test_the_topic_takes_what_alarms_of_home_publish(template: Template) -> None:
    """Alarms of this account and Region are let in, by TLS alone."""
    assert _topic_takes(template, **_CLOUDWATCH)
    assert not _topic_takes(template, **_CLOUDWATCH, secure=False)


@pytest.mark.parametrize(
    "changed",
    [
        {"source": ""},
        {"source": _ALARM.replace(_ACCOUNT, "210987654321")},
        {"source": _ALARM.replace(_REGION, "eu-west-2")},
        {"source": _ALARM.replace("cloudwatch", "events")},
        {"by": "budgets.amazonaws.com"},
        {"by": "costalerts.amazonaws.com"},
        {"by": "events.amazonaws.com", "source": "<IntakeStopRequests.Arn>"},
        {"by": "arn:aws:iam::210987654321:root"},
    ],
)
def test_the_topic_takes_nothing_from_anybody_else(template: Template, changed: dict[str, str]) -> None:
    """Alarms of elsewhere, other services and other accounts are not let in."""
    assert not _topic_takes(template, **{**_CLOUDWATCH, **changed})


def test_no_other_account_may_put_events_on_the_bus(open_to_all: Template) -> None:
    """A bus without a policy takes events from its own account alone; and no function is open to another's."""
    assert not open_to_all.resources("AWS::Events::EventBusPolicy")
    assert {
        p["Properties"]["Principal"] for p in open_to_all.resources("AWS::Lambda::Permission").values()
    } == {"lambda.alarms.cloudwatch.amazonaws.com"}


@both_functions
def test_a_role_is_enough_for_lambda_to_work_its_queue_off(
    template: Template, function: str, queue: str
) -> None:
    """What Lambda does in the function's name is allowed: take messages from its queue, log, trace."""
    statements = [parse_policy_document(template.only("AWS::IAM::Policy", function)["PolicyDocument"])]
    other = {"StopQueue": "ConfirmQueue", "ConfirmQueue": "StopQueue"}[queue]

    def may(action: str, resource: str) -> bool:
        return str(evaluate(_context(action, resource), statements).decision) == "Allow"

    consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    assert all(may(action, f"<Messaging{queue}.Arn>") for action in consume)
    assert not any(may(action, f"<Messaging{other}.Arn>") for action in consume)
    assert all(may(action, f"<{function}Logs.Arn>") for action in _LOG_STREAM)
    assert not any(may(action, "<AnotherLogs.Arn>") for action in [*_LOG_STREAM, "logs:CreateLogGroup"])
    assert may("xray:PutTraceSegments", "*")
    assert not may("xray:GetTraceSummaries", "*")
