"""Each reason code has one meaning and one remedy."""

from __future__ import annotations

from collections import Counter

import pytest

from gluebrake.outcomes import Outcome
from gluebrake_cli import reasons
from gluebrake_cli.reasons import Reason, explanation


def test_each_code_has_one_explanation() -> None:
    """No code is in two rows, and `explanation` finds each of them."""
    rows = [*reasons.GLUEBRAKE, *reasons.EVENTBRIDGE, *reasons.WITHOUT_CODE]
    codes = [code for row in rows for code in row.codes]
    assert {code for code, count in Counter(codes).items() if count > 1} == set()
    assert all(code in explanation(code).codes for code in codes)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.is_failure])
def test_each_failure_has_an_explanation(outcome: Outcome) -> None:
    """A dead letter of Gluebrake without an error code of AWS has its outcome as the reason."""
    assert explanation(outcome) != reasons.OTHER


def test_a_reason_to_drop_is_a_fact_of_its_row() -> None:
    """The redrive command asks about these. Their remedy ends with the action to take."""
    rows = [*reasons.GLUEBRAKE, *reasons.EVENTBRIDGE, *reasons.WITHOUT_CODE, reasons.OTHER]
    assert {row for row in rows if row.is_to_drop} == {row for row in rows if row.then == "Drop it."}
    assert explanation("InvalidRequest").is_to_drop
    assert not explanation("StopTimedOut").is_to_drop


def test_an_unknown_code_has_a_general_explanation() -> None:
    """AWS may add codes later."""
    assert explanation("NewException") == reasons.OTHER


def test_the_remedy_is_the_fix_and_what_to_do_then() -> None:
    """Where nothing has to be fixed, the remedy has no leading space."""
    assert Reason((), "It failed.", "Fix it.", "Redrive it.").remedy == "Fix it. Redrive it."
    assert Reason((), "It failed.", "", "Redrive it.").remedy == "Redrive it."
