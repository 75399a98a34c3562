"""The confirm function in virtual time: it watches each submitted run until it has really stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.fakes.faults import EmptyBody, Fault, LostAnswer, Refused, Throttle, TruncatedBody
from tests.support.simulated_aws import CONFIRM, STOP, Context, Invocation, World

DEADLINE = 1800


class TestPatience:
    """How often and for how long a run is looked at."""

    @pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
    def test_run_that_takes_14_minutes_is_confirmed_with_few_looks(self, world: World, jitter: float) -> None:
        """A slow run costs at most a dozen reads, is never given up, and is measured by Glue's own clock."""
        world.jitter = jitter
        _submit(world, "etl", "jr", stopping_seconds=840)
        world.run()
        looks = len(world.aws.requests("GetJobRun")) + len(world.aws.requests("GetJobRuns"))
        assert looks <= 12
        assert world.history("etl", "jr") == ["StopSubmitted", *["NotYetConfirmed"] * (looks - 1), "Stopped"]
        assert world.invocations[-1].values["TimeToStop"] == [840]
        assert len(world.dead_letter_queue) == 0

    def test_run_that_stops_at_once_is_confirmed_by_the_first_look(self, world: World) -> None:
        """The first look comes 8 to 15 seconds after the submission, since most runs have stopped by then."""
        submitted_at = world.clock()
        _submit(world, "etl", "jr", stopping_seconds=5)
        world.run()
        assert world.history("etl", "jr") == ["StopSubmitted", "Stopped"]
        assert 8 <= (world.clock() - submitted_at).total_seconds() <= 15

    @pytest.mark.parametrize("jitter", [0.0, 0.999])
    def test_run_that_never_stops_is_given_up_just_past_the_deadline(self, world: World, jitter: float) -> None:
        """The last look is put right behind the deadline, whatever the backoff would be."""
        world.jitter = jitter
        submitted_at = world.clock()
        _submit(world, "etl", "jr", stopping_seconds=None)
        world.run()
        assert world.history("etl", "jr")[-1] == "StopTimedOut"
        assert DEADLINE < (world.clock() - submitted_at).total_seconds() <= DEADLINE + 1

    def test_run_that_stops_on_the_deadline_is_not_given_up(self, world: World) -> None:
        """What has stopped by the last look has stopped, though the deadline is over."""
        _submit(world, "etl", "jr", stopping_seconds=DEADLINE)
        world.run()
        assert world.history("etl", "jr")[-1] == "Stopped"

    @pytest.mark.parametrize(
        "fault", [Refused("InternalServiceException", status=500), Throttle(), EmptyBody(), LostAnswer()]
    )
    def test_reads_that_fail_for_ever_end(self, world: World, fault: Fault) -> None:
        """A run that cannot be read is looked for twice as long as the deadline, and then given up."""
        submitted_at = world.clock()
        _submit(world, "etl", "jr")
        world.aws.faults.add(fault, operation="GetJobRun")
        world.run()
        assert world.history("etl", "jr")[-2:] == ["NotYetConfirmed", "StopTimedOut"]
        assert 2 * DEADLINE < (world.clock() - submitted_at).total_seconds() <= 2 * DEADLINE + 300
        assert len(world.aws.requests("GetJobRun")) <= 20
        assert len(world.dead_letters()) == 1

    def test_reads_that_fail_past_the_deadline_do_not_hide_the_end(self, world: World) -> None:
        """A run that could not be read at the deadline is confirmed by the first read that succeeds."""
        _submit(world, "etl", "jr")
        world.aws.faults.add(TruncatedBody(), operation="GetJobRun", times=13)
        world.run()
        assert world.history("etl", "jr")[-2:] == ["NotYetConfirmed", "Stopped"]
        assert world.invocations[-1].values["TimeToStop"] == [10]

    def test_attempts_are_not_counted_as_for_stopping(self, world: World) -> None:
        """More looks than a stop has attempts do not end the watch before the deadline."""
        _submit(world, "etl", "jr", stopping_seconds=DEADLINE - 60)
        world.run()
        assert world.history("etl", "jr").count("NotYetConfirmed") > 8
        assert world.history("etl", "jr")[-1] == "Stopped"


