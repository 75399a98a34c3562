"""Messages make deployed policies due, and messages that are too late make nothing due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.decisions.due_policies import due_policies
from gluebrake.model import Message, MessageResult
from gluebrake.outcomes import Outcome
from gluebrake.policies import DuePolicy, DueRequest, Trigger
from tests.support.builders import NOON, message
from tests.support.sweeps import policy

pytestmark = pytest.mark.disable_socket

POLICIES: Final = (policy("a"), policy("b"), policy("c"))
MICROSECOND: Final = timedelta(microseconds=1)


def _request(*names: str, ago: timedelta = timedelta(), trigger: Trigger = Trigger.SCHEDULE) -> DueRequest:
    return DueRequest(names, NOON - ago, trigger)


def _due(*requests: DueRequest) -> tuple[list[DuePolicy], list[MessageResult]]:
    """Decide at noon on one message for each request."""
    return due_policies([(message(), request) for request in requests], POLICIES, NOON)


def _result(request: DueRequest) -> tuple[Outcome, str]:
    _, (result,) = _due(request)
    return result.outcome, result.why


class TestDuePolicies:
    """Which policies are due, and as of which moment."""

    def test_policies_are_due_in_the_configurations_order(self) -> None:
        """The order of the messages and of their names does not matter."""
        due, _ = _due(_request("c", "a"), _request("b"))
        assert due == [DuePolicy(policy, NOON, Trigger.SCHEDULE) for policy in POLICIES]

    def test_policy_that_no_message_names_is_not_due(self) -> None:
        """A sweep applies only what it was asked to apply."""
        due, _ = _due(_request("b"))
        assert [found.policy.name for found in due] == ["b"]

    def test_policy_of_several_messages_is_due_once_at_the_latest_time(self) -> None:
        """The trigger is that of the message with that time, whichever message is first."""
        late = _request("a", ago=timedelta(minutes=1), trigger=Trigger.SIGNAL)
        early = _request("a", "b", ago=timedelta(minutes=5))
        for requests in ([late, early], [early, late]):
            due, results = _due(*requests)
            assert due == [
                DuePolicy(POLICIES[0], NOON - timedelta(minutes=1), Trigger.SIGNAL),
                DuePolicy(POLICIES[1], NOON - timedelta(minutes=5), Trigger.SCHEDULE),
            ]
            assert [result.outcome for result in results] == [Outcome.SWEPT, Outcome.SWEPT]

    def test_due_time_is_never_later_than_now(self) -> None:
        """A clock that is ahead does not make runs due that have not started."""
        due, (result,) = _due(_request("a", ago=-timedelta(hours=1)))
        assert due == [DuePolicy(POLICIES[0], NOON, Trigger.SCHEDULE)]
        assert result.outcome is Outcome.SWEPT

    def test_no_messages_make_nothing_due(self) -> None:
        """Without messages there is neither a policy nor a result."""
        assert _due() == ([], [])

    @given(
        st.lists(
            st.builds(
                DueRequest,
                st.lists(st.sampled_from("abcxy"), min_size=1, max_size=3).map(tuple),
                st.integers(-600, 30_000).map(lambda seconds: NOON - timedelta(seconds=seconds)),
                st.sampled_from([Trigger.SCHEDULE, Trigger.SIGNAL]),
            ),
            max_size=6,
        )
    )
    def test_each_message_has_one_result(self, requests: list[DueRequest]) -> None:
        """A policy is due if a message that is not late names it, at the latest time of such messages."""
        messages: list[Message] = [message(message_id=f"m-{number}") for number in range(len(requests))]
        due, results = due_policies(zip(messages, requests, strict=True), POLICIES, NOON)
        assert [result.message for result in results] == messages
        allowed = {Trigger.SCHEDULE: timedelta(minutes=15), Trigger.SIGNAL: timedelta(hours=6)}
        in_time = [request for request in requests if NOON - request.due <= allowed[request.trigger]]
        times = {
            name: max(min(request.due, NOON) for request in in_time if name in request.policies)
            for name in "abc"
            if any(name in request.policies for request in in_time)
        }
        assert {found.policy.name: found.due for found in due} == times
        assert [found.policy.name for found in due] == sorted(times)


class TestLateMessages:
    """How long after its due time a message is too late."""

    @pytest.mark.parametrize(
        ("trigger", "longest"),
        [(Trigger.SCHEDULE, timedelta(minutes=15)), (Trigger.SIGNAL, timedelta(hours=6))],
    )
    def test_message_is_dropped_after_its_time(self, trigger: Trigger, longest: timedelta) -> None:
        """A sweep of 20:00 never happens at 02:00. The longest delay itself is allowed."""
        in_time = _request("a", ago=longest, trigger=trigger)
        late = _request("a", ago=longest + MICROSECOND, trigger=trigger)
        due, results = _due(in_time)
        assert due == [DuePolicy(POLICIES[0], NOON - longest, trigger)]
        assert [result.outcome for result in results] == [Outcome.SWEPT]
        due, results = _due(late)
        assert (due, [result.outcome for result in results]) == ([], [Outcome.SWEEP_LATE])

    def test_reason_says_what_was_due_and_when(self) -> None:
        """The reader of the log sees which sweep was lost."""
        assert _result(_request("a", "b", ago=timedelta(minutes=20))) == (
            Outcome.SWEEP_LATE,
            "a, b: due at 2026-11-24T11:40:00+00:00, 0:20:00 ago; a schedule is dropped after 0:15:00",
        )

    def test_late_message_does_not_hide_another(self) -> None:
        """The other message makes the policy due at its own time."""
        due, results = _due(_request("a", ago=timedelta(minutes=16)), _request("a", ago=timedelta(minutes=14)))
        assert [found.due for found in due] == [NOON - timedelta(minutes=14)]
        assert [result.outcome for result in results] == [Outcome.SWEEP_LATE, Outcome.SWEPT]

    @pytest.mark.parametrize(
        "due", [datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), datetime(1, 1, 1, tzinfo=UTC)]
    )
    def test_earliest_time_is_late(self, due: datetime) -> None:
        """No due time is too early to calculate with."""
        assert _result(DueRequest(("a",), due, Trigger.SCHEDULE))[0] is Outcome.SWEEP_LATE

    def test_latest_time_is_now(self) -> None:
        """No due time is too late to calculate with."""
        at = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=12)))
        due, _ = _due(DueRequest(("a",), at, Trigger.SIGNAL))
        assert [found.due for found in due] == [NOON]


class TestUnknownPolicies:
    """A message may name a policy that an update has removed."""

    def test_message_that_names_no_deployed_policy_is_ignored(self) -> None:
        """It is no failure: the schedule is about to be removed as well."""
        assert _result(_request("x", "y")) == (Outcome.IGNORED, "no such policy is deployed: x, y")

    def test_other_policies_of_the_message_are_applied(self) -> None:
        """The result names what was not applied."""
        due, _ = _due(_request("x", "b"))
        assert [found.policy.name for found in due] == ["b"]
        assert _result(_request("x", "b")) == (Outcome.SWEPT, "not deployed: x")
        assert _result(_request("b")) == (Outcome.SWEPT, "")

    @pytest.mark.parametrize("ago", [timedelta(), timedelta(hours=1)])
    @pytest.mark.parametrize("names", [["x" * 100_000], ["x"] * 100_000, ["a", *["x"] * 100_000]])
    def test_reason_is_cut(self, names: list[str], ago: timedelta) -> None:
        """A message can name policies of a megabyte, and a log line cannot."""
        assert len(_result(_request(*names, ago=ago))[1]) < 700
