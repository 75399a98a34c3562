"""The STOP function, from a signal or a selection to Glue and the queues."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest

from gluebrake.handlers import stop
from gluebrake.runtime import Dependencies, DispatchError
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.faults import EntriesFailed, Refused, Throttle
from tests.support.fakes.sqs import Queue
from tests.unit.parsing.conftest import Wire
from tests.unit.parsing.events import (
    CHANGED_AT,
    SENT_AT,
    Json,
    alarm_action,
    alarm_data,
    alarm_event,
    alarm_notification,
    dimensions,
    job_state,
    metric,
    notification,
    request,
    sns_record,
    sqs_record,
    trigger,
)

CONTEXT: Final = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 29_500)
DONE: Final[Json] = {"batchItemFailures": []}
HOUR: Final = timedelta(hours=1)
STARTED_BEFORE: Final = "2026-03-14T09:27:13.589000Z"
"""When the messages were sent."""


@pytest.fixture
def parts(wire: Wire) -> Dependencies:
    """Wire the function with the usual settings, a moment after the messages were sent."""
    return _now(wire())


def _now(parts: Dependencies) -> Dependencies:
    return replace(parts, clock=lambda: SENT_AT + timedelta(seconds=1), jitter=lambda: 0.0)


def _select(job_name: str = "etl", **fields: Any) -> Json:
    return {**request(Select={}), "JobName": job_name, **fields}


def _from_queue(parts: Dependencies, *bodies: Any) -> Json:
    records = [sqs_record(body, f"m-{number}") for number, body in enumerate(bodies)]
    return stop.handler({"Records": records}, CONTEXT, parts)


def _add(aws: FakeAws, *run_ids: str, state: str = "RUNNING", job_name: str = "etl") -> None:
    for run_id in run_ids:
        aws.glue.add_run(job_name, run_id, state=state, started_on=SENT_AT - HOUR)


def _stopped(aws: FakeAws) -> list[str]:
    return sorted(run_id for call in aws.requests("BatchStopJobRun") for run_id in call["JobRunIds"])


def _bodies(queue: Queue) -> list[Json]:
    return [json.loads(message.body) for message in queue]


def _attributes(queue: Queue) -> list[dict[str, str]]:
    return [{name: said["StringValue"] for name, said in message.attributes.items()} for message in queue]


class TestSelections:
    """A stop request that says which runs it means."""

    def test_every_active_run_is_stopped(
        self, caplog: pytest.LogCaptureFixture, aws: FakeAws, parts: Dependencies, queues: dict[str, Queue]
    ) -> None:
        """Runs that are starting, running or waiting are stopped with one call, and then confirmed."""
        _add(aws, "jr_1", "jr_2")
        for state in ("STARTING", "WAITING", "SUCCEEDED", "STOPPING"):
            _add(aws, state, state=state)
        assert _from_queue(parts, _select(Reason="over budget")) == DONE
        assert _stopped(aws) == ["STARTING", "WAITING", "jr_1", "jr_2"]
        assert [call.operation for call in aws.calls] == ["GetJobRuns", "BatchStopJobRun", "SendMessageBatch"]
        (confirmation,) = _bodies(queues["confirm"])
        assert sorted(confirmation["JobRunIds"]) == _stopped(aws)
        assert confirmation["Reason"] == "over budget"
        assert caplog.messages == ["StopSubmitted"] * 4

    def test_only_what_is_selected_is_stopped(self, aws: FakeAws, parts: Dependencies) -> None:
        """States and age are held against what Glue says of the runs."""
        _add(aws, "waiting", state="WAITING")
        _add(aws, "running")
        aws.glue.add_run("etl", "young", state="WAITING", started_on=SENT_AT - HOUR / 2)
        aws.glue.add_run("etl", "late", state="WAITING", started_on=SENT_AT + HOUR)
        selection = {"States": ["WAITING"], "OlderThanMinutes": 45}
        assert _from_queue(parts, _select(Select=selection)) == DONE
        assert _stopped(aws) == ["waiting"]

    def test_selection_that_finds_nothing_is_done(
        self, caplog: pytest.LogCaptureFixture, aws: FakeAws, parts: Dependencies, queues: dict[str, Queue]
    ) -> None:
        """When no run is active, nothing is called but the search, and nothing is sent."""
        _add(aws, "jr_1", state="SUCCEEDED")
        assert _from_queue(parts, _select()) == DONE
        assert [call.operation for call in aws.calls] == ["GetJobRuns"]
        assert not any(map(len, queues.values()))
        assert caplog.messages == ["NoActiveRuns"]

    def test_selections_of_one_job_share_a_search_and_a_call(self, aws: FakeAws, parts: Dependencies) -> None:
        """Two selections and a request by name for the same job are one search and one stop call."""
        _add(aws, "jr_1", "jr_2")
        named = {"JobName": "etl", "JobRunIds": ["jr_2", "jr_1"]}
        assert _from_queue(parts, _select(), named, _select(Select={"States": ["RUNNING"]})) == DONE
        assert len(aws.requests("GetJobRuns")) == len(aws.requests("BatchStopJobRun")) == 1
        assert _stopped(aws) == ["jr_1", "jr_2"]

    def test_unknown_job_is_searched_twice_and_then_a_dead_letter(
        self, caplog: pytest.LogCaptureFixture, parts: Dependencies, queues: dict[str, Queue]
    ) -> None:
        """A job that was just made may not show yet; the second time it is put aside with its time."""
        assert _from_queue(parts, _select("gone", RequestedBy="me")) == DONE
        (again,) = queues["stop"]
        asked = {"JobName": "gone", "Select": {"StartedBefore": STARTED_BEFORE}, "RequestedBy": "me"}
        assert json.loads(again.body) == asked
        assert again.attributes["GluebrakeAttempt"]["StringValue"] == "1"
        assert again.delay_seconds == 3
        assert stop.handler({"Records": [again.record()]}, CONTEXT, parts) == DONE
        assert caplog.messages == ["Retrying", "NotFound"]
        assert _bodies(queues["dead_letter"]) == [asked]
        (attributes,) = _attributes(queues["dead_letter"])
        assert (attributes["ERROR_CODE"], attributes["RETRY_ATTEMPTS"]) == ("EntityNotFoundException", "1")
        assert (len(queues["stop"]), len(queues["confirm"])) == (1, 0)

    def test_throttled_search_is_tried_again_as_a_whole(
        self, aws: FakeAws, parts: Dependencies, queues: dict[str, Queue]
    ) -> None:
        """What the first pages held is not stopped when the last was refused: the request comes back."""
        _add(aws, *map(str, range(250)))
        aws.faults.add(Throttle(), operation="GetJobRuns", when=lambda call: "NextToken" in call.parameters)
        assert _from_queue(parts, _select()) == DONE
        assert _stopped(aws) == []
        assert _bodies(queues["stop"]) == [_select(Select={"StartedBefore": STARTED_BEFORE})]
        aws.faults.clear()
        assert stop.handler({"Records": queues["stop"].records()}, CONTEXT, parts) == DONE
        assert len(_stopped(aws)) == 250

    def test_search_that_there_was_no_time_for_is_put_off(
        self, aws: FakeAws, wire: Wire, queues: dict[str, Queue]
    ) -> None:
        """One call is started however late it is; what waits behind it comes again, at the same attempt."""
        for job_name in ("etl", "report"):
            _add(aws, f"of {job_name}", job_name=job_name)
        late = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 1_500)
        records = [sqs_record(_select("etl"), "m-1"), sqs_record(_select("report"), "m-2")]
        assert stop.handler({"Records": records}, late, _now(wire(calls_at_once=1))) == DONE
        assert [call.operation for call in aws.calls] == ["GetJobRuns", "SendMessageBatch"]
        found, unfound = sorted(_bodies(queues["stop"]), key=lambda body: "Select" in body)
        assert found["JobRunIds"] == [f"of {found['JobName']}"]
        assert unfound["Select"] == {"StartedBefore": STARTED_BEFORE}
        assert [said["GluebrakeAttempt"] for said in _attributes(queues["stop"])] == ["0", "0"]

    def test_denied_search_is_a_dead_letter(
        self, aws: FakeAws, parts: Dependencies, queues: dict[str, Queue]
    ) -> None:
        """What no retry mends is put aside at once, with its time."""
        aws.faults.add(Refused("AccessDeniedException", "no"), operation="GetJobRuns")
        assert _from_queue(parts, _select()) == DONE
        assert _bodies(queues["dead_letter"]) == [_select(Select={"StartedBefore": STARTED_BEFORE})]
        assert _attributes(queues["dead_letter"])[0]["ERROR_CODE"] == "AccessDeniedException"

    def test_too_many_runs_that_were_found_stop_none(
        self, caplog: pytest.LogCaptureFixture, aws: FakeAws, wire: Wire, queues: dict[str, Queue]
    ) -> None:
        """A selection that means more runs than a request may is one dead letter, with its time."""
        parts = _now(wire(max_runs_per_request=5))
        _add(aws, *map(str, range(6)))
        assert _from_queue(parts, _select()) == DONE
        assert _stopped(aws) == []
        assert _bodies(queues["dead_letter"]) == [_select(Select={"StartedBefore": STARTED_BEFORE})]
        (attributes,) = _attributes(queues["dead_letter"])
        assert attributes["ERROR_CODE"] == "TooManyRuns"
        why = "Select: means 6 runs, but maxRunsPerRequest is 5; none was stopped"
        assert attributes["ERROR_MESSAGE"] == why
        assert caplog.messages == ["TooManyRuns"]

    def test_protected_job_is_not_even_searched(
        self, caplog: pytest.LogCaptureFixture, aws: FakeAws, wire: Wire, queues: dict[str, Queue]
    ) -> None:
        """For a job that matches protectedJobs nothing is called and nothing is sent."""
        _add(aws, "jr_1", job_name="etl-prod")
        assert _from_queue(_now(wire(protected_jobs=["*-prod"])), _select("etl-prod")) == DONE
        assert not aws.calls
        assert not any(map(len, queues.values()))
        assert caplog.messages == ["Protected"]

    def test_job_that_is_not_allowed_is_not_even_searched(
        self, aws: FakeAws, wire: Wire, queues: dict[str, Queue]
    ) -> None:
        """For a job outside jobs nothing is called, and its request is put aside with its time."""
        _add(aws, "jr_1")
        assert _from_queue(_now(wire(jobs=["nightly*"])), _select()) == DONE
        assert [call.operation for call in aws.calls] == ["SendMessageBatch"]
        assert _bodies(queues["dead_letter"]) == [_select(Select={"StartedBefore": STARTED_BEFORE})]
        assert _attributes(queues["dead_letter"])[0]["ERROR_CODE"] == "NotAllowed"

    def test_dry_run_of_a_selection_stops_nothing(
        self, caplog: pytest.LogCaptureFixture, aws: FakeAws, parts: Dependencies, queues: dict[str, Queue]
    ) -> None:
        """What would be stopped is told, after reading alone."""
        _add(aws, "jr_1", "jr_2")
        assert _from_queue(parts, _select(DryRun=True)) == DONE
        assert {call.operation for call in aws.calls} == {"GetJobRuns"}
        assert not any(map(len, queues.values()))
        assert caplog.messages == ["WouldStop", "WouldStop"]

    def test_dry_run_makes_no_dead_letter(
        self, caplog: pytest.LogCaptureFixture, aws: FakeAws, wire: Wire, queues: dict[str, Queue]
    ) -> None:
        """A dry run of too many runs, or of a job that is not there, is told in the log."""
        _add(aws, "jr_1", "jr_2")
        parts = _now(wire(max_runs_per_request=1, max_attempts=1))
        assert _from_queue(parts, _select(DryRun=True), _select("gone", DryRun=True)) == DONE
        assert not any(map(len, queues.values()))
        assert sorted(caplog.messages) == ["NotFound", "TooManyRuns"]

    def test_request_that_cannot_be_sent_on_comes_back(
        self, caplog: pytest.LogCaptureFixture, aws: FakeAws, parts: Dependencies
    ) -> None:
        """A selection is done with when what it led to has been handed on, and not before."""
        aws.faults.add(EntriesFailed(), operation="SendMessageBatch")
        assert _from_queue(parts, _select("gone")) == {"batchItemFailures": [{"itemIdentifier": "m-0"}]}
        assert caplog.messages == ["Retrying"]


class TestSignals:
    """What others say."""

    @pytest.mark.parametrize(
        "body",
        [
            alarm_event(alarm_data(metric(dimensions("ALL", "etl")))),
            alarm_action(alarm_data(metric(dimensions("ALL", "etl")))),
            notification(alarm_notification(trigger(dimensions("ALL", "etl")))),
        ],
        ids=["event", "action", "notification"],
    )
    def test_alarm_stops_what_ran_when_it_went_off(self, aws: FakeAws, parts: Dependencies, body: Json) -> None:
        """A run that started when the alarm went off, or later, is left alone."""
        _add(aws, "old")
        aws.glue.add_run("etl", "at once", started_on=CHANGED_AT)
        aws.glue.add_run("etl", "young", started_on=CHANGED_AT + timedelta(seconds=1))
        assert _from_queue(parts, body) == DONE
        assert _stopped(aws) == ["old"]

    def test_event_that_asks_for_nothing_is_done(
        self, caplog: pytest.LogCaptureFixture, aws: FakeAws, parts: Dependencies
    ) -> None:
        """Our own stop, come back as an event, leads to no call."""
        assert _from_queue(parts, job_state()) == DONE
        assert not aws.calls
        assert caplog.messages == ["Ignored"]

    def test_event_that_cannot_be_used_is_put_aside_as_it_was(
        self, aws: FakeAws, parts: Dependencies, queues: dict[str, Queue]
    ) -> None:
        """An alarm on no job of Glue's is a dead letter that says so."""
        body = alarm_event(alarm_data(metric({})))
        assert _from_queue(parts, body) == DONE
        assert _bodies(queues["dead_letter"]) == [body]
        assert "names no job" in _attributes(queues["dead_letter"])[0]["ERROR_MESSAGE"]
        assert [call.operation for call in aws.calls] == ["SendMessageBatch"]


