"""Tests of how many calls an invocation makes: without faults, with little time left, and when throttled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import boto3
import pytest
from botocore.config import Config

from tests.support.fakes.faults import (
    EmptyBody,
    Fault,
    Latency,
    LostAnswer,
    Refused,
    Throttle,
    TruncatedBody,
    Unanswered,
    naming,
)
from tests.support.simulated_aws import CONFIRM, STOP, Context, SimulatedAws, stop_request

RECORDS = 10_000


class TestWithoutFaults:
    """An invocation makes the fewest calls that stop all runs."""

    def test_each_job_needs_its_distinct_runs_over_25_calls(self, simulation: SimulatedAws) -> None:
        """10,000 messages in one invocation need one call for 25 distinct runs of a job, and no reads."""
        # A third of the messages repeat a run. The jobs differ in their numbers of runs.
        names = [(f"job-{(n * n) % 97}", f"jr_{n % 6700}") for n in range(RECORDS)]
        distinct: dict[str, set[str]] = {}
        for job_name, run_id in names:
            distinct.setdefault(job_name, set()).add(run_id)
            simulation.request_stop(job_name, run_id)
        for job_name, run_ids in distinct.items():
            for run_id in run_ids:
                simulation.aws.glue.add_run(job_name, run_id)
        invocation = simulation.deliver_due(STOP)
        calls = sum(-(-len(run_ids) // 25) for run_ids in distinct.values())
        assert len(invocation.called("BatchStopJobRun")) == calls
        assert {call.operation for call in invocation.calls} == {"BatchStopJobRun", "SendMessageBatch"}
        runs = len(set(names))
        assert invocation.counts == {
            "StopSubmitted": runs,
            "RunsRequested": RECORDS,
            "DuplicateRuns": RECORDS - runs,
            "StopCalls": calls,
        }
        assert len(invocation.outcomes) == runs
        assert invocation.answer == {"batchItemFailures": []}
        # Each job has at most 500 runs, which fit into one message. A call sends ten messages.
        assert len(simulation.confirm_queue) == len(distinct)
        assert len(invocation.called("SendMessageBatch")) == -(-len(distinct) // 10)

    @pytest.mark.parametrize(("runs", "sizes"), [(1, [1]), (25, [25]), (26, [1, 25]), (75, [25, 25, 25])])
    def test_batches_are_full(self, simulation: SimulatedAws, runs: int, sizes: list[int]) -> None:
        """Runs of one job from many messages share calls of up to 25 runs."""
        for number in range(runs):
            simulation.aws.glue.add_run("etl", f"jr_{number}")
            simulation.request_stop("etl", f"jr_{number}")
        simulation.deliver_due(STOP)
        assert sorted(len(run_ids) for _, run_ids in simulation.stop_calls()) == sizes

    def test_polls_need_a_page_for_each_job_an_event_call_for_ten_outcomes_and_one_notice(
        self, simulation: SimulatedAws
    ) -> None:
        """1,000 messages in one invocation of CONFIRM share the calls that read, publish and notify."""
        for number in range(1000):
            job_name, run_id = f"job-{number % 5}", f"jr_{number}"
            simulation.aws.glue.add_run(job_name, run_id, state="STOPPED")
            simulation.put_on_confirm_queue(job_name, run_id, submitted_at=simulation.clock())
        invocation = simulation.deliver_due(CONFIRM)
        assert invocation.counts["Stopped"] == 1000
        calls = Counter(call.operation for call in invocation.calls)
        assert calls == {"GetJobRuns": 5, "PutEvents": 1000 // 10, "Publish": 1}

    def test_retried_runs_share_calls_again(self, simulation: SimulatedAws) -> None:
        """Runs of a call are retried in one message, so their second attempt needs no more calls."""
        run_ids = [f"jr_{number}" for number in range(100)]
        for run_id in run_ids:
            simulation.aws.glue.add_run("etl", run_id)
            simulation.request_stop("etl", run_id)
        # All messages have the same time, and jitter is drawn for each message, not for each run.
        simulation.aws.faults.add(Refused("InternalServiceException", status=500), times=4)
        simulation.run()
        assert len(simulation.stop_calls()) == 8
        assert simulation.counts["Stopped"] == 100


def test_one_invalid_id_does_not_keep_other_runs_from_being_stopped(simulation: SimulatedAws) -> None:
    """STOP halves a batch that Glue refuses as invalid until the invalid id is alone. All other runs stop."""
    run_ids = [f"jr_{number}" for number in range(25)]
    for run_id in run_ids:
        simulation.aws.glue.add_run("etl", run_id)
    simulation.request_stop("etl", *run_ids)
    refused = Refused("InvalidInputException", "what is that?")
    simulation.aws.faults.add(refused, operation="BatchStopJobRun", when=naming("jr_17"))
    simulation.deliver_due(STOP)
    # Each of the five halvings needs two calls.
    assert len(simulation.stop_calls()) <= 1 + 2 * 5
    simulation.run()
    states = {run.run_id: run.state for run in simulation.aws.glue}
    assert states == {run_id: "RUNNING" if run_id == "jr_17" else "STOPPED" for run_id in run_ids}
    assert simulation.history("etl", "jr_17") == ["Retrying"] * 7 + ["Failed"]
    assert [(code, error) for _, code, error, _ in simulation.dead_letters()] == [
        ("InvalidInputException", "what is that? Glue reports the run as RUNNING.")
    ]


class TestLostAnswers:
    """A call without an answer is neither a success nor a final failure."""

    @pytest.mark.parametrize("fault", [EmptyBody(), TruncatedBody(), LostAnswer(), Unanswered({"jr"})])
    def test_run_of_a_lost_answer_is_confirmed(self, simulation: SimulatedAws, fault: Fault) -> None:
        """If the answer of a successful stop is lost, the run is confirmed all the same."""
        simulation.aws.glue.add_run("etl", "jr", stopping_seconds=60)
        simulation.request_stop("etl", "jr")
        simulation.aws.faults.add(fault, operation="BatchStopJobRun", times=1)
        simulation.run()
        assert simulation.history("etl", "jr")[-1] == "Stopped"
        assert "AlreadyStopping" in simulation.history("etl", "jr")

    @pytest.mark.parametrize("fault", [EmptyBody(), Unanswered({"jr"})])
    def test_run_that_stopped_after_a_lost_answer_did_not_finish_before(
        self, simulation: SimulatedAws, fault: Fault
    ) -> None:
        """A run that Glue did not refuse, and that is then read as STOPPED, was stopped by this call."""
        simulation.aws.glue.add_run("etl", "jr", stopping_seconds=0)
        simulation.request_stop("etl", "jr")
        simulation.aws.faults.add(fault, operation="BatchStopJobRun", times=1)
        simulation.run()
        assert simulation.history("etl", "jr") == ["AlreadyStopping", "Stopped"]

    def test_call_that_botocore_repeats_may_have_stopped_the_run(self, simulation: SimulatedAws) -> None:
        """A run that is STOPPED when botocore repeats the call was stopped by the first call."""
        simulation.aws.glue.add_run("etl", "jr", stopping_seconds=0)
        simulation.request_stop("etl", "jr")
        _let_botocore_retry(simulation)
        simulation.aws.faults.add(LostAnswer(), operation="BatchStopJobRun", times=1)
        simulation.run()
        assert simulation.history("etl", "jr") == ["AlreadyStopping", "Stopped"]

    def test_calls_that_botocore_repeats_are_counted(self, simulation: SimulatedAws) -> None:
        """The metric counts all calls on the wire, also those that botocore repeats."""
        simulation.aws.glue.add_run("etl", "jr")
        simulation.request_stop("etl", "jr")
        _let_botocore_retry(simulation)
        simulation.aws.faults.add(Throttle(), operation="BatchStopJobRun", times=1)
        invocation = simulation.deliver_due(STOP)
        assert invocation.counts["StopSubmitted"] == 1
        assert invocation.counts["StopCalls"] == len(invocation.called("BatchStopJobRun")) == 2


def test_new_request_for_a_run_gives_it_all_attempts_again(simulation: SimulatedAws) -> None:
    """If a new request names a run that is being retried, the two merge at the lower attempt."""
    simulation.aws.glue.add_run("etl", "jr")
    simulation.request_stop("etl", "jr")
    simulation.aws.faults.add(Refused("InternalServiceException", status=500), operation="BatchStopJobRun")
    while 5 not in _attempts(simulation):
        simulation.step()
    simulation.request_stop("etl", "jr")
    simulation.clock.advance(900)
    simulation.run()
    assert _attempts(simulation) == [*range(6), *range(8)]
    assert simulation.counts["Failed"] == 1
    assert simulation.counts["RunsRequested"] == 2


@pytest.mark.parametrize("attempt", ["8", "11"])
def test_redriven_message_without_attempts_left_starts_at_attempt_0(
    simulation: SimulatedAws, attempt: str
) -> None:
    """A message that SQS moved with a number of attempts, or of polls, has all its attempts after a redrive."""
    simulation.aws.glue.add_run("etl", "jr")
    attributes = {"GluebrakeAttempt": {"DataType": "String", "StringValue": attempt}}
    simulation.stop_queue.put(stop_request("etl", "jr"), attributes=attributes)
    simulation.aws.faults.add(Throttle(), operation="BatchStopJobRun", times=1)
    simulation.run()
    assert simulation.history("etl", "jr") == ["Retrying", "StopSubmitted", "Stopped"]
    assert _attempts(simulation)[:2] == [0, 1]


@pytest.mark.parametrize("fault", [Throttle(), Refused("InternalServiceException", status=500), LostAnswer()])
def test_denial_is_not_final_before_it_is_explained(simulation: SimulatedAws, fault: Fault) -> None:
    """If the tags of a denied job cannot be read, its runs are retried and then Protected."""
    simulation.aws.glue.add_job("etl", tags={"gluebrake:protect": ""})
    simulation.aws.glue.add_run("etl", "jr")
    simulation.request_stop("etl", "jr")
    simulation.aws.faults.add(Refused("AccessDeniedException"), operation="BatchStopJobRun")
    simulation.aws.faults.add(fault, operation="GetTags", times=1)
    simulation.run()
    assert simulation.history("etl", "jr") == ["Retrying", "Protected"]
    assert len(simulation.dead_letter_queue) == 0


class TestLittleTimeLeft:
    """Every invocation makes progress, however little time is left."""

    @pytest.mark.parametrize("seconds", [1.0, 1.9])
    def test_one_call_is_made_and_the_rest_is_deferred(self, simulation: SimulatedAws, seconds: float) -> None:
        """An invocation with little time makes its first call and defers the rest, which keeps its attempts."""
        _add_three_jobs(simulation)
        simulation.context = Context(lambda: seconds)
        invocation = simulation.deliver_due(STOP)
        assert len(invocation.called("BatchStopJobRun")) == 1
        assert invocation.counts.items() >= {"StopSubmitted": 1, "Deferred": 2, "StopCalls": 1}.items()
        assert {a["GluebrakeAttempt"]["StringValue"] for a in _attributes(simulation)} == {"0"}

    def test_deferred_runs_are_stopped_later(self, simulation: SimulatedAws) -> None:
        """Even if every invocation has little time, each stops a run, until all are stopped."""
        _add_three_jobs(simulation)
        simulation.context = Context(lambda: 1.5)
        simulation.run()
        assert simulation.counts["Stopped"] == 3
        assert simulation.counts["Deferred"] == 2 + 1
        assert len(simulation.stop_calls()) == 3
        assert len(simulation.dead_letter_queue) == 0

    def test_deferred_run_remembers_an_earlier_delivery(self, simulation: SimulatedAws) -> None:
        """A run that an earlier delivery may have stopped is confirmed, although it was deferred since."""
        _add_three_jobs(simulation)
        for run in simulation.aws.glue:
            run.become("STOPPED")
        simulation.context = Context(lambda: 1.5)
        invocation = simulation.deliver_due(STOP, receive_count=2)
        assert invocation.counts["Deferred"] == 2
        simulation.context = Context()
        simulation.run()
        ends = [simulation.history(f"job-{number}", "jr")[-2:] for number in range(3)]
        assert ends == [["AlreadyStopping", "Stopped"]] * 3

    def test_no_call_starts_after_the_time_is_used_up(self) -> None:
        """STOP checks the remaining time before each call, and starts no call after it is used up."""
        with SimulatedAws(calls_at_once=1) as simulation:
            for number in range(6):
                simulation.aws.glue.add_run(f"job-{number}", "jr")
                simulation.request_stop(f"job-{number}", "jr")
            simulation.context = Context(_running_down(after=simulation.aws.calls, calls=3))
            invocation = simulation.deliver_due(STOP)
            assert len(invocation.called("BatchStopJobRun")) == 3
            assert invocation.counts.items() >= {"StopSubmitted": 3, "Deferred": 3}.items()

    def test_late_answer_is_not_awaited(self, simulation: SimulatedAws) -> None:
        """A call without an answer in time is not a success: the run is retried and then confirmed."""
        _add_three_jobs(simulation)
        slow = Latency(3)
        simulation.aws.faults.add(slow, operation="BatchStopJobRun", times=1)
        simulation.context = Context(lambda: 1.5)
        invocation = simulation.deliver_due(STOP)
        assert invocation.counts["StopSubmitted"] == 0
        assert invocation.counts["Retrying"] == 1
        simulation.context = Context()
        simulation.run()
        assert simulation.counts["Stopped"] == 3
        assert simulation.counts["Failed"] == 0

    def test_dry_run_that_was_not_read_is_deferred(self, simulation: SimulatedAws) -> None:
        """A dry run whose read did not start for lack of time uses no attempt, like a stop."""
        for job_name in ("a", "b", "c"):
            simulation.aws.glue.add_run(job_name, "jr")
            simulation.request_stop(job_name, "jr", DryRun=True)
        simulation.context = Context(lambda: 1.5)
        invocation = simulation.deliver_due(STOP)
        # The first state was read, and then no time was left to read the job's tags.
        assert invocation.counts.items() >= {"Deferred": 3, "StateReads": 1}.items()
        simulation.context = Context()
        simulation.run()
        assert [outcome for *_, outcome in simulation.outcomes][3:] == ["WouldStop"] * 3

    def test_denial_that_was_not_explained_in_time_is_not_final(self) -> None:
        """If there is no time to read the tags of a denied job, they are read at the next attempt."""
        with SimulatedAws(calls_at_once=1) as simulation:
            _add_jobs(simulation, 2)
            simulation.aws.faults.add(Refused("AccessDeniedException"), operation="BatchStopJobRun")
            for job_name in ("job-0", "job-1"):
                simulation.aws.glue.add_job(job_name, tags={"gluebrake:protect": ""})
            simulation.aws.faults.add(Latency(1.5), operation="GetTags", times=1)
            simulation.context = Context(lambda: 2.0)
            invocation = simulation.deliver_due(STOP)
            assert invocation.counts.items() >= {"Retrying": 2}.items()
            simulation.context = Context()
            simulation.run()
            assert simulation.counts["Protected"] == 2

    def test_many_poison_pill_candidates_are_deferred_in_time(self, simulation: SimulatedAws) -> None:
        """Messages that are processed one by one do not use more time than the function has."""
        _add_jobs(simulation, 60)
        # Each send takes a 25th of the time.
        simulation.context = Context(
            lambda: max(0.0, 1.0 - len(simulation.aws.requests("SendMessageBatch")) / 25)
        )
        invocation = simulation.deliver_due(STOP, receive_count=3)
        assert len(invocation.called("SendMessageBatch")) < 25
        assert invocation.counts["StopSubmitted"] + invocation.counts["Deferred"] == 60


class TestThrottling:
    """Throttling makes an invocation call less."""

    def test_few_calls_are_started(self) -> None:
        """After three throttled calls no call starts. Only those that have started by then are made."""
        with SimulatedAws(calls_at_once=4) as simulation:
            _add_jobs(simulation, 50)
            simulation.aws.faults.add(Throttle())
            invocation = simulation.deliver_due(STOP)
            calls = invocation.called("BatchStopJobRun")
            assert 3 <= len(calls) <= 3 + 3
            throttled = len(calls)
            assert invocation.counts.items() >= {"Retrying": throttled, "Deferred": 50 - throttled}.items()
            assert invocation.counts["StateReads"] == 0

    def test_throttled_for_ever_fails_after_the_last_attempt(self) -> None:
        """Each run uses all its attempts, and then has a dead letter with the error."""
        with SimulatedAws(calls_at_once=1) as simulation:
            _add_jobs(simulation, 6)
            simulation.aws.faults.add(Throttle(), operation="BatchStopJobRun")
            simulation.run()
            assert simulation.counts["Failed"] == 6
            assert simulation.counts["Retrying"] == 6 * 7
            assert len(simulation.aws.requests("BatchStopJobRun")) == 6 * 8
            assert {call.operation for call in simulation.aws.calls} == {
                "BatchStopJobRun",
                "SendMessageBatch",
                "PutEvents",
                "Publish",
            }
            assert {(code, error, attempts) for _, code, error, attempts in simulation.dead_letters()} == {
                ("ThrottlingException", "Rate exceeded", "7")
            }
            assert len(simulation.dead_letter_queue) == 6

    def test_all_runs_stop_when_throttling_ends(self, simulation: SimulatedAws) -> None:
        """Throttled runs and deferred runs are stopped, each once."""
        _add_jobs(simulation, 40)
        simulation.aws.faults.add(Throttle(), operation="BatchStopJobRun", times=20)
        simulation.run()
        assert simulation.counts["Stopped"] == 40
        assert len(simulation.stop_calls()) == 40 + 20
        assert len(simulation.dead_letter_queue) == 0


def _let_botocore_retry(simulation: SimulatedAws) -> None:
    """Give STOP a client that repeats a failed call once, as the deployed one does."""
    retries = Config(retries={"mode": "standard", "total_max_attempts": 2})
    client = boto3.client("glue", **{**simulation.aws.client_options, "config": retries})
    glue = replace(simulation.dependencies[STOP].glue, client=client)
    simulation.dependencies[STOP] = replace(simulation.dependencies[STOP], glue=glue)


def _add_three_jobs(simulation: SimulatedAws) -> None:
    _add_jobs(simulation, 3)


def _add_jobs(simulation: SimulatedAws, number: int) -> None:
    """Add jobs with a run each, and request to stop it."""
    for job_name in (f"job-{n}" for n in range(number)):
        simulation.aws.glue.add_run(job_name, "jr")
        simulation.request_stop(job_name, "jr")


def _attempts(simulation: SimulatedAws) -> list[int]:
    return [line["attempt"] for invocation in simulation.invocations for line in invocation.outcomes]


def _attributes(simulation: SimulatedAws) -> list[dict[str, dict[str, str]]]:
    return [dict(message.attributes) for message in simulation.stop_queue]


def _running_down(*, after: Sequence[object], calls: int) -> Callable[[], float]:
    """Return a clock with 30 seconds left until so many calls were made, and then half a second."""
    return lambda: 30.0 if len(after) < calls else 0.5
