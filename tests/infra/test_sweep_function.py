"""SWEEP in the template: what it may do, how it is started, and that nothing of it exists without policies."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document
from msgspec.structs import fields

from gluebrake.outcomes import NoticeKind
from gluebrake.policies import Policy
from gluebrake.prices import Prices
from gluebrake.settings import StopSettings, SweepSettings, load
from infra.config import load as load_config
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.template import Template, plain

_JOB: Final = "arn:aws:glue:eu-west-1:123456789012:job/"
_OF_OTHER_FUNCTIONS: Final = ("<StopRole.RoleId>", "<ConfirmRole.RoleId>")


@pytest.fixture(scope="module")
def configured(synthesised: Synthesise) -> Template:
    """Return the template with policies, on the emulator, where other keys than `policies` have values too."""
    return synthesised(
        policies=POLICIES,
        jobs=["etl-*"],
        batchSize=1000,
        batchWindowSeconds=5,
        maxConcurrency=7,
        outcomeEvents=False,
        logRetentionDays=365,
        memoryMb=1024,
        target="local",
    )


def _variables(template: Template, function: str) -> dict[str, str]:
    variables: dict[str, str] = template.only("AWS::Lambda::Function", function)["Environment"]["Variables"]
    return variables


def _may(template: Template, action: str, resource: str, **context: Any) -> bool:
    """Return whether SWEEP's role allows an action."""
    document = template.only("AWS::IAM::Policy", "SweepRole")["PolicyDocument"]
    request = EvalContext(
        principal_arn="arn:aws:iam::123456789012:role/sweep",
        principal_type="AssumedRole",
        principal_account="123456789012",
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        service_context=context,
    )
    return str(evaluate(request, [parse_policy_document(document)]).decision) == "Allow"


class TestWithoutPolicies:
    """A stack without guardrail policies."""

    def test_nothing_of_sweep_exists(self, template: Template) -> None:
        """No resource, output, metadata or text of the template has to do with SWEEP."""
        assert "sweep" not in json.dumps(template.body).lower()
        assert "Metadata" not in template.body

    def test_an_empty_list_changes_nothing(self, template: Template, synthesised: Synthesise) -> None:
        """The template is that of a configuration without the key."""
        assert synthesised(policies=[]).body == template.body

    def test_policies_only_add(self, template: Template, sweeping: Template) -> None:
        """Queues, roles and rules stay. STOP gets SWEEP's sender id. Alarms and queries cover SWEEP as well."""
        before, after = template.body["Resources"], sweeping.body["Resources"]
        assert before.keys() <= after.keys()
        changed = {name[:-8] for name in before if before[name] != after[name]}
        assert {name for name in changed if not name.startswith("Observability")} == {"StopFunction"}
        assert {name.removeprefix("Observability") for name in changed} - {"StopFunction"} == {
            *("RunsNotStopped", "RequestsRefused", "Malfunctions"),
            *("DeliveriesLost", "RecursionDropped", "FunctionErrors", "FunctionThrottles"),
            *("LastStops", "WhoStoppedThisRun", "FailuresByReason", "SlowestStops"),
            *("CostByJob", "RequestsBySender"),
        }


