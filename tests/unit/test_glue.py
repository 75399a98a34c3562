"""Glue: one call a batch, and a finding for each demand whatever happens to the calls."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gluebrake.aws.glue import CallBudget, CallError, Glue, NotStartedError
from gluebrake.decisions.stop_outcomes import decide_stops
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
ONE: Final = "GetJobRun"
TAGS: Final = "GetTags"
PROTECT_TAG: Final = "gluebrake:protect"
UNREADABLE: Final = [
    (Throttle(), "ThrottlingException"),
    (Refused("InternalServiceException", status=500), "InternalServiceException"),
    (LostAnswer(), "ConnectionClosedError"),
]
DENIED: Final = Refused("AccessDeniedException", "You are not allowed")


_NAMED: Final = {"JobName": "etl", "JobRunId": "jr_1"}
_SILENCE: Final = "Glue's answer names the run neither as submitted nor as refused"


def _adapter(aws: FakeAws, calls_at_once: int = 8, **config: Any) -> Glue:
    options = aws.client_options
    client = boto3.client("glue", **{**options, "config": options["config"].merge(Config(**config))})
    return Glue(client, calls_at_once, PROTECT_TAG, f"arn:aws:glue:{REGION}:{ACCOUNT}:job/")


@pytest.fixture
def glue(aws: FakeAws) -> Glue:
    """Connect to the fake, with a client that tries once."""
    return _adapter(aws)


@pytest.fixture
def slow_glue(aws: FakeAws) -> Glue:
    """Connect to the fake, one call at a time."""
    return _adapter(aws, calls_at_once=1)


@pytest.fixture
def released() -> Iterator[Event]:
    """Hold a fault up until the test is over, so that no thread outlives it."""
    event = Event()
    yield event
    event.set()


def _pace(seconds: float = 30) -> CallBudget:
    return CallBudget(lambda: seconds)


def _seen(findings: Sequence[Finding]) -> dict[str, Observation]:
    """Return what was seen of each run; that there is one finding for each is asserted on the way."""
    observation = {finding.target.run.run_id: finding.observation for finding in findings}
    assert len(observation) == len(findings)
    return observation


def _ids(count: int, start: int = 0) -> list[str]:
    return [f"jr_{number}" for number in range(start, start + count)]


def _operations(aws: FakeAws) -> Counter[str]:
    return Counter(call.operation for call in aws.calls)


def _run(aws: FakeAws, *run_ids: str, job_name: str = "etl", **details: Any) -> None:
    for run_id in run_ids:
        aws.glue.add_run(job_name, run_id, **details)


class TestStopping:
    """BatchStopJobRun, and what its answer says."""

    def test_call_has_what_glue_takes(self, aws: FakeAws, slow_glue: Glue) -> None:
        """The job's name and the run ids are sent under the names of Glue's model, and nothing else is."""
        submitted = [{"JobName": "etl", "JobRunId": run_id} for run_id in ("jr_1", "jr_2")]
        with Stubber(slow_glue.client) as stubber:
            stubber.add_response(
                "batch_stop_job_run",
                {"SuccessfulSubmissions": submitted, "Errors": []},
                {"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]},
            )
            findings = slow_glue.stop([batch("jr_1", "jr_2")], _pace())
            stubber.assert_no_pending_responses()
        assert _seen(findings) == {"jr_1": Observation.SUBMITTED, "jr_2": Observation.SUBMITTED}
        assert not aws.calls

    def test_each_batch_is_one_call(self, aws: FakeAws, glue: Glue) -> None:
        """When Glue answers, there are as many calls as batches, and no others."""
        _run(aws, *_ids(30))
        _run(aws, "other", job_name="report")
        budget = _pace()
        findings = glue.stop([batch(*_ids(25)), batch(*_ids(5, 25)), batch("other", job_name="report")], budget)
        assert set(_seen(findings).values()) == {Observation.SUBMITTED}
        assert len(findings) == 31
        assert {run.state for run in aws.glue} == {"STOPPING"}
        assert _operations(aws) == {STOP: 3}
        assert budget.calls == {"batch_stop_job_run": 3}

    def test_nothing_to_stop_is_no_call(self, aws: FakeAws, glue: Glue) -> None:
        """Without batches and looks nothing is called."""
        assert glue.stop([], _pace()) == []
        assert glue.look([], _pace()) == []
        assert not aws.calls

    def test_calls_at_once_are_bounded(self, aws: FakeAws) -> None:
        """No more connections are open than calls may be under way, and those are made use of."""
        glue = _adapter(aws, calls_at_once=4)
        aws.faults.add(Latency(0.02))
        batches = []
        for number in range(24):
            _run(aws, f"jr_{number}", job_name=f"job {number}")
            batches.append(batch(f"jr_{number}", job_name=f"job {number}"))
        findings = glue.stop(batches, _pace())
        assert set(_seen(findings).values()) == {Observation.SUBMITTED}
        assert 2 <= len(aws.connections) <= 4

    def test_findings_carry_their_demands(self, aws: FakeAws, glue: Glue) -> None:
        """What is found comes with all that is known of the demand."""
        _run(aws, "jr_1")
        wanted = target(attempt=3, message_ids=("m-1", "m-2"))
        assert glue.stop([StopBatch("etl", (wanted,))], _pace()) == [Finding(wanted, Observation.SUBMITTED)]


class TestReadingBack:
    """The states of runs in doubt, with the fewest calls."""

    @pytest.mark.parametrize("state", ["STOPPING", "STOPPED", "SUCCEEDED", "FAILED", "ERROR", "EXPIRED"])
    def test_refused_run_is_looked_at(self, aws: FakeAws, glue: Glue, state: str) -> None:
        """A run that Glue refused is decided by its state; Glue's code goes along."""
        _run(aws, "jr_1", state=state, stopping_seconds=None)
        (finding,) = glue.stop([batch("jr_1")], _pace())
        assert (finding.observation, finding.code) == (Observation.STATE, "JobRunCannotBeStoppedException")
        assert finding.run is not None
        assert finding.run.state == state
        assert _operations(aws) == {STOP: 1, ONE: 1}

    def test_several_runs_of_a_job_take_one_page(self, aws: FakeAws, glue: Glue) -> None:
        """The runs in doubt of a job are found on one page of its newest runs, whichever batch they are of."""
        _run(aws, *_ids(40), state="SUCCEEDED")
        _run(aws, *_ids(3, 100), job_name="report", state="FAILED")
        findings = glue.stop(
            [batch(*_ids(25)), batch(*_ids(15, 25)), batch(*_ids(3, 100), job_name="report")], _pace()
        )
        assert set(_seen(findings).values()) == {Observation.STATE}
        assert len(findings) == 43
        assert _operations(aws) == {STOP: 3, PAGE: 2}
        assert [page["MaxResults"] for page in aws.requests(PAGE)] == [200, 200]

    def test_runs_that_are_not_on_the_page_are_asked_for(self, aws: FakeAws, glue: Glue) -> None:
        """After a page that shows only one of them, each of the others takes a call of its own."""
        now = datetime.now(UTC)
        _run(aws, "old 1", "old 2", state="SUCCEEDED", started_on=now - timedelta(days=1))
        _run(aws, *_ids(200), state="SUCCEEDED", started_on=now)
        findings = glue.stop([batch("old 1", "old 2", "jr_0", "unknown")], _pace())
        assert _seen(findings) == {
            "old 1": Observation.STATE,
            "old 2": Observation.STATE,
            "jr_0": Observation.STATE,
            "unknown": Observation.NOT_FOUND,
        }
        assert _operations(aws) == {STOP: 1, PAGE: 1, ONE: 3}
        assert {one["RunId"] for one in aws.requests(ONE)} == {"old 1", "old 2", "unknown"}

    def test_pages_are_read_while_they_show_several_runs(self, aws: FakeAws, glue: Glue) -> None:
        """As many runs as were stopped at once stand on a few pages: that spares a call for each."""
        _run(aws, *_ids(450), state="SUCCEEDED")
        findings = glue.look([target(run_id) for run_id in _ids(450)], _pace())
        assert _seen(findings) == dict.fromkeys(_ids(450), Observation.STATE)
        assert _operations(aws) == {PAGE: 3}

    @pytest.mark.parametrize(("shown", "left"), [(2, 2), (2, 3), (3, 2)])
    def test_two_runs_are_several(self, aws: FakeAws, glue: Glue, shown: int, left: int) -> None:
        """A page that showed two is worth the next when two are left: one call in the place of two."""
        run_ids = _ids(shown + left)
        _run(aws, *run_ids[:left], state="SUCCEEDED")
        _run(aws, *(f"between {number}" for number in range(200 - shown)), state="SUCCEEDED")
        _run(aws, *run_ids[left:], state="SUCCEEDED")
        findings = glue.look([target(run_id) for run_id in run_ids], _pace())
        assert _seen(findings) == dict.fromkeys(run_ids, Observation.STATE)
        assert _operations(aws) == {PAGE: 2}

    def test_no_page_is_read_for_the_last_run(self, aws: FakeAws, glue: Glue) -> None:
        """A further page is read for several runs only: for one, its own call shows it for certain."""
        _run(aws, *_ids(201), state="SUCCEEDED")
        findings = glue.look([target(run_id) for run_id in _ids(201)], _pace())
        assert set(_seen(findings).values()) == {Observation.STATE}
        assert _operations(aws) == {PAGE: 1, ONE: 1}

    def test_what_a_page_showed_is_kept_when_the_next_fails(self, aws: FakeAws, glue: Glue) -> None:
        """A further page that Glue does not give leaves only the runs unread that were not seen before."""
        _run(aws, *_ids(300), state="SUCCEEDED")
        aws.faults.add(Throttle(), operation=PAGE, when=lambda call: "NextToken" in call.parameters)
        findings = glue.look([target(run_id) for run_id in _ids(300)], _pace())
        assert Counter(_seen(findings).values()) == {Observation.STATE: 200, Observation.CALL_FAILED: 100}

    def test_what_a_page_showed_is_kept_when_the_next_does_not_start(self, aws: FakeAws, glue: Glue) -> None:
        """A page that the pace does not let start leaves the other runs as if they had not been looked at."""
        _run(aws, *_ids(300), state="SUCCEEDED")
        budget = _pace()
        budget.throttled = 3  # from now on the first call is the last
        findings = glue.look([target(run_id) for run_id in _ids(300)], budget)
        assert Counter(_seen(findings).values()) == {Observation.STATE: 200, Observation.NOT_CALLED: 100}

    def test_only_the_runs_in_doubt_are_read(self, aws: FakeAws, glue: Glue) -> None:
        """A run that was submitted is not looked at."""
        _run(aws, "jr_1", "jr_2")
        _run(aws, "jr_3", state="SUCCEEDED")
        findings = glue.stop([batch("jr_1", "jr_2", "jr_3")], _pace())
        assert _seen(findings) == {
            "jr_1": Observation.SUBMITTED,
            "jr_2": Observation.SUBMITTED,
            "jr_3": Observation.STATE,
        }
        assert aws.requests(ONE) == [{"JobName": "etl", "RunId": "jr_3"}]

    @pytest.mark.parametrize("count", [1, 2])
    def test_unknown_job_is_not_found(self, aws: FakeAws, glue: Glue, count: int) -> None:
        """A job that Glue does not know takes one look, however many runs are said to be its."""
        findings = glue.stop([batch(*_ids(count))], _pace())
        assert set(_seen(findings).values()) == {Observation.NOT_FOUND}
        assert {finding.code for finding in findings} == {"EntityNotFoundException"}
        assert _operations(aws) == {STOP: 1, ONE if count == 1 else PAGE: 1}

    @pytest.mark.parametrize("stopped", [False, True])
    def test_run_that_the_answer_leaves_out_is_read_back(
        self, aws: FakeAws, glue: Glue, *, stopped: bool
    ) -> None:
        """Silence is never success: the run's state tells."""
        _run(aws, "jr_1", "jr_2")
        aws.faults.add(Unanswered(["jr_2"], stopped=stopped), operation=STOP)
        found = {one.target.run.run_id: one for one in glue.stop([batch("jr_1", "jr_2")], _pace())}
        assert found["jr_1"].observation is Observation.SUBMITTED
        assert (found["jr_2"].observation, found["jr_2"].code) == (Observation.STATE, "NoAnswer")
        assert found["jr_2"].run is not None
        assert found["jr_2"].run.state == ("STOPPING" if stopped else "RUNNING")

    @pytest.mark.parametrize("fault", [EmptyBody(), TruncatedBody(), TruncatedBody(sent_bytes=1)], ids=repr)
    def test_answer_that_ends_early_is_no_success(self, aws: FakeAws, glue: Glue, fault: Fault) -> None:
        """An answer of 200 whose body says nothing makes each of its runs be read back."""
        _run(aws, "jr_1", "jr_2")
        aws.faults.add(fault, operation=STOP)
        findings = glue.stop([batch("jr_1", "jr_2")], _pace())
        assert set(_seen(findings).values()) == {Observation.STATE}
        assert [one.run and one.run.state for one in findings] == ["STOPPING", "STOPPING"]
        assert _operations(aws) == {STOP: 1, PAGE: 1}

    @pytest.mark.parametrize(
        "code", ["JobRunCannotBeStoppedException", "InternalServiceException", "ACodeOfALaterGlue", ""]
    )
    def test_any_error_of_a_run_is_decided_by_its_state(self, aws: FakeAws, glue: Glue, code: str) -> None:
        """Whatever code a run is refused with, its neighbours are submitted, and it is looked at."""
        _run(aws, "jr_1", "jr_2")
        aws.faults.add(RunErrors(["jr_1"], code, "No."), operation=STOP)
        found = {one.target.run.run_id: one for one in glue.stop([batch("jr_1", "jr_2")], _pace())}
        assert found["jr_2"].observation is Observation.SUBMITTED
        assert (found["jr_1"].observation, found["jr_1"].code, found["jr_1"].error) == (
            Observation.STATE,
            code or "NoAnswer",
            "No.",
        )

    def test_run_in_both_lists_was_refused(self, aws: FakeAws, glue: Glue) -> None:
        """An answer that contradicts itself is not taken for success."""
        _run(aws, "jr_1", state="SUCCEEDED")

        def contradict(call: Call, answer: Answer) -> Reply:
            payload = answer(call).payload
            return Reply(payload={**payload, "SuccessfulSubmissions": [{"JobName": "etl", "JobRunId": "jr_1"}]})

        aws.faults.add(contradict, operation=STOP)
        assert _seen(glue.stop([batch("jr_1")], _pace())) == {"jr_1": Observation.STATE}

    def test_error_without_a_detail_is_no_success(self, aws: FakeAws, glue: Glue) -> None:
        """A run in Errors without any detail is read back."""
        _run(aws, "jr_1")
        payload = {"Errors": [{"JobName": "etl", "JobRunId": "jr_1"}]}
        aws.faults.add(lambda _call, _answer: Reply(payload=payload), operation=STOP)
        (finding,) = glue.stop([batch("jr_1")], _pace())
        assert (finding.observation, finding.code) == (Observation.STATE, "NoAnswer")

    @pytest.mark.parametrize("operation", [PAGE, ONE])
    @pytest.mark.parametrize(("fault", "code"), UNREADABLE, ids=repr)
    def test_run_that_cannot_be_read_is_told_with_the_reason(
        self, aws: FakeAws, glue: Glue, operation: str, fault: Fault, code: str
    ) -> None:
        """A look that fails says why, and no other run suffers."""
        run_ids = _ids(1 if operation == ONE else 2)
        _run(aws, *run_ids, state="SUCCEEDED")
        _run(aws, "good", job_name="report", state="SUCCEEDED")
        aws.faults.add(fault, operation=operation, when=lambda call: call.parameters["JobName"] == "etl")
        findings = glue.stop([batch(*run_ids), batch("good", job_name="report")], _pace())
        assert _seen(findings) == {**dict.fromkeys(run_ids, Observation.CALL_FAILED), "good": Observation.STATE}
        assert {one.code for one in findings if one.observation is Observation.CALL_FAILED} == {code}

    @pytest.mark.parametrize(
        ("payload", "told"),
        [
            ({"SuccessfulSubmissions": [_NAMED]}, ("", "", False)),
            ({"Errors": [{**_NAMED, "ErrorDetail": {"ErrorCode": "Odd"}}]}, ("Odd", "", False)),
            ({}, ("NoAnswer", _SILENCE, True)),
            ({"Errors": [_NAMED]}, ("NoAnswer", _SILENCE, True)),
        ],
    )
    def test_answer_without_a_part_of_it_says_what_is_left(
        self, aws: FakeAws, glue: Glue, payload: dict[str, Any], told: tuple[str, str, bool]
    ) -> None:
        """A list or a detail that Glue leaves out hides nothing that it does say."""
        _run(aws, "jr_1")
        aws.faults.add(lambda _call, _answer: Reply(payload=payload), operation=STOP)
        (finding,) = glue.stop([batch("jr_1")], _pace())
        assert finding.observation is (
            Observation.SUBMITTED if "SuccessfulSubmissions" in payload else Observation.STATE
        )
        assert (finding.code, finding.error, finding.response_lost) == told

    def test_look_that_fails_is_told_in_glues_words(self, aws: FakeAws, glue: Glue) -> None:
        """What Glue said of the refusal stands beside its code."""
        _run(aws, "jr_1")
        aws.faults.add(Refused("AccessDeniedException", "Not yours"), operation=ONE)
        (finding,) = glue.look([target("jr_1")], _pace())
        assert (finding.code, finding.error) == ("AccessDeniedException", "Not yours")

    @pytest.mark.parametrize("operation", [PAGE, ONE])
    def test_look_without_an_answer_leaves_the_run_in_doubt(
        self, aws: FakeAws, glue: Glue, operation: str
    ) -> None:
        """A look whose answer has no run in it found nothing out."""
        run_ids = _ids(1 if operation == ONE else 2)
        _run(aws, *run_ids, state="SUCCEEDED")
        aws.faults.add(EmptyBody(), operation=PAGE)
        aws.faults.add(EmptyBody(), operation=ONE)
        findings = glue.stop([batch(*run_ids)], _pace())
        assert set(_seen(findings).values()) == {Observation.UNKNOWN}
        assert {one.code for one in findings} == {"JobRunCannotBeStoppedException"}

    def test_run_that_stopped_between_two_tries_of_a_call_may_have_been_stopped_by_us(
        self, aws: FakeAws
    ) -> None:
        """When botocore asks again after a lost answer, a run that is STOPPED by then is confirmed."""
        glue = _adapter(aws, retries={"mode": "standard", "total_max_attempts": 2})
        _run(aws, "jr_1", stopping_seconds=0)
        aws.faults.add(LostAnswer(), operation=STOP, times=1)
        (result,) = decide_stops(glue.stop([batch("jr_1")], _pace()), 8)
        assert len(aws.requests(STOP)) == 2
        assert result.outcome is Outcome.ALREADY_STOPPING