class TestCalls:
    """The fewest reads."""

    def test_200_runs_of_a_job_cost_one_call(self, world: World) -> None:
        """One page tells the states of all the runs of a job that a look is about."""
        run_ids = _stopped(world, 200)
        world.put_to_confirm("etl", *run_ids, submitted_at=world.clock())
        invocation = world.deliver_due(CONFIRM)
        assert _reads(invocation) == ["GetJobRuns"]
        assert (invocation.counts["Stopped"], invocation.counts["StateReads"]) == (200, 1)

    def test_run_older_than_the_newest_200_costs_one_more(self, world: World) -> None:
        """A run that is not on the page is read by itself."""
        run_ids = _stopped(world, 200)
        world.aws.glue.add_run("etl", "old", state="STOPPED", started_on=world.clock() - timedelta(days=1))
        world.put_to_confirm("etl", *run_ids, "old", submitted_at=world.clock())
        invocation = world.deliver_due(CONFIRM)
        assert _reads(invocation) == ["GetJobRuns", "GetJobRun"]
        assert invocation.called("GetJobRun") == [{"JobName": "etl", "RunId": "old"}]
        assert invocation.counts["Stopped"] == 201

    def test_one_run_is_read_by_itself(self, world: World) -> None:
        """A single run of a job needs no page of 200."""
        (run_id,) = _stopped(world, 1)
        world.put_to_confirm("etl", run_id, submitted_at=world.clock())
        assert _reads(world.deliver_due(CONFIRM)) == ["GetJobRun"]

    def test_looks_at_many_runs_stay_together(self, world: World) -> None:
        """Runs that are still stopping go on in one message, so that each look costs one call."""
        run_ids = [f"jr_{number}" for number in range(120)]
        for run_id in run_ids:
            world.aws.glue.add_run("etl", run_id, stopping_seconds=300)
            world.ask("etl", run_id)
        world.run()
        assert world.counts["Stopped"] == 120
        looks = len([invocation for invocation in world.invocations if invocation.service == CONFIRM])
        assert len(world.aws.requests("GetJobRuns")) == looks
        assert len(world.aws.requests("GetJobRun")) == 0

    def test_throttling_ends_the_looks_of_an_invocation(self) -> None:
        """After three throttled reads none is started, and what was not read is looked at again."""
        with World(calls_at_once=1) as world:
            for job_name in map(str, range(20)):
                world.aws.glue.add_run(job_name, "jr", state="STOPPED")
                world.put_to_confirm(job_name, "jr", submitted_at=world.clock())
            world.aws.faults.add(Throttle(), operation="GetJobRun", times=3)
            invocation = world.deliver_due(CONFIRM)
            assert invocation.counts["StateReads"] == 3
            assert invocation.counts["NotYetConfirmed"] == 20
            world.run()
            assert world.counts["Stopped"] == 20

    def test_little_time_is_enough_for_one_look(self, world: World) -> None:
        """Late invocations look at something each, until all is confirmed."""
        for job_name in ("a", "b", "c"):
            world.aws.glue.add_run(job_name, "jr", state="STOPPED")
            world.put_to_confirm(job_name, "jr", submitted_at=world.clock())
        world.context = Context(lambda: 1.5)
        invocation = world.deliver_due(CONFIRM)
        assert (invocation.counts["Stopped"], invocation.counts["NotYetConfirmed"]) == (1, 2)
        world.run()
        assert world.counts["Stopped"] == 3


