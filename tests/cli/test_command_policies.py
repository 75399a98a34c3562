"""`gluebrake policies` shows what is deployed, whether it is on, and what it last found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, invoke, run, run_json
from tests.cli.policies_aws import PoliciesAws, report
from tests.support.sweeps import policy

RUNAWAY = policy("runaway", max_minutes=60, schedule="rate(1 hour)")
NIGHT = policy("dev-night", schedule="cron(0 20 * * ? *)", time_zone="Europe/Berlin", mode="report")
BUDGET = policy("budget", on_signal=("budgets", "costalerts"))


@pytest.fixture
def stack() -> PoliciesAws:
    """Return a stack with three policies, of which the first two are due by a schedule."""
    return PoliciesAws(policies=[RUNAWAY, NIGHT, BUDGET])


@pytest.fixture
def deployed(stack: PoliciesAws, deployment: Deployment) -> Deployment:
    """Return the deployment with policies."""
    return stack.connect(deployment)


def _rows(shown: str) -> dict[str, list[str]]:
    """Return the cells of each policy, by its name."""
    lines = [line.split() for line in shown.splitlines()]
    return {line[0]: line[1:] for line in lines if line and line[0] in {"runaway", "dev-night", "budget"}}


def test_each_policy_has_its_fields_and_its_last_sweep(stack: PoliciesAws, deployed: Deployment) -> None:
    """Mode, hash, schedule and zone, or signals, are as configured. A policy without a sweep has no numbers."""
    stack.sweep(report(RUNAWAY, matched=7), report(NIGHT, stop_requested=0))
    shown = run(deployed, "policies").stdout
    assert f"Gluebrake {PLACE}" in shown
    assert _rows(shown) == {
        "runaway": ["stop", "on", "12m", "0s", "ago", "40", "7", "3", "3"],
        "dev-night": ["report", "on", "12m", "0s", "ago", "40", "3", "3", "0"],
        "budget": ["stop", "on", "never"],
    }
    lines = [line.strip() for line in shown.splitlines()]
    assert f"{RUNAWAY.hash}  rate(1 hour)" in lines
    assert f"{NIGHT.hash}  cron(0 20 * * ? *) Europe/Berlin" in lines
    assert f"{BUDGET.hash}  on signal: budgets, costalerts" in lines
    assert lines[-1] == "Nothing is wrong."


def test_json_has_the_documented_members(stack: PoliciesAws, deployed: Deployment) -> None:
    """Scripts depend on these names. A report has the members of a report event."""
    stack.sweep(report(RUNAWAY))
    shown = run_json(deployed, "policies")
    assert list(shown) == [
        *("account", "region", "stack", "observes", "mapping", "policies", "unknown", "wrong")
    ]
    assert (shown["mapping"], shown["unknown"], shown["wrong"]) == ("Enabled", {}, [])
    first, second, third = shown["policies"]
    assert list(first) == ["policy", "hash", "on", "schedule_state", "last", "wrong"]
    assert (first["policy"]["maxMinutes"], first["hash"], first["on"]) == (60, RUNAWAY.hash, True)
    assert (first["last"]["complete"], first["last"]["report"]["stopRequested"]) == (True, 3)
    assert [each["schedule_state"] for each in (first, second, third)] == ["ENABLED", "ENABLED", None]
    assert (second["last"], third["last"]) == (None, None)


def test_the_newest_report_counts(stack: PoliciesAws, deployed: Deployment) -> None:
    """An older sweep, a line that is no report, and a report of a policy that is gone, are not shown."""
    stack.sweep(report(RUNAWAY, jobs=3), ago=timedelta(hours=1))
    stack.sweep(
        report(policy("gone")), report(RUNAWAY, jobs=4), report(NIGHT, jobs=5), ago=timedelta(minutes=2)
    )
    now = datetime.now(UTC)
    stack.log += [(now, line) for line in ("START RequestId: 1", "[]", "12", '{"message": "SweepReport"}')]
    stack.log += [(now, '{"message": "SweepRuns", "runs": []}')]
    stack.sweep(report(RUNAWAY, jobs=2), ago=timedelta(hours=2))
    rows = _rows(run(deployed, "policies").stdout)
    assert [rows[name][5] for name in ("runaway", "dev-night")] == ["4", "5"]


def test_the_log_is_searched_backwards_until_each_policy_has_a_report(
    stack: PoliciesAws, deployed: Deployment
) -> None:
    """A sweep of last week is found, and a recent one costs a single search."""
    stack.sweep(*map(report, stack.policies), ago=timedelta(seconds=20))
    run(deployed, "policies")
    assert len(stack.searches) == 1
    assert stack.searches[0]["filterPattern"] == '{ $.message = "SweepReport" }'
    stack.log.clear()
    stack.sweep(*map(report, stack.policies), ago=timedelta(days=6))
    assert _rows(run(deployed, "policies").stdout)["budget"][2:5] == ["6d", "0h", "ago"]
    _, *windows = stack.searches
    # No line is read twice.
    assert all(older["endTime"] + 1 == newer["startTime"] for newer, older in pairwise(windows))


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"jobs": 0}, ["runaway: its last sweep considered 0 jobs"]),
        ({"jobs_not_read": 2}, ["runaway: its last sweep did not read 2 of 40 jobs"]),
        (
            {"over_cap": True, "stoppable": 12},
            ["runaway: it would stop 12 runs and stops none, because maxRuns is 10"],
        ),
        ({"over_cap": True, "mode": "report"}, []),
        ({"jobs": 0, "hash": "of-old"}, []),
    ],
)
def test_a_fault_of_the_last_sweep_is_shown(
    stack: PoliciesAws, deployed: Deployment, changes: dict[str, Any], wrong: list[str]
) -> None:
    """A policy that considers no job protects nothing. The exit code is 1. Earlier versions are not judged."""
    stack.sweep(report(RUNAWAY, **changes))
    code = 1 if wrong else 0
    assert run_json(deployed, "policies", code=code)["wrong"] == wrong
    shown = run(deployed, "policies", code=code).stdout
    assert all(f"! {text}" in shown for text in wrong)
    assert ("The numbers are of an earlier version of this policy." in shown) is ("hash" in changes)


@pytest.mark.parametrize(
    ("state", "wrong"), [("DISABLED", "its schedule is DISABLED"), ("", "its schedule is deleted")]
)
def test_a_policy_without_its_schedule_is_off(
    stack: PoliciesAws, deployed: Deployment, state: str, wrong: str
) -> None:
    """A schedule that was disabled or deleted by hand makes no policy due."""
    stack.schedules["dev-night"] = state
    shown = run_json(deployed, "policies", code=1)
    assert [each["on"] for each in shown["policies"]] == [True, False, True]
    assert shown["wrong"] == [f"dev-night: {wrong}"]
    assert _rows(run(deployed, "policies", code=1).stdout)["dev-night"][1] == "off"


@pytest.mark.parametrize(("state", "shown_as"), [("Disabled", "Disabled"), ("", "deleted")])
def test_without_its_mapping_every_policy_is_off(
    stack: PoliciesAws, deployed: Deployment, state: str, shown_as: str
) -> None:
    """SWEEP then reads no message."""
    stack.mapping = state
    shown = run_json(deployed, "policies", code=1)
    assert {each["on"] for each in shown["policies"]} == {False}
    assert shown["wrong"] == [f"SWEEP's mapping is {shown_as}, so no policy is applied"]


@pytest.mark.parametrize(
    ("operation", "section", "permission"),
    [
        ("GetSchedule", "schedules", "scheduler:GetSchedule"),
        ("FilterLogEvents", "last sweeps", "logs:FilterLogEvents"),
        ("ListEventSourceMappings", "mapping", "lambda:ListEventSourceMappings"),
    ],
)
def test_a_section_that_cannot_be_read_leaves_the_rest(
    stack: PoliciesAws, deployed: Deployment, operation: str, section: str, permission: str
) -> None:
    """What is configured is shown in any case, and the error names the permission. The exit code is 1."""
    stack.refused[operation] = "AccessDeniedException"
    shown = run_json(deployed, "policies", code=1)
    assert [each["policy"]["name"] for each in shown["policies"]] == ["runaway", "dev-night", "budget"]
    assert list(shown["unknown"]) == [section]
    assert permission in shown["wrong"][0]


def test_a_stack_without_policies_says_so(stack: PoliciesAws, deployed: Deployment) -> None:
    """That is no fault: the exit code is 0, and nothing else is read."""
    stack.policies = []
    shown = run(deployed, "policies").stdout
    assert "The stack has no guardrail policies. docs/policies.md says how to add one." in shown
    assert run_json(deployed, "policies")["policies"] == []
    assert stack.searches == []


def test_a_template_that_cannot_be_read_is_an_error(stack: PoliciesAws, deployed: Deployment) -> None:
    """The policies are in the template."""
    stack.refused["GetTemplate"] = "AccessDenied"
    result = invoke(deployed, "policies")
    assert (result.exit_code, "AccessDenied" in str(result.exception)) == (1, True)


def test_runs_that_a_sweep_could_not_judge_are_counted(stack: PoliciesAws, deployed: Deployment) -> None:
    """Without them, `matched 0` would look as if each run were within its limit. Nothing is wrong, however."""
    left = {"TooLittleHistory": 4, "WithinLimit": 2, "UnknownDpus": 1}
    stack.sweep(report(RUNAWAY, matched=0, not_matched=left))
    shown = run(deployed, "policies").stdout
    assert "4 active runs not judged: the job has fewer than 10 successful runs to compare with." in shown
    assert "1 active run not judged: Glue does not give the run's DPUs." in shown
    assert shown.count("not judged") == 2
    assert "Nothing is wrong." in shown


def test_the_hash_is_that_of_the_template(stack: PoliciesAws, deployed: Deployment) -> None:
    """CloudFormation may replace characters of a reason. The hash stays that of SWEEP's reports."""
    stack.more = {"reason": "l?uft zu lange"}
    stack.sweep(report(RUNAWAY))
    (first, *_) = run_json(deployed, "policies")["policies"]
    assert (first["policy"]["reason"], first["hash"]) == ("l?uft zu lange", RUNAWAY.hash)
    assert "earlier version" not in run(deployed, "policies").stdout


def test_a_stack_that_observes_is_named(stack: PoliciesAws, deployment: Deployment) -> None:
    """A policy in the mode stop stops nothing then."""
    connected = stack.connect(deployment)
    observing = type(connected)(connected.clients, connected.stack_id, {**connected.outputs, "Observe": "true"})
    assert "It observes: it stops nothing (observe: true)." in run(observing, "policies").stdout
    assert run_json(observing, "policies")["observes"] is True
