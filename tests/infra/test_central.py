"""The central bus: what members forward to it, what it keeps, and that it can have no run stopped anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from ministack.core.iam_evaluator import evaluate, evaluate_resource_policy, parse_policy_document

from gluebrake import contract
from infra.artifact import Artifact
from infra.config import ConfigError
from infra.context import plain_context
from infra.synthesis import synthesise
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.evaluation import ACCOUNT as MEMBER
from tests.infra.evaluation import REGION, evaluation_context
from tests.infra.event_patterns import matches
from tests.infra.template import Template, plain

ORGANIZATION: Final = "o-abcde12345"
CENTER: Final = "999999999999"
CENTRAL_BUS: Final = f"arn:aws:events:{REGION}:{CENTER}:event-bus/gluebrake-central"
REPORTS: Final = (contract.STOP_OUTCOME, contract.SWEEP_REPORT)


def _synthesise_central(directory: Path, **context: Any) -> Template:
    synthesise(
        context={**plain_context([]), "organization": ORGANIZATION, **context},
        outdir=str(directory),
        build=lambda _: Artifact(directory),
    )
    return Template(directory, "GluebrakeCentral")


@pytest.fixture(scope="module")
def central(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Return the template of the central stack."""
    keys = {"logRetentionDays": 90, "environments": {"prod": {"account": MEMBER, "region": REGION}}}
    return _synthesise_central(tmp_path_factory.mktemp("central"), gluebrake=keys)


@pytest.fixture(scope="module")
def member(synthesised: Synthesise) -> Template:
    """Return the template of a stack with every way to stop runs, which forwards its reports."""
    return synthesised(
        centralBusArn=CENTRAL_BUS,
        stopOnRunStatus=["*"],
        stopOnAlarms=["glue-"],
        policies=POLICIES,
        canary="rate(1 day)",
    )


def _event(**changed: str) -> dict[str, Any]:
    fields = {"source": "gluebrake", "detail-type": contract.STOP_OUTCOME, "account": MEMBER, "region": REGION}
    return {**fields, "detail": {}, **{key.replace("_", "-"): value for key, value in changed.items()}}


class TestForwarding:
    """The rule of a member."""

    def test_it_sends_to_the_central_bus_with_a_role(self, member: Template) -> None:
        """What cannot be delivered becomes a dead letter."""
        rule = member.only("AWS::Events::Rule", "ForwardingReports")
        assert rule["EventBusName"] == "<IntakeBus>"
        assert rule["Targets"] == [
            {
                "Id": "CentralBus",
                "Arn": CENTRAL_BUS,
                "RoleArn": "<ForwardingRole.Arn>",
                "DeadLetterConfig": {"Arn": "<MessagingDeadLetterQueue.Arn>"},
            }
        ]

    @pytest.mark.parametrize(
        ("event", "forwarded"),
        [
            (_event(), True),
            (_event(detail_type=contract.SWEEP_REPORT), True),
            (_event(detail_type=contract.STOP_REQUESTED), False),
            (_event(source="my.guardrail"), False),
            (_event(account=CENTER), False),
            (_event(region="eu-west-2"), False),
        ],
    )
    def test_it_forwards_reports_of_its_own_account_and_region(
        self, member: Template, event: Mapping[str, Any], *, forwarded: bool
    ) -> None:
        """Neither stop requests nor an event that was forwarded before are forwarded."""
        pattern = member.only("AWS::Events::Rule", "ForwardingReports")["EventPattern"]
        assert matches(pattern, event) is forwarded

    def test_its_dead_letters_are_allowed_and_its_losses_alarmed(self, member: Template) -> None:
        """The rule may send to the dead-letter queue and not to the stop queue."""
        rule = {"by": "events.amazonaws.com", "source": "<ForwardingReports.Arn>"}
        policies = {
            queue: member.only("AWS::SQS::QueuePolicy", f"Messaging{queue}")["PolicyDocument"]
            for queue in ("DeadLetterQueue", "StopQueue")
        }
        assert _allows(policies["DeadLetterQueue"], "sqs:SendMessage", "<MessagingDeadLetterQueue.Arn>", rule)
        assert not _allows(policies["StopQueue"], "sqs:SendMessage", "<MessagingStopQueue.Arn>", rule)
        alarm = json.dumps(member.only("AWS::CloudWatch::Alarm", "ObservabilityDeliveriesLost"))
        assert "<ForwardingReports.Arn>" in alarm

    def test_its_role_can_put_events_on_the_central_bus_only(self, member: Template) -> None:
        """No other bus, and no other call."""
        document = parse_policy_document(member.only("AWS::IAM::Policy", "ForwardingRole")["PolicyDocument"])
        calls = [
            ("events:PutEvents", CENTRAL_BUS),
            ("events:PutEvents", f"{CENTRAL_BUS}-2"),
            ("events:PutEvents", "<IntakeBus.Arn>"),
            ("events:PutRule", CENTRAL_BUS),
            ("sqs:SendMessage", "<MessagingStopQueue.Arn>"),
        ]
        decisions = [str(evaluate(evaluation_context(*call), [document]).decision) for call in calls]
        assert decisions == ["Allow", *["ImplicitDeny"] * 4]

    def test_its_role_is_assumed_by_rules_of_this_account_only(self, member: Template) -> None:
        """A rule of another account that names the role is refused."""
        trust = member.only("AWS::IAM::Role", "ForwardingRole")["AssumeRolePolicyDocument"]
        rules = [f"arn:aws:events:{REGION}:{account}:rule/r" for account in (MEMBER, CENTER)]
        senders = [{"by": "events.amazonaws.com", "source": rule} for rule in rules]
        assert [_allows(trust, "sts:AssumeRole", "*", sender) for sender in senders] == [True, False]

    def test_by_default_nothing_is_forwarded(self, template: Template) -> None:
        """Without the key there is neither the rule nor the role."""
        assert not [name for name in template.body["Resources"] if name.startswith("Forwarding")]


