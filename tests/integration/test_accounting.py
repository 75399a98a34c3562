"""Whatever happens, each demand is accounted for: this is what all the rest is for."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings

from tests.support.properties import check_calm, check_stormy
from tests.support.scenarios import CALM, STORMY, Scenario

# More examples for a longer run: GLUEBRAKE_EXAMPLES=5000 pytest tests/integration/test_accounting.py
examples = settings(
    max_examples=int(os.environ.get("GLUEBRAKE_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@examples
@given(CALM)
def test_each_demand_has_one_outcome_and_one_end(scenario: Scenario) -> None:
    """While SQS takes all and delivers once, each demand has one outcome an invocation, and ends once."""
    check_calm(scenario)


@examples
@given(STORMY)
def test_each_demand_has_an_end_whatever_happens(scenario: Scenario) -> None:
    """Through failed sends, crashes and redeliveries each demand ends, and only what must comes back."""
    check_stormy(scenario)
