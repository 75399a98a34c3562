"""Final outcomes become outcome events, and no event leads to another."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec
import pytest
from hypothesis import given

from gluebrake.contract import StopOutcome
from gluebrake.decisions.outcome_events import outcome_events
from gluebrake.metrics import Measure
from gluebrake.model import MessageResult, RunResult
from gluebrake.outcomes import OUTCOMES, Outcome, Route
from gluebrake.parsing import dispatcher, stop_request
from gluebrake.parsing.provenance import LONGEST_VIA
from tests.support.builders import (
    AWS_ENVIRONMENT,
    EVENT_VIA,
    NOON,
    SENDER_ID,
    event,
    message,
    names,
    notes,
    parse_requests,
    request,
    result,
    target,
)

pytestmark = pytest.mark.disable_socket

NONE_UNDELIVERED: Final = frozenset[str]()
SETTLED_AT: Final = NOON + timedelta(minutes=2)


def _events(
    *results: RunResult | MessageResult, undelivered: frozenset[str] = NONE_UNDELIVERED
) -> list[StopOutcome]:
    of_runs = [result for result in results if isinstance(result, RunResult)]
    of_messages = [result for result in results if isinstance(result, MessageResult)]
    return outcome_events(of_runs, of_messages, undelivered, SETTLED_AT)


def _of_request(outcome: Outcome) -> MessageResult:
    return MessageResult(message(), outcome, "the selection matches no active run", request=request())


class TestRuns:
    """Events about runs."""

    @pytest.mark.parametrize("outcome", [*Outcome])
    def test_only_a_final_outcome_makes_an_event(self, outcome: Outcome) -> None:
        """An outcome that sends the target to a work queue makes none."""
        is_final = OUTCOMES[outcome].route in {Route.END, Route.DEAD_LETTER}
        events = _events(result(outcome))
        assert [event.outcome for event in events] == ([outcome] if is_final else [])

    def test_event_has_everything_that_is_known(self) -> None:
        """Run, outcome, error, state, request, envelope, attempts, times and measures are in the event."""
        measures = {Measure.TIME_TO_STOP: 4.5, Measure.DPUS_RELEASED: 10.0, Measure.DPU_HOURS_CONSUMED: 0.5}
        submitted = target(attempt=2, submitted_at=NOON, sender="AIDAEXAMPLE:guardrail", via=EVENT_VIA)
        stopped = RunResult(submitted, Outcome.STOPPED, "SomeException", "some words", "STOPPED", measures)
        assert _events(stopped) == [
            StopOutcome(
                job_name="etl",
                job_run_id="jr_1",
                outcome=Outcome.STOPPED,
                state="STOPPED",
                error_code="SomeException",
                error_message="some words",
                reason="over budget",
                requested_by="guardrail/nightly",
                sender="AIDAEXAMPLE:guardrail",
                via=EVENT_VIA,
                attempt=2,
                submitted_at=NOON,
                settled_at=SETTLED_AT,
                time_to_stop_seconds=4.5,
                dpus_released=10.0,
                dpu_hours_consumed=0.5,
            )
        ]

    def test_ten_events_of_the_longest_texts_fit_into_a_call(self) -> None:
        """PutEvents accepts 256 kB. A control character is six bytes of JSON, any other at most four."""
        widest, name = "\U0001f6d1", "\U0001f6d1" * 255
        notes = {"reason": widest * 1024, "requested_by": widest * 1024}
        of_sender = {"sender": "\0" * 5000, "via": "\0" * LONGEST_VIA, "submitted_at": NOON, "attempt": 1000}
        longest = target(name, name, dry_run=True, **notes, **of_sender)
        measures = dict.fromkeys(Measure, 1234567.123456)
        code = "JobRunCannotBeStoppedException"
        (event,) = _events(RunResult(longest, Outcome.STOP_TIMED_OUT, code, "\0" * 5000, "STOPPING", measures))
        # The source, the detail-type, the time and the job's ARN count as well.
        assert 10 * (len(msgspec.json.encode(event)) + len(name.encode()) + 200) < 256 * 1024

    def test_event_of_a_dry_run_is_marked(self) -> None:
        """A consumer can distinguish a run that would be stopped from one that was."""
        (event,) = _events(result(Outcome.WOULD_STOP, dry_run=True))
        assert event.dry_run

    @pytest.mark.parametrize(
        ("undelivered", "published"),
        [({"m-1", "m-2"}, ["jr_2"]), ({"m-2"}, ["jr_1", "jr_2"]), ({"m-3"}, ["jr_1"])],
    )
    def test_redelivered_target_makes_no_event(self, undelivered: set[str], published: list[str]) -> None:
        """A target is decided again, and makes its event then, only if all its messages are redelivered."""
        failed = [
            result(Outcome.FAILED, run_id="jr_1", message_ids=("m-1", "m-2")),
            result(Outcome.FAILED, run_id="jr_2", message_ids=("m-3",)),
        ]
        events = _events(*failed, undelivered=frozenset(undelivered))
        assert [event.job_run_id for event in events] == published


class TestRequests:
    """Events about requests as a whole."""

    def test_event_of_a_request_has_no_run(self) -> None:
        """A selection that matches no run, or too many, has an outcome, a job and a requester, but no run."""
        requested = request(reason="over budget", requested_by="guardrail/nightly", dry_run=True)
        failed = MessageResult(
            message(attempt=2, via=EVENT_VIA), Outcome.FAILED, "No.", request=requested, code="SomeException"
        )
        assert _events(failed) == [
            StopOutcome(
                job_name="etl",
                outcome=Outcome.FAILED,
                error_code="SomeException",
                error_message="No.",
                dry_run=True,
                reason="over budget",
                requested_by="guardrail/nightly",
                sender=SENDER_ID,
                via=EVENT_VIA,
                attempt=2,
                settled_at=SETTLED_AT,
            )
        ]

    def test_absent_notes_are_left_out(self) -> None:
        """The event of a request without reason and requester has neither."""
        (event,) = _events(_of_request(Outcome.NO_ACTIVE_RUNS))
        assert (event.reason, event.requested_by) == ("", "")

    @pytest.mark.parametrize("outcome", [Outcome.INVALID_REQUEST, Outcome.IGNORED])
    def test_unreadable_message_makes_no_event(self, outcome: Outcome) -> None:
        """Such a message names no job, and an event about it could lead to another event."""
        assert _events(MessageResult(message("{"), outcome, "why")) == []

    def test_redelivered_request_makes_no_event(self) -> None:
        """A request whose dead letter could not be sent is decided again."""
        assert _events(_of_request(Outcome.FAILED), undelivered=frozenset({"m-1"})) == []

    def test_selection_that_is_retried_makes_no_event(self) -> None:
        """A listing that is repeated has no final outcome."""
        assert _events(_of_request(Outcome.RETRYING)) == []


@given(job_name=names(), reason=notes())
def test_outcome_event_on_a_queue_leads_to_no_other(job_name: str, reason: str) -> None:
    """STOP ignores an outcome event, CONFIRM refuses it, and neither publishes an event about it."""
    detail = {"jobName": job_name, "jobRunId": "jr_1", "outcome": "Failed", "reason": reason}
    received = message(event(detail, "Glue Job Run Stop Outcome"))
    for parse, outcome in ((dispatcher.parse, Outcome.IGNORED), (stop_request.parse, Outcome.INVALID_REQUEST)):
        requests, message_results = parse_requests([received], parse, AWS_ENVIRONMENT)
        assert (requests, [result.outcome for result in message_results]) == ([], [outcome])
        assert _events(*message_results) == []
