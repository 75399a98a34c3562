"""Which senders the template's policies allow. The emulator enforces none, so an evaluator decides."""

from typing import Any, Final

import pytest
from ministack.core.iam_evaluator import evaluate, evaluate_resource_policy, parse_policy_document

from gluebrake import contract
from infra.names import CANARY_JOB
from tests.infra.conftest import Synthesise
from tests.infra.evaluation import ACCOUNT, REGION, evaluation_context
from tests.infra.template import Template, plain

_RULES: Final = {"requests": "IntakeStopRequests", "runs": "SignalsRunStatus", "alarms": "SignalsAlarmState"}
_TOPIC: Final = "<SignalsTopic>"
_ALARM: Final = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:glue-slow"
_MONITORING: Final = "111122223333"
_LOG_STREAM: Final = ["logs:CreateLogStream", "logs:PutLogEvents"]

both_functions = pytest.mark.parametrize(
    ("function", "queue"), [("Stop", "StopQueue"), ("Confirm", "ConfirmQueue")]
)


@pytest.fixture(scope="module")
def every_rule(synthesised: Synthesise) -> Template:
    """Return the template with every optional rule."""
    return synthesised(
        stopOnRunStatus=["nightly-*"], stopOnAlarms=["glue-", "team:["], alarmAccounts=[_MONITORING]
    )


def _queue_accepts(template: Template, queue: str, **sender: Any) -> bool:
    policy = template.only("AWS::SQS::QueuePolicy", f"Messaging{queue}")["PolicyDocument"]
    context = evaluation_context("sqs:SendMessage", f"<Messaging{queue}.Arn>", **sender)
    return str(evaluate_resource_policy(policy, context, service=sender["by"]).decision) == "Allow"


def _topic_accepts(template: Template, **sender: Any) -> bool:
    policy = template.only("AWS::SNS::TopicPolicy", "Signals")["PolicyDocument"]
    context = evaluation_context("sns:Publish", _TOPIC, **sender)
    return str(evaluate_resource_policy(policy, context, service=sender["by"]).decision) == "Allow"


_EVENTBRIDGE: Final = [{"by": "events.amazonaws.com", "source": f"<{rule}.Arn>"} for rule in _RULES.values()]
_ALLOWED_SENDERS: Final = [*_EVENTBRIDGE, {"by": "sns.amazonaws.com", "source": _TOPIC}]

