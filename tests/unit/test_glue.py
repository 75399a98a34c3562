"""Each batch is one call to Glue, and each target has one finding whatever happens to the calls."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gluebrake.aws.call_budget import CallBudget
from gluebrake.aws.findings import CallError
from gluebrake.aws.glue import Glue
from gluebrake.decisions.stop_outcomes import decide_stops
from gluebrake.grouping import chunked, grouped
from gluebrake.model import Finding, Observation, RunFacts, StopBatch, StopTarget
from gluebrake.outcomes import Outcome
from tests.support.builders import batch, target
from tests.support.fakes.aws_server import ACCOUNT, REGION, FakeAws
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import (
    Decide,
    EmptyBody,
    Fault,
    Latency,
    LostAnswer,
    Refused,
    Reset,
    RunErrors,
    Throttle,
    TruncatedBody,
    Unanswered,
    naming,
)

STOP: Final = "BatchStopJobRun"
PAGE: Final = "GetJobRuns"
RUN: Final = "GetJobRun"
TAGS: Final = "GetTags"
PROTECT_TAG: Final = "gluebrake:protect"
UNREADABLE: Final = [
    (Throttle(), "ThrottlingException"),
    (Refused("InternalServiceException", status=500), "InternalServiceException"),
    (LostAnswer(), "ConnectionClosedError"),
]
DENIED: Final = Refused("AccessDeniedException", "You are not allowed")


_NAMED: Final = {"JobName": "etl", "JobRunId": "jr_1"}
_NOT_NAMED: Final = "Glue's answer names the run neither as submitted nor as refused"


def _adapter(aws: FakeAws, calls_at_once: int = 8, **config: Any) -> Glue:
    options = aws.client_options
    client = boto3.client("glue", **{**options, "config": options["config"].merge(Config(**config))})
    return Glue(client, calls_at_once, PROTECT_TAG, f"arn:aws:glue:{REGION}:{ACCOUNT}:job/")


@pytest.fixture
def glue(aws: FakeAws) -> Glue:
    """Connect to the fake, with a client that tries each call only once."""
    return _adapter(aws)


@pytest.fixture
def slow_glue(aws: FakeAws) -> Glue:
    """Connect to the fake, and make one call at a time."""
    return _adapter(aws, calls_at_once=1)


@pytest.fixture
def released() -> Iterator[Event]:
    """Release a fault at the end of the test, so that no thread continues after it."""
    event = Event()
    yield event
    event.set()


def _budget(seconds: float = 30) -> CallBudget:
    return CallBudget(lambda: seconds)


def _observations(findings: Sequence[Finding]) -> dict[str, Observation]:
    """Return the observation of each run, and assert that each run has one finding."""
    observations = {finding.target.run.run_id: finding.observation for finding in findings}
    assert len(observations) == len(findings)
    return observations


def _by_run_id(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.target.run.run_id: finding for finding in findings}


def _ids(count: int, start: int = 0) -> list[str]:
    return [f"jr_{number}" for number in range(start, start + count)]


def _operations(aws: FakeAws) -> Counter[str]:
    return Counter(call.operation for call in aws.calls)


def _add_runs(aws: FakeAws, *run_ids: str, job_name: str = "etl", **details: Any) -> None:
    for run_id in run_ids:
        aws.glue.add_run(job_name, run_id, **details)


class TestStopping:
    """BatchStopJobRun, and what its response means."""

    def test_call_has_the_members_of_the_api(self, aws: FakeAws, slow_glue: Glue) -> None:
        """The call has the job's name and the run ids under the names of botocore's model, and nothing else."""
        submitted = [{"JobName": "etl", "JobRunId": run_id} for run_id in ("jr_1", "jr_2")]
        with Stubber(slow_glue.client) as stubber:
            stubber.add_response(
                "batch_stop_job_run",
                {"SuccessfulSubmissions": submitted, "Errors": []},
                {"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]},
            )
            findings = slow_glue.stop([batch("jr_1", "jr_2")], _budget())
            stubber.assert_no_pending_responses()
        assert _observations(findings) == {"jr_1": Observation.SUBMITTED, "jr_2": Observation.SUBMITTED}
        assert not aws.calls

    def test_each_batch_is_one_call(self, aws: FakeAws, glue: Glue) -> None:
        """When Glue submits every run, there are as many calls as batches, and no others."""
        _add_runs(aws, *_ids(30))
        _add_runs(aws, "other", job_name="report")
        budget = _budget()
        findings = glue.stop([batch(*_ids(25)), batch(*_ids(5, 25)), batch("other", job_name="report")], budget)
        assert set(_observations(findings).values()) == {Observation.SUBMITTED}
        assert len(findings) == 31
        assert {run.state for run in aws.glue} == {"STOPPING"}
        assert _operations(aws) == {STOP: 3}
        assert budget.calls == {"batch_stop_job_run": 3}

    def test_nothing_to_stop_is_no_call(self, aws: FakeAws, glue: Glue) -> None:
        """Without batches and targets no call is made."""
        assert glue.stop([], _budget()) == []
        assert glue.read_states([], _budget()) == []
        assert not aws.calls

    def test_calls_at_once_are_bounded(self, aws: FakeAws) -> None:
        """Calls run in parallel, but no more of them than are allowed."""
        glue = _adapter(aws, calls_at_once=4)
        aws.faults.add(Latency(0.02))
        batches = []
        for number in range(24):
            _add_runs(aws, f"jr_{number}", job_name=f"job {number}")
            batches.append(batch(f"jr_{number}", job_name=f"job {number}"))
        findings = glue.stop(batches, _budget())
        assert set(_observations(findings).values()) == {Observation.SUBMITTED}
        assert 2 <= len(aws.connections) <= 4

    def test_finding_has_its_target(self, aws: FakeAws, glue: Glue) -> None:
        """The target of a finding is unchanged."""
        _add_runs(aws, "jr_1")
        original = target(attempt=3, message_ids=("m-1", "m-2"))
        assert glue.stop([StopBatch("etl", (original,))], _budget()) == [
            Finding(original, Observation.SUBMITTED)
        ]


class TestReadingBack:
    """Unknown states are read with the fewest calls."""

    @pytest.mark.parametrize("state", ["STOPPING", "STOPPED", "SUCCEEDED", "FAILED", "ERROR", "EXPIRED"])
    def test_state_of_a_refused_run_is_read(self, aws: FakeAws, glue: Glue, state: str) -> None:
        """The finding of a run that Glue refused has its state and Glue's code."""
        _add_runs(aws, "jr_1", state=state, stopping_seconds=None)
        (finding,) = glue.stop([batch("jr_1")], _budget())
        assert (finding.observation, finding.code) == (Observation.STATE, "JobRunCannotBeStoppedException")
        assert finding.run is not None
        assert finding.run.state == state
        assert _operations(aws) == {STOP: 1, RUN: 1}

    def test_several_runs_of_a_job_take_one_page(self, aws: FakeAws, glue: Glue) -> None:
        """One page of a job's newest runs has the unknown states of all its batches."""
        _add_runs(aws, *_ids(40), state="SUCCEEDED")
        _add_runs(aws, *_ids(3, 100), job_name="report", state="FAILED")
        findings = glue.stop(
            [batch(*_ids(25)), batch(*_ids(15, 25)), batch(*_ids(3, 100), job_name="report")], _budget()
        )
        assert set(_observations(findings).values()) == {Observation.STATE}
        assert len(findings) == 43
        assert _operations(aws) == {STOP: 3, PAGE: 2}
        assert [page["MaxResults"] for page in aws.requests(PAGE)] == [200, 200]

    def test_runs_that_are_not_on_the_page_are_read_singly(self, aws: FakeAws, glue: Glue) -> None:
        """After a page that shows only one of the runs, each of the rest takes a call."""
        now = datetime.now(UTC)
        _add_runs(aws, "old 1", "old 2", state="SUCCEEDED", started_on=now - timedelta(days=1))
        _add_runs(aws, *_ids(200), state="SUCCEEDED", started_on=now)
        findings = glue.stop([batch("old 1", "old 2", "jr_0", "unknown")], _budget())
        assert _observations(findings) == {
            "old 1": Observation.STATE,
            "old 2": Observation.STATE,
            "jr_0": Observation.STATE,
            "unknown": Observation.NOT_FOUND,
        }
        assert _operations(aws) == {STOP: 1, PAGE: 1, RUN: 3}
        assert {request["RunId"] for request in aws.requests(RUN)} == {"old 1", "old 2", "unknown"}

    def test_pages_are_read_while_they_show_several_runs(self, aws: FakeAws, glue: Glue) -> None:
        """Runs that were stopped together are on few pages, which saves a call for each."""
        _add_runs(aws, *_ids(450), state="SUCCEEDED")
        findings = glue.read_states([target(run_id) for run_id in _ids(450)], _budget())
        assert _observations(findings) == dict.fromkeys(_ids(450), Observation.STATE)
        assert _operations(aws) == {PAGE: 3}

    @pytest.mark.parametrize(("shown", "left"), [(2, 2), (2, 3), (3, 2)])
    def test_two_runs_are_several(self, aws: FakeAws, glue: Glue, shown: int, left: int) -> None:
        """The next page is read when the last showed two and two are left: one call instead of two."""
        run_ids = _ids(shown + left)
        _add_runs(aws, *run_ids[:left], state="SUCCEEDED")
        _add_runs(aws, *(f"between {number}" for number in range(200 - shown)), state="SUCCEEDED")
        _add_runs(aws, *run_ids[left:], state="SUCCEEDED")
        findings = glue.read_states([target(run_id) for run_id in run_ids], _budget())
        assert _observations(findings) == dict.fromkeys(run_ids, Observation.STATE)
        assert _operations(aws) == {PAGE: 2}

    def test_runs_on_no_page_are_read_singly(self, aws: FakeAws, glue: Glue) -> None:
        """After the last page, each run that no page showed takes a call."""
        _add_runs(aws, "jr_1", "jr_2", state="SUCCEEDED")
        findings = glue.read_states([target(name) for name in ("jr_1", "jr_2", "jr_3", "jr_4")], _budget())
        assert [_observations(findings)[name] for name in ("jr_1", "jr_3")] == [
            Observation.STATE,
            Observation.NOT_FOUND,
        ]
        assert _operations(aws) == {PAGE: 1, RUN: 2}

    def test_last_run_is_read_singly(self, aws: FakeAws, glue: Glue) -> None:
        """No page is read for one run, since the call for that run is certain to show it."""
        _add_runs(aws, *_ids(201), state="SUCCEEDED")
        findings = glue.read_states([target(run_id) for run_id in _ids(201)], _budget())
        assert set(_observations(findings).values()) == {Observation.STATE}
        assert _operations(aws) == {PAGE: 1, RUN: 1}

    def test_states_of_a_page_are_kept_when_the_next_fails(self, aws: FakeAws, glue: Glue) -> None:
        """A page that Glue refuses leaves unread only the runs that no earlier page showed."""
        _add_runs(aws, *_ids(300), state="SUCCEEDED")
        aws.faults.add(Throttle(), operation=PAGE, when=lambda call: "NextToken" in call.parameters)
        findings = glue.read_states([target(run_id) for run_id in _ids(300)], _budget())
        assert Counter(_observations(findings).values()) == {
            Observation.STATE: 200,
            Observation.CALL_FAILED: 100,
        }

    def test_states_of_a_page_are_kept_when_the_next_does_not_start(self, aws: FakeAws, glue: Glue) -> None:
        """A page that the call budget does not allow leaves the other runs as not called."""
        _add_runs(aws, *_ids(300), state="SUCCEEDED")
        budget = _budget()
        budget.throttled = 3  # the first call is the last
        findings = glue.read_states([target(run_id) for run_id in _ids(300)], budget)
        assert Counter(_observations(findings).values()) == {
            Observation.STATE: 200,
            Observation.NOT_CALLED: 100,
        }

    def test_only_unknown_states_are_read(self, aws: FakeAws, glue: Glue) -> None:
        """The state of a submitted run is not read."""
        _add_runs(aws, "jr_1", "jr_2")
        _add_runs(aws, "jr_3", state="SUCCEEDED")
        findings = glue.stop([batch("jr_1", "jr_2", "jr_3")], _budget())
        assert _observations(findings) == {
            "jr_1": Observation.SUBMITTED,
            "jr_2": Observation.SUBMITTED,
            "jr_3": Observation.STATE,
        }
        assert aws.requests(RUN) == [{"JobName": "etl", "RunId": "jr_3"}]

    @pytest.mark.parametrize("count", [1, 2])
    def test_run_of_an_unknown_job_is_not_found(self, aws: FakeAws, glue: Glue, count: int) -> None:
        """An unknown job takes one read, however many of its runs are requested."""
        findings = glue.stop([batch(*_ids(count))], _budget())
        assert set(_observations(findings).values()) == {Observation.NOT_FOUND}
        assert {finding.code for finding in findings} == {"EntityNotFoundException"}
        assert _operations(aws) == {STOP: 1, RUN if count == 1 else PAGE: 1}

    @pytest.mark.parametrize("stopped", [False, True])
    def test_state_of_a_run_that_the_answer_leaves_out_is_read(
        self, aws: FakeAws, glue: Glue, *, stopped: bool
    ) -> None:
        """A run that is in neither list is not taken for submitted: its state decides."""
        _add_runs(aws, "jr_1", "jr_2")
        aws.faults.add(Unanswered(["jr_2"], stopped=stopped), operation=STOP)
        findings = _by_run_id(glue.stop([batch("jr_1", "jr_2")], _budget()))
        assert findings["jr_1"].observation is Observation.SUBMITTED
        assert (findings["jr_2"].observation, findings["jr_2"].code) == (Observation.STATE, "NoAnswer")
        assert findings["jr_2"].run is not None
        assert findings["jr_2"].run.state == ("STOPPING" if stopped else "RUNNING")

    @pytest.mark.parametrize("fault", [EmptyBody(), TruncatedBody(), TruncatedBody(sent_bytes=1)], ids=repr)
    def test_truncated_answer_is_no_success(self, aws: FakeAws, glue: Glue, fault: Fault) -> None:
        """After an answer of 200 without a usable body, the states of all its runs are read."""
        _add_runs(aws, "jr_1", "jr_2")
        aws.faults.add(fault, operation=STOP)
        findings = glue.stop([batch("jr_1", "jr_2")], _budget())
        assert set(_observations(findings).values()) == {Observation.STATE}
        assert [finding.state for finding in findings] == ["STOPPING", "STOPPING"]
        assert _operations(aws) == {STOP: 1, PAGE: 1}

    @pytest.mark.parametrize(
        "code", ["JobRunCannotBeStoppedException", "InternalServiceException", "ACodeOfALaterGlue", ""]
    )
    def test_state_of_a_run_with_any_error_is_read(self, aws: FakeAws, glue: Glue, code: str) -> None:
        """Whatever the code of the refused run is, its state is read, and the other run is submitted."""
        _add_runs(aws, "jr_1", "jr_2")
        aws.faults.add(RunErrors(["jr_1"], code, "No."), operation=STOP)
        findings = _by_run_id(glue.stop([batch("jr_1", "jr_2")], _budget()))
        assert findings["jr_2"].observation is Observation.SUBMITTED
        refused = findings["jr_1"]
        assert (refused.observation, refused.code, refused.error) == (
            Observation.STATE,
            code or "NoAnswer",
            "No.",
        )

    def test_run_in_both_lists_counts_as_refused(self, aws: FakeAws, glue: Glue) -> None:
        """An answer that contradicts itself is not taken for success."""
        _add_runs(aws, "jr_1", state="SUCCEEDED")

        def contradict(call: Call, answer: Answer) -> Reply:
            payload = answer(call).payload
            return Reply(payload={**payload, "SuccessfulSubmissions": [{"JobName": "etl", "JobRunId": "jr_1"}]})

        aws.faults.add(contradict, operation=STOP)
        assert _observations(glue.stop([batch("jr_1")], _budget())) == {"jr_1": Observation.STATE}

    def test_error_without_a_detail_is_no_success(self, aws: FakeAws, glue: Glue) -> None:
        """The state of a run in Errors without any detail is read."""
        _add_runs(aws, "jr_1")
        payload = {"Errors": [{"JobName": "etl", "JobRunId": "jr_1"}]}
        aws.faults.add(lambda _call, _answer: Reply(payload=payload), operation=STOP)
        (finding,) = glue.stop([batch("jr_1")], _budget())
        assert (finding.observation, finding.code) == (Observation.STATE, "NoAnswer")

    @pytest.mark.parametrize("operation", [PAGE, RUN])
    @pytest.mark.parametrize(("fault", "code"), UNREADABLE, ids=repr)
    def test_finding_of_an_unread_run_has_the_error_code(
        self, aws: FakeAws, glue: Glue, operation: str, fault: Fault, code: str
    ) -> None:
        """A failed read concerns the runs of its own call only."""
        run_ids = _ids(1 if operation == RUN else 2)
        _add_runs(aws, *run_ids, state="SUCCEEDED")
        _add_runs(aws, "good", job_name="report", state="SUCCEEDED")
        aws.faults.add(fault, operation=operation, when=lambda call: call.parameters["JobName"] == "etl")
        findings = glue.stop([batch(*run_ids), batch("good", job_name="report")], _budget())
        failed = dict.fromkeys(run_ids, Observation.CALL_FAILED)
        assert _observations(findings) == {**failed, "good": Observation.STATE}
        assert {f.code for f in findings if f.observation is Observation.CALL_FAILED} == {code}

    @pytest.mark.parametrize(
        ("payload", "finding_has"),
        [
            ({"SuccessfulSubmissions": [_NAMED]}, ("", "", False)),
            ({"Errors": [{**_NAMED, "ErrorDetail": {"ErrorCode": "Odd"}}]}, ("Odd", "", False)),
            ({}, ("NoAnswer", _NOT_NAMED, True)),
            ({"Errors": [_NAMED]}, ("NoAnswer", "", False)),
        ],
    )
    def test_incomplete_answer_is_used_as_far_as_it_goes(
        self, aws: FakeAws, glue: Glue, payload: dict[str, Any], finding_has: tuple[str, str, bool]
    ) -> None:
        """A list or a detail that is missing does not hide what the answer does have."""
        _add_runs(aws, "jr_1")
        aws.faults.add(lambda _call, _answer: Reply(payload=payload), operation=STOP)
        (finding,) = glue.stop([batch("jr_1")], _budget())
        assert finding.observation is (
            Observation.SUBMITTED if "SuccessfulSubmissions" in payload else Observation.STATE
        )
        assert (finding.code, finding.error, finding.response_lost) == finding_has

    def test_failed_read_has_glues_message(self, aws: FakeAws, glue: Glue) -> None:
        """The finding has Glue's error code and its error message."""
        _add_runs(aws, "jr_1")
        aws.faults.add(Refused("AccessDeniedException", "Not yours"), operation=RUN)
        (finding,) = glue.read_states([target("jr_1")], _budget())
        assert (finding.code, finding.error) == ("AccessDeniedException", "Not yours")

    @pytest.mark.parametrize("operation", [PAGE, RUN])
    def test_empty_answer_to_a_read_is_a_failed_read(self, aws: FakeAws, glue: Glue, operation: str) -> None:
        """A read whose answer has no run in it shows nothing, and the finding has the code for it."""
        run_ids = _ids(1 if operation == RUN else 2)
        _add_runs(aws, *run_ids, state="SUCCEEDED")
        aws.faults.add(EmptyBody(), operation=PAGE)
        aws.faults.add(EmptyBody(), operation=RUN)
        findings = glue.stop([batch(*run_ids)], _budget())
        assert set(_observations(findings).values()) == {Observation.CALL_FAILED}
        assert {finding.code for finding in findings} == {"NoAnswer"}
        assert {result.outcome for result in decide_stops(findings, 8)} == {Outcome.RETRYING}

    def test_run_that_stopped_between_two_tries_of_a_call_is_confirmed(self, aws: FakeAws) -> None:
        """When botocore repeats a call after a lost answer, the first call may have stopped the run."""
        glue = _adapter(aws, retries={"mode": "standard", "total_max_attempts": 2})
        _add_runs(aws, "jr_1", stopping_seconds=0)
        aws.faults.add(LostAnswer(), operation=STOP, times=1)
        (result,) = decide_stops(glue.stop([batch("jr_1")], _budget()), 8)
        assert len(aws.requests(STOP)) == 2
        assert result.outcome is Outcome.ALREADY_STOPPING


