"""Tests of STOP from a selection, a signal or a direct invocation to Glue and the queues."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest

from gluebrake.handlers import stop
from gluebrake.handlers.stop import StopDependencies
from gluebrake.runtime import DispatchError
from gluebrake.telemetry import Telemetry
from tests.integration.conftest import MakeDependencies
from tests.support.fakes.aws_server import ACCOUNT, FakeAws
from tests.support.fakes.faults import EntriesFailed, Refused, Throttle
from tests.support.fakes.sqs import Queue
from tests.unit.parsing.events import (
    CHANGED_AT,
    MUTED,
    SENT_AT,
    Json,
    alarm_action,
    alarm_data,
    alarm_event,
    alarm_notification,
    attributes,
    contributor_data,
    contributor_event,
    dimensions,
    job_state,
    metric,
    notification,
    query,
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

Logged = Callable[[], list[str]]
"""Returns the messages of the log lines about results."""


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Logged:
    """Record what the function writes to its log about results."""
    texts: list[str] = []
    monkeypatch.setattr(Telemetry, "_write", lambda _, text: texts.append(text))
    return lambda: [json.loads(line)["message"] for text in texts for line in text.splitlines()]


@pytest.fixture
def dependencies(make_dependencies: MakeDependencies) -> StopDependencies:
    """Make STOP's dependencies with default settings and a clock shortly after the messages were sent."""
    return _with_clock(make_dependencies())


def _with_clock(dependencies: StopDependencies) -> StopDependencies:
    return replace(dependencies, clock=lambda: SENT_AT + timedelta(seconds=1), jitter=lambda: 0.0)


def _select(job_name: str = "etl", **fields: Any) -> Json:
    return {**request(Select={}), "JobName": job_name, **fields}


def _from_queue(dependencies: StopDependencies, *bodies: Any) -> Json:
    records = [sqs_record(body, f"m-{number}") for number, body in enumerate(bodies)]
    return stop.handler({"Records": records}, CONTEXT, dependencies)


def _add(aws: FakeAws, *run_ids: str, state: str = "RUNNING", job_name: str = "etl") -> None:
    for run_id in run_ids:
        aws.glue.add_run(job_name, run_id, state=state, started_on=SENT_AT - HOUR)


def _stopped(aws: FakeAws) -> list[str]:
    return sorted(run_id for call in aws.requests("BatchStopJobRun") for run_id in call["JobRunIds"])


def _bodies(queue: Queue) -> list[Json]:
    return [json.loads(message.body) for message in queue]


def _attributes(queue: Queue) -> list[dict[str, str]]:
    return [
        {name: attribute["StringValue"] for name, attribute in message.attributes.items()} for message in queue
    ]