_OTHER_SENDERS: Final = [
    {"by": "events.amazonaws.com"},
    {"by": "events.amazonaws.com", "source": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/another"},
    {"by": "events.amazonaws.com", "source": f"arn:aws:events:{REGION}:210987654321:rule/other"},
    {"by": "sns.amazonaws.com", "source": f"arn:aws:sns:{REGION}:{ACCOUNT}:another"},
    {"by": "sns.amazonaws.com", "source": f"arn:aws:sns:{REGION}:210987654321:other"},
    {"by": "sns.amazonaws.com", "source": "<IntakeStopRequests.Arn>"},
    {"by": "s3.amazonaws.com", "source": "<IntakeStopRequests.Arn>"},
    {"by": "scheduler.amazonaws.com", "source": "<IntakeStopRequests.Arn>"},
    {"by": "arn:aws:iam::210987654321:root"},
    {"by": "arn:aws:iam::210987654321:user/other", "source": _TOPIC},
]


@pytest.mark.parametrize("queue", ["StopQueue", "DeadLetterQueue"])
@pytest.mark.parametrize("sender", _ALLOWED_SENDERS)
def test_a_queue_accepts_messages_of_the_stacks_rules_and_topic(
    every_rule: Template, queue: str, sender: dict[str, str]
) -> None:
    """Each rule and the topic can send to the stop queue and the dead-letter queue, over TLS only."""
    assert _queue_accepts(every_rule, queue, **sender)
    assert not _queue_accepts(every_rule, queue, **sender, secure=False)


@pytest.mark.parametrize("queue", ["StopQueue", "DeadLetterQueue", "ConfirmQueue"])
@pytest.mark.parametrize("sender", _OTHER_SENDERS)
def test_a_queue_denies_every_other_sender(every_rule: Template, queue: str, sender: dict[str, str]) -> None:
    """Other rules, topics, services and accounts can send to no queue."""
    assert not _queue_accepts(every_rule, queue, **sender)


@pytest.mark.parametrize("sender", _ALLOWED_SENDERS)
def test_the_confirm_queues_policy_allows_no_sender(every_rule: Template, sender: dict[str, str]) -> None:
    """Only the functions' roles send to the confirm queue, by their own policies."""
    assert not _queue_accepts(every_rule, "ConfirmQueue", **sender)


def test_an_absent_rule_has_no_permission(template: Template) -> None:
    """Without the optional rules, the stop queue accepts only the bus's rule and the topic."""
    allowed = [sender for sender in _ALLOWED_SENDERS if _queue_accepts(template, "StopQueue", **sender)]
    assert allowed == [_EVENTBRIDGE[0], _ALLOWED_SENDERS[-1]]


def _function_accepts(template: Template, **sender: Any) -> bool:
    """Return whether an alarm can invoke STOP. Lambda makes this statement of each permission."""
    permissions = [plain(p["Properties"]) for p in template.resources("AWS::Lambda::Permission").values()]
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"Service": permission["Principal"]},
            "Action": permission["Action"],
            "Resource": permission["FunctionName"],
            "Condition": {
                "StringEquals": {"AWS:SourceAccount": permission["SourceAccount"]},
                "ArnLike": {"AWS:SourceArn": permission["SourceArn"]},
            },
        }
        for permission in permissions
    ]
    context = evaluation_context("lambda:InvokeFunction", "<StopFunction.Arn>", **sender)
    policy = {"Version": "2012-10-17", "Statement": statements}
    return str(evaluate_resource_policy(policy, context, service=sender["by"]).decision) == "Allow"


_CLOUDWATCH: Final = {"by": "cloudwatch.amazonaws.com", "source": _ALARM}
_LAMBDA_ACTION: Final = {"by": "lambda.alarms.cloudwatch.amazonaws.com", "source": _ALARM}
_ALLOWED_ALARMS: Final = [
    _ALARM,
    _ALARM.replace("glue-slow", "glue-"),
    _ALARM.replace("glue-slow", "team:[etl]"),
    _ALARM.replace(ACCOUNT, _MONITORING),
]
_OTHER_ALARMS: Final = [
    "",
    _ALARM.replace("glue-", "Glue-"),
    _ALARM.replace("glue-", "my-glue-"),
    _ALARM.replace("glue-", ""),
    _ALARM.replace(ACCOUNT, "210987654321"),
    _ALARM.replace(REGION, "eu-west-2"),
    _ALARM.replace(ACCOUNT, _MONITORING).replace(REGION, "eu-west-2"),
    _ALARM.replace("cloudwatch", "events"),
    _ALARM.replace(":alarm:", ":alarm-mute-rule:"),
]


@pytest.mark.parametrize("alarm", _ALLOWED_ALARMS)
def test_an_alarm_with_a_prefix_may_publish_and_invoke(every_rule: Template, alarm: str) -> None:
    """It is of this account or of one in `alarmAccounts`, and publishes over TLS only."""
    assert _topic_accepts(every_rule, **{**_CLOUDWATCH, "source": alarm})
    assert not _topic_accepts(every_rule, **{**_CLOUDWATCH, "source": alarm}, secure=False)
    assert _function_accepts(every_rule, **{**_LAMBDA_ACTION, "source": alarm})


@pytest.mark.parametrize("alarm", _OTHER_ALARMS)
def test_another_alarm_may_neither_publish_nor_invoke(every_rule: Template, alarm: str) -> None:
    """An alarm of another name, account or Region stops no run, whatever its actions are."""
    assert not _topic_accepts(every_rule, **{**_CLOUDWATCH, "source": alarm})
    assert not _function_accepts(every_rule, **{**_LAMBDA_ACTION, "source": alarm})