class TestReadingStates:
    """States are read, and nothing is stopped."""

    def test_only_reads_are_called(self, aws: FakeAws, glue: Glue) -> None:
        """Several runs of a job take a page, and a single run takes its own call."""
        _add_runs(aws, *_ids(3))
        _add_runs(aws, "other", job_name="report", state="WAITING")
        findings = glue.read_states([*map(target, _ids(3)), target("other", "report")], _budget())
        assert {run_id: finding.state for run_id, finding in _by_run_id(findings).items()} == {
            **dict.fromkeys(_ids(3), "RUNNING"),
            "other": "WAITING",
        }
        assert _operations(aws) == {PAGE: 1, RUN: 1}

    def test_facts_are_glues_fields(self, aws: FakeAws, glue: Glue) -> None:
        """Times, workers, capacity and DPU-seconds are taken from Glue unchanged."""
        _add_runs(
            aws,
            "jr_1",
            state="STOPPED",
            started_on=datetime.fromtimestamp(1_795_400_000, UTC),
            WorkerType="R.8X",
            NumberOfWorkers=3,
            MaxCapacity=24.0,
            DPUSeconds=7.5,
            ExecutionTime=60,
            CompletedOn=1_795_500_000,
        )
        (finding,) = glue.read_states([target()], _budget())
        assert finding.run == RunFacts(
            run_id="jr_1",
            state="STOPPED",
            started_on=datetime.fromtimestamp(1_795_400_000, UTC),
            completed_on=datetime.fromtimestamp(1_795_500_000, UTC),
            execution_seconds=60,
            dpu_seconds=7.5,
            max_capacity=24.0,
            worker_type="R.8X",
            number_of_workers=3,
        )

    def test_facts_that_glue_leaves_out_are_unknown(self, aws: FakeAws, glue: Glue) -> None:
        """A run with an id and a state is enough."""
        answer = Reply(payload={"JobRun": {"Id": "jr_1", "JobRunState": "RUNNING"}})
        aws.faults.add(lambda _call, _answer: answer)
        (finding,) = glue.read_states([target()], _budget())
        assert finding.run == RunFacts("jr_1", "RUNNING")

    @pytest.mark.parametrize("count", [1, 5])
    def test_dry_run_without_time_is_deferred(self, aws: FakeAws, slow_glue: Glue, count: int) -> None:
        """A dry run that was not read, since no time was left, is deferred as a stop is."""
        budget = _budget(0.9)
        budget.start("batch_stop_job_run")
        targets = [target(f"jr_{number}", f"job {number}") for number in range(count)]
        findings = slow_glue.read_states(targets, budget)
        assert not aws.calls
        assert {result.outcome for result in decide_stops(findings, 8)} == {Outcome.DEFERRED}

    def test_refused_run_that_was_not_read_is_retried(self, aws: FakeAws, slow_glue: Glue) -> None:
        """A refused run has used an attempt. Deferring it could repeat without end."""
        _add_runs(aws, "jr_1")
        aws.faults.add(RunErrors(["jr_1"], ""), operation=STOP)
        (result,) = decide_stops(slow_glue.stop([batch("jr_1")], _budget(0.9)), 8)
        assert result.outcome is Outcome.RETRYING