class TestSelections:
    """A stop request that selects runs by their properties."""

    def test_every_active_run_is_stopped(
        self,
        logged: Logged,
        aws: FakeAws,
        dependencies: StopDependencies,
        queues: dict[str, Queue],
    ) -> None:
        """Runs that are starting, running or waiting are stopped with one call, and then confirmed."""
        _add(aws, "jr_1", "jr_2")
        for state in ("STARTING", "WAITING", "SUCCEEDED", "STOPPING"):
            _add(aws, state, state=state)
        assert _from_queue(dependencies, _select(Reason="over budget")) == DONE
        assert _stopped(aws) == ["STARTING", "WAITING", "jr_1", "jr_2"]
        assert [call.operation for call in aws.calls] == ["GetJobRuns", "BatchStopJobRun", "SendMessageBatch"]
        (confirmation,) = _bodies(queues["confirm"])
        assert sorted(confirmation["JobRunIds"]) == _stopped(aws)
        assert confirmation["Reason"] == "over budget"
        assert logged() == ["StopSubmitted"] * 4

    def test_only_selected_runs_are_stopped(self, aws: FakeAws, dependencies: StopDependencies) -> None:
        """A selection is compared with the state and start time that Glue reports."""
        _add(aws, "waiting", state="WAITING")
        _add(aws, "running")
        aws.glue.add_run("etl", "young", state="WAITING", started_on=SENT_AT - HOUR / 2)
        aws.glue.add_run("etl", "late", state="WAITING", started_on=SENT_AT + HOUR)
        selection = {"States": ["WAITING"], "OlderThanMinutes": 45}
        assert _from_queue(dependencies, _select(Select=selection)) == DONE
        assert _stopped(aws) == ["waiting"]

    def test_selection_without_matching_runs_is_completed(
        self,
        logged: Logged,
        aws: FakeAws,
        dependencies: StopDependencies,
        queues: dict[str, Queue],
    ) -> None:
        """If no run is active, STOP makes no call but the listing, and sends nothing."""
        _add(aws, "jr_1", state="SUCCEEDED")
        assert _from_queue(dependencies, _select()) == DONE
        assert [call.operation for call in aws.calls] == ["GetJobRuns"]
        assert not any(map(len, queues.values()))
        assert logged() == ["NoActiveRuns"]

    def test_selections_of_one_job_share_a_listing_and_a_call(
        self, aws: FakeAws, dependencies: StopDependencies
    ) -> None:
        """Two selections and a request with run ids for the same job need one listing and one stop call."""
        _add(aws, "jr_1", "jr_2")
        named = {"JobName": "etl", "JobRunIds": ["jr_2", "jr_1"]}
        assert _from_queue(dependencies, _select(), named, _select(Select={"States": ["RUNNING"]})) == DONE
        assert len(aws.requests("GetJobRuns")) == len(aws.requests("BatchStopJobRun")) == 1
        assert _stopped(aws) == ["jr_1", "jr_2"]

    def test_unknown_job_is_listed_twice_and_then_a_dead_letter(
        self, logged: Logged, dependencies: StopDependencies, queues: dict[str, Queue]
    ) -> None:
        """Glue may not show a new job yet, so it is listed twice. The dead letter has the selection's time."""
        assert _from_queue(dependencies, _select("gone", RequestedBy="me")) == DONE
        (retry,) = queues["stop"]
        retried = {"JobName": "gone", "Select": {"StartedBefore": STARTED_BEFORE}, "RequestedBy": "me"}
        assert json.loads(retry.body) == retried
        assert retry.attributes["GluebrakeAttempt"]["StringValue"] == "1"
        assert retry.delay_seconds == 3
        assert stop.handler({"Records": [retry.record()]}, CONTEXT, dependencies) == DONE
        assert logged() == ["Retrying", "NotFound"]
        assert _bodies(queues["dead_letter"]) == [retried]
        (attributes,) = _attributes(queues["dead_letter"])
        assert (attributes["ERROR_CODE"], attributes["RETRY_ATTEMPTS"]) == ("EntityNotFoundException", "1")
        assert (len(queues["stop"]), len(queues["confirm"])) == (1, 0)

    def test_throttled_listing_is_repeated_as_a_whole(
        self, aws: FakeAws, dependencies: StopDependencies, queues: dict[str, Queue]
    ) -> None:
        """If a page is throttled, no run of the earlier pages is stopped, and the request is retried."""
        _add(aws, *map(str, range(250)))
        aws.faults.add(Throttle(), operation="GetJobRuns", when=lambda call: "NextToken" in call.parameters)
        assert _from_queue(dependencies, _select()) == DONE
        assert _stopped(aws) == []
        assert _bodies(queues["stop"]) == [_select(Select={"StartedBefore": STARTED_BEFORE})]
        aws.faults.clear()
        assert stop.handler({"Records": queues["stop"].records()}, CONTEXT, dependencies) == DONE
        assert len(_stopped(aws)) == 250

    def test_listing_without_time_is_deferred(
        self, aws: FakeAws, make_dependencies: MakeDependencies, queues: dict[str, Queue]
    ) -> None:
        """With little time left the first listing still starts. The second is deferred at the same attempt."""
        for job_name in ("etl", "report"):
            _add(aws, f"of {job_name}", job_name=job_name)
        late = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 1_500)
        records = [sqs_record(_select("etl"), "m-1"), sqs_record(_select("report"), "m-2")]
        assert stop.handler({"Records": records}, late, _with_clock(make_dependencies(calls_at_once=1))) == DONE
        assert [call.operation for call in aws.calls] == ["GetJobRuns", "SendMessageBatch"]
        listed, deferred = sorted(_bodies(queues["stop"]), key=lambda body: "Select" in body)
        assert listed["JobRunIds"] == [f"of {listed['JobName']}"]
        assert deferred["Select"] == {"StartedBefore": STARTED_BEFORE}
        assert [attributes["GluebrakeAttempt"] for attributes in _attributes(queues["stop"])] == ["0", "0"]

    def test_denied_listing_is_a_dead_letter(
        self, aws: FakeAws, dependencies: StopDependencies, queues: dict[str, Queue]
    ) -> None:
        """A final error makes a dead letter at once, with the selection's time."""
        aws.faults.add(Refused("AccessDeniedException", "no"), operation="GetJobRuns")
        assert _from_queue(dependencies, _select()) == DONE
        assert _bodies(queues["dead_letter"]) == [_select(Select={"StartedBefore": STARTED_BEFORE})]
        assert _attributes(queues["dead_letter"])[0]["ERROR_CODE"] == "AccessDeniedException"

    def test_selection_of_too_many_runs_stops_none(
        self,
        logged: Logged,
        aws: FakeAws,
        make_dependencies: MakeDependencies,
        queues: dict[str, Queue],
    ) -> None:
        """A selection that matches too many runs is one dead letter, with its time."""
        dependencies = _with_clock(make_dependencies(max_runs_per_request=5))
        _add(aws, *map(str, range(6)))
        assert _from_queue(dependencies, _select()) == DONE
        assert _stopped(aws) == []
        assert _bodies(queues["dead_letter"]) == [_select(Select={"StartedBefore": STARTED_BEFORE})]
        (attributes,) = _attributes(queues["dead_letter"])
        assert attributes["ERROR_CODE"] == "TooManyRuns"
        why = "Select: matches 6 runs, but maxRunsPerRequest is 5; none was stopped"
        assert attributes["ERROR_MESSAGE"] == why
        assert logged() == ["TooManyRuns"]

    def test_protected_job_is_not_listed(
        self,
        logged: Logged,
        aws: FakeAws,
        make_dependencies: MakeDependencies,
        queues: dict[str, Queue],
    ) -> None:
        """For a job that matches protectedJobs STOP makes no call and sends nothing."""
        _add(aws, "jr_1", job_name="etl-prod")
        assert (
            _from_queue(_with_clock(make_dependencies(protected_jobs=["*-prod"])), _select("etl-prod")) == DONE
        )
        assert not aws.calls
        assert not any(map(len, queues.values()))
        assert logged() == ["Protected"]

    def test_job_that_is_not_allowed_is_not_listed(
        self, aws: FakeAws, make_dependencies: MakeDependencies, queues: dict[str, Queue]
    ) -> None:
        """For a job outside of jobs STOP does not call Glue, and the dead letter has the selection's time."""
        _add(aws, "jr_1")
        assert _from_queue(_with_clock(make_dependencies(jobs=["nightly*"])), _select()) == DONE
        assert [call.operation for call in aws.calls] == ["SendMessageBatch"]
        assert _bodies(queues["dead_letter"]) == [_select(Select={"StartedBefore": STARTED_BEFORE})]
        assert _attributes(queues["dead_letter"])[0]["ERROR_CODE"] == "NotAllowed"

    def test_dry_run_of_a_selection_stops_nothing(
        self,
        logged: Logged,
        aws: FakeAws,
        dependencies: StopDependencies,
        queues: dict[str, Queue],
    ) -> None:
        """STOP lists the runs, reads the job's tags, and logs which runs it would stop."""
        _add(aws, "jr_1", "jr_2")
        assert _from_queue(dependencies, _select(DryRun=True)) == DONE
        assert {call.operation for call in aws.calls} == {"GetJobRuns", "GetTags"}
        assert not any(map(len, queues.values()))
        assert logged() == ["WouldStop", "WouldStop"]

    def test_dry_run_makes_no_dead_letter(
        self,
        logged: Logged,
        aws: FakeAws,
        make_dependencies: MakeDependencies,
        queues: dict[str, Queue],
    ) -> None:
        """A dry run of too many runs, or of an unknown job, is logged."""
        _add(aws, "jr_1", "jr_2")
        dependencies = _with_clock(make_dependencies(max_runs_per_request=1, max_attempts=1))
        assert _from_queue(dependencies, _select(DryRun=True), _select("gone", DryRun=True)) == DONE
        assert not any(map(len, queues.values()))
        assert sorted(logged()) == ["NotFound", "TooManyRuns"]

    def test_request_whose_retry_cannot_be_sent_is_redelivered(
        self, logged: Logged, aws: FakeAws, dependencies: StopDependencies
    ) -> None:
        """A selection is completed when its resulting message was sent, and not before."""
        aws.faults.add(EntriesFailed(), operation="SendMessageBatch")
        assert _from_queue(dependencies, _select("gone")) == {"batchItemFailures": [{"itemIdentifier": "m-0"}]}
        assert logged() == ["Retrying"]


