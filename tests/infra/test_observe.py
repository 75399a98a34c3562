"""With `observe: true`, STOP reads and reports, and cannot stop a run. Nothing else of the stack changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gluebrake.settings import StopSettings, load
from infra.config import Config, ConfigError
from infra.config import load as load_config
from tests.infra.conftest import Synthesise
from tests.infra.template import Template, plain

_CANARY = "rate(1 day)"


@pytest.fixture(scope="module")
def observing(synthesised: Synthesise) -> Template:
    """Return the template of a stack that observes. Its configuration has a canary, which is then off."""
    return synthesised(observe=True, canary=_CANARY)


def _resources(template: Template) -> dict[str, Any]:
    resources: dict[str, Any] = template.body["Resources"]
    return resources


def _stop_runs(template: Template) -> dict[str, Any]:
    statements = template.only("AWS::IAM::Policy", "Stop")["PolicyDocument"]["Statement"]
    (statement,) = (statement for statement in statements if statement.get("Sid") == "StopRuns")
    return dict(statement)


def test_observe_is_off_by_default() -> None:
    """A stack stops runs unless its configuration says otherwise."""
    assert Config().observe is False


@pytest.mark.parametrize("value", ["true", 1, None])
def test_observe_is_true_or_false(value: Any) -> None:
    """A value that only looks like true is refused: the stack would stop runs, or would not."""
    with pytest.raises(
        ConfigError, match=r"gluebrake\.observe: .* should be true, to read and report and stop"
    ):
        load_config({"gluebrake": {"observe": value}}.get)


def test_stop_cannot_stop_a_run(template: Template, observing: Template) -> None:
    """Its role has no permission for BatchStopJobRun, and keeps those to read runs and tags."""
    actions = _stop_runs(template)["Action"]
    assert _stop_runs(observing) == {
        **_stop_runs(template),
        "Action": [action for action in actions if action != "glue:BatchStopJobRun"],
    }
    allowed = [
        statement
        for policy in observing.resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert "BatchStopJobRun" not in json.dumps(allowed)


def test_stop_reads_that_it_observes(template: Template, observing: Template, synthesised: Synthesise) -> None:
    """The function, the output and the dashboard say it. By default they say that the stack stops runs."""
    assert [_settings(of).observe for of in (template, observing)] == [False, True]
    assert [of.body["Outputs"]["Observe"]["Value"] for of in (template, observing)] == ["false", "true"]
    title = "# This stack observes: it stops nothing (`observe: true`)"
    dashboards = (synthesised(dashboard=True), synthesised(dashboard=True, observe=True))
    assert [_first_widget(of).get("markdown") for of in dashboards] == [None, title]


def _settings(template: Template) -> StopSettings:
    function = template.only("AWS::Lambda::Function", "Stop")
    return load(StopSettings, plain(function["Environment"]["Variables"]))


def _first_widget(template: Template) -> dict[str, Any]:
    body = json.loads(template.only("AWS::CloudWatch::Dashboard")["DashboardBody"])
    properties: dict[str, Any] = body["widgets"][0]["properties"]
    return properties


def test_nothing_else_changes(template: Template, observing: Template) -> None:
    """Queues, rules, alarms and CONFIRM are those of a stack that stops runs and has no canary."""
    before, after = _resources(template), _resources(observing)
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    assert {name[:-8] for name in changed} == {"StopFunction", "StopRoleDefaultPolicy"}


def test_the_canary_is_off(observing: Template, synthesised: Synthesise) -> None:
    """A run of the canary would not be stopped, and its alarm would fire."""
    assert Config(canary=_CANARY).canary_rate == _CANARY
    assert Config(canary=_CANARY, observe=True).canary_rate is None
    assert synthesised(canary=_CANARY).resources("AWS::Scheduler::Schedule")
    assert not observing.resources("AWS::Scheduler::Schedule")
    assert not [name for name in observing.resources("AWS::CloudWatch::Alarm") if "Canary" in name]


def test_cdk_nag_has_no_new_finding(template: Template, observing: Template) -> None:
    """The rule packs accept the smaller role, and no suppression is left without its finding."""
    for kind in ("violations", "suppressedViolations"):
        assert observing.validated(kind) == template.validated(kind)