class TestInvalidBatches:
    """An invalid run id does not keep the other runs of its batch from being stopped."""

    @pytest.mark.parametrize("place", [0, 12, 24])
    @pytest.mark.parametrize("code", ["InvalidInputException", "ValidationException"])
    def test_invalid_id_is_isolated(self, aws: FakeAws, glue: Glue, place: int, code: str) -> None:
        """A batch that is refused as invalid is halved until the invalid id is alone. The others stop."""
        run_ids = _ids(25)
        _add_runs(aws, *run_ids)
        invalid = run_ids[place]
        aws.faults.add(Refused(code, "Bad id"), when=naming(invalid))
        findings = _by_run_id(glue.stop([batch(*run_ids)], _budget()))
        assert (findings[invalid].observation, findings[invalid].code) == (Observation.CALL_FAILED, code)
        valid = [finding for run_id, finding in findings.items() if run_id != invalid]
        assert {finding.observation for finding in valid} == {Observation.SUBMITTED}
        assert len(findings) == 25
        assert len(aws.requests(STOP)) <= 2 * 5 + 1

    def test_several_invalid_ids_are_isolated(self, aws: FakeAws, glue: Glue) -> None:
        """Each invalid id is alone in the end, and none of their runs is stopped."""
        run_ids, invalid = _ids(25), {"jr_3", "jr_4", "jr_20"}
        _add_runs(aws, *run_ids)
        aws.faults.add(Refused("InvalidInputException"), operation=STOP, when=naming(*invalid))
        observations = _observations(glue.stop([batch(*run_ids)], _budget()))
        assert {run_id for run_id in run_ids if observations[run_id] is not Observation.SUBMITTED} == invalid
        assert {run.run_id for run in aws.glue if run.state == "RUNNING"} == invalid

    def test_state_of_an_invalid_id_is_read(self, aws: FakeAws, glue: Glue) -> None:
        """An id that is invalid only for stopping may be that of a run that is over."""
        _add_runs(aws, "jr_1", state="SUCCEEDED")
        aws.faults.add(Refused("InvalidInputException"), operation=STOP)
        assert _observations(glue.stop([batch("jr_1")], _budget())) == {"jr_1": Observation.STATE}

    def test_batch_of_an_invalid_job_is_not_halved(self, aws: FakeAws, glue: Glue) -> None:
        """Glue refuses the job's name in a read as well, so it would refuse each half."""
        aws.faults.add(Refused("InvalidInputException"))
        findings = glue.stop([batch(*_ids(25))], _budget())
        assert {finding.code for finding in findings} == {"InvalidInputException"}
        assert len(findings) == 25
        assert len(aws.requests(STOP)) == 1

    def test_halving_ends_when_glue_throttles(self, aws: FakeAws, slow_glue: Glue) -> None:
        """The halves that were not called are left for another invocation."""
        _add_runs(aws, *_ids(25))
        script = iter([Refused("InvalidInputException"), *[Throttle()] * 3])
        aws.faults.add(Decide(lambda _: next(script, None)), operation=STOP)
        batches = [batch(*_ids(4)), batch("jr_4"), batch("jr_5")]
        observations = _observations(slow_glue.stop(batches, _budget()))
        assert set(observations.values()) == {Observation.CALL_FAILED, Observation.NOT_CALLED}
        assert observations["jr_5"] is Observation.NOT_CALLED
        assert len(aws.requests(STOP)) == 4