class TestSignals:
    """Alarms and events."""

    @pytest.mark.parametrize(
        "body",
        [
            alarm_event(alarm_data(metric(dimensions("ALL", "etl")))),
            alarm_action(alarm_data(metric(dimensions("ALL", "etl")))),
            notification(alarm_notification(trigger(dimensions("ALL", "etl")))),
        ],
        ids=["event", "action", "notification"],
    )
    def test_alarm_stops_runs_that_started_before_it_fired(
        self, aws: FakeAws, dependencies: StopDependencies, body: Json
    ) -> None:
        """A run that started when the alarm fired, or later, is not stopped."""
        _add(aws, "old")
        aws.glue.add_run("etl", "at once", started_on=CHANGED_AT)
        aws.glue.add_run("etl", "young", started_on=CHANGED_AT + timedelta(seconds=1))
        assert _from_queue(dependencies, body) == DONE
        assert _stopped(aws) == ["old"]

    def test_contributors_stop_their_own_runs(self, aws: FakeAws, dependencies: StopDependencies) -> None:
        """One alarm over every job stops each run that is over, and no other run of the same job."""
        _add(aws, "over", "within")
        aws.glue.add_run("report", "also over")
        bodies = [
            alarm_event(alarm_data(query())),
            contributor_event(contributor_data(attributes("over", "etl"))),
            contributor_event(contributor_data(attributes("ALL", "etl"))),
            contributor_event(contributor_data(attributes("also over", "report"))),
        ]
        assert _from_queue(dependencies, *bodies) == DONE
        assert _stopped(aws) == ["also over", "over"]

    def test_muted_alarm_leads_to_no_call(self, aws: FakeAws, dependencies: StopDependencies) -> None:
        """In a maintenance window production runs on."""
        _add(aws, "jr_1")
        body = alarm_event(alarm_data(metric(dimensions("ALL", "etl")), muteDetail=MUTED))
        assert _from_queue(dependencies, body) == DONE
        assert not aws.calls

    def test_alarm_of_a_monitoring_account_needs_its_setting(
        self, aws: FakeAws, make_dependencies: MakeDependencies, queues: dict[str, Queue]
    ) -> None:
        """Without alarmAccounts the alarm is a dead letter that says so. With it the run stops."""
        _add(aws, "jr_1")
        on_metric = alarm_data(metric(dimensions("jr_1", "etl"), accountId=ACCOUNT))
        body = alarm_event(on_metric, account="210987654321")
        assert _from_queue(_with_clock(make_dependencies()), body) == DONE
        assert _stopped(aws) == []
        assert "alarmAccounts" in _attributes(queues["dead_letter"])[0]["ERROR_MESSAGE"]
        trusting = _with_clock(make_dependencies(alarm_accounts=["210987654321"]))
        assert _from_queue(trusting, body) == DONE
        assert _stopped(aws) == ["jr_1"]

    def test_event_that_requests_nothing_is_completed(
        self, logged: Logged, aws: FakeAws, dependencies: StopDependencies
    ) -> None:
        """Glue's event about the run that STOP has stopped leads to no call."""
        assert _from_queue(dependencies, job_state()) == DONE
        assert not aws.calls
        assert logged() == ["Ignored"]

    def test_unusable_event_is_an_unchanged_dead_letter(
        self, aws: FakeAws, dependencies: StopDependencies, queues: dict[str, Queue]
    ) -> None:
        """An alarm on no Glue job is a dead letter with that error."""
        body = alarm_event(alarm_data(metric({})))
        assert _from_queue(dependencies, body) == DONE
        assert _bodies(queues["dead_letter"]) == [body]
        assert "names no job" in _attributes(queues["dead_letter"])[0]["ERROR_MESSAGE"]
        assert [call.operation for call in aws.calls] == ["SendMessageBatch"]