class TestCentralStack:
    """The stack of the account that collects."""

    def test_it_consists_of_a_bus_a_rule_and_a_log_group(self, central: Template) -> None:
        """It has no role and no function: nothing in it can call AWS."""
        assert sorted(resource["Type"] for resource in central.body["Resources"].values()) == [
            "AWS::Events::EventBus",
            "AWS::Events::EventBusPolicy",
            "AWS::Events::Rule",
            "AWS::Logs::LogGroup",
            "AWS::Logs::QueryDefinition",
            "AWS::Logs::QueryDefinition",
            "AWS::Logs::QueryDefinition",
            "AWS::Logs::ResourcePolicy",
        ]
        assert central.only("AWS::Events::EventBus")["Name"] == "gluebrake-central"

    def test_its_rule_keeps_reports_and_forwards_nothing(self, central: Template) -> None:
        """Its only target is the log group, whose lines are kept for the configured number of days."""
        rule, group = central.only("AWS::Events::Rule"), central.only("AWS::Logs::LogGroup")
        name = "/aws/events/gluebrake-central"
        assert [target["Arn"] for target in rule["Targets"]] == [
            f"arn:aws:logs:{REGION}:{MEMBER}:log-group:{name}"
        ]
        assert group == {"LogGroupName": name, "RetentionInDays": 90}

    @pytest.mark.parametrize(
        ("event", "kept"),
        [
            *((_event(detail_type=detail_type, account="1" * 12), True) for detail_type in REPORTS),
            (_event(detail_type=contract.STOP_REQUESTED), False),
            (_event(source="other"), False),
        ],
    )
    def test_its_rule_keeps_nothing_else(
        self, central: Template, event: Mapping[str, Any], *, kept: bool
    ) -> None:
        """A principal of the central account itself could put any other event on the bus."""
        assert matches(central.only("AWS::Events::Rule")["EventPattern"], event) is kept

    def test_only_its_rule_can_write_to_the_log_group(self, central: Template) -> None:
        """A log stream is created without a source ARN, as AWS documents it."""
        policy = json.loads(central.only("AWS::Logs::ResourcePolicy")["PolicyDocument"])
        (rule,) = central.resources("AWS::Events::Rule")
        senders = [
            {"by": by, "source": source}
            for by in ("events.amazonaws.com", "delivery.logs.amazonaws.com")
            for source in (
                plain({"Fn::GetAtt": [rule, "Arn"]}),
                f"arn:aws:events:{REGION}:{MEMBER}:rule/other",
                "",
            )
        ]
        put = [_allows(policy, "logs:PutLogEvents", "<Reports.Arn>", sender) for sender in senders]
        assert put == [True, False, False] * 2
        assert all(_allows(policy, "logs:CreateLogStream", "<Reports.Arn>", sender) for sender in senders)

    def test_saved_queries_group_by_the_account_of_the_event(self, central: Template) -> None:
        """AWS sets `account` of an event. The detail is what the account claims."""
        queries = [
            plain(query["Properties"]) for query in central.resources("AWS::Logs::QueryDefinition").values()
        ]
        assert sorted(query["Name"] for query in queries) == [
            f"GluebrakeCentral/{name}-by-account" for name in ("dollars", "failures", "stops")
        ]
        assert all("by account, region" in query["QueryString"] for query in queries)
        assert all(query["LogGroupNames"] == ["<Reports>"] for query in queries)

    def test_findings_of_cdk_nag(self, central: Template) -> None:
        """The target has no dead-letter queue. Everything else is as cdk-nag requires."""
        assert not any(central.validated("violations").values())
        assert central.validated("suppressedViolations")["Serverless"] == ["Serverless-EventBusDLQ"]

    def test_cfn_lint_has_no_finding(self, central: Template, member: Template) -> None:
        """The central template is valid, and that of a stack which forwards to it."""
        files = [str(each.directory / f"{each.stack}.template.json") for each in (central, member)]
        linter = str(Path(sys.executable).with_name("cfn-lint"))
        command = [linter, "--ignore-checks", "W3005", "--", *files]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stdout + process.stderr

    @pytest.mark.parametrize("organization", ["", "o-abc", "123456789012", "o-ABCDE12345", "o-abcde12345\n"])
    def test_a_wrong_organization_is_rejected(self, tmp_path: Path, organization: str) -> None:
        """An empty one does not deploy the other stack instead."""
        with pytest.raises(ConfigError, match="should be the id of an AWS organisation"):
            _synthesise_central(tmp_path, organization=organization)