def test_by_default_no_alarm_may_publish_or_invoke(template: Template, synthesised: Synthesise) -> None:
    """Without a prefix, an account in `alarmAccounts` allows nothing either."""
    for default in (template, synthesised(alarmAccounts=[_MONITORING])):
        for alarm in _ALLOWED_ALARMS:
            assert not _topic_accepts(default, **{**_CLOUDWATCH, "source": alarm})
            assert not _function_accepts(default, **{**_LAMBDA_ACTION, "source": alarm})


@pytest.mark.parametrize(
    "changed",
    [
        {"by": "budgets.amazonaws.com"},
        {"by": "costalerts.amazonaws.com"},
        {"by": "events.amazonaws.com", "source": "<IntakeStopRequests.Arn>"},
        {"by": "arn:aws:iam::210987654321:root"},
        {"by": f"arn:aws:iam::{_MONITORING}:root"},
    ],
)
def test_no_other_sender_may_publish_or_invoke(every_rule: Template, changed: dict[str, str]) -> None:
    """Other services and the principals of other accounts cannot publish, nor invoke STOP."""
    assert not _topic_accepts(every_rule, **{**_CLOUDWATCH, **changed})
    assert not _function_accepts(every_rule, **{**_LAMBDA_ACTION, **changed})


def test_no_other_account_can_put_events_on_the_bus(every_rule: Template) -> None:
    """Without a policy, a bus accepts only its own account's events. Only alarms can invoke a function."""
    assert not every_rule.resources("AWS::Events::EventBusPolicy")
    assert {p["Properties"]["Principal"] for p in every_rule.resources("AWS::Lambda::Permission").values()} == {
        "lambda.alarms.cloudwatch.amazonaws.com"
    }


@both_functions
def test_a_role_suffices_to_consume_its_queue(template: Template, function: str, queue: str) -> None:
    """Lambda uses the role to receive and delete messages of its queue, and to log."""
    statements = [parse_policy_document(template.only("AWS::IAM::Policy", function)["PolicyDocument"])]
    other_queue = {"StopQueue": "ConfirmQueue", "ConfirmQueue": "StopQueue"}[queue]

    def is_allowed(action: str, resource: str) -> bool:
        return str(evaluate(evaluation_context(action, resource), statements).decision) == "Allow"

    consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    assert all(is_allowed(action, f"<Messaging{queue}.Arn>") for action in consume)
    assert not any(is_allowed(action, f"<Messaging{other_queue}.Arn>") for action in consume)
    assert all(is_allowed(action, f"<{function}Logs.Arn>") for action in _LOG_STREAM)
    assert not any(is_allowed(action, "<AnotherLogs.Arn>") for action in [*_LOG_STREAM, "logs:CreateLogGroup"])
    assert not is_allowed("xray:PutTraceSegments", "*")


