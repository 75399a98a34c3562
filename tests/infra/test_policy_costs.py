"""docs/operations.md has what guardrail policies cost, by the template and by the calls of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from gluebrake.aws import job_reader
from gluebrake.metrics import WATCHED
from infra.config import Config
from infra.costs import Billed
from tests.docs.document import Document, text_of
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.emitted import simulate_all_outcomes
from tests.infra.template import Template

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = Document(DOCS / "operations.md")
HEADING: Final = "What policies add"
TEXT: Final = " ".join((DOCS / "operations.md").read_text().partition(f"### {HEADING}")[2].split())

*LINES, TOTAL = [[text_of(cell) for cell in row] for row in PAGE.rows(HEADING)]
SWEEPS: Final = 30 * 24
"""One an hour, for a month."""

_FIXED: Final = ("SQS", "CloudWatch")
"""How the lines begin that do not grow with the number of sweeps."""


def _number(cell: str) -> float:
    return float(cell.split(maxsplit=1)[0].replace(",", ""))


def _price(cell: str) -> float:
    return _number(cell) / (1_000_000 if cell.endswith("a million") else 1)


def _quantity(line: str) -> float:
    (cell,) = (row[1] for row in LINES if row[0].startswith(line))
    return _number(cell)


def _calls() -> int:
    """Return the calls of a sweep of 1,000 jobs, which the benchmark counts."""
    page = Document(DOCS / "policies.md")
    rows = ([text_of(cell) for cell in row] for row in page.rows("What a sweep costs"))
    (calls,) = (_number(row[2]) for row in rows if row[0] == "1,000")
    return int(calls)


def _metrics(template: Template) -> int:
    return Billed.of_template(template.body).alarm_metrics


def _usd(*beginnings: str) -> float:
    """Return what the lines with these beginnings cost."""
    return sum(float(line[2]) for line in LINES if line[0].startswith(beginnings))


def test_each_cost_is_its_quantity_by_its_price() -> None:
    """The costs and their total are right to the cent."""
    costs = [f"{_number(line[1]) * _price(line[3]):.2f}" for line in LINES]
    assert costs == [line[2] for line in LINES]
    assert TOTAL[2] == f"{_usd(''):.2f}"


def test_the_costs_of_a_stack_at_rest_and_without_an_audit_are_the_sums_of_their_lines() -> None:
    """The list below the table has partial sums of it."""
    at_rest = _usd("SQS", "CloudWatch: alarms")
    assert f"**Without a sweep** only the first two lines remain: {at_rest:.2f} USD." in TEXT
    audited = _usd("CloudTrail", "GuardDuty")
    assert f"without GuardDuty** it is {_usd('') - audited:.2f} USD." in TEXT


def test_the_costs_of_a_sweep_are_those_of_the_month_divided_by_the_sweeps() -> None:
    """The list has the three lines that grow with each sweep."""
    (function, trail, guard) = (
        _quantity(line[0]) * _price(line[3]) / SWEEPS for line in LINES if not line[0].startswith(_FIXED)
    )
    costs = f"{function:.3f} USD in Lambda, {trail:.3f} USD in CloudTrail and {guard:.3f} USD in GuardDuty."
    assert f"**A single sweep** costs {costs}" in TEXT


def test_calls_and_their_time_are_those_of_the_benchmark() -> None:
    """SWEEP is as slow as its pace, and each of its calls is an event."""
    calls = _calls()
    assert f"SWEEP makes {calls:,} calls:" in TEXT
    assert _quantity("CloudTrail") == _quantity("GuardDuty") == SWEEPS * calls
    seconds = calls * job_reader._SECONDS_BETWEEN_CALLS  # noqa: SLF001 - the pace is no setting
    assert _quantity("Lambda") == pytest.approx(SWEEPS * seconds * Config().memory_mb / 1024)
    assert f"Lambda: duration at {Config().memory_mb} MB, {Config().architecture}" in {row[0] for row in LINES}


def test_quantities_at_rest_are_those_of_the_template(synthesised: Synthesise, template: Template) -> None:
    """A policy adds a queue, alarms and metrics. A second topic for signals adds a metric."""
    scheduled, signals = synthesised(policies=POLICIES[:1]), synthesised(policies=POLICIES)
    functions = [len(each.resources("AWS::Lambda::Function")) for each in (template, scheduled)]
    polls = 30 * 24 * 3600 / 20
    assert _quantity("SQS") == 5 * polls * (functions[1] - functions[0])
    assert _quantity("CloudWatch: alarms") == _metrics(scheduled) - _metrics(template)
    topics = sum(bool(policy.get("onSignal")) for policy in POLICIES)
    assert _metrics(signals) - _metrics(scheduled) == topics
    (price,) = (line[3] for line in LINES if line[0].startswith("CloudWatch: alarms"))
    assert f"Each policy with `onSignal` adds a metric to an alarm, {price.removesuffix(' each')} USD." in TEXT


def test_custom_metrics_are_those_that_a_sweep_emits() -> None:
    """Metrics are billed by their names and dimensions. Without a dashboard, only an alarm's are emitted."""
    without, with_sweeps = simulate_all_outcomes().metrics, simulate_all_outcomes(sweeps=True).metrics
    assert _quantity("CloudWatch: custom metric") == len(WATCHED)
    shown = len(with_sweeps - without) - len(WATCHED)
    assert f"SWEEP has {shown} more custom metrics, {shown * 0.30:.2f} USD if every metric has data" in TEXT
