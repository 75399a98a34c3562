"""The model of the stack: what holds of it by reckoning, and that it agrees with the real functions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from statistics import fmean

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from benchmarks import agreement, scenarios
from benchmarks.assumptions import Aws, Cpu, Limit, Setup, Sizes
from benchmarks.prices import LINES, Prices, Standing, Usage, bill, monthly
from benchmarks.producers import Phase, Producers, Request
from benchmarks.scale import compare_stream
from benchmarks.simulation import (
    PAGE_READ,
    RUN_READ,
    STOP_CALL,
    Played,
    Simulation,
    look_delay,
    percentile,
    seconds_at_once,
)
from gluebrake import onward, planning
from gluebrake.model import Outcome, Queue
from infra.config import Config
from tests.builders import NOON, asked, limits, message, policy, result

NO_CPU = Cpu(per_invocation=0, per_run=0, per_call=0)
PLAIN = Aws(dispatch_seconds=0, cold_seconds=0, sqs_seconds=0, events_seconds=0, hanging_share=0)
ONE_BY_ONE = Config(batch_size=1, max_concurrency=1)
"""A server that works on one request at a time; each takes as long as one call to Glue."""
WINDOW = Config(batch_size=1000, batch_window_seconds=5)


def changed(config: Config, **changes: int) -> Config:
    """Return the configuration with other values."""
    return msgspec.structs.replace(config, **changes)


def play(requests: list[Request], config: Config | None = None, aws: Aws = PLAIN, **changes: object) -> Played:
    """Play with a processor that takes no time, unless `changes` of the setup say otherwise."""
    setup = Setup(config=config or Config(), aws=aws, cpu=NO_CPU)
    return Simulation(replace(setup, **changes), requests).play()  # type: ignore[arg-type]


def every(seconds: float, number: int, jobs: int = 1) -> list[Request]:
    """Ask for a run of its own each time."""
    return [Request(seconds * index, index % jobs, index) for index in range(number)]


def limited(per_second: float, burst: float = 2) -> Aws:
    """Let Glue take so many calls of each kind a second."""
    return replace(PLAIN, limits=dict.fromkeys((STOP_CALL, PAGE_READ, RUN_READ), Limit(per_second, burst)))


class TestAccounting:
    """No request is lost, and none is invented."""

    @hypothesis_settings(deadline=None, max_examples=40)
    @given(
        number=st.integers(1, 150),
        per_second=st.sampled_from([0.1, 2.0, 50.0]),
        duplicates=st.sampled_from([0.0, 0.5]),
        config=st.sampled_from([Config(), WINDOW, changed(Config(), max_attempts=2)]),
        limit=st.sampled_from([0.1, 1.0, None]),
        hanging=st.sampled_from([0.0, 0.3]),
        seed=st.integers(0, 3),
    )
    def test_every_request_ends(  # noqa: PLR0913 - that many things can be different
        self,
        *,
        number: int,
        per_second: float,
        duplicates: float,
        config: Config,
        limit: float | None,
        hanging: float,
        seed: int,
    ) -> None:
        """Each request is merged into another or ends in one final outcome, whatever Glue takes or hangs."""
        producers = Producers(jobs=4, duplicates=duplicates, remembered=30)
        requests = producers.requests([Phase(2 * number / per_second, per_second)], seed)[:number]
        aws = replace(limited(limit) if limit else PLAIN, hanging_share=hanging)
        played = play(requests, config, aws)
        assert played.requests == len(requests) == played.merged + played.ended.total()

    def test_what_glue_takes_is_stopped(self) -> None:
        """With a Glue that takes every call, each run is submitted once and stops."""
        requests = Producers(duplicates=0.3).requests([Phase(100, 5)], seed=1)
        played = play(requests)
        runs = {one.run for one in requests}
        assert len(played.waits) == len(runs)
        assert not played.ended.keys() - {Outcome.STOPPED, Outcome.ALREADY_FINISHED}

    def test_hanging_runs_become_dead_letters(self) -> None:
        """A run that never stops is watched until the deadline and no longer."""
        played = play(every(1, 3), aws=replace(PLAIN, hanging_share=1))
        assert played.ended == {Outcome.STOP_TIMED_OUT: 3}
        assert Config().confirm_deadline_seconds < played.seconds < Config().confirm_deadline_seconds + 10

    def test_attempts_are_used_up_before_a_run_is_given_up(self) -> None:
        """Where Glue takes no call at all, each request is tried as often as configured, then dead."""
        played = play(every(60, 4), aws=limited(0, burst=0))
        assert played.outcomes[Queue.STOP] == {Outcome.RETRYING: 4 * 7, Outcome.FAILED: 4}
        assert played.calls == {STOP_CALL: 4 * Config().max_attempts * PLAIN.tries}


class TestRepeating:
    """The same again is the same."""

    def test_the_seed_decides(self) -> None:
        """A seed gives the same day again, another seed another."""
        first, again, other = (
            play(Producers(duplicates=0.1).requests([Phase(60, 20)], seed), aws=limited(5), seed=seed)
            for seed in (1, 1, 2)
        )
        assert first == again
        assert first != other


class TestWaiting:
    """Times that can be reckoned by hand."""

    def test_a_queue_before_one_server(self) -> None:
        """Of requests a tenth of a second apart, each waits for those before it: 0.5 s of service each."""
        played = play(every(0.1, 4), ONE_BY_ONE, replace(PLAIN, glue_seconds=0.5))
        assert played.waits == pytest.approx([0.5, 0.9, 1.3, 1.7])

    @pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
    def test_random_arrivals_at_a_server_of_constant_speed(self, load: float) -> None:
        """The mean wait is that of an M/D/1 queue: load / (2 (1 - load)) services, and the service itself."""
        requests = Producers().requests([Phase(8000 / load, load)], seed=3)
        played = play(requests, ONE_BY_ONE, replace(PLAIN, glue_seconds=1))
        assert fmean(played.waits) == pytest.approx(1 + load / (2 * (1 - load)), rel=0.05)

    def test_as_many_wait_as_come_in_the_time_of_a_wait(self) -> None:
        """Little's law: the mean number in the system is the rate times the mean time in it."""
        requests = Producers().requests([Phase(8000, 0.7)], seed=5)
        played = play(requests, ONE_BY_ONE, replace(PLAIN, glue_seconds=1), sample_seconds=0.37)
        inside = fmean(depth.runs for depth in played.depths if depth.at < 8000)
        assert inside == pytest.approx(len(requests) / 8000 * fmean(played.waits), rel=0.03)

    def test_calls_take_turns(self) -> None:
        """Eight calls at a time: ten calls are two rounds, and the processor is shared by those of a round."""
        assert seconds_at_once(10, 8, 0.0, 0.05) == pytest.approx(0.1)
        assert seconds_at_once(8, 8, 0.01, 0.05) == pytest.approx(0.13)
        assert seconds_at_once(0, 8, 0.01, 0.05) == 0

    def test_a_cold_start_comes_first_and_after_a_pause(self) -> None:
        """The first request waits for the environment, one soon after does not, one long after does again."""
        aws = replace(PLAIN, cold_seconds=2, kept_warm_seconds=600, glue_seconds=0.5)
        played = play([Request(0, 0, 0), Request(10, 0, 1), Request(1000, 0, 2)], aws=aws)
        assert played.waits == pytest.approx([2.5, 0.5, 2.5])