def _allows(
    policy: Mapping[str, Any], action: str, resource: str, sender: Mapping[str, Any], **keys: Any
) -> bool:
    context = evaluation_context(action, resource, **sender, **keys)
    return str(evaluate_resource_policy(dict(policy), context, service=sender["by"]).decision) == "Allow"


FORWARDER: Final = {"by": f"arn:aws:sts::{MEMBER}:assumed-role/Gluebrake-ForwardingRole/events"}


class TestCentralBusPolicy:
    """Which events the central bus accepts from other accounts."""

    @pytest.mark.parametrize(
        ("organization", "sources", "detail_types", "accepted"),
        [
            (ORGANIZATION, ["gluebrake"], [contract.STOP_OUTCOME], True),
            (ORGANIZATION, ["gluebrake"], [contract.SWEEP_REPORT], True),
            (ORGANIZATION, ["gluebrake"] * 2, [*REPORTS], True),
            ("o-zzzzz99999", ["gluebrake"], [contract.STOP_OUTCOME], False),
            (None, ["gluebrake"], [contract.STOP_OUTCOME], False),
            (ORGANIZATION, ["other"], [contract.STOP_OUTCOME], False),
            (ORGANIZATION, ["gluebrake", "other"], [contract.STOP_OUTCOME], False),
            (ORGANIZATION, ["gluebrake"], [contract.STOP_REQUESTED], False),
            (ORGANIZATION, ["gluebrake"], [contract.STOP_OUTCOME, contract.STOP_REQUESTED], False),
        ],
    )
    def test_it_accepts_reports_of_the_organization(
        self,
        central: Template,
        organization: str | None,
        sources: Sequence[str],
        detail_types: Sequence[str],
        *,
        accepted: bool,
    ) -> None:
        """Each event of a call must be a report, and the caller a principal of the organisation."""
        policy = _bus_policy(central)
        keys: dict[str, Any] = {"events:source": sources, "events:detail-type": detail_types}
        if organization:
            keys["aws:principalorgid"] = organization
        assert _allows(policy, "events:PutEvents", "<Bus.Arn>", FORWARDER, **keys) is accepted

    @pytest.mark.parametrize("action", ["events:PutRule", "events:PutTargets", "events:DeleteRule"])
    def test_it_accepts_nothing_but_events(self, central: Template, action: str) -> None:
        """No other account can add a rule, by which the bus would forward."""
        keys = {"aws:principalorgid": ORGANIZATION}
        assert not _allows(_bus_policy(central), action, "<Bus.Arn>", FORWARDER, **keys)


def _bus_policy(central: Template) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [central.only("AWS::Events::EventBusPolicy")["Statement"]]}


CENTRAL_PRINCIPALS: Final = (
    *(f"arn:aws:iam::{CENTER}:{name}" for name in ("root", "user/admin", "role/admin")),
    f"arn:aws:sts::{CENTER}:assumed-role/admin/session",
)
CENTRAL_SOURCES: Final = {
    "events": f"arn:aws:events:{REGION}:{CENTER}:rule/gluebrake-central/GluebrakeCentral-KeepReports",
    "sns": f"arn:aws:sns:{REGION}:{CENTER}:topic",
    "cloudwatch": f"arn:aws:cloudwatch:{REGION}:{CENTER}:alarm:glue-slow",
    "lambda.alarms.cloudwatch": f"arn:aws:cloudwatch:{REGION}:{CENTER}:alarm:glue-slow",
    "scheduler": f"arn:aws:scheduler:{REGION}:{CENTER}:schedule-group/default",
    "budgets": f"arn:aws:budgets::{CENTER}:budget/b",
    "costalerts": f"arn:aws:ce::{CENTER}:anomalysubscription/a",
    "lambda": f"arn:aws:lambda:{REGION}:{CENTER}:function:f",
    "glue": f"arn:aws:glue:{REGION}:{CENTER}:job/j",
}
SENDERS: Final = (
    *({"by": principal} for principal in CENTRAL_PRINCIPALS),
    *({"by": f"{service}.amazonaws.com", "source": source} for service, source in CENTRAL_SOURCES.items()),
)
"""Who the central account could send a command as: its principals, and services that act for it."""