class TestRole:
    """What SWEEP's role allows. An evaluator decides, because the emulator enforces no policy here."""

    def test_it_can_read_the_configured_jobs(self, configured: Template) -> None:
        """It lists all jobs, which IAM cannot narrow, and reads those that match `jobs`."""
        assert _may(configured, "glue:ListJobs", "*")
        for action in ("glue:GetJobRuns", "glue:BatchGetJobs", "glue:GetTags"):
            assert _may(configured, action, f"{_JOB}etl-1")
            assert not _may(configured, action, f"{_JOB}payroll")

    @pytest.mark.parametrize(
        "action",
        [
            "BatchStopJobRun",
            "StartJobRun",
            "UpdateJob",
            "DeleteJob",
            "TagResource",
            "UntagResource",
            "GetJobRun",
        ],
    )
    def test_it_can_stop_and_change_nothing(self, sweeping: Template, action: str) -> None:
        """It has no other action of Glue."""
        assert not _may(sweeping, f"glue:{action}", f"{_JOB}etl")

    def test_it_can_send_stop_requests_and_dead_letters_only(self, sweeping: Template) -> None:
        """It cannot send to CONFIRM, nor start a sweep."""
        queues = ("StopQueue", "ConfirmQueue", "SweepQueue", "DeadLetterQueue")
        allowed = [q for q in queues if _may(sweeping, "sqs:SendMessage", f"<Messaging{q}.Arn>")]
        assert allowed == ["StopQueue", "DeadLetterQueue"]

    def test_it_can_consume_only_its_own_queue(self, sweeping: Template) -> None:
        """It reads no stop request and no dead letter."""
        queues = ("StopQueue", "ConfirmQueue", "SweepQueue", "DeadLetterQueue")
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            assert [q for q in queues if _may(sweeping, action, f"<Messaging{q}.Arn>")] == ["SweepQueue"]

    @pytest.mark.parametrize(
        ("source", "detail_type", "allowed"),
        [
            ("gluebrake", "Glue Sweep Report", True),
            ("gluebrake", "Glue Job Run Stop Outcome", False),
            ("gluebrake", "Glue Job Run Stop Requested", False),
            ("guardrail", "Glue Sweep Report", False),
        ],
    )
    def test_it_can_publish_reports_only(
        self, sweeping: Template, source: str, detail_type: str, *, allowed: bool
    ) -> None:
        """It can neither claim an outcome of a stop nor request one on the bus."""
        context = {"events:source": [source], "events:detail-type": [detail_type]}
        assert _may(sweeping, "events:PutEvents", "<IntakeBus.Arn>", **context) is allowed

    def test_it_can_publish_notices_only_on_their_topic(self, sweeping: Template) -> None:
        """It can start no sweep by a signal, and request no stop by the signal topic."""
        topics = [f"<{name[:-8]}>" for name in sweeping.resources("AWS::SNS::Topic")]
        assert len(topics) == len(POLICIES)
        assert [t for t in topics if _may(sweeping, "sns:Publish", t)] == ["<NoticeTopic>"]

    def test_without_outcome_events_it_publishes_nothing(self, configured: Template) -> None:
        """The switch for events covers reports."""
        context = {"events:source": ["gluebrake"], "events:detail-type": ["Glue Sweep Report"]}
        assert not _may(configured, "events:PutEvents", "<IntakeBus.Arn>", **context)
        assert _variables(configured, "Sweep")["GLUEBRAKE_EVENT_BUS_NAME"] == ""


class TestFunction:
    """The function SWEEP and its queue."""

    def test_it_can_read_its_environment(self, sweeping: Template) -> None:
        """Its environment has exactly the variables of its settings."""
        variables = _variables(sweeping, "Sweep")
        assert load(SweepSettings, variables) == SweepSettings(
            event_bus_name="<IntakeBus>",
            trusted_sender_ids=_OF_OTHER_FUNCTIONS,
            dead_letter_queue_url="<MessagingDeadLetterQueue>",
            job_arn_prefix=_JOB,
            max_runs_per_request=1000,
            calls_at_once=8,
            stop_queue_url="<MessagingStopQueue>",
            jobs=("*",),
            protected_jobs=(),
            protect_tag="gluebrake:protect",
            price_per_dpu_hour=Prices(),
            notice_topic_arn="<NoticeTopic>",
            notify_on=tuple(NoticeKind),
            signal_topics={
                "<SweepTriggersTopicdevbudget>": "dev-budget",
                "<SweepTriggersTopicbell>": "bell",
            },
        )
        assert set(variables) == {field.encode_name for field in fields(SweepSettings)}

    def test_the_other_functions_do_not_trust_it(self, sweeping: Template) -> None:
        """STOP knows SWEEP's role only as that of policies. CONFIRM does not know it."""
        stop = load(StopSettings, _variables(sweeping, "Stop"))
        assert stop.trusted_sender_ids == _OF_OTHER_FUNCTIONS
        assert stop.sweep_sender_ids == ("<SweepRole.RoleId>",)
        assert "Sweep" not in json.dumps(_variables(sweeping, "Confirm"))

    def test_the_account_is_its_sender_on_the_emulator(self, configured: Template) -> None:
        """The emulator reports the account as every sender."""
        stop = load(StopSettings, _variables(configured, "Stop"))
        assert (stop.trusted_sender_ids, stop.sweep_sender_ids) == (("123456789012",), ("123456789012",))

    def test_it_has_the_time_for_a_thousand_jobs(self, configured: Template) -> None:
        """It runs up to Lambda's limit, with the configured memory."""
        function = configured.only("AWS::Lambda::Function", "Sweep")
        assert (function["Timeout"], function["MemorySize"]) == (900, 1024)
        assert function["Handler"] == "gluebrake.handlers.sweep.handler"
        assert function["RecursiveLoop"] == "Allow"

    def test_its_queue_keeps_nothing_that_is_too_late(self, sweeping: Template) -> None:
        """A message is hidden for longer than a sweep takes, kept for six hours, and becomes no dead letter."""
        assert sweeping.only("AWS::SQS::Queue", "MessagingSweepQueue") == {
            "SqsManagedSseEnabled": True,
            "VisibilityTimeout": 960,
            "MessageRetentionPeriod": 6 * 3600,
        }

    def test_schedules_of_one_minute_become_one_sweep(self, configured: Template) -> None:
        """Messages wait for others for 20 seconds, whatever the batches of the other functions are."""
        assert configured.only("AWS::Lambda::EventSourceMapping", "Sweep") == {
            "EventSourceArn": "<MessagingSweepQueue.Arn>",
            "FunctionName": "<SweepFunction>",
            "BatchSize": 10,
            "MaximumBatchingWindowInSeconds": 20,
            "ScalingConfig": {"MaximumConcurrency": 2},
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }

    def test_it_has_a_log_of_its_own(self, configured: Template) -> None:
        """The log is kept for the configured time, and the saved queries read it."""
        assert configured.only("AWS::Logs::LogGroup", "Sweep") == {"RetentionInDays": 365}
        for query in configured.resources("AWS::Logs::QueryDefinition").values():
            assert "<SweepLogs>" in plain(query["Properties"]["LogGroupNames"])


