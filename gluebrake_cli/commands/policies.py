"""`gluebrake policies`: show the guardrail policies of the stack, and what each last found."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import typer
from rich.console import Group as Lines

from gluebrake_cli import deployed_policies, output, sweep_tables, tables
from gluebrake_cli.command_help import Help
from gluebrake_cli.deployed_policies import PolicyList, PolicyStatus
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.facts import DeploymentFacts
from gluebrake_cli.options import AsJson, find_deployment

HELP: Final = Help(
    examples={
        "gluebrake policies": "Which policies are on, and what did each last find?",
        "gluebrake policies --json": "All fields of each, for a script.",
    },
    exit_codes={
        0: "each policy is on, and its last sweep was complete",
        1: "a policy is off or exceeded maxRuns, a job was not read, or an error",
    },
)

_NONE: Final = "The stack has no guardrail policies. docs/policies.md says how to add one."


def policies(context: typer.Context, *, json: AsJson = False) -> None:
    """Show each guardrail policy of the stack: when it is due, whether it is on, and what it last found.

    A policy is off while the event source mapping of SWEEP, or the schedule of the policy, is disabled. A
    policy that exceeds maxRuns stops no run. The last sweep of a policy should have considered a job.
    """
    now = datetime.now(UTC)
    deployment = find_deployment(context)
    found = deployed_policies.read(deployment, DeploymentFacts(deployment).template, now)
    if json:
        shown = {"stack": deployment.stack, "observes": deployment.observes, **_as_json(found)}
        output.write_json(deployment.aws_environment, shown)
    else:
        screen = sweep_tables.policies_table(found, now) if found.policies else _NONE
        heading = tables.heading(deployment.stack, deployment.aws_environment, observes=deployment.observes)
        output.show(Lines(*heading, screen))
    raise typer.Exit(NOT_OK if found.problems else 0)


def _as_json(found: PolicyList) -> dict[str, Any]:
    return {
        "mapping": found.mapping,
        "policies": [_policy(found, status) for status in found.policies],
        "unknown": found.unknown,
        "wrong": found.problems,
    }


def _policy(found: PolicyList, status: PolicyStatus) -> dict[str, Any]:
    return {
        "policy": status.policy,
        "hash": status.deployed.hash,
        "on": found.is_on(status),
        "schedule_state": status.schedule,
        "last": status.last,
        "wrong": status.problems,
    }