def _resource_policies(member: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each policy of the member's template that says who may use a resource, by its logical id.

    Lambda makes the statement of each permission.
    """
    for name, resource in plain(member.body["Resources"]).items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::SQS::QueuePolicy" | "AWS::SNS::TopicPolicy":
                yield name, properties["PolicyDocument"]
            case "AWS::IAM::Role" if not _is_of_a_function(properties["AssumeRolePolicyDocument"]):
                yield name, properties["AssumeRolePolicyDocument"]
            case "AWS::Lambda::Permission":
                yield name, {"Version": "2012-10-17", "Statement": [_permission(properties)]}
            case _:
                pass


def _permission(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": properties["Principal"]},
        "Action": properties["Action"],
        "Resource": properties["FunctionName"],
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": properties["SourceAccount"]},
            "ArnLike": {"AWS:SourceArn": properties["SourceArn"]},
        },
    }


def _is_of_a_function(trust: Mapping[str, Any]) -> bool:
    """Return whether Lambda or Glue assumes the role, which they do for code of the role's own account only."""
    services = {statement["Principal"]["Service"] for statement in trust["Statement"]}
    return services <= {"lambda.amazonaws.com", "glue.amazonaws.com"}


class TestCentralAccountStopsNothing:
    """No principal of the central account, and no event from it, can have a run of a member stopped."""

    def test_no_policy_of_a_member_allows_the_central_account(self, member: Template) -> None:
        """Queues, topics, functions and roles accept neither its principals nor services that act for it."""
        policies = dict(_resource_policies(member))
        for kind in ("MessagingStopQueue", "MessagingSweepQueue", "SignalsTopic", "SweepTriggersTopic"):
            assert any(name.startswith(kind) for name in policies), kind
        allowed = [
            (name, action, sender)
            for name, policy in policies.items()
            for statement in policy["Statement"]
            for action in _listed(statement["Action"])
            for resource in _listed(statement.get("Resource", "*"))
            for sender in SENDERS
            if _allows(policy, action, resource, sender)
        ]
        assert allowed == []

    def test_the_same_policies_allow_the_members_own_services(self, member: Template) -> None:
        """The evaluator finds what is allowed, so that its denials above mean something."""
        policies = dict(_resource_policies(member))
        own = {"by": "events.amazonaws.com", "source": "<IntakeStopRequests.Arn>"}
        stop_queue = next(policy for name, policy in policies.items() if name.startswith("MessagingStopQueue"))
        assert _allows(stop_queue, "sqs:SendMessage", "<MessagingStopQueue.Arn>", own)
        alarm = CENTRAL_SOURCES["cloudwatch"].replace(CENTER, MEMBER)
        topic = next(policy for name, policy in policies.items() if name.startswith("SignalsTopic"))
        assert _allows(
            topic, "sns:Publish", "<SignalsTopic>", {"by": "cloudwatch.amazonaws.com", "source": alarm}
        )

    def test_the_bus_of_a_member_accepts_no_event_of_another_account(self, member: Template) -> None:
        """A bus without a policy accepts only events of its own account. The default bus is not the stack's."""
        assert not member.resources("AWS::Events::EventBusPolicy")

    def test_rules_on_the_default_bus_stop_nothing_for_the_central_account(self, member: Template) -> None:
        """If the member's default bus accepts events of the central account, the stack's rules ignore them."""
        rules = [plain(rule["Properties"]) for rule in member.resources("AWS::Events::Rule").values()]
        default = [rule for rule in rules if "EventBusName" not in rule]
        assert len(default) == 2
        assert all(CENTER not in rule["EventPattern"]["account"] for rule in default)

    def test_a_report_stops_nothing(self, member: Template) -> None:
        """No rule of a member that sends to a queue of the stack matches a report."""
        for rule in member.resources("AWS::Events::Rule").values():
            properties = plain(rule["Properties"])
            to_queue = any("Messaging" in target["Arn"] for target in properties["Targets"])
            for detail_type in REPORTS if to_queue else ():
                assert not matches(properties["EventPattern"], _event(detail_type=detail_type))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
