"""A request for runs with their attempts stops what Glue started to retry a named run, and no younger run."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

import pytest

from tests.support.fakes.exchange import Json
from tests.support.fakes.faults import Refused, Throttle
from tests.support.scripted_aws import SmallPages
from tests.support.simulated_aws import CONFIRM, STOP, SimulatedAws, stop_request, stop_request_event

HOUR: Final = timedelta(hours=1)
INCLUDING: Final[Json] = {"JobName": "etl", "JobRunIds": ["jr_1"], "IncludeAttempts": True}


def _add(
    simulation: SimulatedAws, run_id: str, previous: str = "", age: timedelta = HOUR, **details: Any
) -> None:
    changes = {"PreviousRunId": previous, **details} if previous else details
    simulation.aws.glue.add_run("etl", run_id, started_on=simulation.clock() - age, **changes)


def _add_attempts(simulation: SimulatedAws) -> None:
    """Add a run that failed, its first attempt that failed too, the second that runs, and another run."""
    _add(simulation, "jr_1", state="FAILED", age=3 * HOUR)
    _add(simulation, "jr_1_attempt_1", "jr_1", state="FAILED", age=2 * HOUR)
    _add(simulation, "jr_1_attempt_2", "jr_1_attempt_1")
    _add(simulation, "other")
    simulation.clock.advance(1)


def _stopped(simulation: SimulatedAws) -> set[str]:
    return {run_id for run_id in _run_ids(simulation) if not _is_running(simulation, run_id)}


def _run_ids(simulation: SimulatedAws) -> list[str]:
    return [run.run_id for run in simulation.aws.glue]


def _is_running(simulation: SimulatedAws, run_id: str) -> bool:
    return simulation.aws.glue.run("etl", run_id).state not in {"STOPPING", "STOPPED"}


@pytest.mark.parametrize("body", [json.dumps(INCLUDING), stop_request_event(json.dumps(INCLUDING))])
def test_active_attempt_is_stopped_and_confirmed(simulation: SimulatedAws, body: str) -> None:
    """The attempt at the end of the chain is stopped, and the named run is reported as over."""
    _add_attempts(simulation)
    simulation.put(body)
    simulation.run()
    assert simulation.history("etl", "jr_1_attempt_2") == ["StopSubmitted", "Stopped"]
    assert simulation.history("etl", "jr_1") == ["AlreadyFinished"]
    assert _stopped(simulation) == {"jr_1_attempt_2"}
    assert simulation.counts["RunsRequested"] == 2
    assert not simulation.dead_letters()
    events = simulation.aws.events.details
    assert {event["jobRunId"]: event["outcome"] for event in events} == {
        "jr_1": "AlreadyFinished",
        "jr_1_attempt_2": "Stopped",
    }
    (failed,) = (event for event in events if event["jobRunId"] == "jr_1")
    assert "IncludeAttempts also stops" in failed["errorMessage"]


def test_named_run_alone_is_meant_without_the_field(simulation: SimulatedAws) -> None:
    """A request that names a failed run stops no attempt, lists nothing, and says what Glue may do."""
    _add_attempts(simulation)
    simulation.request_stop("etl", "jr_1")
    (line,) = simulation.deliver_due(STOP).outcomes
    assert line["outcome"] == "AlreadyFinished"
    assert line["error_message"].startswith("The run failed. Glue may start another attempt")
    assert _stopped(simulation) == set()


def test_later_messages_name_each_run(simulation: SimulatedAws) -> None:
    """The attempts are looked up once: retry and confirm messages name them, and ask for no others."""
    _add_attempts(simulation)
    _add(simulation, "young", "jr_1_attempt_2", age=timedelta())
    simulation.put(json.dumps({**INCLUDING, "JobRunIds": ["jr_1", "gone"], "Reason": "over budget"}))
    simulation.deliver_due(STOP)
    (confirmed,), (retried,) = simulation.confirm_queue, simulation.stop_queue
    assert json.loads(confirmed.body) == {
        "JobName": "etl",
        "JobRunIds": ["jr_1_attempt_2"],
        "Reason": "over budget",
    }
    assert json.loads(retried.body) == {"JobName": "etl", "JobRunIds": ["gone"], "Reason": "over budget"}
    simulation.run()
    assert _stopped(simulation) == {"jr_1_attempt_2"}


@pytest.mark.parametrize("size", [1, 2, 200])
def test_chain_is_followed_over_pages(simulation: SimulatedAws, size: int) -> None:
    """The runs of the chain may be on different pages, and other runs between them."""
    _add_attempts(simulation)
    simulation.aws.faults.add(SmallPages(size), operation="GetJobRuns")
    simulation.put(json.dumps(INCLUDING))
    simulation.run()
    assert _stopped(simulation) == {"jr_1_attempt_2"}


@pytest.mark.parametrize(
    ("fault", "times"), [(Throttle(), 1), (Throttle(), 3), (Refused("InternalServiceException"), 2)]
)
def test_nothing_is_stopped_before_the_attempts_are_known(
    simulation: SimulatedAws, fault: Refused, times: int
) -> None:
    """The whole request is retried until the job's runs are listed, with the time of its first message."""
    _add(simulation, "jr_1")
    _add(simulation, "attempt", "jr_1")
    simulation.clock.advance(1)
    simulation.put(json.dumps(INCLUDING))
    simulation.aws.faults.add(fault, operation="GetJobRuns", times=times)
    invocation = simulation.deliver_due(STOP)
    assert invocation.called("BatchStopJobRun") == []
    (retried,) = simulation.stop_queue
    assert json.loads(retried.body)["AttemptsStartedBefore"] == simulation.clock().strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    _add(simulation, "young", "attempt", age=timedelta())
    simulation.run()
    assert _stopped(simulation) == {"jr_1", "attempt"}


