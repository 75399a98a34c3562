"""How many calls an invocation makes, when all is well and when time or Glue's patience runs out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

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
from tests.support.simulated_aws import CONFIRM, STOP, Context, World, stop_request

RECORDS = 10_000


class TestWhenGlueAnswersAll:
    """The fewest calls that stop everything."""

    def test_calls_are_a_25th_of_each_jobs_distinct_runs(self, world: World) -> None:
        """10,000 messages in one invocation cost each job its distinct runs over 25, rounded up; no reads."""
        # A third of the messages repeat a run, and no two jobs are alike.
        names = [(f"job-{(n * n) % 97}", f"jr_{n % 6700}") for n in range(RECORDS)]
        distinct: dict[str, set[str]] = {}
        for job_name, run_id in names:
            distinct.setdefault(job_name, set()).add(run_id)
            world.ask(job_name, run_id)
        for job_name, run_ids in distinct.items():
            for run_id in run_ids:
                world.aws.glue.add_run(job_name, run_id)
        invocation = world.deliver_due(STOP)
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
        # One message for each job with up to 500 runs, ten messages a call.
        assert len(world.confirm_queue) == len(distinct)
        assert len(invocation.called("SendMessageBatch")) == -(-len(distinct) // 10)

    @pytest.mark.parametrize(("runs", "sizes"), [(1, [1]), (25, [25]), (26, [1, 25]), (75, [25, 25, 25])])
    def test_batches_are_full(self, world: World, runs: int, sizes: list[int]) -> None:
        """Runs of one job from many messages fill the calls."""
        for number in range(runs):
            world.aws.glue.add_run("etl", f"jr_{number}")
            world.ask("etl", f"jr_{number}")
        world.deliver_due(STOP)
        assert sorted(len(run_ids) for _, run_ids in world.stop_calls()) == sizes

    def test_looks_cost_a_page_a_job_and_an_event_call_for_ten_outcomes(self, world: World) -> None:
        """1,000 messages in one invocation of CONFIRM cost no call of their own: not to look, not to tell."""
        for number in range(1000):
            job_name, run_id = f"job-{number % 5}", f"jr_{number}"
            world.aws.glue.add_run(job_name, run_id, state="STOPPED")
            world.put_to_confirm(job_name, run_id, submitted_at=world.clock())
        invocation = world.deliver_due(CONFIRM)
        assert invocation.counts["Stopped"] == 1000
        calls = Counter(call.operation for call in invocation.calls)
        assert calls == {"GetJobRuns": 5, "PutEvents": 1000 // 10}

    def test_resends_do_not_fall_apart(self, world: World) -> None:
        """Runs that are tried again travel together, so the second try costs no more calls than the first."""
        run_ids = [f"jr_{number}" for number in range(100)]
        for run_id in run_ids:
            world.aws.glue.add_run("etl", run_id)
            world.ask("etl", run_id)
        # The clock stands still over the messages, and jitter is for a message, not for a run.
        world.aws.faults.add(Refused("InternalServiceException", status=500), times=4)
        world.run()
        assert len(world.stop_calls()) == 8
        assert world.counts["Stopped"] == 100


def test_one_bad_id_does_not_take_the_good_ones_down(world: World) -> None:
    """A batch that Glue refuses as invalid is halved until the culprit stands alone; all others are stopped."""
    run_ids = [f"jr_{number}" for number in range(25)]
    for run_id in run_ids:
        world.aws.glue.add_run("etl", run_id)
    world.ask("etl", *run_ids)
    refused = Refused("InvalidInputException", "what is that?")
    world.aws.faults.add(refused, operation="BatchStopJobRun", when=naming("jr_17"))
    world.deliver_due(STOP)
    # Of each of the five halvings both halves are called for.
    assert len(world.stop_calls()) <= 1 + 2 * 5
    world.run()
    states = {run.run_id: run.state for run in world.aws.glue}
    assert states == {run_id: "RUNNING" if run_id == "jr_17" else "STOPPED" for run_id in run_ids}
    assert world.history("etl", "jr_17") == ["Retrying"] * 7 + ["Failed"]
    assert [(code, error) for _, code, error, _ in world.dead_letters()] == [
        ("InvalidInputException", "what is that? Glue says that the run is RUNNING.")
    ]


class TestWhenAnswersAreLost:
    """Silence is never success, and never the end."""

    @pytest.mark.parametrize("fault", [EmptyBody(), TruncatedBody(), LostAnswer(), Unanswered({"jr"})])
    def test_run_behind_a_lost_answer_is_confirmed(self, world: World, fault: Fault) -> None:
        """A run that was stopped without our hearing of it is found out and confirmed."""
        world.aws.glue.add_run("etl", "jr", stopping_seconds=60)
        world.ask("etl", "jr")
        world.aws.faults.add(fault, operation="BatchStopJobRun", times=1)
        world.run()
        assert world.history("etl", "jr")[-1] == "Stopped"
        assert "AlreadyStopping" in world.history("etl", "jr")

    @pytest.mark.parametrize("fault", [EmptyBody(), Unanswered({"jr"})])
    def test_run_that_stopped_behind_a_lost_answer_was_not_finished_before(
        self, world: World, fault: Fault
    ) -> None:
        """A run that Glue did not refuse, and that is STOPPED when it is read, was stopped by this call."""
        world.aws.glue.add_run("etl", "jr", stopping_seconds=0)
        world.ask("etl", "jr")
        world.aws.faults.add(fault, operation="BatchStopJobRun", times=1)
        world.run()
        assert world.history("etl", "jr") == ["AlreadyStopping", "Stopped"]

    def test_call_that_botocore_repeats_may_have_stopped_the_run_before(self, world: World) -> None:
        """A run that is STOPPED when the client asks again by itself counts as stopped by us."""
        world.aws.glue.add_run("etl", "jr", stopping_seconds=0)
        world.ask("etl", "jr")
        _let_botocore_retry(world)
        world.aws.faults.add(LostAnswer(), operation="BatchStopJobRun", times=1)
        world.run()
        assert world.history("etl", "jr") == ["AlreadyStopping", "Stopped"]

    def test_calls_that_botocore_repeats_are_counted(self, world: World) -> None:
        """The metric tells the calls on the wire, also those that the client makes by itself."""
        world.aws.glue.add_run("etl", "jr")
        world.ask("etl", "jr")
        _let_botocore_retry(world)
        world.aws.faults.add(Throttle(), operation="BatchStopJobRun", times=1)
        invocation = world.deliver_due(STOP)
        assert invocation.counts["StopSubmitted"] == 1
        assert invocation.counts["StopCalls"] == len(invocation.called("BatchStopJobRun")) == 2


def test_run_that_is_asked_for_again_has_all_its_attempts_again(world: World) -> None:
    """When a fresh request joins a run that is being retried, the two are one, at the lower attempt."""
    world.aws.glue.add_run("etl", "jr")
    world.ask("etl", "jr")
    world.aws.faults.add(Refused("InternalServiceException", status=500), operation="BatchStopJobRun")
    while 5 not in _attempts(world):
        world.step()
    world.ask("etl", "jr")
    world.clock.advance(900)
    world.run()
    assert _attempts(world) == [*range(6), *range(8)]
    assert world.counts["Failed"] == 1
    assert world.counts["RunsRequested"] == 2


@pytest.mark.parametrize("attempt", ["8", "11"])
def test_message_whose_attempts_are_used_up_starts_anew_when_brought_back(world: World, attempt: str) -> None:
    """What SQS moved away with its bookkeeping, a look's included, has all its attempts when it is redriven."""
    world.aws.glue.add_run("etl", "jr")
    attributes = {"GluebrakeAttempt": {"DataType": "String", "StringValue": attempt}}
    world.stop_queue.put(stop_request("etl", "jr"), attributes=attributes)
    world.aws.faults.add(Throttle(), operation="BatchStopJobRun", times=1)
    world.run()
    assert world.history("etl", "jr") == ["Retrying", "StopSubmitted", "Stopped"]
    assert _attempts(world)[:2] == [0, 1]


