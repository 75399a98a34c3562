"""The template's contract: least privilege, no lost message, no open access."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields
from syrupy.assertion import SnapshotAssertion

from gluebrake import __version__, contract
from gluebrake.outcomes import NoticeKind
from gluebrake.prices import Prices
from gluebrake.settings import ConfirmSettings, Settings, StopSettings, load
from gluebrake_cli.shell import OUTPUTS
from infra.names import CANARY_JOB
from infra.statements import iam_pattern
from tests.infra.conftest import POLICIES, ROLE, Synthesise
from tests.infra.template import Template, plain

_SOURCES = Path(__file__).parents[2] / "lambda_src"
_JOB = "arn:aws:glue:eu-west-1:123456789012:job/"
_DEAD_LETTER_QUEUE = "<MessagingDeadLetterQueue.Arn>"
_STOP_QUEUE = "<MessagingStopQueue.Arn>"
_CONFIRM_QUEUE = "<MessagingConfirmQueue.Arn>"
_NAG_LOG = "arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws-glue/python-jobs/*"

# One of each partition whose resource types cfn-lint knows.
_REGIONS = ("eu-west-1", "cn-north-1", "us-gov-west-1")

both_functions = pytest.mark.parametrize("function", ["Stop", "Confirm"])

_PROTECT_BY_TAG = {
    "Sid": "ProtectByTag",
    "Effect": "Deny",
    "Action": "glue:BatchStopJobRun",
    "Resource": f"{_JOB}*",
    "Condition": {"Null": {"aws:ResourceTag/gluebrake:protect": "false"}},
}
_PROTECT_BY_TAG_VALUE = {
    **_PROTECT_BY_TAG,
    "Sid": "ProtectByTagValue",
    "Condition": {"StringLike": {"aws:ResourceTag/gluebrake:protect": "*"}},
}


_PUBLISH = {
    "Sid": "PublishOutcomes",
    "Effect": "Allow",
    "Action": "events:PutEvents",
    "Resource": "<IntakeBus.Arn>",
    "Condition": {
        "ForAllValues:StringEquals": {
            "events:source": "gluebrake",
            "events:detail-type": "Glue Job Run Stop Outcome",
        },
        "Null": {"events:source": "false", "events:detail-type": "false"},
    },
}


_NOTIFY = {
    "Sid": "PublishNotices",
    "Effect": "Allow",
    "Action": "sns:Publish",
    "Resource": "<NoticeTopic>",
}


def _policy(template: Template, function: str) -> list[Any]:
    statements: list[Any] = template.only("AWS::IAM::Policy", function)["PolicyDocument"]["Statement"]
    return statements


def _allow(sid: str, actions: str | list[str], resource: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def _common_statements(queue: str, function: str) -> list[dict[str, Any]]:
    """Return the statements that every function has."""
    consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    return [
        _allow("ConsumeMessages", consume, queue),
        _allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], f"<{function}Logs.Arn>"),
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": _DEAD_LETTER_QUEUE},
    ]


def test_the_stop_role_has_only_the_permissions_that_stop_needs(template: Template) -> None:
    """Each action is one that the function calls, on the resource that it calls it for."""
    glue = ["glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:GetTags"]
    assert _policy(template, "Stop") == [
        _allow("StopRuns", glue, f"{_JOB}*"),
        _PROTECT_BY_TAG,
        _PROTECT_BY_TAG_VALUE,
        _allow("SendToStopQueue", "sqs:SendMessage", _STOP_QUEUE),
        _allow("SendToConfirmQueue", "sqs:SendMessage", _CONFIRM_QUEUE),
        _PUBLISH,
        _NOTIFY,
        *_common_statements(_STOP_QUEUE, "Stop"),
    ]


def test_the_confirm_role_can_read_runs_and_stop_none(template: Template) -> None:
    """CONFIRM reads runs and sends to its own queue."""
    assert _policy(template, "Confirm") == [
        _allow("ReadJobRuns", ["glue:GetJobRun", "glue:GetJobRuns"], f"{_JOB}*"),
        _allow("SendToConfirmQueue", "sqs:SendMessage", _CONFIRM_QUEUE),
        _PUBLISH,
        _NOTIFY,
        *_common_statements(_CONFIRM_QUEUE, "Confirm"),
    ]


@both_functions
def test_outcome_events_can_be_switched_off(synthesised: Synthesise, function: str) -> None:
    """Without them a function has no bus name, and no permission to put events."""
    template = synthesised(outcomeEvents=False)
    assert _PUBLISH not in _policy(template, function)
    assert _variables(template, function)["GLUEBRAKE_EVENT_BUS_NAME"] == ""


def test_no_rule_matches_outcome_events(synthesised: Synthesise) -> None:
    """With every optional rule, an outcome event reaches no queue of the stack."""
    template = synthesised(stopOnRunStatus=["*"], stopOnAlarms=["a"])
    rules = plain(template.resources("AWS::Events::Rule")).values()
    detail_types = [rule["Properties"]["EventPattern"]["detail-type"] for rule in rules]
    assert len(detail_types) == 3
    assert all(contract.STOP_OUTCOME not in rule for rule in detail_types)


def test_the_account_is_the_trusted_sender_on_the_emulator(synthesised: Synthesise) -> None:
    """The emulator reports the account as every sender. On AWS the two roles are trusted."""
    local = synthesised(target="local")
    assert load(StopSettings, _variables(local, "Stop")).trusted_sender_ids == ("123456789012",)


def _variables(template: Template, function: str) -> dict[str, str]:
    variables: dict[str, str] = template.only("AWS::Lambda::Function", function)["Environment"]["Variables"]
    return variables


@both_functions
def test_a_role_has_no_other_source_of_permissions(template: Template, function: str) -> None:
    """A role has no managed policy, and only Lambda can assume it."""
    assert template.only("AWS::IAM::Role", function) == {
        "AssumeRolePolicyDocument": {
            "Statement": [
                {
                    "Action": "sts:AssumeRole",
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                }
            ],
            "Version": "2012-10-17",
        }
    }


def test_iam_allows_and_denies_the_configured_jobs(synthesised: Synthesise) -> None:
    """The Allow and Deny statements have the configured patterns, in IAM's syntax."""
    jobs = ["etl-*", "what? now*", "cost$"]
    template = synthesised(jobs=jobs, protectedJobs=["*-prod", "{billing}"], protectTag="keep")
    by_sid = {statement.get("Sid"): statement for statement in _policy(template, "Stop")}
    (read, *_) = _policy(template, "Confirm")
    arns = [f"{_JOB}etl-*", f"{_JOB}what${{?}} now*", f"{_JOB}cost${{$}}", f"{_JOB}{CANARY_JOB}"]
    assert by_sid["StopRuns"]["Resource"] == read["Resource"] == arns
    assert by_sid["ProtectByName"] == {
        "Sid": "ProtectByName",
        "Effect": "Deny",
        "Action": "glue:BatchStopJobRun",
        "Resource": [f"{_JOB}*-prod", f"{_JOB}{{billing}}"],
    }
    assert by_sid["ProtectByTag"]["Condition"] == {"Null": {"aws:ResourceTag/keep": "false"}}


