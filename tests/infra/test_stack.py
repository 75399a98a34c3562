"""What the template promises: least privilege, nothing lost, nothing open."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from gluebrake import contract
from gluebrake.settings import Settings, settings
from infra.queue_function import iam_pattern
from tests.infra.conftest import Synthesise
from tests.infra.template import Template, plain

_SOURCES = Path(__file__).parents[2] / "lambda_src"
_JOB = "arn:aws:glue:eu-west-1:123456789012:job/"
_DEAD = "<MessagingDeadLetterQueue.Arn>"
_STOP = "<MessagingStopQueue.Arn>"
_CONFIRM = "<MessagingConfirmQueue.Arn>"

both_functions = pytest.mark.parametrize("function", ["Stop", "Confirm"])

_PROTECT_BY_TAG = {
    "Sid": "ProtectByTag",
    "Effect": "Deny",
    "Action": "glue:BatchStopJobRun",
    "Resource": f"{_JOB}*",
    "Condition": {"Null": {"aws:ResourceTag/gluebrake:protect": "false"}},
}


_PUBLISH = {
    "Sid": "PublishOutcomes",
    "Effect": "Allow",
    "Action": "events:PutEvents",
    "Resource": "<IntakeBus.Arn>",
    "Condition": {
        "StringEquals": {
            "events:source": "gluebrake",
            "events:detail-type": "Glue Job Run Stop Outcome",
        }
    },
}


def _policy(template: Template, function: str) -> list[Any]:
    statements: list[Any] = template.only("AWS::IAM::Policy", function)["PolicyDocument"]["Statement"]
    return statements


def _allow(sid: str, actions: str | list[str], resource: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def _works_off(queue: str, function: str) -> list[dict[str, Any]]:
    """Return what every function may do, whatever its duty."""
    consume = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    trace = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    return [
        _allow("ConsumeMessages", consume, queue),
        _allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], f"<{function}Logs.Arn>"),
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": _DEAD},
        {"Effect": "Allow", "Action": trace, "Resource": "*"},
    ]


def test_the_stop_role_may_do_what_it_does_and_no_more(template: Template) -> None:
    """Each action is one that the function uses, on the one resource that it uses it on."""
    glue = ["glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:GetTags"]
    assert _policy(template, "Stop") == [
        _allow("StopRuns", glue, f"{_JOB}*"),
        _PROTECT_BY_TAG,
        _allow("SendToStopQueue", "sqs:SendMessage", _STOP),
        _allow("SendToConfirmQueue", "sqs:SendMessage", _CONFIRM),
        _PUBLISH,
        *_works_off(_STOP, "Stop"),
    ]


def test_the_confirm_role_may_only_read_runs(template: Template) -> None:
    """It looks at runs and sends to its own queue; it can stop nothing."""
    assert _policy(template, "Confirm") == [
        _allow("ReadJobRuns", ["glue:GetJobRun", "glue:GetJobRuns"], f"{_JOB}*"),
        _allow("SendToConfirmQueue", "sqs:SendMessage", _CONFIRM),
        _PUBLISH,
        *_works_off(_CONFIRM, "Confirm"),
    ]


@both_functions
def test_outcome_events_can_be_switched_off(synthesised: Synthesise, function: str) -> None:
    """Without them a function knows no bus, and may put nothing on one."""
    template = synthesised(outcomeEvents=False)
    assert _PUBLISH not in _policy(template, function)
    assert _variables(template, function)["GLUEBRAKE_EVENT_BUS_NAME"] == ""


def test_no_rule_of_ours_feeds_outcomes_back(synthesised: Synthesise) -> None:
    """Whatever is switched on, an event that tells an outcome matches none of the rules."""
    template = synthesised(stopOnRunStatus=["*"], stopOnAlarms=["a"])
    rules = plain(template.resources("AWS::Events::Rule")).values()
    detail_types = [rule["Properties"]["EventPattern"]["detail-type"] for rule in rules]
    assert len(detail_types) == 3
    assert all(contract.STOP_OUTCOME not in some for some in detail_types)


def test_a_function_knows_its_own_by_the_account_on_the_emulator(synthesised: Synthesise) -> None:
    """The emulator names no other sender; on AWS it is the two roles."""
    local = synthesised(target="local")
    assert settings(_variables(local, "Stop")).trusted_sender_ids == ("123456789012",)


def _variables(template: Template, function: str) -> dict[str, str]:
    variables: dict[str, str] = template.only("AWS::Lambda::Function", function)["Environment"]["Variables"]
    return variables


@both_functions
def test_a_role_has_no_other_source_of_permissions(template: Template, function: str) -> None:
    """No managed policy widens a role, and only Lambda may take it."""
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


def test_iam_knows_which_jobs_may_be_stopped_and_which_never(synthesised: Synthesise) -> None:
    """The configured patterns bound the permission and its denial, each written in IAM's own syntax."""
    jobs = ["etl-*", "what? now*", "cost$"]
    template = synthesised(jobs=jobs, protectedJobs=["*-prod", "{billing}"], protectTag="keep")
    by_sid = {statement.get("Sid"): statement for statement in _policy(template, "Stop")}
    (look, *_) = _policy(template, "Confirm")
    arns = [f"{_JOB}etl-*", f"{_JOB}what${{?}} now*", f"{_JOB}cost${{$}}"]
    assert by_sid["StopRuns"]["Resource"] == look["Resource"] == arns
    assert by_sid["ProtectByName"] == {
        "Sid": "ProtectByName",
        "Effect": "Deny",
        "Action": "glue:BatchStopJobRun",
        "Resource": [f"{_JOB}*-prod", f"{_JOB}{{billing}}"],
    }
    assert by_sid["ProtectByTag"]["Condition"] == {"Null": {"aws:ResourceTag/keep": "false"}}