@pytest.mark.parametrize(
    "fault", [Throttle(), Refused("InternalServiceException", status=500), EmptyBody(), LostAnswer()]
)
def test_denial_is_not_final_before_it_is_explained(world: World, fault: Fault) -> None:
    """When the tags of a denied job cannot be read, its runs are tried again, and then are Protected."""
    world.aws.glue.add_job("etl", tags={"gluebrake:protect": ""})
    world.aws.glue.add_run("etl", "jr")
    world.ask("etl", "jr")
    world.aws.faults.add(Refused("AccessDeniedException"), operation="BatchStopJobRun")
    world.aws.faults.add(fault, operation="GetTags", times=1)
    world.run()
    assert world.history("etl", "jr") == ["Retrying", "Protected"]
    assert len(world.dead_letter_queue) == 0


class TestWithLittleTimeLeft:
    """Deferring makes progress."""

    @pytest.mark.parametrize("seconds", [1.0, 1.9])
    def test_one_call_is_made_and_the_rest_is_deferred(self, world: World, seconds: float) -> None:
        """An invocation that is late makes its first call, and puts off the rest at no cost of an attempt."""
        _add_three_jobs(world)
        world.context = Context(lambda: seconds)
        invocation = world.deliver_due(STOP)
        assert len(invocation.called("BatchStopJobRun")) == 1
        assert invocation.counts.items() >= {"StopSubmitted": 1, "Deferred": 2, "StopCalls": 1}.items()
        assert {a["GluebrakeAttempt"]["StringValue"] for a in _attributes(world)} == {"0"}

    def test_what_is_deferred_is_stopped_later(self, world: World) -> None:
        """Even when every invocation is late, each stops something, until all is stopped."""
        _add_three_jobs(world)
        world.context = Context(lambda: 1.5)
        world.run()
        assert world.counts["Stopped"] == 3
        assert world.counts["Deferred"] == 2 + 1
        assert len(world.stop_calls()) == 3
        assert len(world.dead_letter_queue) == 0

    def test_deferring_does_not_forget_an_earlier_delivery(self, world: World) -> None:
        """A run that an earlier delivery may have stopped is confirmed, though it was put off since."""
        _add_three_jobs(world)
        for run in world.aws.glue:
            run.become("STOPPED")
        world.context = Context(lambda: 1.5)
        invocation = world.deliver_due(STOP, receive_count=2)
        assert invocation.counts["Deferred"] == 2
        world.context = Context()
        world.run()
        ends = [world.history(f"job-{number}", "jr")[-2:] for number in range(3)]
        assert ends == [["AlreadyStopping", "Stopped"]] * 3

    def test_no_call_is_started_once_time_has_run_down(self) -> None:
        """The time that is left is asked before each call, so a slow start of the invocation ends it early."""
        with World(calls_at_once=1) as world:
            for number in range(6):
                world.aws.glue.add_run(f"job-{number}", "jr")
                world.ask(f"job-{number}", "jr")
            world.context = Context(_running_down(after=world.aws.calls, calls=3))
            invocation = world.deliver_due(STOP)
            assert len(invocation.called("BatchStopJobRun")) == 3
            assert invocation.counts.items() >= {"StopSubmitted": 3, "Deferred": 3}.items()

    def test_answer_that_comes_too_late_is_not_waited_for(self, world: World) -> None:
        """A call that is not answered in time is no success: the run is tried again and then confirmed."""
        _add_three_jobs(world)
        slow = Latency(3)
        world.aws.faults.add(slow, operation="BatchStopJobRun", times=1)
        world.context = Context(lambda: 1.5)
        invocation = world.deliver_due(STOP)
        assert invocation.counts["StopSubmitted"] == 0
        assert invocation.counts["Retrying"] == 1
        world.context = Context()
        world.run()
        assert world.counts["Stopped"] == 3
        assert world.counts["Failed"] == 0

    def test_dry_run_that_was_not_looked_at_is_deferred(self, world: World) -> None:
        """A dry run whose read was not started for lack of time uses up no attempt, as a stop does not."""
        for job_name in ("a", "b", "c"):
            world.aws.glue.add_run(job_name, "jr")
            world.ask(job_name, "jr", DryRun=True)
        world.context = Context(lambda: 1.5)
        invocation = world.deliver_due(STOP)
        assert invocation.counts.items() >= {"WouldStop": 1, "Deferred": 2}.items()

    def test_denial_that_was_not_explained_in_time_is_not_final(self) -> None:
        """Whether a denied job is protected is asked again when there was no time left to ask."""
        with World(calls_at_once=1) as world:
            _add_jobs(world, 2)
            world.aws.faults.add(Refused("AccessDeniedException"), operation="BatchStopJobRun")
            for job_name in ("job-0", "job-1"):
                world.aws.glue.add_job(job_name, tags={"gluebrake:protect": ""})
            world.aws.faults.add(Latency(1.5), operation="GetTags", times=1)
            world.context = Context(lambda: 2.0)
            invocation = world.deliver_due(STOP)
            assert invocation.counts.items() >= {"Retrying": 2}.items()
            world.context = Context()
            world.run()
            assert world.counts["Protected"] == 2

    def test_many_suspects_are_put_off_in_time(self, world: World) -> None:
        """Messages that are worked on one by one do not keep the function beyond its deadline."""
        _add_jobs(world, 60)
        world.aws.faults.add(Latency(0.04), operation="SendMessageBatch")
        ends_at = monotonic() + 1.0
        world.context = Context(lambda: max(0.0, ends_at - monotonic()))
        invocation = world.deliver_due(STOP, receive_count=3)
        assert monotonic() < ends_at
        assert invocation.counts["StopSubmitted"] + invocation.counts["Deferred"] == 60