@pytest.mark.parametrize(
    ("error", "outcome", "times"),
    [("AccessDeniedException", "Failed", 1), ("EntityNotFoundException", "NotFound", 2)],
)
def test_request_whose_attempts_cannot_be_listed_is_a_dead_letter(
    simulation: SimulatedAws, error: str, outcome: str, times: int
) -> None:
    """The dead letter is the whole request, which means the same attempts after a redrive."""
    _add_attempts(simulation)
    simulation.put(json.dumps(INCLUDING))
    simulation.aws.faults.add(Refused(error), operation="GetJobRuns", times=times)
    simulation.run()
    assert simulation.counts[outcome] == 1
    ((body, code, _, _),) = simulation.dead_letters()
    assert ({**body, "AttemptsStartedBefore": ""}, code) == ({**INCLUDING, "AttemptsStartedBefore": ""}, error)
    _add(simulation, "young", "jr_1_attempt_2", age=timedelta())
    simulation.redrive()
    simulation.run()
    assert _stopped(simulation) == {"jr_1_attempt_2"}


@pytest.mark.parametrize(
    ("settings", "outcome", "dead_letters"),
    [({"jobs": ["report"]}, "NotAllowed", 1), ({"protected_jobs": ["e*"]}, "Protected", 0)],
)
def test_rejected_job_is_not_listed(settings: dict[str, Any], outcome: str, dead_letters: int) -> None:
    """A job that the settings reject is not called. A dead letter still asks for the attempts."""
    with SimulatedAws(**settings) as simulation:
        _add_attempts(simulation)
        simulation.put(json.dumps(INCLUDING))
        simulation.run()
        assert simulation.counts[outcome] == 1
        bodies = [body for body, *_ in simulation.dead_letters()]
        assert [body["IncludeAttempts"] for body in bodies] == [True] * dead_letters
        assert {call.operation for call in simulation.aws.calls} <= {"SendMessageBatch", "PutEvents", "Publish"}


def test_attempts_over_the_limit_stop_nothing() -> None:
    """The named runs and their attempts together are at most `maxRunsPerRequest`."""
    with SimulatedAws(max_runs_per_request=1) as simulation:
        _add_attempts(simulation)
        simulation.put(json.dumps(INCLUDING))
        simulation.run()
        assert _stopped(simulation) == set()
        ((body, code, error, _),) = simulation.dead_letters()
        assert (body["IncludeAttempts"], code) == (True, "TooManyRuns")
        assert error == "IncludeAttempts: means 2 runs, but maxRunsPerRequest is 1; none was stopped"


