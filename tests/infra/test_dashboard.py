"""The dashboard: numbers first, failures apart from the rest, the last stops, and little prose at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

import pytest

from gluebrake.outcomes import OUTCOMES, NoticeKind, failures_of, outcomes_of
from infra.config import Config
from infra.queries import LAST_STOPS, QUERIES
from infra.runbook import runbook
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.template import Template

Widget = Mapping[str, Any]

_NUMBERS: Final = ["Runs in the time range", "Messages that wait now", "Used by stopped runs in the time range"]


@pytest.fixture(scope="module")
def template(synthesised: Synthesise) -> Template:
    """Return the template of a stack with a dashboard."""
    return synthesised(dashboard=True)


@pytest.fixture(scope="module")
def sweeping(synthesised: Synthesise) -> Template:
    """Return the template of a stack with a dashboard and guardrail policies."""
    return synthesised(dashboard=True, policies=POLICIES)


@pytest.fixture(scope="module")
def observing(synthesised: Synthesise) -> Template:
    """Return the template of a stack that stops nothing, which has a line about that."""
    return synthesised(dashboard=True, observe=True)


@pytest.fixture(params=["template", "sweeping", "observing"])
def widgets(request: pytest.FixtureRequest) -> list[Widget]:
    """Return the widgets of a stack by default, with guardrail policies, and of a stack that observes."""
    return _widgets(request.getfixturevalue(request.param))


def _widgets(template: Template) -> list[Widget]:
    body = template.only("AWS::CloudWatch::Dashboard")["DashboardBody"]
    widgets: list[Widget] = json.loads(body)["widgets"]
    return widgets


def _titled(template: Template, title: str) -> dict[str, Any]:
    """Return the properties of the widget with a title."""
    (properties,) = (w["properties"] for w in _widgets(template) if w["properties"].get("title") == title)
    return dict(properties)


def _shown(properties: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the metrics of a widget by their labels: name and dimension's value, or an expression."""
    rows = [(row, row[-1] if isinstance(row[-1], dict) else {}) for row in properties["metrics"]]
    return {
        options.get("label") or row[1]: (options["expression"],) if len(row) == 1 else (row[1], row[3])
        for row, options in rows
        if options.get("visible", True)
    }


def test_a_stack_has_a_dashboard_only_if_it_is_configured(synthesised: Synthesise, template: Template) -> None:
    """Dashboard and output exist with the key, and the functions emit the metrics that it shows."""
    for of_stack, exists in ((synthesised(), False), (template, True)):
        assert len(of_stack.resources("AWS::CloudWatch::Dashboard")) == exists
        assert ("DashboardName" in of_stack.body["Outputs"]) == exists
        for function in of_stack.resources("AWS::Lambda::Function").values():
            variables = function["Properties"]["Environment"]["Variables"]
            assert variables["GLUEBRAKE_DETAILED_METRICS"] == str(exists).lower()


def test_no_two_widgets_overlap(widgets: list[Widget]) -> None:
    """Every widget is within the grid's 24 columns and overlaps no other."""
    assert all(w["x"] + w["width"] <= 24 for w in widgets)
    assert not [pair for pair in combinations(widgets, 2) if _overlap(*pair)]


def _overlap(a: Widget, b: Widget) -> bool:
    return all(
        max(a[start], b[start]) < min(a[start] + a[size], b[start] + b[size])
        for start, size in (("x", "width"), ("y", "height"))
    )


def test_each_row_is_full(widgets: list[Widget]) -> None:
    """The widgets of a row have the same height, and fill all columns."""
    rows: dict[int, list[Widget]] = {}
    for widget in widgets:
        rows.setdefault(widget["y"], []).append(widget)
    assert {sum(widget["width"] for widget in row) for row in rows.values()} == {24}
    assert {len({widget["height"] for widget in row}) for row in rows.values()} == {1}


def test_numbers_are_first_and_prose_is_last(template: Template) -> None:
    """The first row has only numbers. The only text is at the end, and is short."""
    widgets = _widgets(template)
    assert [w["properties"]["title"] for w in widgets if w["y"] == 0] == _NUMBERS
    assert {w["properties"]["view"] for w in widgets if w["y"] == 0} == {"singleValue"}
    *others, text = widgets
    assert [w["type"] for w in others].count("text") == 0
    assert len(text["properties"]["markdown"]) < 400


def test_a_stack_that_observes_says_so_above_the_numbers(observing: Template) -> None:
    """A line above the numbers explains why none of them is a stop."""
    first, *others = _widgets(observing)
    assert first["type"] == "text"
    assert [w["properties"]["title"] for w in others if w["y"] == first["height"]] == _NUMBERS


