"""Tests that CONFIRM polls each submitted run until it has stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.fakes.faults import EmptyBody, Fault, LostAnswer, Refused, Throttle, TruncatedBody
from tests.support.simulated_aws import CONFIRM, STOP, Context, Invocation, SimulatedAws

DEADLINE = 1800


class TestPolling:
    """How often and for how long a run is polled."""

    @pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
    def test_run_that_takes_14_minutes_is_confirmed_with_few_polls(
        self, simulation: SimulatedAws, jitter: float
    ) -> None:
        """A slow run needs at most a dozen polls, does not time out, and is measured by Glue's own times."""
        simulation.jitter = jitter
        _submit(simulation, "etl", "jr", stopping_seconds=840)
        simulation.run()
        polls = len(simulation.aws.requests("GetJobRun")) + len(simulation.aws.requests("GetJobRuns"))
        assert polls <= 12
        assert simulation.history("etl", "jr") == [
            "StopSubmitted",
            *["NotYetConfirmed"] * (polls - 1),
            "Stopped",
        ]
        assert simulation.invocations[-1].values["TimeToStop"] == [840]
        assert len(simulation.dead_letter_queue) == 0

    def test_run_that_stops_at_once_is_confirmed_by_the_first_poll(self, simulation: SimulatedAws) -> None:
        """The first poll is 8 to 15 seconds after the submission, since most runs have stopped by then."""
        submitted_at = simulation.clock()
        _submit(simulation, "etl", "jr", stopping_seconds=5)
        simulation.run()
        assert simulation.history("etl", "jr") == ["StopSubmitted", "Stopped"]
        assert 8 <= (simulation.clock() - submitted_at).total_seconds() <= 15

    @pytest.mark.parametrize("jitter", [0.0, 0.999])
    def test_run_that_never_stops_times_out_just_after_the_deadline(
        self, simulation: SimulatedAws, jitter: float
    ) -> None:
        """The last poll is within a second after the deadline, whatever delay the backoff has."""
        simulation.jitter = jitter
        submitted_at = simulation.clock()
        _submit(simulation, "etl", "jr", stopping_seconds=None)
        simulation.run()
        assert simulation.history("etl", "jr")[-1] == "StopTimedOut"
        assert DEADLINE < (simulation.clock() - submitted_at).total_seconds() <= DEADLINE + 1

    def test_run_that_stops_on_the_deadline_does_not_time_out(self, simulation: SimulatedAws) -> None:
        """A run that the last poll shows as stopped is Stopped, although the deadline has passed."""
        _submit(simulation, "etl", "jr", stopping_seconds=DEADLINE)
        simulation.run()
        assert simulation.history("etl", "jr")[-1] == "Stopped"

    @pytest.mark.parametrize(
        "fault", [Refused("InternalServiceException", status=500), Throttle(), EmptyBody(), LostAnswer()]
    )
    def test_polls_that_always_fail_end(self, simulation: SimulatedAws, fault: Fault) -> None:
        """A run whose state cannot be read is polled for two deadlines, and is then Unconfirmed."""
        submitted_at = simulation.clock()
        _submit(simulation, "etl", "jr")
        simulation.aws.faults.add(fault, operation="GetJobRun")
        simulation.run()
        assert simulation.history("etl", "jr")[-2:] == ["NotYetConfirmed", "Unconfirmed"]
        assert 2 * DEADLINE < (simulation.clock() - submitted_at).total_seconds() <= 2 * DEADLINE + 300
        assert len(simulation.aws.requests("GetJobRun")) <= 20
        assert len(simulation.dead_letters()) == 1

    def test_run_is_confirmed_although_polls_fail_beyond_the_deadline(self, simulation: SimulatedAws) -> None:
        """A run whose state could not be read at the deadline is confirmed by the first poll that succeeds."""
        _submit(simulation, "etl", "jr")
        simulation.aws.faults.add(TruncatedBody(), operation="GetJobRun", times=13)
        simulation.run()
        assert simulation.history("etl", "jr")[-2:] == ["NotYetConfirmed", "Stopped"]
        assert simulation.invocations[-1].values["TimeToStop"] == [10]

    def test_number_of_polls_has_no_limit_of_attempts(self, simulation: SimulatedAws) -> None:
        """More polls than `maxAttempts` do not end the confirmation before the deadline."""
        _submit(simulation, "etl", "jr", stopping_seconds=DEADLINE - 60)
        simulation.run()
        assert simulation.history("etl", "jr").count("NotYetConfirmed") > 8
        assert simulation.history("etl", "jr")[-1] == "Stopped"


