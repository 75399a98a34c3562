"""The demo checks every expectation, and shows the details if one does not hold."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from local import expectations
from local.demo import conclude
from local.display import Display
from local.observation import Observation
from tests.local.expected_observation import IDS, observation


def _conclude(observed: Observation, *, verbose: bool = False) -> tuple[int, str]:
    """Return the exit code and the output."""
    output = io.StringIO()
    display = Display(console=Console(file=output, width=80, highlight=False))
    compared = expectations.comparisons(observed, IDS)
    return conclude(observed, compared, display, verbose=verbose), output.getvalue()


def test_tables_are_details() -> None:
    """If everything is as expected, the story ends with the figures, and no table of expectations."""
    exit_code, output = _conclude(observation())
    assert exit_code == 0
    assert "as expected: `make demo DEMO_OPTIONS=--verbose` shows them." in output
    assert "Outcomes" not in output


def test_verbose_shows_the_tables() -> None:
    """With `--verbose` each expectation is beside what was found, and the figures follow."""
    exit_code, output = _conclude(observation(), verbose=True)
    assert exit_code == 0
    assert all(comparison.title in output for comparison in expectations.comparisons(observation(), IDS))
    assert output.index("Outcomes") < output.index("41 runs stopped")


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"runs": {}}, "States of the runs: STOPPED"),
        ({"log": []}, "Outcomes: Stopped"),
        ({"log": []}, "Report of the policy: matched"),
        ({"log": []}, "Requests that stop nothing: payroll: Protected"),
        ({"log": []}, "DPUs: released"),
        ({"calls": []}, "Fewest calls of BatchStopJobRun: calls"),
        ({"dead_letters": []}, "Error codes of the dead letters: StopTimedOut"),
    ],
)
def test_each_difference_is_named(changed: dict[str, Any], difference: str) -> None:
    """What is not as expected is named after its table."""
    compared = expectations.comparisons(replace(observation(), **changed), IDS)
    assert any(difference in found for found in expectations.differences(compared))


def test_a_difference_fails_with_all_details() -> None:
    """If an expectation does not hold, the exit code is 1. Tables, logs and the difference are shown."""
    exit_code, output = _conclude(
        replace(observation(), dead_letters=[], plain_log=["Traceback [most recent]"])
    )
    assert exit_code == 1
    assert "Traceback [most recent]" in output
    assert "Not as expected: Error codes of the dead letters: EntityNotFoundException;" in output
    assert "Requests that stop nothing" in output
    assert "41 runs stopped" not in output


def test_an_unexpected_outcome_is_a_difference() -> None:
    """An outcome that the scenario does not expect is a difference as well."""
    line = {"outcome": "Unconfirmed", "job_name": "nightly-etl", "state": "", "error_message": ""}
    compared = expectations.comparisons(replace(observation(), log=[*observation().log, line]), IDS)
    assert expectations.differences(compared) == ["Outcomes: Unconfirmed"]


def test_the_expected_dpus_follow_from_the_scenario() -> None:
    """The DPUs that are expected to be released are those of the runs that are stopped."""
    assert observation().total("DpusReleased") == expectations.DPUS_RELEASED