class TestWhenGlueThrottles:
    """Throttled means slower."""

    def test_few_calls_are_started(self) -> None:
        """After three throttled calls none is started; those at work by then are the only more ones."""
        with World(calls_at_once=4) as world:
            _add_jobs(world, 50)
            world.aws.faults.add(Throttle())
            invocation = world.deliver_due(STOP)
            calls = invocation.called("BatchStopJobRun")
            assert 3 <= len(calls) <= 3 + 3
            throttled = len(calls)
            assert invocation.counts.items() >= {"Retrying": throttled, "Deferred": 50 - throttled}.items()
            assert invocation.counts["StateReads"] == 0

    def test_throttled_for_ever_fails_after_the_last_attempt(self) -> None:
        """Each run is tried as often as there are attempts, and then is a dead letter that says why."""
        with World(calls_at_once=1) as world:
            _add_jobs(world, 6)
            world.aws.faults.add(Throttle(), operation="BatchStopJobRun")
            world.run()
            assert world.counts["Failed"] == 6
            assert world.counts["Retrying"] == 6 * 7
            assert len(world.aws.requests("BatchStopJobRun")) == 6 * 8
            assert {call.operation for call in world.aws.calls} == {
                "BatchStopJobRun",
                "SendMessageBatch",
                "PutEvents",
            }
            assert {(code, error, attempts) for _, code, error, attempts in world.dead_letters()} == {
                ("ThrottlingException", "Rate exceeded", "7")
            }
            assert len(world.dead_letter_queue) == 6

    def test_all_is_stopped_once_glue_answers_again(self, world: World) -> None:
        """What was throttled and what was put off are both stopped, each once."""
        _add_jobs(world, 40)
        world.aws.faults.add(Throttle(), operation="BatchStopJobRun", times=20)
        world.run()
        assert world.counts["Stopped"] == 40
        assert len(world.stop_calls()) == 40 + 20
        assert len(world.dead_letter_queue) == 0


def _let_botocore_retry(world: World) -> None:
    """Give the stop function a client that repeats a call once by itself, as the deployed one does."""
    retries = Config(retries={"mode": "standard", "total_max_attempts": 2})
    client = boto3.client("glue", **{**world.aws.client_options, "config": retries})
    glue = replace(world.parts[STOP].glue, client=client)
    world.parts[STOP] = replace(world.parts[STOP], glue=glue)


def _add_three_jobs(world: World) -> None:
    _add_jobs(world, 3)


def _add_jobs(world: World, number: int) -> None:
    """Ask for one run of each of so many jobs."""
    for job_name in (f"job-{n}" for n in range(number)):
        world.aws.glue.add_run(job_name, "jr")
        world.ask(job_name, "jr")


def _attempts(world: World) -> list[int]:
    return [line["attempt"] for invocation in world.invocations for line in invocation.outcomes]


def _attributes(world: World) -> list[dict[str, dict[str, str]]]:
    return [dict(message.attributes) for message in world.stop_queue]


def _running_down(*, after: Sequence[object], calls: int) -> Callable[[], float]:
    """Plenty of time until so many calls were made, then hardly any."""
    return lambda: 30.0 if len(after) < calls else 0.5