class TestCalls:
    """CONFIRM reads the states with the fewest calls."""

    def test_200_runs_of_a_job_need_one_call(self, simulation: SimulatedAws) -> None:
        """One page has the states of all polled runs of a job."""
        run_ids = _stopped(simulation, 200)
        simulation.put_on_confirm_queue("etl", *run_ids, submitted_at=simulation.clock())
        invocation = simulation.deliver_due(CONFIRM)
        assert _reads(invocation) == ["GetJobRuns"]
        assert (invocation.counts["Stopped"], invocation.counts["StateReads"]) == (200, 1)

    def test_run_older_than_the_newest_200_needs_one_more_call(self, simulation: SimulatedAws) -> None:
        """A run that is not on the page is read alone."""
        run_ids = _stopped(simulation, 200)
        simulation.aws.glue.add_run(
            "etl", "old", state="STOPPED", started_on=simulation.clock() - timedelta(days=1)
        )
        simulation.put_on_confirm_queue("etl", *run_ids, "old", submitted_at=simulation.clock())
        invocation = simulation.deliver_due(CONFIRM)
        assert _reads(invocation) == ["GetJobRuns", "GetJobRun"]
        assert invocation.called("GetJobRun") == [{"JobName": "etl", "RunId": "old"}]
        assert invocation.counts["Stopped"] == 201

    def test_one_run_is_read_alone(self, simulation: SimulatedAws) -> None:
        """A single run of a job needs no page of 200."""
        (run_id,) = _stopped(simulation, 1)
        simulation.put_on_confirm_queue("etl", run_id, submitted_at=simulation.clock())
        assert _reads(simulation.deliver_due(CONFIRM)) == ["GetJobRun"]

    def test_polled_runs_stay_in_one_message(self, simulation: SimulatedAws) -> None:
        """Runs that are still stopping share the next message, so that each poll needs one call."""
        run_ids = [f"jr_{number}" for number in range(120)]
        for run_id in run_ids:
            simulation.aws.glue.add_run("etl", run_id, stopping_seconds=300)
            simulation.request_stop("etl", run_id)
        simulation.run()
        assert simulation.counts["Stopped"] == 120
        polls = len([invocation for invocation in simulation.invocations if invocation.service == CONFIRM])
        assert len(simulation.aws.requests("GetJobRuns")) == polls
        assert len(simulation.aws.requests("GetJobRun")) == 0

    def test_throttling_ends_the_polls_of_an_invocation(self) -> None:
        """After three throttled reads no read starts, and the other runs are polled later."""
        with SimulatedAws(calls_at_once=1) as simulation:
            for job_name in map(str, range(20)):
                simulation.aws.glue.add_run(job_name, "jr", state="STOPPED")
                simulation.put_on_confirm_queue(job_name, "jr", submitted_at=simulation.clock())
            simulation.aws.faults.add(Throttle(), operation="GetJobRun", times=3)
            invocation = simulation.deliver_due(CONFIRM)
            assert invocation.counts["StateReads"] == 3
            assert invocation.counts["NotYetConfirmed"] == 20
            simulation.run()
            assert simulation.counts["Stopped"] == 20

    def test_little_time_is_enough_for_one_poll(self, simulation: SimulatedAws) -> None:
        """Each invocation with little time polls a run, until all are confirmed."""
        for job_name in ("a", "b", "c"):
            simulation.aws.glue.add_run(job_name, "jr", state="STOPPED")
            simulation.put_on_confirm_queue(job_name, "jr", submitted_at=simulation.clock())
        simulation.context = Context(lambda: 1.5)
        invocation = simulation.deliver_due(CONFIRM)
        assert (invocation.counts["Stopped"], invocation.counts["NotYetConfirmed"]) == (1, 2)
        simulation.run()
        assert simulation.counts["Stopped"] == 3