class TestFailedCalls:
    """A call that fails as a whole."""

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (Throttle(), "ThrottlingException"),
            (Refused("OperationTimeoutException"), "OperationTimeoutException"),
            (Refused("InternalServiceException", status=500), "InternalServiceException"),
            (Refused("ACodeOfALaterGlue"), "ACodeOfALaterGlue"),
            (LostAnswer(), "ConnectionClosedError"),
            (Reset(), "ConnectionClosedError"),
            (TruncatedBody(whole_length=True), "ConnectionClosedError"),
        ],
        ids=repr,
    )
    def test_findings_of_a_failed_call_have_the_code(
        self, aws: FakeAws, glue: Glue, fault: Fault, code: str
    ) -> None:
        """No call is spent to read the states of the runs of a failed call."""
        _add_runs(aws, "jr_1", "jr_2")
        aws.faults.add(fault, operation=STOP)
        findings = glue.stop([batch("jr_1", "jr_2")], _budget())
        assert set(_observations(findings).values()) == {Observation.CALL_FAILED}
        assert {finding.code for finding in findings} == {code}
        assert _operations(aws) == {STOP: 1}

    def test_call_that_times_out_has_failed(self, aws: FakeAws) -> None:
        """The runs of a call without response in time are retried."""
        glue = _adapter(aws, read_timeout=0.05)
        _add_runs(aws, "jr_1")
        aws.faults.add(Latency(0.2))
        (finding,) = glue.stop([batch("jr_1")], _budget())
        assert (finding.observation, finding.code) == (Observation.CALL_FAILED, "ReadTimeoutError")

    @pytest.mark.parametrize(
        ("payload", "error"),
        [
            ({"SuccessfulSubmissions": [{}]}, re.escape(_NOT_NAMED)),
            ({"Errors": [{"ErrorDetail": {"ErrorCode": "X"}}]}, re.escape(_NOT_NAMED)),
            ({"SuccessfulSubmissions": 5}, r"\w+Error\(.+\)"),
            ({"Errors": {"JobRunId": "jr_1"}}, r"\w+Error\(.+\)"),
        ],
        ids=repr,
    )
    def test_malformed_answer_concerns_its_batch_only(
        self, aws: FakeAws, glue: Glue, payload: dict[str, Any], error: str
    ) -> None:
        """The states of the batch are read, and the findings have the reason or botocore's exception."""
        _add_runs(aws, "jr_1")
        _add_runs(aws, "good", job_name="report")
        aws.faults.add(lambda _call, _answer: Reply(payload=payload), operation=STOP, when=naming("jr_1"))
        findings = glue.stop([batch("jr_1"), batch("good", job_name="report")], _budget())
        assert _observations(findings) == {"jr_1": Observation.STATE, "good": Observation.SUBMITTED}
        assert {finding.code for finding in findings} == {"NoAnswer", ""}
        assert re.fullmatch(error, "".join(finding.error for finding in findings))

    @pytest.mark.parametrize(
        ("throttled", "observation"), [(1, Observation.SUBMITTED), (2, Observation.CALL_FAILED)]
    )
    def test_retries_of_botocore_are_counted(
        self, aws: FakeAws, throttled: int, observation: Observation
    ) -> None:
        """A call that botocore repeats counts again, whether it succeeds or not."""
        glue = _adapter(aws, retries={"mode": "standard", "total_max_attempts": 2})
        _add_runs(aws, "jr_1")
        aws.faults.add(Throttle(), times=throttled)
        budget = _budget()
        assert _observations(glue.stop([batch("jr_1")], budget)) == {"jr_1": observation}
        assert budget.calls == {"batch_stop_job_run": 2}

    def test_text_of_a_call_error_has_code_and_message(self) -> None:
        """A traceback with the error shows Glue's code and Glue's message."""
        assert str(CallError("Odd", "Not today")) == "('Odd', 'Not today')"


