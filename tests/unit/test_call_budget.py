"""The call budget decides which calls may start, and how long responses are waited for."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.aws.call_budget import CallBudget, NotStartedError, fan_out

pytestmark = pytest.mark.disable_socket


def _budget(seconds: float = 30) -> CallBudget:
    return CallBudget(lambda: seconds)


class TestReserving:
    """The time that is kept to dispatch results."""

    @pytest.mark.parametrize(
        ("left", "results", "usable"), [(30, 2000, 26), (6, 2000, 3), (1, 2000, 0.5), (0, 2000, 0)]
    )
    def test_at_most_half_of_the_time_is_reserved(self, left: float, results: int, usable: float) -> None:
        """Calls can be made however many results there are to dispatch."""
        budget = _budget(left)
        budget.reserve_for_dispatch(results)
        assert budget.usable_seconds() == usable

    @given(st.integers(0, 10_000), st.integers(0, 10_000))
    def test_more_results_reserve_more_time(self, results: int, more: int) -> None:
        """The reserved time grows with the results, and is never 0."""
        budget, larger = _budget(10_000), _budget(10_000)
        budget.reserve_for_dispatch(results)
        larger.reserve_for_dispatch(results + more)
        assert 0 < budget.reserved <= larger.reserved

    def test_ten_thousand_results_leave_time_for_calls(self) -> None:
        """With the largest batch, more than half of the function's 30 seconds is left for calls to Glue."""
        budget = _budget(30)
        budget.reserve_for_dispatch(10_000)
        assert budget.reserved == 12

    def test_results_of_unusable_messages_reserve_time(self) -> None:
        """Messages that cannot be used have results too, which are dispatched with the others."""
        budget = _budget(30)
        budget.unusable_messages = 500
        budget.reserve_for_dispatch(1500)
        assert budget.reserved == 4

    @pytest.mark.parametrize(("left", "leftover"), [(30, 4), (5, 4), (4.5, 3.5), (1, 0), (0.25, -0.75)])
    def test_leftover_is_the_reserved_time_without_a_second_to_end(self, left: float, leftover: float) -> None:
        """Events get no more than the reserved time, and a second is kept to end the invocation."""
        seconds = [30.0]
        budget = CallBudget(lambda: seconds[0])
        budget.reserve_for_dispatch(2000)
        seconds[0] = left
        assert budget.leftover_seconds() == leftover

    def test_usable_time_is_never_negative(self) -> None:
        """After the deadline 0 seconds are usable."""
        seconds = iter([10.0, -5.0])
        budget = CallBudget(lambda: next(seconds))
        budget.reserve_for_dispatch(0)
        assert budget.usable_seconds() == 0


class TestStarting:
    """The calls that may start."""

    @pytest.mark.parametrize(("left", "starts"), [(3.0, True), (2.999, False)])
    def test_call_starts_while_a_second_is_usable(self, left: float, *, starts: bool) -> None:
        """A second must be left besides the reserved time."""
        budget = _budget(left)
        budget.reserved = 2
        budget.start("get_job_run")
        assert budget.is_exhausted() is not starts
        if starts:
            budget.start("get_job_run")
        else:
            with pytest.raises(NotStartedError):
                budget.start("get_job_run")
        assert budget.calls == {"get_job_run": 1 + starts}

    def test_first_call_always_starts(self) -> None:
        """Without time or after throttling, one call is made, so that every invocation makes progress."""
        budget = _budget(0)
        budget.throttled = 3
        budget.start("get_job_run")
        with pytest.raises(NotStartedError):
            budget.start("get_job_run")

    @pytest.mark.parametrize(
        "code",
        [
            "ThrottlingException",
            "Throttling",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "SlowDown",
        ],
    )
    def test_no_call_starts_after_three_throttled_calls(self, code: str) -> None:
        """Each of the error codes with which AWS throttles counts."""
        budget = _budget()
        for _ in range(3):
            budget.start("get_job_run")
            budget.record_response("get_job_run", {}, code)
        with pytest.raises(NotStartedError):
            budget.start("get_job_run")

    def test_other_errors_do_not_count_as_throttling(self) -> None:
        """Only throttling is a reason to make fewer calls."""
        budget = _budget()
        for _ in range(5):
            budget.start("get_job_run")
            budget.record_response("get_job_run", {}, "InternalServiceException")
        assert not budget.is_exhausted()

    def test_exhausted_budget_remains_exhausted(self) -> None:
        """A smaller reservation makes no further call start, since messages were isolated by the answer."""
        budget = _budget(10)
        budget.start("get_job_run")
        budget.reserved = 9.5
        assert budget.is_exhausted()
        budget.reserve_for_dispatch(0)
        assert budget.is_exhausted()

    @pytest.mark.parametrize(("left", "closed"), [(3.0, False), (2.999, True)])
    def test_budget_closes_when_the_time_is_up(self, left: float, *, closed: bool) -> None:
        """Messages that need no call cannot use up the whole invocation: not even the first call starts."""
        budget = _budget(left)
        budget.reserved = 2
        assert not budget.is_exhausted()
        assert budget.close_when_late() is closed
        assert budget.is_exhausted() is closed

    @pytest.mark.parametrize("response", [{}, {"ResponseMetadata": {}}])
    def test_call_without_retries_counts_once(self, response: dict[str, Any]) -> None:
        """A call counts once, unless botocore reports that it repeated the call."""
        budget = _budget()
        budget.start("get_tags")
        budget.record_response("get_tags", response)
        assert budget.calls == {"get_tags": 1}

    def test_retries_of_botocore_count_as_calls(self) -> None:
        """Each retry is a call to AWS."""
        budget = _budget()
        budget.start("get_tags")
        budget.record_response("get_tags", {"ResponseMetadata": {"RetryAttempts": 2}})
        assert budget.calls == {"get_tags": 3}


class TestFanOut:
    """Calls that run in parallel."""

    def test_each_item_has_its_future_in_order(self) -> None:
        """The futures are in the order of the items."""
        called = fan_out(lambda item: item * 2, [3, 1, 2], workers=2, seconds=None)
        assert [(item, future.result()) for item, future in called] == [(3, 6), (1, 2), (2, 4)]

    def test_no_items_are_no_threads(self) -> None:
        """Without items nothing is called, whatever the number of workers."""
        assert fan_out(lambda item: item, [], workers=0, seconds=None) == []

    def test_call_that_has_not_started_in_time_is_cancelled(self) -> None:
        """A call that is running continues, and one that waits behind it never starts."""
        release = Event()
        try:
            called = fan_out(lambda _: release.wait(20), [1, 2], workers=1, seconds=0.2)
            assert [(future.cancelled(), future.done()) for _, future in called] == [
                (False, False),
                (True, True),
            ]
        finally:
            release.set()
