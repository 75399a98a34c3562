"""The cost model has what guardrail policies add, by the template and by the calls of a sweep."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from gluebrake.aws import job_reader
from gluebrake.metrics import WATCHED
from infra.config import Config
from infra.costs import SWEEP_CALLS, SWEEP_CALLS_A_SECOND, SWEEPING_STACK, Billed, Line, policies_month, total
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.emitted import simulate_all_outcomes

DOCS: Final = Path(__file__).parents[2] / "docs"
MEMORY_MB: Final = Config().memory_mb


def _text(page: str) -> str:
    return " ".join((DOCS / page).read_text().split())


def _costs(lines: list[Line]) -> dict[str, str]:
    return {line.name: f"{line.usd:.2f}" for line in lines}


def test_each_line_of_a_month_with_policies_is_named() -> None:
    """A sweep of 1,000 jobs an hour costs most in the audit of its calls, if there is one."""
    assert _costs(policies_month(MEMORY_MB)) == {
        "SQS: five long polls of 20 seconds of the sweep queue": "0.26",
        "CloudWatch: metrics that alarms read": "0.60",
        "CloudWatch: custom metric SweepsCompleted, in the hours in which it has data": "0.30",
        "Lambda: GB-seconds on arm64": "0.71",
        "CloudTrail: each copy of the calls of AWS Glue after the first": "21.34",
        "GuardDuty: the calls of AWS Glue": "4.27",
    }


def test_the_page_has_the_costs_without_an_audit() -> None:
    """Without a second copy in CloudTrail and without GuardDuty, policies cost little."""
    lines = policies_month(MEMORY_MB)
    audit = [line for line in lines if line.service in {"CloudTrail", "GuardDuty"}]
    assert f"without GuardDuty it is {total(lines) - total(audit):.2f} USD." in _text("operations.md")


def test_the_calls_are_those_of_the_benchmark() -> None:
    """The page about policies has the number that the benchmark counts."""
    sentence = r"A sweep of 1,000 jobs with a year of runs makes ([0-9,]+) calls"
    (calls,) = re.findall(sentence, _text("policies.md"))
    assert int(calls.replace(",", "")) == SWEEP_CALLS


def test_a_sweep_takes_as_long_as_its_pace() -> None:
    """SWEEP makes one call after the other, so its duration follows from the time between two calls."""
    assert pytest.approx(job_reader._SECONDS_BETWEEN_CALLS) == 1 / SWEEP_CALLS_A_SECOND  # noqa: SLF001


def test_the_counted_resources_are_those_of_a_template_with_a_schedule(synthesised: Synthesise) -> None:
    """A policy adds a queue and alarms. A second topic for signals adds a metric to an alarm."""
    scheduled, signals = synthesised(policies=POLICIES[:1]), synthesised(policies=POLICIES)
    assert Billed.of_template(scheduled.body) == SWEEPING_STACK
    topics = sum(bool(policy.get("onSignal")) for policy in POLICIES)
    assert Billed.of_template(signals.body).alarm_metrics - SWEEPING_STACK.alarm_metrics == topics


def test_custom_metrics_are_those_that_a_sweep_emits() -> None:
    """Metrics are billed by their names and dimensions. Without a dashboard, only an alarm's are emitted."""
    without, with_sweeps = simulate_all_outcomes().metrics, simulate_all_outcomes(sweeps=True).metrics
    (billed,) = (line.quantity for line in policies_month(MEMORY_MB) if "custom metric" in line.name)
    assert billed == len(WATCHED)
    shown = len(with_sweeps - without) - len(WATCHED)
    assert f"With policies, {shown} more cost {shown * 0.30:.2f} USD." in _text("operations.md")