class TestBatches:
    """How the mapping makes invocations of messages."""

    def test_without_a_window_a_request_is_an_invocation(self) -> None:
        """What comes alone goes alone, at once."""
        played = play(every(1, 5), changed(Config(), batch_size=10))
        assert [one.letters for one in played.invocations if one.queue is Queue.STOP] == [1] * 5

    def test_with_a_window_many_share_an_invocation(self) -> None:
        """What comes within the window goes together, shared out among the pollers."""
        played = play(every(0.1, 50, jobs=5), WINDOW)
        first, second, *_ = (one for one in played.invocations if one.queue is Queue.STOP)
        assert (first.at, first.letters + second.letters) == (5.0, 50)

    def test_few_messages_wait_for_a_long_poll(self) -> None:
        """When fewer than ten come within the window, Lambda waits up to 20 seconds."""
        played = play(every(1, 3), WINDOW)
        assert [(one.at, one.letters) for one in played.invocations if one.queue is Queue.STOP] == [(20.0, 3)]

    def test_a_full_batch_waits_for_nothing(self) -> None:
        """As soon as there are as many as a batch holds, an invocation starts."""
        played = play([Request(0.0, 0, run) for run in range(40)], changed(WINDOW, batch_size=20))
        assert [(one.at, one.letters) for one in played.invocations if one.queue is Queue.STOP] == [
            (0.0, 20)
        ] * 2

    def test_six_megabytes_are_an_invocation_at_most(self) -> None:
        """A batch ends where the payload would be too large."""
        config = changed(WINDOW, batch_size=10_000, max_concurrency=1)
        requests = [Request(0.0, 0, run) for run in range(120)]
        played = play(requests, config, replace(PLAIN, payload_bytes=60_000), sizes=Sizes(record=1000))
        assert max(one.letters for one in played.invocations) == 60

    def test_no_more_invocations_at_once_than_configured(self) -> None:
        """However many wait, the stop function runs maxConcurrency times at most."""
        requests = [Request(0.0, run, run) for run in range(300)]
        played = play(requests, changed(Config(), max_concurrency=3), replace(PLAIN, glue_seconds=1))
        spans = [(one.at, one.at + one.seconds) for one in played.invocations if one.queue is Queue.STOP]
        assert max(sum(at <= moment < end for at, end in spans) for moment, _ in spans) == 3