def test_selection_on_the_confirm_queue_is_invalid(simulation: SimulatedAws) -> None:
    """A message on the confirm queue that names no run becomes a dead letter."""
    simulation.confirm_queue.put('{"JobName": "etl", "Select": {}}')
    invocation = simulation.deliver_due(CONFIRM)
    assert invocation.counts["InvalidRequest"] == 1
    ((_, code, why, _),) = simulation.dead_letters()
    assert (code, why) == (
        "InvalidRequest",
        "Select: a message on the confirm queue must name its runs in JobRunIds",
    )


def test_dry_run_on_the_confirm_queue_makes_no_dead_letter(simulation: SimulatedAws) -> None:
    """A dry run never makes a dead letter, not even on the confirm queue."""
    simulation.confirm_queue.put('{"JobName": "etl", "Select": {}, "DryRun": true}')
    assert simulation.deliver_due(CONFIRM).counts["InvalidRequest"] == 1
    assert not simulation.dead_letters()


class TestDuplicates:
    """Several messages about one run."""

    @pytest.mark.parametrize("ages", [(1000, 0), (0, 1000), (1000, 1000, 300)])
    def test_earliest_submission_sets_the_deadline(
        self, simulation: SimulatedAws, ages: tuple[int, ...]
    ) -> None:
        """The confirmation ends when it would end for the earliest message alone."""
        started_at = simulation.clock()
        simulation.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=None)
        for age in ages:
            simulation.put_on_confirm_queue("etl", "jr", submitted_at=started_at - timedelta(seconds=age))
        simulation.run()
        assert simulation.history("etl", "jr")[-1] == "StopTimedOut"
        assert simulation.history("etl", "jr").count("StopTimedOut") == 1
        seconds = (simulation.clock() - started_at).total_seconds()
        assert DEADLINE - 1000 < seconds <= DEADLINE - 1000 + 1
        assert len(simulation.dead_letter_queue) == 1

    def test_time_to_stop_counts_from_the_earliest_submission(self, simulation: SimulatedAws) -> None:
        """A second submission of a run does not shorten its measured time."""
        simulation.aws.glue.add_run("etl", "jr", state="STOPPED")
        for age in (30, 90, 60):
            simulation.put_on_confirm_queue(
                "etl", "jr", submitted_at=simulation.clock() - timedelta(seconds=age)
            )
        invocation = simulation.deliver_due(CONFIRM)
        assert invocation.values["TimeToStop"] == [90]
        assert [len(line["message_ids"]) for line in invocation.outcomes] == [3]

    def test_run_that_is_stopping_already_counts_from_its_known_submission(
        self, simulation: SimulatedAws
    ) -> None:
        """A message of CONFIRM on the stop queue, as after a redrive, keeps its submission time."""
        simulation.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=10)
        simulation.put_on_confirm_queue("etl", "jr", submitted_at=simulation.clock() - timedelta(seconds=60))
        (message,) = simulation.confirm_queue.take()
        simulation.stop_queue.put(message.body, attributes=message.attributes)
        simulation.run()
        assert simulation.history("etl", "jr") == ["AlreadyStopping", "Stopped"]
        assert simulation.invocations[-1].values["TimeToStop"] == [70]

    def test_submission_time_in_the_future_does_not_extend_the_deadline(self, simulation: SimulatedAws) -> None:
        """The submission time of a message is never later than the message."""
        simulation.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=None)
        started_at = simulation.clock()
        simulation.put_on_confirm_queue("etl", "jr", submitted_at=started_at + timedelta(days=1))
        simulation.run()
        assert DEADLINE < (simulation.clock() - started_at).total_seconds() <= DEADLINE + 1

    def test_message_without_a_submission_time_counts_from_when_it_was_sent(
        self, simulation: SimulatedAws
    ) -> None:
        """A message without bookkeeping on the confirm queue is confirmed as if submitted when it was sent."""
        simulation.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=None)
        started_at = simulation.clock()
        simulation.confirm_queue.put('{"JobName": "etl", "JobRunIds": ["jr"]}')
        simulation.run()
        assert DEADLINE < (simulation.clock() - started_at).total_seconds() <= DEADLINE + 1