def test_selection_is_nothing_to_watch(world: World) -> None:
    """A message on the confirm queue that names no run becomes a dead letter."""
    world.confirm_queue.put('{"JobName": "etl", "Select": {}}')
    invocation = world.deliver_due(CONFIRM)
    assert invocation.counts["InvalidRequest"] == 1
    ((_, code, why, _),) = world.dead_letters()
    assert (code, why) == ("InvalidRequest", "Select: a run that is watched must be named, in JobRunIds")


def test_dry_selection_that_cannot_be_watched_is_no_dead_letter(world: World) -> None:
    """A dry run never makes a dead letter, not even on the confirm queue."""
    world.confirm_queue.put('{"JobName": "etl", "Select": {}, "DryRun": true}')
    assert world.deliver_due(CONFIRM).counts["InvalidRequest"] == 1
    assert not world.dead_letters()


class TestDuplicates:
    """Several messages about one run."""

    @pytest.mark.parametrize("ages", [(1000, 0), (0, 1000), (1000, 1000, 300)])
    def test_earliest_submission_sets_the_deadline(self, world: World, ages: tuple[int, ...]) -> None:
        """Together, they end when the earliest alone would have: not later, and not sooner."""
        started_at = world.clock()
        world.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=None)
        for age in ages:
            world.put_to_confirm("etl", "jr", submitted_at=started_at - timedelta(seconds=age))
        world.run()
        assert world.history("etl", "jr")[-1] == "StopTimedOut"
        assert world.history("etl", "jr").count("StopTimedOut") == 1
        seconds = (world.clock() - started_at).total_seconds()
        assert DEADLINE - 1000 < seconds <= DEADLINE - 1000 + 1
        assert len(world.dead_letter_queue) == 1

    def test_time_to_stop_counts_from_the_earliest_submission(self, world: World) -> None:
        """A second submission of a run does not make its stop look faster."""
        world.aws.glue.add_run("etl", "jr", state="STOPPED")
        for age in (30, 90, 60):
            world.put_to_confirm("etl", "jr", submitted_at=world.clock() - timedelta(seconds=age))
        invocation = world.deliver_due(CONFIRM)
        assert invocation.values["TimeToStop"] == [90]
        assert [len(line["message_ids"]) for line in invocation.outcomes] == [3]

    def test_run_that_is_stopping_already_counts_from_its_known_submission(self, world: World) -> None:
        """A confirm message that comes to the stop queue, as after a redrive, keeps its submission time."""
        world.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=10)
        world.put_to_confirm("etl", "jr", submitted_at=world.clock() - timedelta(seconds=60))
        (message,) = world.confirm_queue.take()
        world.stop_queue.put(message.body, attributes=message.attributes)
        world.run()
        assert world.history("etl", "jr") == ["AlreadyStopping", "Stopped"]
        assert world.invocations[-1].values["TimeToStop"] == [70]

    def test_submission_that_was_stamped_in_the_future_does_not_extend_the_deadline(self, world: World) -> None:
        """A submission is never later than the message that tells of it."""
        world.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=None)
        started_at = world.clock()
        world.put_to_confirm("etl", "jr", submitted_at=started_at + timedelta(days=1))
        world.run()
        assert DEADLINE < (world.clock() - started_at).total_seconds() <= DEADLINE + 1

    def test_message_without_a_submission_time_counts_from_its_own(self, world: World) -> None:
        """A message that somebody put on the confirm queue is watched as if submitted when it was sent."""
        world.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=None)
        started_at = world.clock()
        world.confirm_queue.put('{"JobName": "etl", "JobRunIds": ["jr"]}')
        world.run()
        assert DEADLINE < (world.clock() - started_at).total_seconds() <= DEADLINE + 1