class TestCalls:
    """How many calls are made, and when."""

    @pytest.mark.parametrize("jobs", [1, 7, 50])
    def test_an_invocation_makes_the_fewest_calls(self, jobs: int) -> None:
        """Without throttling it makes as many as the real plan has batches."""
        requests = [Request(0.0, number % jobs, number) for number in range(220)]
        played = play(requests, changed(WINDOW, batch_size=220, max_concurrency=1))
        messages = [message(message_id=f"m-{one.run}") for one in requests]
        asks = [
            asked(f"jr_{one.run}", by=by, job_name=f"job-{one.job}")
            for one, by in zip(requests, messages, strict=True)
        ]
        assert played.calls[STOP_CALL] == len(planning.plan(asks, limits()).stops)

    def test_throttled_thrice_an_invocation_calls_no_more(self) -> None:
        """After three throttled calls the rest is deferred, at the same attempt."""
        config = changed(WINDOW, batch_size=10, max_concurrency=1, calls_at_once=1)
        requests = [Request(0.0, run, run) for run in range(10)]
        played = play(requests, config, replace(limited(0, burst=0), tries=1))
        first = played.invocations[0].worked
        assert first.counts == {Outcome.RETRYING: 3, Outcome.DEFERRED: 7}

    def test_a_lower_limit_never_brakes_sooner(self) -> None:
        """The less Glue takes, the longer the runs wait, at every percentile."""
        requests = Producers(jobs=20).requests([Phase(120, 6)], seed=2)
        played = [play(requests, aws=aws) for aws in (PLAIN, limited(8), limited(5), limited(3))]
        for share in (0.5, 0.95, 0.99):
            times = [percentile(sorted(one.waits), share) for one in played]
            assert all(sooner <= later for sooner, later in pairwise(times))

    @given(attempt=st.integers(0, 12), age=st.integers(0, 4000), jitter=st.floats(0, 1))
    def test_looks_are_delayed_as_they_really_are(self, attempt: int, age: int, jitter: float) -> None:
        """The delay before a look is the one that is really sent with the message."""
        again = result(Outcome.LOOK_AGAIN, attempt=attempt, submitted_at=NOON - timedelta(seconds=age))
        (send,) = onward.sends([again], [], policy(), now=NOON, jitter=lambda: jitter)
        assert look_delay(policy(), attempt + 1, age, jitter) == send.delay_seconds


class TestAgreement:
    """The model and the real functions."""

    def test_a_throttled_stream_comes_to_the_same(self) -> None:
        """Each count of calls and of outcomes is the real functions' own, retries and dead letters included."""
        compared = compare_stream()
        assert {what for what, *_ in compared} >= {
            "BatchStopJobRun",
            "Retrying",
            "Stopped",
            "Failed",
            "LookAgain",
        }
        assert [(what, real) for what, real, _ in compared] == [(what, model) for what, _, model in compared]

    def test_a_stream_that_glue_takes_comes_to_the_same(self) -> None:
        """So it is when Glue takes every call, and runs are named again while they stop."""
        asked_for = agreement.stream(60)
        free = Limit(1000, 1000)
        model = agreement.played_by_the_model(asked_for, free)
        world = agreement.played_by_the_functions(asked_for, free)
        outcomes = Counter(outcome for *_, outcome in world.outcomes)
        assert outcomes == sum(model.outcomes.values(), Counter())
        assert len(world.aws.requests("BatchStopJobRun")) == model.calls[STOP_CALL]

    def test_more_runs_than_a_page_shows_are_looked_at_alike(self) -> None:
        """Of a job with more active runs than a page of GetJobRuns holds, both read the same pages and runs."""
        asked_for = [Request(0.0, 0, number) for number in range(450)]
        model = agreement.played_by_the_model(asked_for, Limit(1000, 1000))
        world = agreement.played_by_the_functions(asked_for, Limit(1000, 1000))
        calls = Counter(call.operation for call in world.aws.calls)
        assert model.calls == Counter({o: calls[name] for o, name in agreement.WIRE_NAMES.items()})
        assert calls["GetJobRuns"] > 1

    def test_the_sizes_are_those_of_real_messages(self) -> None:
        """What the assumptions call measured is what is measured."""
        assert replace(agreement.sizes(), record=0) == replace(Sizes(), record=0)

    def test_processor_time_is_taken_apart(self) -> None:
        """From three invocations follows what an invocation, a run and a call take."""
        truth = Cpu(per_invocation=0.002, per_run=0.00004, per_call=0.001)
        calls = ((1, 1), (80, 1), (100, 10))
        measured = [
            agreement.Measured(
                0.0, truth.per_invocation + shape.requests * truth.per_run + sum(both) * truth.per_call, *both
            )
            for shape, both in zip(agreement.CALIBRATION, calls, strict=True)
        ]
        found = agreement.cpu(measured)
        assert (found.per_invocation, found.per_run, found.per_call) == pytest.approx((0.002, 0.00004, 0.001))