def test_dry_run_reports_the_attempts(simulation: SimulatedAws) -> None:
    """A dry run lists the attempts, and stops none."""
    _add_attempts(simulation)
    simulation.put(json.dumps({**INCLUDING, "DryRun": True}))
    simulation.run()
    assert simulation.history("etl", "jr_1_attempt_2") == ["WouldStop"]
    assert simulation.stop_calls() == []


def test_attempt_that_another_message_names_has_one_outcome(simulation: SimulatedAws) -> None:
    """A run that is an attempt for a message, and named in another, is stopped once."""
    _add_attempts(simulation)
    simulation.put(json.dumps(INCLUDING))
    simulation.request_stop("etl", "jr_1_attempt_2", "jr_1_attempt_1")
    simulation.run()
    assert simulation.history("etl", "jr_1_attempt_2") == ["StopSubmitted", "Stopped"]
    assert simulation.counts["DuplicateRuns"] == 1


def test_direct_invocation_answers_for_each_attempt(simulation: SimulatedAws) -> None:
    """The response names the attempts that were submitted beside the runs that the caller names."""
    _add_attempts(simulation)
    response = simulation.functions[STOP](INCLUDING, simulation.context) or {}
    assert response["SuccessfulSubmissions"] == [{"JobName": "etl", "JobRunId": "jr_1_attempt_2"}]
    (error,) = response["Errors"]
    assert error["JobRunId"] == "jr_1"
    assert error["ErrorDetail"]["ErrorMessage"].startswith("The run failed. Glue may start another attempt")


def test_confirm_queue_takes_no_request_for_attempts(simulation: SimulatedAws) -> None:
    """CONFIRM lists no runs, so a message that does not name all its runs is a dead letter there."""
    simulation.confirm_queue.put(json.dumps(INCLUDING))
    invocation = simulation.deliver_due(CONFIRM)
    assert invocation.counts == {"InvalidRequest": 1}
    assert {call.operation for call in invocation.calls} == {"SendMessageBatch", "PutEvents"}
    ((body, _, why, _),) = simulation.dead_letters()
    assert body["IncludeAttempts"]
    assert why == "IncludeAttempts: a message on the confirm queue must name its runs in JobRunIds"


@pytest.mark.parametrize("select", [{"Arguments": {"--day": "1"}}, {"Except": ["jr_2", "jr_3"]}])
def test_selection_by_run_survives_a_retry(simulation: SimulatedAws, select: Json) -> None:
    """A selection by arguments, or with exceptions, means the same runs after its listing was throttled."""
    _add(simulation, "jr_1", Arguments={"--day": "1", "--env": "dev"})
    _add(simulation, "jr_2", Arguments={"--day": "2"})
    _add(simulation, "jr_3")
    simulation.put(json.dumps({"JobName": "etl", "Select": select}))
    simulation.aws.faults.add(Throttle(), operation="GetJobRuns", times=2)
    simulation.run()
    assert _stopped(simulation) == {"jr_1"}


@pytest.mark.parametrize("job_name", ["etl-*", "*"])
@pytest.mark.parametrize("which", [{"JobRunIds": ["jr_1"]}, {"Select": {}}, INCLUDING])
def test_pattern_is_a_dead_letter_at_once(simulation: SimulatedAws, job_name: str, which: Json) -> None:
    """A JobName with an asterisk that Glue does not know is not retried, and the reason says why."""
    simulation.put(json.dumps({**which, "JobName": job_name}))
    simulation.run()
    assert simulation.counts["Retrying"] == 0
    ((body, code, why, attempts),) = simulation.dead_letters()
    assert (body["JobName"], code, attempts) == (job_name, "EntityNotFoundException", "0")
    assert why.startswith("JobName: names one job and takes no pattern")
    # The stop call that Glue refused is followed by a read of the run, since the error may be about either.
    assert len(simulation.invocations) == 1


def test_job_with_an_asterisk_in_its_name_is_stopped(simulation: SimulatedAws) -> None:
    """A job whose name has an asterisk is a job like every other."""
    simulation.aws.glue.add_run("etl-*", "jr_1")
    simulation.put(stop_request("etl-*", "jr_1"))
    simulation.run()
    assert simulation.history("etl-*", "jr_1") == ["StopSubmitted", "Stopped"]