class TestLooking:
    """States alone."""

    def test_look_calls_nothing_but_reads(self, aws: FakeAws, glue: Glue) -> None:
        """Looking reads each job's page, or the one run, and stops nothing."""
        _run(aws, *_ids(3))
        _run(aws, "other", job_name="report", state="WAITING")
        findings = glue.look([*map(target, _ids(3)), target("other", "report")], _pace())
        assert {one.target.run.run_id: one.run and one.run.state for one in findings} == {
            **dict.fromkeys(_ids(3), "RUNNING"),
            "other": "WAITING",
        }
        assert _operations(aws) == {PAGE: 1, ONE: 1}

    def test_facts_are_glues_own(self, aws: FakeAws, glue: Glue) -> None:
        """What a run cost is taken over as Glue says it."""
        _run(
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
        (finding,) = glue.look([target()], _pace())
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
        """A run of which Glue says next to nothing has a state."""
        answer = Reply(payload={"JobRun": {"Id": "jr_1", "JobRunState": "RUNNING"}})
        aws.faults.add(lambda _call, _answer: answer)
        (finding,) = glue.look([target()], _pace())
        assert finding.run == RunFacts("jr_1", "RUNNING")

    @pytest.mark.parametrize("count", [1, 5])
    def test_dry_run_that_was_not_looked_at_was_not_called(
        self, aws: FakeAws, slow_glue: Glue, count: int
    ) -> None:
        """A dry run for which no time was left is deferred, as a stop is."""
        budget = _pace(0.9)
        budget.start("batch_stop_job_run")
        findings = slow_glue.look([target(f"jr_{number}", f"job {number}") for number in range(count)], budget)
        assert not aws.calls
        assert {result.outcome for result in decide_stops(findings, 8)} == {Outcome.DEFERRED}

    def test_refused_run_that_was_not_looked_at_was_called(self, aws: FakeAws, slow_glue: Glue) -> None:
        """A run that was refused, for whatever reason, used up an attempt, or it is deferred for ever."""
        _run(aws, "jr_1")
        aws.faults.add(RunErrors(["jr_1"], ""), operation=STOP)
        (result,) = decide_stops(slow_glue.stop([batch("jr_1")], _pace(0.9)), 8)
        assert result.outcome is Outcome.RETRYING


class TestInvalidBatches:
    """One bad id never takes the good ones down."""

    @pytest.mark.parametrize("place", [0, 12, 24])
    @pytest.mark.parametrize("code", ["InvalidInputException", "ValidationException"])
    def test_culprit_is_isolated(self, aws: FakeAws, glue: Glue, place: int, code: str) -> None:
        """A batch that is refused as invalid is halved until the bad id stands alone; the others stop."""
        run_ids = _ids(25)
        _run(aws, *run_ids)
        bad = run_ids[place]
        aws.faults.add(Refused(code, "Bad id"), when=naming(bad))
        found = {one.target.run.run_id: one for one in glue.stop([batch(*run_ids)], _pace())}
        assert (found[bad].observation, found[bad].code) == (Observation.CALL_FAILED, code)
        assert {one.observation for run_id, one in found.items() if run_id != bad} == {Observation.SUBMITTED}
        assert len(found) == 25
        assert len(aws.requests(STOP)) <= 2 * 5 + 1

    def test_several_culprits_are_isolated(self, aws: FakeAws, glue: Glue) -> None:
        """However many bad ids there are, each is alone in the end, and none of them is stopped."""
        run_ids = _ids(25)
        _run(aws, *run_ids)
        aws.faults.add(Refused("InvalidInputException"), operation=STOP, when=naming("jr_3", "jr_4", "jr_20"))
        observation = _seen(glue.stop([batch(*run_ids)], _pace()))
        assert {run_id for run_id, what in observation.items() if what is not Observation.SUBMITTED} == {
            "jr_3",
            "jr_4",
            "jr_20",
        }
        assert {run.run_id for run in aws.glue if run.state == "RUNNING"} == {"jr_3", "jr_4", "jr_20"}

    def test_culprit_that_can_be_read_is_decided_by_its_state(self, aws: FakeAws, glue: Glue) -> None:
        """An id that only stopping refuses may be that of a run that is long over."""
        _run(aws, "jr_1", state="SUCCEEDED")
        aws.faults.add(Refused("InvalidInputException"), operation=STOP)
        assert _seen(glue.stop([batch("jr_1")], _pace())) == {"jr_1": Observation.STATE}

    def test_halving_stops_when_glue_throttles(self, aws: FakeAws, slow_glue: Glue) -> None:
        """The halves that were not called are called another time."""
        _run(aws, *_ids(25))
        script = iter([Refused("InvalidInputException"), *[Throttle()] * 3])
        aws.faults.add(Decide(lambda _: next(script, None)), operation=STOP)
        batches = [batch(*_ids(4)), batch("jr_4"), batch("jr_5")]
        observation = _seen(slow_glue.stop(batches, _pace()))
        assert set(observation.values()) == {Observation.CALL_FAILED, Observation.NOT_CALLED}
        assert observation["jr_5"] is Observation.NOT_CALLED
        assert len(aws.requests(STOP)) == 4


class TestFailedCalls:
    """A whole call that fails."""

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
    def test_runs_of_a_failed_call_are_told_with_the_code(
        self, aws: FakeAws, glue: Glue, fault: Fault, code: str
    ) -> None:
        """A call that fails says nothing of its runs but why; no call is spent on looking at them."""
        _run(aws, "jr_1", "jr_2")
        aws.faults.add(fault, operation=STOP)
        findings = glue.stop([batch("jr_1", "jr_2")], _pace())
        assert set(_seen(findings).values()) == {Observation.CALL_FAILED}
        assert {one.code for one in findings} == {code}
        assert _operations(aws) == {STOP: 1}

    def test_call_that_takes_too_long_has_failed(self, aws: FakeAws) -> None:
        """A call without an answer in time is tried another time."""
        glue = _adapter(aws, read_timeout=0.05)
        _run(aws, "jr_1")
        aws.faults.add(Latency(0.2))
        (finding,) = glue.stop([batch("jr_1")], _pace())
        assert (finding.observation, finding.code) == (Observation.CALL_FAILED, "ReadTimeoutError")

    @pytest.mark.parametrize(
        "payload",
        [
            {"SuccessfulSubmissions": [{}]},
            {"Errors": [{"ErrorDetail": {"ErrorCode": "X"}}]},
            {"SuccessfulSubmissions": 5},
            {"Errors": {"JobRunId": "jr_1"}},
        ],
        ids=repr,
    )
    def test_answer_that_makes_no_sense_touches_no_other_batch(
        self, aws: FakeAws, glue: Glue, payload: dict[str, Any]
    ) -> None:
        """An exception that nobody foresaw leaves its batch to be read back, and is told; others stop."""
        _run(aws, "jr_1")
        _run(aws, "good", job_name="report")
        aws.faults.add(lambda _call, _answer: Reply(payload=payload), operation=STOP, when=naming("jr_1"))
        findings = glue.stop([batch("jr_1"), batch("good", job_name="report")], _pace())
        assert _seen(findings) == {"jr_1": Observation.STATE, "good": Observation.SUBMITTED}
        assert {one.code for one in findings} == {"NoAnswer", ""}
        assert re.fullmatch(r"\w+Error\(.+\)", "".join(one.error for one in findings))

    @pytest.mark.parametrize(("throttled", "observation"), [(1, Observation.SUBMITTED), (2, Observation.CALL_FAILED)])
    def test_botocores_own_tries_are_counted(
        self, aws: FakeAws, throttled: int, observation: Observation
    ) -> None:
        """What botocore repeats by itself is a call as well, whether it helps or not."""
        glue = _adapter(aws, retries={"mode": "standard", "total_max_attempts": 2})
        _run(aws, "jr_1")
        aws.faults.add(Throttle(), times=throttled)
        budget = _pace()
        assert _seen(glue.stop([batch("jr_1")], budget)) == {"jr_1": observation}
        assert budget.calls == {"batch_stop_job_run": 2}

    def test_error_says_in_a_traceback_what_glue_said(self) -> None:
        """Where it is printed as it is, Glue's code and words are there."""
        assert str(CallError("Odd", "Not today")) == "('Odd', 'Not today')"


class TestPace:
    """Which calls may start."""

    def test_throttling_stops_further_calls(self, aws: FakeAws, slow_glue: Glue) -> None:
        """After a few throttled calls no more are started in the invocation, looks included."""
        aws.faults.add(Throttle())
        batches = [batch(f"jr_{number}", job_name=f"job {number}") for number in range(12)]
        budget = _pace()
        observation = Counter(_seen(slow_glue.stop(batches, budget)).values())
        assert observation == {Observation.CALL_FAILED: 3, Observation.NOT_CALLED: 9}
        assert _operations(aws) == {STOP: 3}
        slow_glue.look([target()], budget)
        assert _operations(aws) == {STOP: 3}

    @pytest.mark.parametrize(
        "code", ["Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"]
    )
    def test_throttling_has_many_names(self, aws: FakeAws, slow_glue: Glue, code: str) -> None:
        """Every code by which AWS says "slower" counts."""
        aws.faults.add(Refused(code))
        slow_glue.stop([batch(f"jr_{n}", job_name=f"job {n}") for n in range(5)], _pace())
        assert len(aws.calls) == 3

    def test_other_errors_stop_no_further_calls(self, aws: FakeAws, slow_glue: Glue) -> None:
        """Only throttling is a reason to call less."""
        aws.faults.add(Refused("InternalServiceException", status=500))
        slow_glue.stop([batch(f"jr_{n}", job_name=f"job {n}") for n in range(5)], _pace())
        assert len(aws.calls) == 5

    @pytest.mark.parametrize(("left", "spare"), [(30, 4), (5, 4), (4.5, 3.5), (1, 0), (0.25, -0.75)])
    def test_what_was_reserved_may_be_spent_but_for_the_end(self, left: float, spare: float) -> None:
        """Never more than was reserved goes to what nothing depends on, and a second is kept to end in."""
        seconds = [30.0]
        budget = CallBudget(lambda: seconds[0])
        budget.reserve_for_dispatch(4)
        seconds[0] = left
        assert budget.leftover_seconds() == spare

    @pytest.mark.parametrize("answer", [{}, {"ResponseMetadata": {}}])
    def test_answer_that_tells_of_no_tries_had_one(self, answer: dict[str, Any]) -> None:
        """A call counts once, unless botocore says that it asked again."""
        budget = _pace()
        budget.start("get_tags")
        budget.record_response("get_tags", answer)
        assert budget.calls == {"get_tags": 1}

    def test_first_call_is_always_started(self, aws: FakeAws, slow_glue: Glue) -> None:
        """With too little time for a call one is started all the same, so that deferring makes progress."""
        _run(aws, *_ids(3))
        observation = Counter(_seen(slow_glue.stop([batch(run_id) for run_id in _ids(3)], _pace(0.9))).values())
        assert observation == {Observation.SUBMITTED: 1, Observation.NOT_CALLED: 2}
        assert _operations(aws) == {STOP: 1}

    def test_no_call_is_waited_for_past_the_deadline(
        self, aws: FakeAws, slow_glue: Glue, released: Event
    ) -> None:
        """What was under way when the time was up is in doubt, and what had not begun was not called."""
        _run(aws, "jr_1", "jr_2")

        def hang(call: Call, answer: Answer) -> Reply:
            released.wait(5)
            return answer(call)

        aws.faults.add(hang)
        findings = slow_glue.stop([batch("jr_1"), batch("jr_2")], _pace(0.2))
        released.set()
        assert _seen(findings) == {"jr_1": Observation.UNKNOWN, "jr_2": Observation.NOT_CALLED}
        assert [(one.code, one.error) for one in findings if one.observation is Observation.UNKNOWN] == [
            ("NoAnswer", "no answer came before the function's deadline")
        ]

    @pytest.mark.parametrize(("left", "wanted", "usable"), [(30, 4, 26), (6, 4, 3), (1, 4, 0.5), (0, 4, 0)])
    def test_reserve_leaves_half_of_the_time(self, left: float, wanted: float, usable: float) -> None:
        """Time to settle is kept back, but never so much that nothing can be called."""
        budget = _pace(left)
        budget.reserve_for_dispatch(wanted)
        assert budget.usable_seconds() == usable

    def test_time_that_ran_out_is_not_negative(self) -> None:
        """After the deadline there is no time, and that is all."""
        seconds = iter([10.0, -5.0])
        budget = CallBudget(lambda: next(seconds))
        budget.reserve_for_dispatch(2)
        assert budget.usable_seconds() == 0

    @pytest.mark.parametrize(("left", "starts"), [(3.0, True), (2.999, False)])
    def test_call_starts_while_there_is_time_for_it(self, left: float, *, starts: bool) -> None:
        """A second has to be left beside what is reserved."""
        budget = _pace(left)
        budget.reserved = 2
        budget.start("get_job_run")
        if starts:
            budget.start("get_job_run")
        else:
            with pytest.raises(NotStartedError):
                budget.start("get_job_run")
        assert budget.calls == {"get_job_run": 1 + starts}


class TestDenial:
    """Whether IAM's refusal is a protection."""

    @pytest.mark.parametrize(
        ("tags", "observation"),
        [
            ({PROTECT_TAG: "true"}, Observation.PROTECTED),
            ({PROTECT_TAG: ""}, Observation.PROTECTED),
            ({}, Observation.DENIED),
            ({"owner": "me"}, Observation.DENIED),
            ({PROTECT_TAG.upper(): "true"}, Observation.DENIED),
        ],
    )
    @pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
    def test_tag_of_the_job_tells(
        self, aws: FakeAws, glue: Glue, tags: dict[str, str], observation: Observation, code: str
    ) -> None:
        """A denied job that carries the protect tag is protected; one GetTags a job tells."""
        aws.glue.add_job("etl", tags=tags)
        aws.faults.add(Refused(code, "No."), operation=STOP)
        findings = glue.stop([batch(*_ids(25)), batch(*_ids(5, 25))], _pace())
        assert set(_seen(findings).values()) == {observation}
        assert {(one.code, one.error) for one in findings} == {(code, "No.")}
        assert aws.requests(TAGS) == [{"ResourceArn": f"arn:aws:glue:{REGION}:{ACCOUNT}:job/etl"}]
        assert _operations(aws) == {STOP: 2, TAGS: 1}

    def test_denial_of_one_job_touches_no_other(self, aws: FakeAws, glue: Glue) -> None:
        """Each denied job is asked about by itself, and the others stop."""
        aws.glue.add_job("etl", tags={PROTECT_TAG: "true"})
        _run(aws, "good", job_name="report")
        aws.faults.add(DENIED, operation=STOP, when=naming("jr_1", "jr_2"))
        findings = glue.stop(
            [batch("jr_1"), batch("jr_2", job_name="other"), batch("good", job_name="report")], _pace()
        )
        assert _seen(findings) == {
            "jr_1": Observation.PROTECTED,
            "jr_2": Observation.NOT_FOUND,
            "good": Observation.SUBMITTED,
        }

    def test_run_that_is_denied_by_itself_is_asked_about(self, aws: FakeAws, glue: Glue) -> None:
        """A denial within an answer is one as well."""
        _run(aws, "jr_2")
        aws.faults.add(RunErrors(["jr_1"], "AccessDeniedException"), operation=STOP)
        aws.glue.add_job("etl", tags={PROTECT_TAG: "true"})
        assert _seen(glue.stop([batch("jr_1", "jr_2")], _pace())) == {
            "jr_1": Observation.PROTECTED,
            "jr_2": Observation.SUBMITTED,
        }

    def test_denied_tags_leave_the_denial(self, aws: FakeAws, glue: Glue) -> None:
        """Where the tags may not be read either, the job is denied."""
        aws.faults.add(DENIED)
        (finding,) = glue.stop([batch("jr_1")], _pace())
        assert (finding.observation, finding.code) == (Observation.DENIED, "AccessDeniedException")

    @pytest.mark.parametrize(("fault", "code"), UNREADABLE, ids=repr)
    def test_tags_that_cannot_be_read_now_are_asked_for_later(
        self, aws: FakeAws, glue: Glue, fault: Fault, code: str
    ) -> None:
        """A denial that could not be explained is retried: it may be a protection."""
        aws.glue.add_job("etl", tags={PROTECT_TAG: "true"})
        aws.faults.add(DENIED, operation=STOP)
        aws.faults.add(fault, operation=TAGS)
        (finding,) = glue.stop([batch("jr_1")], _pace())
        assert (finding.observation, finding.code) == (Observation.CALL_FAILED, code)
        assert decide_stops([finding], 8)[0].outcome is Outcome.RETRYING

    def test_tags_without_an_answer_are_asked_for_later(self, aws: FakeAws, glue: Glue) -> None:
        """An empty answer does not say that there is no tag."""
        aws.faults.add(DENIED, operation=STOP)
        aws.faults.add(EmptyBody(), operation=TAGS)
        (finding,) = glue.stop([batch("jr_1")], _pace())
        assert decide_stops([finding], 8)[0].outcome is Outcome.RETRYING

    def test_tags_that_were_not_asked_for_are_asked_for_later(
        self, aws: FakeAws, slow_glue: Glue, released: Event
    ) -> None:
        """A protected job for whose tags no time was left is not failed: nobody knows yet."""
        batches = [batch(f"jr_{number}", job_name=f"job {number}") for number in range(3)]
        for number in range(3):
            aws.glue.add_job(f"job {number}", tags={PROTECT_TAG: "true"})
        aws.faults.add(DENIED, operation=STOP)
        left = [1.5]

        def hang(call: Call, answer: Answer) -> Reply:
            released.wait(5)
            return answer(call)

        aws.faults.add(hang, operation=TAGS)
        findings = slow_glue.stop(batches, CallBudget(lambda: left[0]))
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


class TestWhateverHappens:
    """The accounting."""

    @given(
        st.lists(faults, max_size=12),
        run_faults,
        st.lists(st.sampled_from(["RUNNING", "STOPPING", "SUCCEEDED", "missing"]), min_size=1, max_size=9),
        st.integers(1, 3),
    )
    @hypothesis_settings(max_examples=60)
    def test_each_demand_has_exactly_one_finding(
        self, script: list[Fault | None], run_fault: Fault | None, states: list[str], calls_at_once: int
    ) -> None:
        """Whatever goes wrong with whichever call, each demand is found once, and submitted ones are true."""
        with FakeAws() as aws:
            for number, state in enumerate(states):
                if state != "missing":
                    _run(aws, f"jr_{number}", job_name=f"job {number % 2}", state=state, stopping_seconds=None)
            outcomes = iter(script)
            aws.faults.add(Decide(lambda _: next(outcomes, None)))
            if run_fault:
                aws.faults.add(run_fault, operation=STOP)
            glue = _adapter(aws, calls_at_once)
            batches = list(_batches([target(f"jr_{n}", f"job {n % 2}") for n in range(len(states))]))
            budget = _pace()
            findings = glue.stop(batches, budget)
            wanted = Counter(one.run for batch in batches for one in batch.targets)
            assert Counter(finding.target.run for finding in findings) == wanted
            for finding in findings:
                if finding.observation is Observation.SUBMITTED:
                    run = finding.target.run
                    assert aws.glue.run(run.job_name, run.run_id).state == "STOPPING"
            assert sum(budget.calls.values()) == len(aws.calls) >= 1
            looked = glue.look([one for batch in batches for one in batch.targets], budget)
            assert Counter(finding.target.run for finding in looked) == wanted


def _batches(targets: list[StopTarget]) -> Iterator[StopBatch]:
    """Put the demands of a job into batches of three: more of them is more to go wrong."""
    for job_name in sorted({one.run.job_name for one in targets}):
        of_job = [one for one in targets if one.run.job_name == job_name]
        for start in range(0, len(of_job), 3):
            yield StopBatch(job_name, tuple(of_job[start : start + 3]))