class TestMeasures:
    """The time to stop, the DPUs and the DPU-hours of a run that stopped."""

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
        self, simulation: SimulatedAws, details: dict[str, Any], dpus: float, dpu_hours: float
    ) -> None:
        """Seconds to stop, DPUs and DPU-hours are in the metrics and in the run's log line."""
        started_on = simulation.clock() - timedelta(hours=1)
        _submit(simulation, "etl", "jr", stopping_seconds=18, started_on=started_on, **details)
        simulation.run()
        last = simulation.invocations[-1]
        assert last.values["TimeToStop"] == [18]
        assert last.values["DpusReleased"] == [dpus]
        assert last.values["DpuHoursConsumed"] == pytest.approx([dpu_hours], abs=1e-6)
        (line,) = last.outcomes
        assert line.items() >= {"TimeToStop": 18, "DpusReleased": dpus, "state": "STOPPED"}.items()
        assert line["DpuHoursConsumed"] == pytest.approx(dpu_hours, abs=1e-6)

    def test_value_that_glue_does_not_report_is_not_measured(self, simulation: SimulatedAws) -> None:
        """For an unknown worker type the DPUs are `unknown` in the log, and missing from the metrics."""
        _submit(simulation, "etl", "jr", WorkerType="Q.64X")
        simulation.run()
        last = simulation.invocations[-1]
        assert "DpusReleased" not in last.values
        assert "DpuHoursConsumed" not in last.values
        (line,) = last.outcomes
        assert line["DpusReleased"] == "unknown"
        assert line.keys().isdisjoint({"DpuHoursConsumed", "EstimatedCostUsd", "FurtherCostUsdAtMost"})

    def test_run_that_stopped_before_its_submission_took_no_time(self, simulation: SimulatedAws) -> None:
        """A run that stopped before its submission took 0 seconds, not fewer."""
        simulation.aws.glue.add_run("etl", "jr", state="STOPPED")
        simulation.clock.advance(60)
        simulation.put_on_confirm_queue("etl", "jr", submitted_at=simulation.clock())
        assert simulation.deliver_due(CONFIRM).values["TimeToStop"] == [0]

    @pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"])
    def test_run_that_ended_in_another_state_is_not_measured(
        self, simulation: SimulatedAws, state: str
    ) -> None:
        """A run that finished before the stop has no time to stop."""
        _submit(simulation, "etl", "jr", stops_as=state)
        simulation.run()
        assert simulation.history("etl", "jr") == ["StopSubmitted", "FinishedBeforeStop"]
        assert "TimeToStop" not in simulation.invocations[-1].values

    def test_more_runs_than_the_values_of_a_metric_line_are_all_measured(
        self, simulation: SimulatedAws
    ) -> None:
        """With over 100 values there are several metric lines, and no value is counted twice."""
        run_ids = _stopped(simulation, 150)
        simulation.put_on_confirm_queue("etl", *run_ids, submitted_at=simulation.clock())
        invocation = simulation.deliver_due(CONFIRM)
        assert len(invocation.metrics) > 1
        assert len(invocation.values["TimeToStop"]) == len(invocation.values["DpusReleased"]) == 150
        assert invocation.counts["Stopped"] == 150


def _submit(simulation: SimulatedAws, job_name: str, run_id: str, **details: Any) -> None:
    """Let STOP submit a run, so that it is on the confirm queue."""
    simulation.aws.glue.add_run(job_name, run_id, **details)
    simulation.request_stop(job_name, run_id)
    assert simulation.deliver_due(STOP).counts["StopSubmitted"] == 1


def _stopped(simulation: SimulatedAws, number: int) -> list[str]:
    """Add runs that have stopped. Return their ids."""
    run_ids = [f"jr_{n}" for n in range(number)]
    for run_id in run_ids:
        simulation.aws.glue.add_run("etl", run_id, state="STOPPED")
    return run_ids


def _reads(invocation: Invocation) -> list[str]:
    """Return the operations of Glue that were called."""
    return [call.operation for call in invocation.calls if call.operation.startswith("GetJobRun")]