class TestDirectInvocations:
    """A direct invocation returns the response of BatchStopJobRun."""

    def test_response_has_each_of_sixty_runs(self, aws: FakeAws, dependencies: StopDependencies) -> None:
        """The response has each run once, after the fewest calls that Glue allows."""
        run_ids = [f"jr_{number}" for number in range(60)]
        _add(aws, *run_ids[:58])
        _add(aws, "jr_58", state="SUCCEEDED")
        response = stop.handler({"JobName": "etl", "JobRunIds": run_ids}, CONTEXT, dependencies)
        assert response["SuccessfulSubmissions"] == [
            {"JobName": "etl", "JobRunId": run_id} for run_id in run_ids[:58]
        ]
        codes = {error["JobRunId"]: error["ErrorDetail"]["ErrorCode"] for error in response["Errors"]}
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
    def test_response_has_the_submitted_runs(
        self, aws: FakeAws, dependencies: StopDependencies, event: Json
    ) -> None:
        """An alarm's action, a topic and a person get the submitted runs."""
        _add(aws, "jr_1")
        response = stop.handler(event, CONTEXT, dependencies)
        assert response == {
            "SuccessfulSubmissions": [{"JobName": "etl", "JobRunId": "jr_1"}],
            "Errors": [],
        }

    @pytest.mark.parametrize(
        ("event", "code", "text"),
        [
            ("stop everything", "InvalidRequest", "the body: Expected `object`, got `str`"),
            (None, "InvalidRequest", "the body: Expected `object`, got `null`"),
            (job_state(), "Ignored", "an event 'Glue Job State Change' requests no stop"),
            (_select("idle"), "NoActiveRuns", "the selection matches no active run"),
            (_select("gone"), "Retrying", "No job gone"),
        ],
    )
    def test_response_explains_a_request_without_runs(
        self, aws: FakeAws, dependencies: StopDependencies, event: Any, code: str, text: str
    ) -> None:
        """The response has the error of a request that leads to no run."""
        aws.glue.add_job("idle")
        response = stop.handler(event, CONTEXT, dependencies)
        assert response["SuccessfulSubmissions"] == []
        assert [error["ErrorDetail"] for error in response["Errors"]] == [
            {"ErrorCode": code, "ErrorMessage": text}
        ]

    def test_failed_send_is_an_error_of_the_invocation(
        self, aws: FakeAws, dependencies: StopDependencies
    ) -> None:
        """If a result could not be sent, the invocation fails, so that the caller repeats it."""
        _add(aws, "jr_1")
        aws.faults.add(EntriesFailed(), operation="SendMessageBatch")
        with pytest.raises(DispatchError, match="invoke the function again"):
            stop.handler(request("jr_1") | {"JobName": "etl"}, CONTEXT, dependencies)

    def test_pipe_gets_the_failed_messages(self, aws: FakeAws, dependencies: StopDependencies) -> None:
        """A pipe delivers a queue's records as a bare list, and gets the same answer as a mapping."""
        _add(aws, "jr_1")
        aws.faults.add(EntriesFailed(), operation="SendMessageBatch")
        body = {"JobName": "etl", "JobRunIds": ["jr_1"]}
        response = stop.handler([sqs_record(body, "m-1")], CONTEXT, dependencies)
        assert response == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