class TestMeasures:
    """What a stop saved."""

    @pytest.mark.parametrize(
        ("details", "dpus", "dpu_hours"),
        [
            ({"WorkerType": "G.1X", "NumberOfWorkers": 10}, 10, 10.05),
            ({"WorkerType": "G.025X", "NumberOfWorkers": 2}, 0.5, 0.5025),
            ({"WorkerType": "R.8X", "NumberOfWorkers": 3, "DPUSeconds": 7200.0}, 24, 2),
            ({"WorkerType": "Standard", "MaxCapacity": 5.0}, 5, 5.025),
            ({"WorkerType": "", "MaxCapacity": 0.0625}, 0.0625, 0.0628125),
        ],
    )
    def test_measures_come_from_glues_fields(
        self, world: World, details: dict[str, Any], dpus: float, dpu_hours: float
    ) -> None:
        """Seconds to stop, DPUs and DPU-hours are in the metrics and in the log line of a run that stopped."""
        started_on = world.clock() - timedelta(hours=1)
        _submit(world, "etl", "jr", stopping_seconds=18, started_on=started_on, **details)
        world.run()
        last = world.invocations[-1]
        assert last.values["TimeToStop"] == [18]
        assert last.values["DpusReleased"] == [dpus]
        assert last.values["DpuHoursConsumed"] == pytest.approx([dpu_hours])
        (line,) = last.outcomes
        assert line.items() >= {"TimeToStop": 18, "DpusReleased": dpus, "state": "STOPPED"}.items()
        assert line["DpuHoursConsumed"] == pytest.approx(dpu_hours)

    def test_what_glue_does_not_say_is_not_measured(self, world: World) -> None:
        """An unknown kind of worker has no DPUs: unknown in the log, and no metric."""
        _submit(world, "etl", "jr", WorkerType="Q.64X")
        world.run()
        last = world.invocations[-1]
        assert "DpusReleased" not in last.values
        assert "DpuHoursConsumed" not in last.values
        (line,) = last.outcomes
        assert (line["DpusReleased"], line["DpuHoursConsumed"]) == ("unknown", "unknown")

    def test_run_that_had_stopped_before_took_no_time(self, world: World) -> None:
        """A run that had stopped before it was submitted took 0 seconds, not fewer."""
        world.aws.glue.add_run("etl", "jr", state="STOPPED")
        world.clock.advance(60)
        world.put_to_confirm("etl", "jr", submitted_at=world.clock())
        assert world.deliver_due(CONFIRM).values["TimeToStop"] == [0]

    @pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"])
    def test_run_that_ended_otherwise_is_not_measured(self, world: World, state: str) -> None:
        """A run that finished first saved nothing."""
        _submit(world, "etl", "jr", stops_as=state)
        world.run()
        assert world.history("etl", "jr") == ["StopSubmitted", "FinishedBeforeStop"]
        assert "TimeToStop" not in world.invocations[-1].values

    def test_more_runs_than_a_metric_takes_values_are_all_measured(self, world: World) -> None:
        """With over 100 values the metrics come in several lines, and nothing is counted twice."""
        run_ids = _stopped(world, 150)
        world.put_to_confirm("etl", *run_ids, submitted_at=world.clock())
        invocation = world.deliver_due(CONFIRM)
        assert len(invocation.metrics) > 1
        assert len(invocation.values["TimeToStop"]) == len(invocation.values["DpusReleased"]) == 150
        assert invocation.counts["Stopped"] == 150


def _submit(world: World, job_name: str, run_id: str, **details: Any) -> None:
    """Have the stop function submit a run, so that it is on its way to be confirmed."""
    world.aws.glue.add_run(job_name, run_id, **details)
    world.ask(job_name, run_id)
    assert world.deliver_due(STOP).counts["StopSubmitted"] == 1


def _stopped(world: World, number: int) -> list[str]:
    """Add so many runs that have stopped, and name them."""
    run_ids = [f"jr_{n}" for n in range(number)]
    for run_id in run_ids:
        world.aws.glue.add_run("etl", run_id, state="STOPPED")
    return run_ids


def _reads(invocation: Invocation) -> list[str]:
    """Return the operations that were called, all but the one that tells others what became of the runs."""
    return [call.operation for call in invocation.calls if call.operation != "PutEvents"]