def test_the_numbers_are_of_the_time_range_or_of_now(template: Template) -> None:
    """What happened is summed over the time range. What waits is the latest value."""
    runs, waiting, used = (_titled(template, title) for title in _NUMBERS)
    assert [w["setPeriodToTimeRange"] for w in (runs, waiting, used)] == [True, False, True]
    assert _shown(runs)["stopped"] == ("Stopped", "confirm")
    assert list(_shown(waiting)) == ["stop queue", "confirm queue", "dead letters"]
    assert _shown(used) == {
        "DPU-hours": ("DpuHoursConsumed", "confirm"),
        "estimated USD": ("EstimatedCostUsd", "confirm"),
    }


def test_not_stopped_counts_what_a_notice_reports(sweeping: Template) -> None:
    """The number is the sum of the outcomes whose notice is about a run that could not be stopped."""
    runs = _titled(sweeping, _NUMBERS[0])
    hidden = {(row[1], row[3]) for row in runs["metrics"] if row[-1].get("visible") is False}
    assert hidden == {
        (outcome.value, stage)
        for outcome, facts in OUTCOMES.items()
        for stage in facts.stages
        if facts.notice is NoticeKind.NOT_STOPPED
    }


def test_each_queue_is_summed_by_its_own_metrics(sweeping: Template) -> None:
    """What waits in a queue is visible, delayed or in flight. With policies the sweep queue is there too."""
    waiting = _titled(sweeping, _NUMBERS[1])
    queues = {row[-1]["id"]: row[3] for row in waiting["metrics"] if "id" in row[-1]}
    expressions = {label: shown[0] for label, shown in _shown(waiting).items() if label != "dead letters"}
    assert {
        label: {queues[id_] for id_ in expression.removeprefix("SUM([").removesuffix("])").split(", ")}
        for label, expression in expressions.items()
    } == {
        f"{name} queue": {f"<Messaging{name.title()}Queue.QueueName>"} for name in ("stop", "confirm", "sweep")
    }
    assert len(queues) == 9


def test_failures_are_apart_from_the_other_outcomes(sweeping: Template) -> None:
    """One graph has the failures of every stage, and no graph of another outcome has a failure."""
    failures = {
        (outcome.value, stage) for stage in ("stop", "confirm", "sweep") for outcome in failures_of(stage)
    }
    assert set(_shown(_titled(sweeping, "Failures")).values()) == failures
    for stage in ("stop", "confirm", "sweep"):
        shown = set(_shown(_titled(sweeping, f"Outcomes of {stage.upper()}")).values())
        assert shown == {(outcome.value, stage) for outcome in outcomes_of(stage)} - failures


def test_the_last_stops_are_read_from_each_log(sweeping: Template) -> None:
    """The table is the saved query without its notes, over the logs of all functions."""
    (widget,) = (w for w in _widgets(sweeping) if w["type"] == "log")
    *sources, query = widget["properties"]["query"].split(" | ", 3)
    assert sources == ["SOURCE '<StopLogs>'", "SOURCE '<ConfirmLogs>'", "SOURCE '<SweepLogs>'"]
    notes = [line for line in QUERIES[LAST_STOPS].splitlines() if line.startswith("#")]
    assert "\n".join([*notes, query]) == QUERIES[LAST_STOPS]
    assert (widget["properties"]["view"], widget["width"]) == ("table", 24)


def test_the_alarm_states_are_beside_the_failures(template: Template) -> None:
    """Every alarm's state is shown, in the row of the failures."""
    (states,) = (w for w in _widgets(template) if w["type"] == "alarm")
    assert states["properties"]["alarms"] == [f"<Observability{name}.Arn>" for name in runbook(Config())]
    (failures,) = (w for w in _widgets(template) if w["properties"].get("title") == "Failures")
    assert states["y"] == failures["y"]


def test_lost_notices_are_shown_for_each_function(sweeping: Template) -> None:
    """A graph has the outcome events and the notices that each function lost."""
    lost = _shown(_titled(sweeping, "Lost outcome events and notices"))
    counts = ("OutcomeEventsLost", "NoticesLost")
    assert set(lost.values()) == {(c, stage) for c in counts for stage in ("stop", "confirm", "sweep")}


def test_the_text_names_the_queries_and_the_command(template: Template) -> None:
    """The text says where the actions for alarms are, and names the queries and the operator's command."""
    text = _widgets(template)[-1]["properties"]["markdown"]
    assert all(f"`{name}`" in text for name in QUERIES)
    assert "`gluebrake --help`" in text
    assert "docs/operations.md" in text