class TestCallBudget:
    """The call budget decides which calls start."""

    def test_throttling_ends_the_calls(self, aws: FakeAws, slow_glue: Glue) -> None:
        """After three throttled calls no more start in the invocation, neither stops nor reads."""
        aws.faults.add(Throttle())
        batches = [batch(f"jr_{number}", job_name=f"job {number}") for number in range(12)]
        budget = _budget()
        observations = Counter(_observations(slow_glue.stop(batches, budget)).values())
        assert observations == {Observation.CALL_FAILED: 3, Observation.NOT_CALLED: 9}
        assert _operations(aws) == {STOP: 3}
        slow_glue.read_states([target()], budget)
        assert _operations(aws) == {STOP: 3}

    @pytest.mark.parametrize(
        "code", ["Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"]
    )
    def test_throttling_has_several_codes(self, aws: FakeAws, slow_glue: Glue, code: str) -> None:
        """Each error code with which AWS throttles counts."""
        aws.faults.add(Refused(code))
        slow_glue.stop([batch(f"jr_{n}", job_name=f"job {n}") for n in range(5)], _budget())
        assert len(aws.calls) == 3

    def test_other_errors_do_not_end_the_calls(self, aws: FakeAws, slow_glue: Glue) -> None:
        """Only throttling is a reason to make fewer calls."""
        aws.faults.add(Refused("InternalServiceException", status=500))
        slow_glue.stop([batch(f"jr_{n}", job_name=f"job {n}") for n in range(5)], _budget())
        assert len(aws.calls) == 5

    def test_first_call_always_starts(self, aws: FakeAws, slow_glue: Glue) -> None:
        """With too little time for a call one still starts, so that every invocation makes progress."""
        _add_runs(aws, *_ids(3))
        findings = slow_glue.stop([batch(run_id) for run_id in _ids(3)], _budget(0.9))
        assert Counter(_observations(findings).values()) == {
            Observation.SUBMITTED: 1,
            Observation.NOT_CALLED: 2,
        }
        assert _operations(aws) == {STOP: 1}

    def test_no_response_is_waited_for_past_the_deadline(
        self, aws: FakeAws, slow_glue: Glue, released: Event
    ) -> None:
        """At the deadline a call without response leaves its run unknown, and a call that waits is not made."""
        _add_runs(aws, "jr_1", "jr_2")

        def hang(call: Call, answer: Answer) -> Reply:
            released.wait(5)
            return answer(call)

        aws.faults.add(hang)
        findings = slow_glue.stop([batch("jr_1"), batch("jr_2")], _budget(0.2))
        released.set()
        assert _observations(findings) == {"jr_1": Observation.UNKNOWN, "jr_2": Observation.NOT_CALLED}
        assert [(f.code, f.error) for f in findings if f.observation is Observation.UNKNOWN] == [
            ("NoAnswer", "no answer arrived before the function's deadline")
        ]