class TestDirectInvocations:
    """Whoever invokes the function itself is answered."""

    def test_sixty_runs_are_answered_one_by_one(self, aws: FakeAws, parts: Dependencies) -> None:
        """The answer names each run once, after as few calls as Glue allows."""
        run_ids = [f"jr_{number}" for number in range(60)]
        _add(aws, *run_ids[:58])
        _add(aws, "jr_58", state="SUCCEEDED")
        answered = stop.handler({"JobName": "etl", "JobRunIds": run_ids}, CONTEXT, parts)
        assert answered["SuccessfulSubmissions"] == [
            {"JobName": "etl", "JobRunId": run_id} for run_id in run_ids[:58]
        ]
        codes = {error["JobRunId"]: error["ErrorDetail"]["ErrorCode"] for error in answered["Errors"]}
        assert codes == {"jr_58": "JobRunCannotBeStoppedException", "jr_59": "Retrying"}
        assert len(aws.requests("BatchStopJobRun")) == 3

    @pytest.mark.parametrize(
        "event",
        [
            alarm_action(alarm_data(metric(dimensions("ALL", "etl")))),
            {"Records": [sns_record(alarm_notification(trigger(dimensions("ALL", "etl"))))]},
            _select(),
        ],
        ids=["alarm", "topic", "person"],
    )
    def test_whoever_invokes_is_answered_with_the_runs(
        self, aws: FakeAws, parts: Dependencies, event: Json
    ) -> None:
        """An alarm's action, a topic and a person are told what was submitted."""
        _add(aws, "jr_1")
        answered = stop.handler(event, CONTEXT, parts)
        assert answered == {
            "SuccessfulSubmissions": [{"JobName": "etl", "JobRunId": "jr_1"}],
            "Errors": [],
        }

    @pytest.mark.parametrize(
        ("event", "code", "text"),
        [
            ("stop everything", "InvalidRequest", "the body: must be a JSON object, not text"),
            (None, "InvalidRequest", "the body: must be a JSON object, not null"),
            (job_state(), "Ignored", "an event 'Glue Job State Change' asks for nothing"),
            (_select("idle"), "NoActiveRuns", "no active run is meant"),
            (_select("gone"), "Retrying", "No job gone"),
        ],
    )
    def test_what_leads_to_no_run_is_answered(
        self, aws: FakeAws, parts: Dependencies, event: Any, code: str, text: str
    ) -> None:
        """Whoever asks in vain is told why."""
        aws.glue.add_job("idle")
        answered = stop.handler(event, CONTEXT, parts)
        assert answered["SuccessfulSubmissions"] == []
        assert [error["ErrorDetail"] for error in answered["Errors"]] == [
            {"ErrorCode": code, "ErrorMessage": text}
        ]

    def test_failed_send_is_an_error_of_the_invocation(self, aws: FakeAws, parts: Dependencies) -> None:
        """No answer may hide that a confirmation was not handed on: the caller is to ask again."""
        _add(aws, "jr_1")
        aws.faults.add(EntriesFailed(), operation="SendMessageBatch")
        with pytest.raises(DispatchError, match="invoke the function again"):
            stop.handler(request("jr_1") | {"JobName": "etl"}, CONTEXT, parts)

    def test_pipe_is_told_which_messages_failed(self, aws: FakeAws, parts: Dependencies) -> None:
        """A pipe delivers a queue's records in a bare list, and hears of them as a mapping does."""
        _add(aws, "jr_1")
        aws.faults.add(EntriesFailed(), operation="SendMessageBatch")
        body = {"JobName": "etl", "JobRunIds": ["jr_1"]}
        answered = stop.handler([sqs_record(body, "m-1")], CONTEXT, parts)
        assert answered == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
