"""The commands of docs/operations.md delete a stack with an attached policy and further rules on its bus."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from mypy_boto3_events.type_defs import TargetTypeDef

from local.emulator import ROOT
from tests.docs.document import Document
from tests.e2e.cli import environ
from tests.e2e.conftest import Deployment

LIST, REMOVE, DESTROY = Document(ROOT / "docs" / "operations.md").fences("Uninstall")
USERS_OWN: Final = ("guardrail", "on-call", "scheduler", "failed-stops", "without-target")
QUEUES: Final = ("ConfirmQueue", "DeadLetterQueue")
TRUST: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


@pytest.fixture
def used_deployment(removable_deployment: Deployment) -> Deployment:
    """Attach the producer policy to a user, a group and a role. Put two rules on the bus, one with targets."""
    aws, outputs = removable_deployment.aws, removable_deployment.outputs
    iam, policy = aws.client("iam"), outputs["ProducerPolicyArn"]
    iam.create_user(UserName="guardrail")
    iam.attach_user_policy(UserName="guardrail", PolicyArn=policy)
    iam.create_group(GroupName="on-call")
    iam.attach_group_policy(GroupName="on-call", PolicyArn=policy)
    iam.create_role(RoleName="scheduler", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="scheduler", PolicyArn=policy)
    bus = outputs["EventBusName"]
    for rule in ("failed-stops", "without-target"):
        aws.events.put_rule(Name=rule, EventBusName=bus, EventPattern='{"source": ["gluebrake"]}')
    targets: list[TargetTypeDef] = [{"Id": name, "Arn": outputs[f"{name}Arn"]} for name in QUEUES]
    aws.events.put_targets(Rule="failed-stops", EventBusName=bus, Targets=targets)
    return removable_deployment


def _sh(deployment: Deployment, *commands: str) -> str:
    """Run commands in one shell, from the root of the clone."""
    process = subprocess.run(
        ["sh", "-ec", "\n".join(commands)],
        cwd=ROOT,
        env=environ(deployment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def _attached(deployment: Deployment) -> dict[str, list[Any]]:
    """Return the users, groups and roles that have the producer policy."""
    iam, policy = deployment.aws.client("iam"), deployment.outputs["ProducerPolicyArn"]
    answer = iam.list_entities_for_policy(PolicyArn=policy)
    return {kind: answer[kind] for kind in ("PolicyUsers", "PolicyGroups", "PolicyRoles")}


def _rules(deployment: Deployment) -> list[str]:
    """Return the names of the rules on the stack's bus."""
    answer = deployment.aws.events.list_rules(EventBusName=deployment.outputs["EventBusName"])
    return [rule["Name"] for rule in answer["Rules"]]


def test_the_documented_commands_uninstall_a_used_deployment(
    used_deployment: Deployment, tmp_path: Path
) -> None:
    """They list and remove attachments and rules, which CloudFormation would fail on, and then the stack."""
    listed = _sh(used_deployment, LIST)
    assert [name for name in USERS_OWN if name not in listed] == []
    assert all(_attached(used_deployment).values())

    removed = _sh(used_deployment, LIST, REMOVE).removeprefix(listed)
    # The emulator deletes a rule with its targets. EventBridge refuses to.
    assert removed.count('"FailedEntryCount": 0') == len(QUEUES)
    assert _attached(used_deployment) == {"PolicyUsers": [], "PolicyGroups": [], "PolicyRoles": []}
    (stack_rule,) = _rules(used_deployment)
    assert stack_rule.startswith("Gluebrake-IntakeStopRequests")

    # Without a terminal the CDK cannot ask, and its default is the stack for AWS.
    _sh(used_deployment, f"{DESTROY.strip()} --force -c target=local --output '{tmp_path / 'cdk.out'}'")
    aws, outputs = used_deployment.aws, used_deployment.outputs
    assert aws.cloudformation.describe_stacks()["Stacks"] == []
    assert [bus["Name"] for bus in aws.events.list_event_buses()["EventBuses"]] == ["default"]
    assert aws.client("iam").list_policies(Scope="Local")["Policies"] == []
    assert aws.sqs.list_queues()["QueueUrls"] == [outputs["DeadLetterQueueUrl"]]
