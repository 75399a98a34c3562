"""Every target has a result in every generated scenario. Other tests show single cases."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings

from tests.support.properties import check_at_least_once, check_exactly_once, check_with_selections
from tests.support.scenarios import AT_LEAST_ONCE, EXACTLY_ONCE, WITH_SELECTIONS, Scenario


def _examples(count: int) -> settings:
    # More examples for a longer run: GLUEBRAKE_EXAMPLES=5000 pytest tests/integration/test_scenarios.py
    return settings(
        max_examples=int(os.environ.get("GLUEBRAKE_EXAMPLES", count)),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


@_examples(200)
@given(EXACTLY_ONCE)
def test_each_target_has_one_outcome_and_one_end_while_queues_are_reliable(scenario: Scenario) -> None:
    """If SQS delivers each message once, a target has one outcome in an invocation, and ends once."""
    check_exactly_once(scenario)


@_examples(200)
@given(AT_LEAST_ONCE)
def test_each_target_ends_through_failed_sends_crashes_and_redeliveries(scenario: Scenario) -> None:
    """Whatever fails, each target ends, and SQS redelivers only the messages that need it."""
    check_at_least_once(scenario)


@_examples(75)
@given(WITH_SELECTIONS)
def test_each_run_that_a_selection_stops_ends_whatever_fails(scenario: Scenario) -> None:
    """Each submitted run has an outcome, an event and its dead letter, and no younger run is ever stopped."""
    check_with_selections(scenario)