class TestDenial:
    """Whether IAM denies a call because of the protect tag."""

    @pytest.mark.parametrize(
        ("tags", "observation"),
        [
            ({PROTECT_TAG: "true"}, Observation.PROTECTED),
            ({PROTECT_TAG: ""}, Observation.PROTECTED),
            ({}, Observation.DENIED),
            ({"owner": "me"}, Observation.DENIED),
            ({PROTECT_TAG.upper(): "true"}, Observation.PROTECTED),
        ],
    )
    @pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
    def test_tags_of_the_job_decide(
        self, aws: FakeAws, glue: Glue, tags: dict[str, str], observation: Observation, code: str
    ) -> None:
        """A denied job with the protect tag, in any case, is protected. One call a job reads the tags."""
        aws.glue.add_job("etl", tags=tags)
        aws.faults.add(Refused(code, "No."), operation=STOP)
        findings = glue.stop([batch(*_ids(25)), batch(*_ids(5, 25))], _budget())
        assert set(_observations(findings).values()) == {observation}
        assert {(finding.code, finding.error) for finding in findings} == {(code, "No.")}
        assert aws.requests(TAGS) == [{"ResourceArn": f"arn:aws:glue:{REGION}:{ACCOUNT}:job/etl"}]
        assert _operations(aws) == {STOP: 2, TAGS: 1}

    def test_denial_concerns_its_job_only(self, aws: FakeAws, glue: Glue) -> None:
        """The tags of each denied job are read, and the runs of the other jobs are stopped."""
        aws.glue.add_job("etl", tags={PROTECT_TAG: "true"})
        _add_runs(aws, "good", job_name="report")
        aws.faults.add(DENIED, operation=STOP, when=naming("jr_1", "jr_2"))
        findings = glue.stop(
            [batch("jr_1"), batch("jr_2", job_name="other"), batch("good", job_name="report")], _budget()
        )
        assert _observations(findings) == {
            "jr_1": Observation.PROTECTED,
            "jr_2": Observation.NOT_FOUND,
            "good": Observation.SUBMITTED,
        }

    def test_tags_are_read_for_a_run_that_is_denied_alone(self, aws: FakeAws, glue: Glue) -> None:
        """A denial of a single run within an answer counts as well."""
        _add_runs(aws, "jr_2")
        aws.faults.add(RunErrors(["jr_1"], "AccessDeniedException"), operation=STOP)
        aws.glue.add_job("etl", tags={PROTECT_TAG: "true"})
        assert _observations(glue.stop([batch("jr_1", "jr_2")], _budget())) == {
            "jr_1": Observation.PROTECTED,
            "jr_2": Observation.SUBMITTED,
        }

    def test_job_whose_tags_are_denied_is_denied(self, aws: FakeAws, glue: Glue) -> None:
        """Without permission to read the tags, the finding is a denial."""
        aws.faults.add(DENIED)
        (finding,) = glue.stop([batch("jr_1")], _budget())
        assert (finding.observation, finding.code) == (Observation.DENIED, "AccessDeniedException")

    @pytest.mark.parametrize(("fault", "code"), UNREADABLE, ids=repr)
    def test_target_is_retried_when_its_tags_could_not_be_read(
        self, aws: FakeAws, glue: Glue, fault: Fault, code: str
    ) -> None:
        """A denial without tags is retried, since the job may be protected."""
        aws.glue.add_job("etl", tags={PROTECT_TAG: "true"})
        aws.faults.add(DENIED, operation=STOP)
        aws.faults.add(fault, operation=TAGS)
        (finding,) = glue.stop([batch("jr_1")], _budget())
        assert (finding.observation, finding.code) == (Observation.CALL_FAILED, code)
        assert decide_stops([finding], 8)[0].outcome is Outcome.RETRYING

    def test_target_is_retried_after_an_empty_answer(self, aws: FakeAws, glue: Glue) -> None:
        """An empty answer to GetTags does not prove that the job has no tag."""
        aws.faults.add(DENIED, operation=STOP)
        aws.faults.add(EmptyBody(), operation=TAGS)
        (finding,) = glue.stop([batch("jr_1")], _budget())
        assert decide_stops([finding], 8)[0].outcome is Outcome.RETRYING

    def test_target_does_not_fail_without_time_to_read_its_tags(
        self, aws: FakeAws, slow_glue: Glue, released: Event
    ) -> None:
        """A denied job whose tags were not read in time may be protected, so it has not failed."""
        batches = [batch(f"jr_{number}", job_name=f"job {number}") for number in range(3)]
        for number in range(3):
            aws.glue.add_job(f"job {number}", tags={PROTECT_TAG: "true"})
        aws.faults.add(DENIED, operation=STOP)

        def hang(call: Call, answer: Answer) -> Reply:
            released.wait(5)
            return answer(call)

        aws.faults.add(hang, operation=TAGS)
        findings = slow_glue.stop(batches, _budget(1.0))
        assert Outcome.FAILED not in {result.outcome for result in decide_stops(findings, 8)}