class TestCost:
    """Dollars, reckoned by hand."""

    def test_a_bill(self) -> None:
        """Each line is the amount times its price."""
        usage = Usage(
            sqs_requests=4_000_000,
            empty_receives=500_000,
            invocations=1_000_000,
            gb_seconds=100_000,
            log_bytes=2e9,
            log_retention_days=60,
            events=1_000_000,
            traces=100_000,
        )
        assert bill(usage, Prices()) == pytest.approx(
            {
                "SQS requests": 1.60,
                "SQS empty receives": 0.20,
                "Lambda requests": 0.20,
                "Lambda GB-seconds": 1.33334,
                "Log ingestion": 1.00,
                "Log storage": 0.12,
                "Outcome events": 1.00,
                "X-Ray traces": 0.50,
            }
        )

    def test_nothing_costs_nothing(self) -> None:
        """There is no line that is due without use."""
        assert bill(Usage()) == dict.fromkeys(LINES, 0)

    def test_a_month_of_what_stands_there(self) -> None:
        """Metrics, alarms and the dashboard are due by the month."""
        standing = Standing(metrics=10, alarms=20, dashboards=1)
        assert monthly(standing) == pytest.approx({"Metrics": 3.0, "Alarms": 2.0, "Dashboard": 3.0})

    def test_usages_add_up(self) -> None:
        """Parts of a day are weighed and summed; the logs are kept as long as before."""
        one = Usage(sqs_requests=2, gb_seconds=3, log_retention_days=7)
        assert one.times(2) + one == one.times(3) == Usage(sqs_requests=6, gb_seconds=9, log_retention_days=7)

    def test_what_one_request_uses(self) -> None:
        """A lone request: its send, a receive, a delete and a send to CONFIRM; a receive and a delete there."""
        setup = Setup(config=Config(), aws=replace(PLAIN, stopping_seconds=1, stopping_spread=0), cpu=NO_CPU)
        played = Simulation(setup, [Request(0, 0, 0)]).play()
        written = agreement.Written(
            lines={"StopSubmitted": 500, "Stopped": 600},
            metrics={"stop": 700, "confirm": 400},
            metrics_of_a_stop=30,
            series=22,
        )
        usage = scenarios.used(played, setup, written, seconds=86_400)
        assert (usage.sqs_requests, usage.invocations, usage.events, usage.traces) == (6, 2, 1, 2)
        assert usage.gb_seconds == pytest.approx(2 * 0.05 * 0.5)
        assert usage.log_bytes == 500 + 600 + 2 * 26 + 700 + 400 + 2 * 450 + 30
        assert usage.empty_receives == pytest.approx(2 * 5 * 86_400 / 20, rel=0.001)


class TestScenarios:
    """What is made of what was played."""

    @given(st.lists(st.integers(0, 50), min_size=1), st.sampled_from([0.01, 0.5, 0.95, 1.0]))
    def test_percentiles_by_weight(self, values: list[int], share: float) -> None:
        """With equal weights they are the usual ones; a weight of two is a value that is there twice."""
        (weighed,) = scenarios.weighted_percentiles([(value, 2.0) for value in values], [share])
        assert weighed == percentile(sorted(values), share)

    @pytest.mark.parametrize(("per_second", "grows"), [(0.5, False), (3.0, True)])
    def test_a_queue_that_grows_is_seen(self, per_second: float, grows: bool) -> None:  # noqa: FBT001
        """One server of a second each keeps up with a request every two seconds, not with three a second."""
        requests = Producers().requests([Phase(300, per_second)], seed=1)
        played = play(requests, ONE_BY_ONE, replace(PLAIN, glue_seconds=1))
        assert scenarios.grows(scenarios.growth(played, 300), per_second, 300) is grows

    def test_the_wall_lies_higher_where_glue_takes_more(self) -> None:
        """Glue's limit, not our code, decides how far the default configuration carries."""
        low, high = (scenarios.wall(Config(), limit, seconds=120, steps=4).per_second for limit in (1, 4))
        assert 1 <= low < high

    def test_a_day_is_made_of_its_parts(self) -> None:
        """The parts' hours make a day, and their loads the day's requests."""
        assert sum(part.hours for part in scenarios.DAY) == 24
        assert sum(part.hours * part.factor for part in scenarios.DAY) == 24