_TEXT = st.text("ab*?${}[]", min_size=1, max_size=8)


@given(pattern=_TEXT, name=_TEXT)
def test_a_pattern_means_the_same_to_iam_as_to_us(pattern: str, name: str) -> None:
    """Whatever is in a pattern, IAM matches exactly the names that `*` alone as a wildcard does."""
    ours = ".*".join(map(re.escape, pattern.split("*")))
    assert bool(re.fullmatch(ours, name)) == bool(re.fullmatch(_iam_regex(iam_pattern(pattern)), name))


def _iam_regex(pattern: str) -> str:
    """Read a pattern as IAM does: `${?}` and its like are characters, `*` and `?` wildcards."""
    parts = re.findall(r"\$\{([*?$])\}|(.)", pattern)
    wild = {"*": ".*", "?": "."}
    return "".join(re.escape(escaped) if escaped else wild.get(c, re.escape(c)) for escaped, c in parts)


@both_functions
def test_the_handler_is_there_to_be_called(template: Template, function: str) -> None:
    """The configured handler names a module that ships and a function in it."""
    module, _, name = template.only("AWS::Lambda::Function", function)["Handler"].rpartition(".")
    assert module == f"gluebrake.{function.lower()}"
    tree = ast.parse((_SOURCES / f"{module.replace('.', '/')}.py").read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@both_functions
def test_a_function_can_read_its_environment(template: Template, function: str) -> None:
    """What the template writes, the function's settings read back."""
    assert settings(template.only("AWS::Lambda::Function", function)["Environment"]["Variables"]) == Settings(
        event_bus_name="<IntakeBus>",
        trusted_sender_ids=("<StopRole.RoleId>", "<ConfirmRole.RoleId>"),
        stop_queue_url="<MessagingStopQueue>",
        confirm_queue_url="<MessagingConfirmQueue>",
        dead_letter_queue_url="<MessagingDeadLetterQueue>",
        job_arn_prefix=_JOB,
        jobs=("*",),
        protected_jobs=(),
        protect_tag="gluebrake:protect",
        max_runs_per_request=1000,
        calls_at_once=8,
        max_attempts=8,
        retry_seconds=(5, 900),
        confirm_seconds=(15, 300),
        confirm_deadline_seconds=1800,
    )


@both_functions
def test_a_function_may_send_to_its_own_queue_for_good(template: Template, function: str) -> None:
    """Lambda's loop detection, which would drop a retry, is off; traces and the dead-letter queue are on."""
    properties = template.only("AWS::Lambda::Function", function)
    assert properties["RecursiveLoop"] == "Allow"
    assert properties["TracingConfig"] == {"Mode": "Active"}
    assert properties["DeadLetterConfig"] == {"TargetArn": _DEAD}


@both_functions
def test_a_function_is_built_as_configured(synthesised: Synthesise, function: str) -> None:
    """Version, processor, memory and log retention are the user's choice."""
    template = synthesised(python="3.14", architecture="x86_64", memoryMb=1024, logRetentionDays=365)
    properties = template.only("AWS::Lambda::Function", function)
    assert (properties["Runtime"], properties["Architectures"]) == ("python3.14", ["x86_64"])
    assert properties["MemorySize"] == 1024
    assert template.only("AWS::Logs::LogGroup", function) == {"RetentionInDays": 365}


def test_no_function_runs_before_its_role_is_complete(template: Template) -> None:
    """No message meets a function that may not yet do what it has to."""
    policies = set(template.resources("AWS::IAM::Policy"))
    functions = template.resources("AWS::Lambda::Function").values()
    assert [len(policies & set(function["DependsOn"])) for function in functions] == [1, 1]


@both_functions
@pytest.mark.parametrize(("size", "window"), [(10, 0), (1000, 5), (10_000, 300)])
def test_a_message_stays_hidden_until_its_batch_is_done(
    synthesised: Synthesise, function: str, size: int, window: int
) -> None:
    """Visibility is six times the function's timeout and the window, whatever the window."""
    template = synthesised(batchSize=size, batchWindowSeconds=window, maxConcurrency=7)
    timeout = template.only("AWS::Lambda::Function", function)["Timeout"]
    queue = template.only("AWS::SQS::Queue", f"Messaging{function}Queue")
    assert queue["VisibilityTimeout"] == 6 * timeout + window
    assert template.only("AWS::Lambda::EventSourceMapping", function) == {
        "EventSourceArn": f"<Messaging{function}Queue.Arn>",
        "FunctionName": f"<{function}Function>",
        "BatchSize": size,
        "MaximumBatchingWindowInSeconds": window,
        "ScalingConfig": {"MaximumConcurrency": 7},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }


def _queues(template: Template) -> list[dict[str, Any]]:
    return list(plain(template.resources("AWS::SQS::Queue")).values())


def test_work_is_redriven_and_dead_letters_are_kept(template: Template) -> None:
    """A message that crashes the function five times is kept for two weeks, and through an uninstallation."""
    dead, *work = _queues(template)
    assert dead["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert (dead["DeletionPolicy"], dead["UpdateReplacePolicy"]) == ("Retain", "Retain")
    for queue in work:
        assert queue["Properties"]["MessageRetentionPeriod"] == 4 * 24 * 3600
        assert queue["Properties"]["RedrivePolicy"] == {"deadLetterTargetArn": _DEAD, "maxReceiveCount": 5}


def test_every_queue_is_encrypted(template: Template) -> None:
    """No message rests in the clear."""
    assert all(queue["Properties"]["SqsManagedSseEnabled"] is True for queue in _queues(template))


def test_queues_let_in_the_rule_and_the_topic_alone_and_by_tls_alone(template: Template) -> None:
    """Each queue's policy denies what is not encrypted; only named senders are let in, where they send to."""
    assert _queue_policies(template) == [
        [_tls_only(_DEAD), _from_rule(_DEAD, "IntakeStopRequests"), _from_topic(_DEAD)],
        [_tls_only(_STOP), _from_rule(_STOP, "IntakeStopRequests"), _from_topic(_STOP)],
        [_tls_only(_CONFIRM)],
    ]


def test_queues_let_in_each_rule_by_its_name(synthesised: Synthesise) -> None:
    """A rule for signals is let in like the one for stop requests."""
    dead, stop, confirm = _queue_policies(synthesised(stopOnRunStatus=["etl"], stopOnAlarms=["glue-"]))
    rules = ["IntakeStopRequests", "SignalsRunStatus", "SignalsAlarmState"]
    assert dead == [_tls_only(_DEAD), *[_from_rule(_DEAD, rule) for rule in rules], _from_topic(_DEAD)]
    assert stop == [_tls_only(_STOP), *[_from_rule(_STOP, rule) for rule in rules], _from_topic(_STOP)]
    assert confirm == [_tls_only(_CONFIRM)]


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
    """The rule listens to our own bus, and what it cannot deliver becomes a dead letter."""
    rule = template.only("AWS::Events::Rule")
    assert rule["EventBusName"] == "<IntakeBus>"
    assert rule["EventPattern"] == {"detail-type": [contract.STOP_REQUESTED]}
    assert rule["Targets"] == [{"Id": "StopQueue", "Arn": _STOP, "DeadLetterConfig": {"Arn": _DEAD}}]


def test_nothing_has_a_physical_name(template: Template) -> None:
    """Names are CloudFormation's own; where it demands one, the CDK makes it of the stack's."""
    names = {
        (resource["Type"], key): value
        for resource in template.body["Resources"].values()
        for key, value in resource.get("Properties", {}).items()
        if key.endswith("Name") and isinstance(value, str)
    }
    # Alarms name metrics, not themselves; a saved query's name begins with its folder.
    metric = names.pop(("AWS::CloudWatch::Alarm", "MetricName"))
    query = names.pop(("AWS::Logs::QueryDefinition", "Name"))
    assert set(names) == {("AWS::Events::EventBus", "Name"), ("AWS::IAM::Policy", "PolicyName")}
    assert all(re.fullmatch(r"(Gluebrake|Stop|Confirm)\w+[0-9A-F]{8}", name) for name in names.values())
    assert metric
    assert query.startswith("Gluebrake/")


def test_outputs_say_where_to_send_and_where_to_look(template: Template) -> None:
    """A producer and an operator need no console to find the queues, the bus and the function."""
    assert {name: plain(output["Value"]) for name, output in template.body["Outputs"].items()} == {
        "StopQueueUrl": "<MessagingStopQueue>",
        "ConfirmQueueUrl": "<MessagingConfirmQueue>",
        "DeadLetterQueueUrl": "<MessagingDeadLetterQueue>",
        "EventBusName": "<IntakeBus>",
        "SignalTopicArn": "<SignalsTopic>",
        "ProducerPolicyArn": "<ProducerPolicy>",
        "AlarmTopicArn": "<ObservabilityAlarmTopic>",
        "DashboardName": "<ObservabilityDashboard>",
        "StopFunctionName": "<StopFunction>",
        "ConfirmFunctionName": "<ConfirmFunction>",
    }


def test_cdk_nag_finds_nothing_unacknowledged(template: Template) -> None:
    """Both rule packs ran, neither has an objection left, and what was acknowledged is known."""
    assert template.validated("violations") == {"AwsSolutions": [], "Serverless": []}
    assert {name: set(rules) for name, rules in template.validated("suppressedViolations").items()} == {
        "AwsSolutions": {
            "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:glue:<AWS::Region>:<AWS::AccountId>:job/*]",
            "AwsSolutions-IAM5[Resource::*]",
            "AwsSolutions-L1",
        },
        "Serverless": {
            "Serverless-SQSRedrivePolicy",
            "Serverless-LambdaLatestVersion",
            "Serverless-LambdaEventSourceMappingDestination",
        },
    }


def test_cdk_nag_takes_any_pattern_of_jobs(synthesised: Synthesise) -> None:
    """A user's pattern of an unusual kind is acknowledged like any other."""
    template = synthesised(jobs=["a, b *", "q?$*", '"x::y"*', "日*", "**", "${plain}"])
    assert template.validated("violations")["AwsSolutions"] == []


def test_cfn_lint_finds_nothing(template: Template) -> None:
    """CloudFormation would take the template; only the CDK's redundant dependencies are let pass (W3005)."""
    file = template.directory / "Gluebrake.template.json"
    linter = Path(sys.executable).with_name("cfn-lint")
    command = [str(linter), "--ignore-checks", "W3005", "--", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_template_is_the_reviewed_one(template: Template, snapshot: SnapshotAssertion) -> None:
    """A change is seen in review, but for the code's hash and the dashboard, which test_observability holds."""
    body = template.body
    for resource in body["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Code"]["S3Key"] = "<hash>.zip"
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            resource["Properties"]["DashboardBody"] = "<widgets>"
    del body["Parameters"], body["Rules"]
    assert body == snapshot
