"""The policies of docs/policies.md can be deployed, and match what the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec
import pytest

from docs.generate import DOCS
from gluebrake.model import RunFacts
from gluebrake.policies import DuePolicy, Policy, Trigger
from gluebrake.prices import Prices
from gluebrake.sweep_contract import PolicyReport
from gluebrake.sweeping import Sweep, sweep
from infra import schedules
from infra.config import Config, load
from tests.docs.document import Document, text_of
from tests.support.builders import NOON, limits
from tests.support.sweep_worlds import Job, World, WorldReader
from tests.support.sweeps import IDS_IN_A_REQUEST, requested

PAGE: Final = Document(DOCS / "policies.md")
FIRST: Final = "Start with one policy that only reports"
RECIPES: Final = "Recipes"


def _run(run_id: str, *, hours: float, dpus: float = 10, **facts: Any) -> RunFacts:
    return RunFacts(run_id, "RUNNING", started_on=NOON - timedelta(hours=hours), max_capacity=dpus, **facts)


HOURLY: Final = (3600,) * 10
"""Ten successful runs, of an hour each."""

JOBS: Final = (
    Job(
        name="nightly-etl",
        tags={"env": "prod"},
        runs=(_run("jr_13_hours", hours=13), _run("jr_10_hours", hours=10), _run("jr_1_hour", hours=1)),
    ),
    Job(name="dev-load", tags={"env": "dev"}, runs=(_run("jr_dev", hours=0.5),)),
    Job(name="adhoc-report", runs=(_run("jr_40_dpus", hours=6, dpus=40),), succeeded_seconds=HOURLY),
    Job(
        name="dev-stream",
        command="gluestreaming",
        tags={"env": "dev"},
        runs=(_run("jr_stream", hours=100),),
        succeeded_seconds=HOURLY,
    ),
    Job(
        name="adhoc-payroll",
        tags={"env": "dev"},
        protected=True,
        runs=(_run("jr_protected", hours=20, dpus=2),),
    ),
)
WORLD: Final = World(jobs=JOBS, policies=(), limits=limits())

STOPS: Final[Mapping[str, set[str]]] = {
    "runaway": {"jr_13_hours"},
    "dev-night": {"jr_dev"},
    "budget": {"jr_dev", "jr_40_dpus"},
}
"""The runs that each policy of the page stops. Every other policy stops none."""

REPORTS: Final[Mapping[str, set[str]]] = {
    "unusual": {"jr_40_dpus"},
    "expensive": {"jr_40_dpus"},
    "runaway": {"jr_protected"},
    "dev-night": {"jr_protected"},
    "budget": {"jr_protected"},
}
"""The runs that each policy reports without a stop."""

WARNS: Final[Mapping[str, set[str]]] = {"runaway": {"jr_10_hours"}}
"""The runs of which a policy warns."""


def _policies() -> list[dict[str, Any]]:
    (first,) = PAGE.fences(FIRST)
    return [*json.loads(first)["policies"], *map(json.loads, PAGE.fences(RECIPES))]


def _load(*policies: dict[str, Any]) -> Config:
    context = {"gluebrake": {"policies": policies}, "target": "aws"}
    return load(context.get)


def _swept(policy: Policy) -> Sweep:
    return sweep(
        [DuePolicy(policy, NOON, Trigger.SCHEDULE)],
        WorldReader(WORLD),  # type: ignore[arg-type]
        limits=WORLD.limits,
        ids_in_a_request=IDS_IN_A_REQUEST,
        prices=Prices(),
        shuffle=lambda _names: None,
    )


def test_all_policies_of_the_page_can_be_deployed_together() -> None:
    """Synthesis accepts them in one configuration, in the order of the page."""
    names = [policy.name for policy in _load(*_policies()).policies]
    assert names == ["unusual", "runaway", "expensive", "dev-night", "budget"]


@pytest.mark.parametrize("policy", _policies(), ids=lambda policy: str(policy["name"]))
def test_policy_matches_what_the_page_says(policy: dict[str, Any]) -> None:
    """Over five jobs, a policy stops, reports and warns of the runs that its text means, and no others."""
    (loaded,) = _load(policy).policies
    swept = _swept(loaded)
    reported = {run.job_run_id for run in swept.conclusion.runs if not run.stop_requested and not run.warning}
    assert {run_id for _, _, run_id in requested(swept.conclusion)} == STOPS.get(loaded.name, set())
    assert reported == REPORTS.get(loaded.name, set())
    assert {run.job_run_id for run in swept.conclusion.runs if run.warning} == WARNS.get(loaded.name, set())


def test_warning_comes_when_the_text_says() -> None:
    """The first recipe warns at 80 percent of 12 hours."""
    (text,) = (block.text for block in PAGE.blocks if block.text.startswith("Stop what runs longer than"))
    limit, warning = map(float, re.findall(r"[0-9]+(?:\.[0-9]+)?", text))
    (policy,) = (policy for policy in _policies() if policy["name"] == "runaway")
    assert policy["maxMinutes"] == limit * 60
    assert policy["maxMinutes"] * policy["warnAtPercent"] / 100 == warning * 60


def test_night_has_the_hours_of_its_reason() -> None:
    """The schedule of the night fires from 20:00 to before 06:00, and in no other hour."""
    (policy,) = (policy for policy in _policies() if policy["name"] == "dev-night")
    begin, end = (int(hour) for hour in re.findall(r"([0-9]{2}):00", policy["reason"]))
    hours = re.findall(r"[0-9,]+", policy["schedule"])[2]
    assert [int(hour) for hour in hours.split(",")] == [*range(begin, 24), *range(end)]
    assert schedules.is_window(policy["schedule"])


def test_table_has_every_field_of_a_policy() -> None:
    """The table of fields names each field once, and no other."""
    named = [re.findall(r"`(\w+)`", row[0].content) for row in PAGE.rows("Fields")]
    fields = [field.encode_name for field in msgspec.structs.fields(Policy)]
    assert sorted(name for names in named for name in names) == sorted(fields)


def test_defaults_of_the_table_are_those_of_a_policy() -> None:
    """The table's defaults of types, states and mode are the ones that apply."""
    defaults = Policy(name="a", jobs=("*",), max_runs=1, reason="a")
    meanings = {text_of(row[0]): row[1].content for row in PAGE.rows("Fields")}
    assert meanings["types"].startswith(" and ".join(f"`{name}`" for name in defaults.types))
    states = meanings["states"].partition(" unless")[0]
    assert tuple(re.findall(r"`(\w+)`", states)) == defaults.states
    assert meanings["mode"].startswith(f"`{defaults.mode}` (default)")


def test_over_the_cap_a_policy_stops_nothing() -> None:
    """With more runs than maxRuns the policy reports them all and stops none, as the table says."""
    (policy,) = (policy for policy in _policies() if policy["name"] == "budget")
    (loaded,) = _load({**policy, "maxRuns": 1}).policies
    swept = _swept(loaded)
    (report,) = swept.conclusion.reports
    assert isinstance(report, PolicyReport)
    assert (report.stoppable, report.over_cap, report.stop_requested) == (2, True, 0)
    assert requested(swept.conclusion) == []