def test_outputs_name_what_the_policies_add(template: Template, sweeping: Template) -> None:
    """The queue, the function and the topic of each policy with `onSignal` are found without the console."""
    added = sweeping.body["Outputs"].keys() - template.body["Outputs"].keys()
    assert {name: plain(sweeping.body["Outputs"][name]["Value"]) for name in added} == {
        "SweepQueueUrl": "<MessagingSweepQueue>",
        "SweepQueueArn": "<MessagingSweepQueue.Arn>",
        "SweepFunctionName": "<SweepFunction>",
        "SweepTopicDevBudgetArn": "<SweepTriggersTopicdevbudget>",
        "SweepTopicBellArn": "<SweepTriggersTopicbell>",
    }


def test_the_metadata_has_the_policies_with_their_hashes(sweeping: Template) -> None:
    """`gluebrake` reads there what is deployed: the policies in their order, and the hash that reports have."""
    described = sweeping.body["Metadata"]["Gluebrake::Policies"]
    hashes = [policy.pop("hash") for policy in described]
    configured = load_config({"gluebrake": {"policies": POLICIES}}.get).policies
    assert described == POLICIES
    assert load_config({"gluebrake": {"policies": described}}.get).policies == configured
    assert hashes == [policy.hash for policy in configured]
    assert len(set(hashes)) == len(POLICIES)


def test_the_checks_accept_the_policies(sweeping: Template) -> None:
    """cdk-nag has no finding, except the acknowledged ones about the queue and the subscriptions."""
    assert sweeping.validated("violations") == {"AwsSolutions": [], "Serverless": []}
    suppressed = sweeping.validated("suppressedViolations")
    assert "AwsSolutions-SQS3" in suppressed["AwsSolutions"]
    assert "Serverless-SNSRedrivePolicy" in suppressed["Serverless"]


def test_each_field_of_a_policy_reaches_the_metadata(synthesised: Synthesise) -> None:
    """Nothing of a policy is lost between the configuration and the command that reads it."""
    full = {
        **POLICIES[0],
        "except": ["x"],
        "types": ["glueetl"],
        "states": ["RUNNING"],
        "executionClass": "FLEX",
        "maxTimesUsual": 2.5,
        "warnAtPercent": 50,
    }
    (described,) = synthesised(policies=[full]).body["Metadata"]["Gluebrake::Policies"]
    not_set = {"tags", "maxDpuHours", "timeZone", "onSignal"}
    assert described.keys() == {field.encode_name for field in fields(Policy)} - not_set | {"hash"}