faults = st.sampled_from(
    [
        None,
        None,
        None,
        Throttle(),
        DENIED,
        Refused("InvalidInputException"),
        Refused("OperationTimeoutException"),
        Refused("EntityNotFoundException"),
        Refused("InternalServiceException", status=500),
        Refused("Surprise"),
        LostAnswer(),
        Reset(),
        EmptyBody(),
        TruncatedBody(),
        TruncatedBody(whole_length=True),
    ]
)
run_faults = st.sampled_from(
    [
        None,
        Unanswered(["jr_1", "jr_2"]),
        Unanswered(["jr_1"], stopped=False),
        RunErrors(["jr_0", "jr_3"], "Surprise"),
    ]
)


class TestAnyFault:
    """Each target has one finding, whatever happens to the calls."""

    @given(
        script=st.lists(faults, max_size=12),
        run_fault=run_faults,
        states=st.lists(
            st.sampled_from(["RUNNING", "STOPPING", "SUCCEEDED", "missing"]), min_size=1, max_size=9
        ),
        calls_at_once=st.integers(1, 3),
    )
    @hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_each_target_has_exactly_one_finding(  # noqa: PLR0913 - two fixtures, and what is drawn
        self,
        aws: FakeAws,
        glue: Glue,
        *,
        script: list[Fault | None],
        run_fault: Fault | None,
        states: list[str],
        calls_at_once: int,
    ) -> None:
        """Each target is found once, and a run that is reported as submitted is STOPPING."""
        example = next(_examples)
        targets = [target(f"jr_{number}", f"job {example}.{number % 2}") for number in range(len(states))]
        for stop_target, state in zip(targets, states, strict=True):
            run = stop_target.run
            if state != "missing":
                _add_runs(aws, run.run_id, job_name=run.job_name, state=state, stopping_seconds=None)
        scripted = iter(script)
        aws.calls.clear()
        aws.faults.clear()
        aws.faults.add(Decide(lambda _: next(scripted, None)))
        if run_fault:
            aws.faults.add(run_fault, operation=STOP)
        glue, budget = replace(glue, calls_at_once=calls_at_once), _budget()
        findings = glue.stop(list(_small_batches(targets)), budget)
        expected = Counter(stop_target.run for stop_target in targets)
        assert Counter(finding.target.run for finding in findings) == expected
        for finding in findings:
            if finding.observation is Observation.SUBMITTED:
                run = finding.target.run
                assert aws.glue.run(run.job_name, run.run_id).state == "STOPPING"
        assert sum(budget.calls.values()) == len(aws.calls) >= 1
        states_read = glue.read_states(targets, budget)
        assert Counter(finding.target.run for finding in states_read) == expected


# Each example has jobs of its own, so that all of them share one fake and one client.
_examples: Final = count()


def _small_batches(targets: list[StopTarget]) -> Iterator[StopBatch]:
    """Put the targets of a job into batches of three, since more calls meet more faults."""
    for job_name, of_job in grouped(targets, lambda stop_target: stop_target.run.job_name).items():
        for small in chunked(of_job, 3):
            yield StopBatch(job_name, tuple(small))