def _may_publish(template: Template, context: dict[str, Any]) -> bool:
    """Return whether a producer's policy allows a PutEvents call with these values of the condition keys."""
    statements = template.only("AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
    (publish,) = (s for s in statements if s["Action"] == "events:PutEvents")
    document = parse_policy_document({"Version": "2012-10-17", "Statement": [publish]})
    request = evaluation_context("events:PutEvents", publish["Resource"])
    request.service_context = context
    return str(evaluate(request, [document]).decision) == "Allow"


@pytest.mark.parametrize(
    ("detail_types", "allowed"),
    [
        ([contract.STOP_REQUESTED], True),
        ([contract.STOP_REQUESTED] * 10, True),
        ([contract.STOP_REQUESTED] * 9 + [contract.STOP_OUTCOME], False),
        ([contract.STOP_OUTCOME], False),
        ([], False),
    ],
)
def test_a_producer_publishes_stop_requests_only(
    template: Template, detail_types: list[str], *, allowed: bool
) -> None:
    """A call with several events is allowed if each is a stop request, however IAM passes their values on."""
    context = {"events:detail-type": detail_types} if detail_types else {}
    assert _may_publish(template, context) is allowed


_CANARY_ARN: Final = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{CANARY_JOB}"
_SCRIPTS: Final = f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
_PYTHON_LOG: Final = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws-glue/python-jobs/output:log-stream:jr_0"


@pytest.fixture(scope="module")
def canary(synthesised: Synthesise) -> Template:
    """Return the template with a canary whose job no pattern in `jobs` matches."""
    return synthesised(canary="rate(1 day)", jobs=["etl-*"])


def _role_may(template: Template, role: str, action: str, resource: str, **keys: str) -> bool:
    document = parse_policy_document(template.only("AWS::IAM::Policy", role)["PolicyDocument"])
    context = evaluation_context(action, resource)
    context.service_context = keys
    return str(evaluate(context, [document]).decision) == "Allow"


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("CanaryRole", "sqs:SendMessage", "<MessagingStopQueue.Arn>"),
        ("CanaryRole", "logs:CreateLogStream", _PYTHON_LOG),
        ("CanaryRole", "logs:PutLogEvents", _PYTHON_LOG),
        ("CanarySchedulerRole", "glue:StartJobRun", _CANARY_ARN),
        ("Stop", "glue:BatchStopJobRun", _CANARY_ARN),
        ("Stop", "glue:GetTags", _CANARY_ARN),
        ("Confirm", "glue:GetJobRun", _CANARY_ARN),
    ],
)
def test_the_roles_suffice_for_the_canary(canary: Template, role: str, action: str, resource: str) -> None:
    """The run requests its stop and logs, the scheduler starts it, STOP stops it and CONFIRM reads it."""
    assert _role_may(canary, role, action, resource)


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("CanaryRole", "sqs:ReceiveMessage", "<MessagingStopQueue.Arn>"),
        ("CanaryRole", "sqs:SendMessage", "<MessagingConfirmQueue.Arn>"),
        ("CanaryRole", "sqs:SendMessage", "<MessagingDeadLetterQueue.Arn>"),
        ("CanaryRole", "s3:GetObject", f"{_SCRIPTS}/another.py"),
        ("CanaryRole", "s3:ListBucket", _SCRIPTS),
        ("CanaryRole", "logs:PutLogEvents", _PYTHON_LOG.replace("python-jobs", "jobs")),
        ("CanaryRole", "glue:BatchStopJobRun", _CANARY_ARN),
        ("CanaryRole", "glue:StartJobRun", _CANARY_ARN),
        ("CanarySchedulerRole", "glue:StartJobRun", _CANARY_ARN.replace(CANARY_JOB, "etl-1")),
        ("CanarySchedulerRole", "glue:BatchStopJobRun", _CANARY_ARN),
        ("CanarySchedulerRole", "sqs:SendMessage", "<MessagingStopQueue.Arn>"),
        ("Stop", "glue:BatchStopJobRun", f"{_CANARY_ARN}-2"),
        ("Stop", "glue:StartJobRun", _CANARY_ARN),
        ("Confirm", "glue:BatchStopJobRun", _CANARY_ARN),
    ],
)
def test_the_canary_widens_no_role_further(canary: Template, role: str, action: str, resource: str) -> None:
    """Neither the canary's roles nor the functions' may do more for it than the canary needs."""
    assert not _role_may(canary, role, action, resource)


def test_the_protect_tag_protects_the_canary(canary: Template) -> None:
    """STOP may stop the job because it was added to `jobs`. The denial by tag holds for it as for any job."""
    tag = {"aws:resourcetag/gluebrake:protect": "true"}
    assert not _role_may(canary, "Stop", "glue:BatchStopJobRun", _CANARY_ARN, **tag)
    assert _role_may(canary, "Stop", "glue:GetJobRun", _CANARY_ARN, **tag)