_TEXT = st.text("ab*?${}[]", min_size=1, max_size=8)


@given(pattern=_TEXT, name=_TEXT)
def test_a_pattern_matches_the_same_names_in_iam(pattern: str, name: str) -> None:
    """For every pattern, `*` is the only wildcard in IAM as well."""
    expected = ".*".join(map(re.escape, pattern.split("*")))
    assert bool(re.fullmatch(expected, name)) == bool(re.fullmatch(_iam_regex(iam_pattern(pattern)), name))


def _iam_regex(pattern: str) -> str:
    """Convert an IAM pattern: `*` and `?` are wildcards, `${?}` and its like are characters."""
    parts = re.findall(r"\$\{([*?$])\}|(.)", pattern)
    wild = {"*": ".*", "?": "."}
    return "".join(re.escape(escaped) if escaped else wild.get(c, re.escape(c)) for escaped, c in parts)


@both_functions
def test_the_handler_exists(template: Template, function: str) -> None:
    """The configured handler is a function in a module that ships."""
    module, _, name = template.only("AWS::Lambda::Function", function)["Handler"].rpartition(".")
    assert module == f"gluebrake.handlers.{function.lower()}"
    tree = ast.parse((_SOURCES / f"{module.replace('.', '/')}.py").read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


_COMMON_SETTINGS: dict[str, Any] = {
    "event_bus_name": "<IntakeBus>",
    "trusted_sender_ids": ("<StopRole.RoleId>", "<ConfirmRole.RoleId>"),
    "confirm_queue_url": "<MessagingConfirmQueue>",
    "dead_letter_queue_url": "<MessagingDeadLetterQueue>",
    "job_arn_prefix": _JOB,
    "max_runs_per_request": 1000,
    "calls_at_once": 8,
    "confirm_seconds": (15, 300),
    "confirm_deadline_seconds": 1800,
    "price_per_dpu_hour": Prices(),
    "notice_topic_arn": "<NoticeTopic>",
    "notify_on": tuple(NoticeKind),
}
_STOP_SETTINGS = StopSettings(
    **_COMMON_SETTINGS,
    stop_queue_url="<MessagingStopQueue>",
    jobs=("*",),
    protected_jobs=(),
    protect_tag="gluebrake:protect",
    max_attempts=8,
    retry_seconds=(5, 900),
)


_ONLY_WITH_POLICIES = {"GLUEBRAKE_SWEEP_SENDER_IDS"}


@pytest.mark.parametrize(
    ("function", "expected"), [("Stop", _STOP_SETTINGS), ("Confirm", ConfirmSettings(**_COMMON_SETTINGS))]
)
def test_a_function_can_read_its_environment(template: Template, function: str, expected: Settings) -> None:
    """A function's environment has exactly the variables of its settings, without those for policies."""
    variables = _variables(template, function)
    assert load(type(expected), variables) == expected
    assert set(variables) == {field.encode_name for field in fields(expected)} - _ONLY_WITH_POLICIES


_ROLE_ID = "AROAEXAMPLEEXAMPLE123"
_LONGEST_NAME = "https://sqs.ap-northeast-1.amazonaws.com/123456789012/" + "x" * 60


@pytest.mark.parametrize(
    ("function", "config"),
    [
        ("Stop", {"jobs": ["j" * 100] * 23, "policies": POLICIES}),
        ("Stop", {"jobs": ["a-*"] * 75, "protectedJobs": ["é" * 20] * 40}),
        ("Stop", {"alarmNamespaces": ["n" * 250] * 8, "alarmAccounts": ["123456789012"] * 16}),
        (
            "Sweep",
            {"policies": [{**POLICIES[4], "name": f"{n}".zfill(64)} for n in range(9)], "jobs": ["j" * 85] * 9},
        ),
    ],
)
def test_the_longest_lists_fit_into_lambdas_environment(
    synthesised: Synthesise, function: str, config: dict[str, Any]
) -> None:
    """Lambda measures the variables as one JSON text of at most 4 kB, whatever the resources' names are."""
    prices = {"standard": 123.45678901234567, "flex": 123.45678901234567, "memoryOptimized": 123.45678901234567}
    template = synthesised(**config, pricePerDpuHour=prices)
    variables = json.dumps(_variables(template, function), ensure_ascii=False, separators=(",", ":"))
    variables = re.sub(r"<\w+\.RoleId>", _ROLE_ID, variables)
    assert len(re.sub(r"<\w+>", _LONGEST_NAME, variables).encode()) <= 4096


@both_functions
def test_a_function_can_keep_sending_to_its_own_queue(template: Template, function: str) -> None:
    """Lambda's recursive loop detection, which would drop retries, is off."""
    properties = template.only("AWS::Lambda::Function", function)
    assert properties["RecursiveLoop"] == "Allow"
    assert properties["DeadLetterConfig"] == {"TargetArn": _DEAD_LETTER_QUEUE}


_TRACE = {
    "Effect": "Allow",
    "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
    "Resource": "*",
}


@pytest.mark.parametrize("function", ["Stop", "Confirm", "Sweep"])
def test_tracing_is_off_unless_it_is_configured(
    synthesised: Synthesise, sweeping: Template, function: str
) -> None:
    """By default a function has no tracing mode, and its role no permission for X-Ray."""
    tracing = synthesised(policies=POLICIES, tracing=True)
    assert "TracingConfig" not in sweeping.only("AWS::Lambda::Function", function)
    assert tracing.only("AWS::Lambda::Function", function)["TracingConfig"] == {"Mode": "Active"}
    without, allowed = (_policy(template, f"{function}Role") for template in (sweeping, tracing))
    assert "xray" not in json.dumps(without)
    assert [statement for statement in allowed if statement not in without] == [_TRACE]
    assert tracing.validated("violations") == {"AwsSolutions": [], "Serverless": []}


@both_functions
def test_a_function_has_the_configured_runtime(synthesised: Synthesise, function: str) -> None:
    """Python version, architecture, memory and log retention are configurable."""
    template = synthesised(python="3.14", architecture="x86_64", memoryMb=1024, logRetentionDays=365)
    properties = template.only("AWS::Lambda::Function", function)
    assert (properties["Runtime"], properties["Architectures"]) == ("python3.14", ["x86_64"])
    assert properties["MemorySize"] == 1024
    assert template.only("AWS::Logs::LogGroup", function) == {"RetentionInDays": 365}


def test_a_function_is_created_after_its_roles_policy(template: Template) -> None:
    """No message is received before the function has its permissions."""
    policies = set(template.resources("AWS::IAM::Policy"))
    functions = template.resources("AWS::Lambda::Function").values()
    assert [len(policies & set(function["DependsOn"])) for function in functions] == [1, 1]


@pytest.mark.parametrize(
    ("configured", "function", "batch"),
    [
        ((10, 0), "Stop", (10, 0)),
        ((10, 0), "Confirm", (1000, 10)),
        ((1000, 5), "Stop", (1000, 5)),
        ((1000, 5), "Confirm", (1000, 10)),
        ((10_000, 300), "Stop", (10_000, 300)),
        ((10_000, 300), "Confirm", (10_000, 300)),
    ],
)
def test_a_message_stays_hidden_while_its_batch_is_processed(
    synthesised: Synthesise, configured: tuple[int, int], function: str, batch: tuple[int, int]
) -> None:
    """The visibility timeout is six times the function's timeout, plus the batch window.

    CONFIRM gathers at least 1,000 messages for at least 10 seconds, or what is configured if it is more.
    """
    size, window = configured
    template = synthesised(batchSize=size, batchWindowSeconds=window, maxConcurrency=7)
    timeout = template.only("AWS::Lambda::Function", function)["Timeout"]
    queue = template.only("AWS::SQS::Queue", f"Messaging{function}Queue")
    assert queue["VisibilityTimeout"] == 6 * timeout + batch[1]
    assert template.only("AWS::Lambda::EventSourceMapping", function) == {
        "EventSourceArn": f"<Messaging{function}Queue.Arn>",
        "FunctionName": f"<{function}Function>",
        "BatchSize": batch[0],
        "MaximumBatchingWindowInSeconds": batch[1],
        "ScalingConfig": {"MaximumConcurrency": 7},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }


def _queues(template: Template) -> list[dict[str, Any]]:
    return list(plain(template.resources("AWS::SQS::Queue")).values())


def test_failing_messages_become_dead_letters_that_are_retained(template: Template) -> None:
    """After five receives SQS moves a message. Dead letters stay for 14 days, and when the stack is deleted."""
    dead_letter_queue, *work_queues = _queues(template)
    assert dead_letter_queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    policies = (dead_letter_queue["DeletionPolicy"], dead_letter_queue["UpdateReplacePolicy"])
    assert policies == ("Retain", "Retain")
    for queue in work_queues:
        assert queue["Properties"]["MessageRetentionPeriod"] == 4 * 24 * 3600
        redrive_policy = queue["Properties"]["RedrivePolicy"]
        assert redrive_policy == {"deadLetterTargetArn": _DEAD_LETTER_QUEUE, "maxReceiveCount": 5}


def test_every_queue_is_encrypted(template: Template) -> None:
    """SQS encrypts the messages of every queue."""
    assert all(queue["Properties"]["SqsManagedSseEnabled"] is True for queue in _queues(template))


def test_queue_policies_allow_only_the_rule_and_the_topic(template: Template) -> None:
    """Each queue denies requests without TLS, and allows only the senders that have it as a target."""
    assert _queue_policies(template) == [
        _statements_of_rules(_DEAD_LETTER_QUEUE, "IntakeStopRequests"),
        _statements_of_rules(_STOP_QUEUE, "IntakeStopRequests"),
        [_tls_only(_CONFIRM_QUEUE)],
    ]


def test_queue_policies_allow_each_rule_by_its_arn(synthesised: Synthesise) -> None:
    """An optional rule has the same statement as the rule for stop requests."""
    rules = ["IntakeStopRequests", "SignalsRunStatus", "SignalsAlarmState"]
    assert _queue_policies(synthesised(stopOnRunStatus=["etl"], stopOnAlarms=["glue-"])) == [
        _statements_of_rules(_DEAD_LETTER_QUEUE, *rules),
        _statements_of_rules(_STOP_QUEUE, *rules),
        [_tls_only(_CONFIRM_QUEUE)],
    ]


def _statements_of_rules(queue: str, *rules: str) -> list[dict[str, Any]]:
    return [_tls_only(queue), *[_from_rule(queue, rule) for rule in rules], _from_topic(queue)]


def _queue_policies(template: Template) -> list[Any]:
    policies = plain(template.resources("AWS::SQS::QueuePolicy")).values()
    return [policy["Properties"]["PolicyDocument"]["Statement"] for policy in policies]


def _tls_only(queue: str) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "sqs:*",
        "Resource": queue,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _from_rule(queue: str, rule: str) -> dict[str, Any]:
    return {
        "Sid": f"Allow{re.sub('^(Intake|Signals)', '', rule)}",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": f"<{rule}.Arn>"}},
    }


def _from_topic(queue: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": "<SignalsTopic>"}},
    }


def test_stop_requests_on_the_bus_reach_the_stop_queue(template: Template) -> None:
    """The rule is on the stack's bus. A failed delivery becomes a dead letter."""
    rule = template.only("AWS::Events::Rule")
    assert rule["EventBusName"] == "<IntakeBus>"
    assert rule["EventPattern"] == {"detail-type": [contract.STOP_REQUESTED]}
    assert rule["Targets"] == [
        {"Id": "StopQueue", "Arn": _STOP_QUEUE, "DeadLetterConfig": {"Arn": _DEAD_LETTER_QUEUE}}
    ]


def test_only_the_canarys_job_has_a_physical_name(template: Template) -> None:
    """CloudFormation generates names. Where it requires one, the CDK derives it from the stack's name."""
    names = {
        (resource["Type"], key): value
        for resource in template.body["Resources"].values()
        for key, value in resource.get("Properties", {}).items()
        if key.endswith("Name") and isinstance(value, str)
    }
    # An alarm has the name of a metric, not its own. A saved query's name starts with its folder.
    metric = names.pop(("AWS::CloudWatch::Alarm", "MetricName"))
    query = names.pop(("AWS::Logs::QueryDefinition", "Name"))
    assert names.pop(("AWS::Glue::Job", "Name")) == CANARY_JOB
    assert set(names) == {("AWS::Events::EventBus", "Name"), ("AWS::IAM::Policy", "PolicyName")}
    assert all(re.fullmatch(r"(Gluebrake|Stop|Confirm|Canary)\w+[0-9A-F]{8}", name) for name in names.values())
    assert metric
    assert query.startswith("Gluebrake/")


def test_outputs_name_the_resources_to_use(template: Template) -> None:
    """A producer and an operator find the queues, the bus and the functions without the console."""
    assert {name: plain(output["Value"]) for name, output in template.body["Outputs"].items()} == {
        "Version": __version__,
        "StopQueueUrl": "<MessagingStopQueue>",
        "StopQueueArn": "<MessagingStopQueue.Arn>",
        "ConfirmQueueUrl": "<MessagingConfirmQueue>",
        "ConfirmQueueArn": "<MessagingConfirmQueue.Arn>",
        "DeadLetterQueueUrl": "<MessagingDeadLetterQueue>",
        "DeadLetterQueueArn": "<MessagingDeadLetterQueue.Arn>",
        "EventBusName": "<IntakeBus>",
        "EventBusArn": "<IntakeBus.Arn>",
        "SignalTopicArn": "<SignalsTopic>",
        "ProducerPolicyArn": "<ProducerPolicy>",
        "NoticeTopicArn": "<NoticeTopic>",
        "AlarmTopicArn": "<ObservabilityAlarmTopic>",
        "StopFunctionName": "<StopFunction>",
        "ConfirmFunctionName": "<ConfirmFunction>",
        "StopFunctionArn": "<StopFunction.Arn>",
        "CanaryJobName": "<CanaryJob>",
        "Observe": "false",
    }


def test_each_output_becomes_a_variable(synthesised: Synthesise) -> None:
    """`gluebrake env` knows the outputs that name resources, to unset their variables without the stack.

    It cannot know the names of policies, and so of their topics.
    """
    topics = {"SweepTopicDevBudgetArn", "SweepTopicBellArn"}
    outputs = synthesised(policies=POLICIES, dashboard=True).body["Outputs"]
    assert {*OUTPUTS, *topics, "Version", "Observe"} == set(outputs)


def test_cdk_nag_has_no_unsuppressed_finding(template: Template) -> None:
    """Both rule packs ran without findings, and the suppressed rules are known."""
    assert template.validated("violations") == {"AwsSolutions": [], "Serverless": []}
    assert {name: set(rules) for name, rules in template.validated("suppressedViolations").items()} == {
        "AwsSolutions": {
            "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:glue:<AWS::Region>:<AWS::AccountId>:job/*]",
            f"AwsSolutions-IAM5[Resource::{_NAG_LOG}]",
            "AwsSolutions-GL1",
            "AwsSolutions-GL3",
            "AwsSolutions-L1",
        },
        "Serverless": {
            "Serverless-SQSRedrivePolicy",
            "Serverless-LambdaLatestVersion",
            "Serverless-LambdaTracing",
            "Serverless-LambdaEventSourceMappingDestination",
        },
    }


def test_cdk_nag_accepts_any_job_pattern(synthesised: Synthesise) -> None:
    """The finding about an unusual pattern is suppressed like any other."""
    template = synthesised(jobs=["a, b *", "q?$*", '"x::y"*', "日*", "**", "${plain}"])
    assert template.validated("violations")["AwsSolutions"] == []


def test_the_template_names_no_partition(template: Template, sweeping: Template) -> None:
    """Every ARN has the partition that the stack is deployed to, except those of the configuration."""
    assert "arn:aws" not in json.dumps(template.body)
    assert "arn:aws" not in json.dumps(sweeping.body).replace(ROLE, "")


def test_cfn_lint_has_no_finding(template: Template, sweeping: Template) -> None:
    """Each Region has the resource types. The CDK's redundant dependencies (W3005) are ignored."""
    files = [str(each.directory / "Gluebrake.template.json") for each in (template, sweeping)]
    linter = Path(sys.executable).with_name("cfn-lint")
    command = [str(linter), "--ignore-checks", "W3005", "--regions", *_REGIONS, "--", *files]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr


def test_the_template_is_the_reviewed_one(template: Template, snapshot: SnapshotAssertion) -> None:
    """The snapshot shows every change, except in hashes of code and the dashboard, which has other tests."""
    body = json.loads(re.sub(r"\b[0-9a-f]{64}(?=\.py\b)", "<hash>", json.dumps(template.body)))
    for resource in body["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Code"]["S3Key"] = "<hash>.zip"
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            resource["Properties"]["DashboardBody"] = "<widgets>"
    body["Outputs"]["Version"]["Value"] = "<version>"
    del body["Parameters"], body["Rules"]
    assert body == snapshot
