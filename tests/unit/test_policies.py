"""A policy matches the runs that meet all its conditions and exceed all its limits, as of the due time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gluebrake.decisions.policies import (
    LEAST_HISTORY,
    MEANINGS,
    NotMatched,
    NotStopped,
    judge,
    means_job,
    usual_seconds,
)
from gluebrake.model import RunFacts
from gluebrake.policies import DuePolicy, Policy, decode, encode
from tests.support.builders import NOON
from tests.support.sweeps import due, policy, reading, run

pytestmark = pytest.mark.disable_socket

MICROSECOND: Final = timedelta(microseconds=1)


def _verdict(due_policy: DuePolicy, active: RunFacts, **changes: Any) -> NotMatched | str | None:
    """Judge one run. Return why the policy does not match it, "warning", or None if it matches."""
    judgement = judge([due_policy], reading(active, **changes))
    assert len(judgement.candidates) + len(judgement.left) == 1
    for left in judgement.left:
        return left.reason
    return "warning" if judgement.candidates[0].is_warning else None


class TestPolicy:
    """The values of a policy."""

    def test_policies_are_decoded_as_they_were_encoded(self) -> None:
        """The file of the deployed policies keeps every field, the order, and nothing that has its default."""
        policies = (
            policy(schedule="rate(1 hour)", max_minutes=720, warn_at_percent=80),
            policy(
                "night",
                exclude=("etl-*",),
                tags={"env": "dev"},
                types=("gluestreaming",),
                states=("WAITING",),
                execution_class="FLEX",
                max_times_usual=2.5,
                max_dpu_hours=200,
                mode="report",
                time_zone="Europe/Berlin",
                on_signal=("budgets",),
            ),
        )
        content = encode(policies)
        assert decode(content) == policies
        assert content.endswith(b"\n")
        assert msgspec.json.decode(content)[0] == {
            "name": "runaway",
            "jobs": ["*"],
            "maxMinutes": 720,
            "warnAtPercent": 80,
            "mode": "stop",
            "maxRuns": 10,
            "reason": "runaway says so",
            "schedule": "rate(1 hour)",
        }

    def test_only_the_name_the_jobs_the_cap_and_the_reason_are_required(self) -> None:
        """A policy reports by default, means no streaming job, and every state that can be stopped."""
        (decoded,) = decode(b'[{"name": "a", "jobs": ["*"], "maxRuns": 1, "reason": "because"}]')
        assert (decoded.mode, decoded.types) == ("report", ("glueetl", "pythonshell"))
        assert (decoded.states, decoded.execution_class) == (("STARTING", "RUNNING", "WAITING"), None)
        assert (decoded.schedule, decoded.time_zone, decoded.on_signal) == (None, "UTC", ())
        assert not decoded.has_limit

    @pytest.mark.parametrize("field", ["max_minutes", "max_times_usual", "max_dpu_hours"])
    def test_each_limit_is_a_limit(self, field: str) -> None:
        """A policy with one limit has a limit."""
        limit: dict[str, Any] = {field: 2}
        assert policy(**limit).has_limit

    @pytest.mark.parametrize(
        ("schedule", "period"),
        [
            ("rate(1 minute)", timedelta(minutes=1)),
            ("rate(90 minutes)", timedelta(minutes=90)),
            ("rate(1 hour)", timedelta(hours=1)),
            ("rate(36 hours)", timedelta(hours=36)),
            ("rate(1 day)", timedelta(days=1)),
            ("rate(99999 days)", timedelta(days=99_999)),
            (f"rate({'9' * 240} days)", None),
            ("rate(0 days)", None),
            ("cron(0 20 * * ? *)", None),
            ("rate(1 hour) ", None),
            (None, None),
        ],
    )
    def test_period_is_that_of_the_rate(self, schedule: str | None, period: timedelta | None) -> None:
        """Only a rate has a period. A number that no timedelta holds is not a rate."""
        assert policy(schedule=schedule).period == period

    def test_hash_does_not_depend_on_the_order_of_fields_and_tags(self) -> None:
        """The same policy has the same hash, however the configuration writes it."""
        fields = {"name": "a", "jobs": ["*"], "maxRuns": 1, "reason": "r", "tags": {"b": "1", "a": "2"}}
        turned = {**dict(reversed(fields.items())), "tags": {"a": "2", "b": "1"}, "mode": "report"}
        first, second = (msgspec.convert(values, Policy) for values in (fields, turned))
        assert first.hash == second.hash
        assert len(first.hash) == 12

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "b"},
            {"jobs": ("etl",)},
            {"exclude": ("x",)},
            {"tags": {"a": "b"}},
            {"types": ("glueetl",)},
            {"states": ("WAITING",)},
            {"execution_class": "FLEX"},
            {"max_minutes": 1},
            {"max_times_usual": 2.0},
            {"max_dpu_hours": 1.0},
            {"warn_at_percent": 1},
            {"mode": "report"},
            {"max_runs": 11},
            {"reason": "other"},
            {"schedule": "rate(1 day)"},
            {"time_zone": "Europe/Berlin"},
            {"on_signal": ("budgets",)},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_hash_changes_with_every_field(self, change: dict[str, Any]) -> None:
        """A report shows by the hash which version of a policy was applied."""
        assert {*change} <= {*Policy.__struct_fields__}
        assert replace(policy(), **change).hash != policy().hash

    def test_policies_do_not_share_their_default_tags(self) -> None:
        """Tags that are added to one policy are in no other."""
        first, second = policy("first"), policy("second")
        first.tags["env"] = "dev"
        assert second.tags == {}


class TestConsidering:
    """Which jobs a policy means_job, by their names."""

    @pytest.mark.parametrize(
        ("jobs", "exclude", "name", "considered"),
        [
            (("*",), (), "etl", True),
            (("etl-*", "report"), (), "report", True),
            (("etl-*", "report"), (), "etl-1", True),
            (("etl-*", "report"), (), "reports", False),
            (("*",), ("etl-*",), "etl-1", False),
            (("etl-1",), ("etl-*", "x"), "etl-1", False),
            (("*",), ("etl-*",), "etl", True),
            (("etl-[1]",), (), "etl-1", False),
        ],
    )
    def test_name_decides(
        self, jobs: tuple[str, ...], exclude: tuple[str, ...], name: str, *, considered: bool
    ) -> None:
        """A policy considers a job that a pattern of `jobs` matches and no pattern of `except`."""
        assert means_job(policy(jobs=jobs, exclude=exclude), name) is considered


class TestConditions:
    """The conditions that a run must meet."""

    @pytest.mark.parametrize("state", ["STARTING", "RUNNING", "WAITING"])
    def test_policy_without_a_limit_matches_every_run_that_can_be_stopped(self, state: str) -> None:
        """Without a limit a run only needs to be active."""
        assert _verdict(due(), run(state=state, minutes=0)) is None

    @pytest.mark.parametrize(
        ("state", "reason"),
        [
            ("STOPPING", NotMatched.STOPPING),
            ("PAUSED_BY_A_LATER_GLUE", NotMatched.OTHER_STATE),
            ("", NotMatched.OTHER_STATE),
            ("running", NotMatched.OTHER_STATE),
        ],
    )
    def test_no_policy_matches_any_other_state(self, state: str, reason: NotMatched) -> None:
        """A run that is stopping needs no stop, and an unknown state is in no policy's states."""
        assert _verdict(due(), run(state=state)) is reason

    def test_only_the_states_of_the_policy_match(self) -> None:
        """A policy for waiting runs leaves a running one alone."""
        waiting = due(states=("WAITING",), max_minutes=1)
        assert _verdict(waiting, run(state="WAITING")) is None
        assert _verdict(waiting, run(state="RUNNING")) is NotMatched.OTHER_STATE

    def test_run_of_a_job_that_was_not_read_whole_is_left(self) -> None:
        """A page that failed may have the reason to leave the run alone."""
        assert _verdict(due(), run(), complete=False, error="oh") is NotMatched.JOB_NOT_READ

    def test_run_without_a_start_time_is_left(self) -> None:
        """Nothing shows that it did not start after the due time."""
        assert _verdict(due(), run(started_on=None)) is NotMatched.NO_START_TIME

    def test_run_that_started_after_the_due_time_is_left(self) -> None:
        """A sweep that is late, or repeated, means the same runs and no others. The due time itself counts."""
        assert _verdict(due(), run(started_on=NOON)) is None
        assert _verdict(due(), run(started_on=NOON + MICROSECOND)) is NotMatched.STARTED_LATER

    def test_offsets_of_times_do_not_matter(self) -> None:
        """The due time and the start time are compared as moments."""
        berlin = timezone(timedelta(hours=1))
        at = due(at=datetime(2026, 11, 24, 13, tzinfo=berlin), max_minutes=60)
        assert _verdict(at, run(started_on=datetime(2026, 11, 24, 10, 59, tzinfo=UTC))) is None
        assert _verdict(at, run(started_on=datetime(2026, 11, 24, 11, tzinfo=UTC))) is NotMatched.WITHIN_LIMIT

    @pytest.mark.parametrize(
        ("of_policy", "of_run", "matches"),
        [
            (None, "", True),
            (None, "FLEX", True),
            ("STANDARD", "STANDARD", True),
            ("STANDARD", "", True),
            ("STANDARD", "FLEX", False),
            ("FLEX", "FLEX", True),
            ("FLEX", "", False),
        ],
    )
    def test_execution_class(self, of_policy: str | None, of_run: str, *, matches: bool) -> None:
        """A run without an execution class, such as one of Python shell, is a standard one."""
        reason = _verdict(due(execution_class=of_policy), run(execution_class=of_run))
        assert reason is (None if matches else NotMatched.OTHER_EXECUTION_CLASS)

    def test_first_reason_is_reported(self) -> None:
        """A run that several reasons apply to has the first, in the order of the table."""
        strict = due(states=("WAITING",), execution_class="FLEX", max_times_usual=2, max_dpu_hours=1)
        facts: dict[str, Any] = {"state": "STOPPING", "started_on": None, "max_capacity": None}
        order = list(NotMatched)
        found = [
            _verdict(strict, run(**facts), complete=False),
            _verdict(strict, run(**facts)),
            _verdict(strict, run(**facts | {"state": "RUNNING"})),
            _verdict(strict, run(**facts | {"state": "WAITING"})),
            _verdict(strict, run(**facts | {"state": "WAITING", "started_on": NOON + MICROSECOND})),
            _verdict(strict, run(**facts | {"state": "WAITING", "started_on": NOON})),
            _verdict(strict, run(state="WAITING", execution_class="FLEX", max_capacity=None)),
            _verdict(
                strict,
                run(state="WAITING", execution_class="FLEX", max_capacity=None),
                succeeded_seconds=(60.0,) * LEAST_HISTORY,
            ),
        ]
        assert found == order[: len(found)]

    def test_each_reason_has_a_meaning(self) -> None:
        """The operator's command explains every reason."""
        assert {*MEANINGS} == {*NotMatched, *NotStopped}


class TestLimits:
    """The limits, which a run must exceed."""

    @pytest.mark.parametrize(
        "change",
        [{"max_minutes": 60}, {"max_times_usual": 2}, {"max_dpu_hours": 10}],
        ids=lambda change: next(iter(change)),
    )
    def test_run_at_the_limit_is_within_it(self, change: dict[str, Any]) -> None:
        """A run of exactly the limit does not exceed it. A microsecond more does."""
        history = (1800.0,) * LEAST_HISTORY
        at_limit = run(minutes=60)
        over = run(started_on=NOON - timedelta(hours=1) - MICROSECOND)
        assert _verdict(due(**change), at_limit, succeeded_seconds=history) is NotMatched.WITHIN_LIMIT
        assert _verdict(due(**change), over, succeeded_seconds=history) is None

    def test_dpu_hours_are_counted_by_the_runs_own_dpus(self) -> None:
        """Ten DPUs use 20 DPU-hours in two hours, and two workers of G.2X take five."""
        limited = due(max_dpu_hours=20)
        workers: dict[str, Any] = {"worker_type": "G.2X", "number_of_workers": 2, "max_capacity": 99.0}
        assert _verdict(limited, run(minutes=121)) is None
        assert _verdict(limited, run(minutes=119)) is NotMatched.WITHIN_LIMIT
        assert _verdict(limited, run(minutes=299, **workers)) is NotMatched.WITHIN_LIMIT
        assert _verdict(limited, run(minutes=301, **workers)) is None

    @pytest.mark.parametrize("capacity", [None, 0])
    def test_run_of_unknown_dpus_is_left(self, capacity: float | None) -> None:
        """A run that Glue gives no DPUs, or none at all, is within no limit of DPU-hours and over none."""
        assert _verdict(due(max_dpu_hours=1), run(max_capacity=capacity)) is NotMatched.UNKNOWN_DPUS
        assert _verdict(due(max_minutes=1), run(max_capacity=capacity)) is None

    def test_usual_time_needs_ten_successful_runs(self) -> None:
        """Nine runs show nothing, so the policy leaves the job alone."""
        limited, long = due(max_times_usual=2), run(minutes=600)
        for count, reason in (
            (0, NotMatched.TOO_LITTLE_HISTORY),
            (9, NotMatched.TOO_LITTLE_HISTORY),
            (10, None),
        ):
            assert _verdict(limited, long, succeeded_seconds=(60.0,) * count) is reason

    def test_usual_time_is_the_median(self) -> None:
        """A few runs that took very long or very short do not change what is usual."""
        seconds = (1.0, 1.0, 600.0, 600.0, 600.0, 620.0, 600.0, 600.0, 90_000.0, 90_000.0)
        assert usual_seconds(reading(succeeded_seconds=seconds)) == 600
        assert usual_seconds(reading(succeeded_seconds=(*range(1, 11),))) == 5.5
        assert usual_seconds(reading(succeeded_seconds=seconds[1:])) is None

    @pytest.mark.parametrize(
        ("change", "matches"),
        [
            ({"max_minutes": 59}, True),
            ({"max_minutes": 60}, False),
            ({"max_dpu_hours": 9.9}, True),
            ({"max_dpu_hours": 10}, False),
            ({"max_times_usual": 1.9}, True),
            ({"max_times_usual": 2}, False),
            ({"max_minutes": 59, "max_dpu_hours": 9.9, "max_times_usual": 1.9}, True),
            ({"max_minutes": 60, "max_dpu_hours": 9.9, "max_times_usual": 1.9}, False),
            ({"max_minutes": 59, "max_dpu_hours": 10, "max_times_usual": 1.9}, False),
            ({"max_minutes": 59, "max_dpu_hours": 9.9, "max_times_usual": 2}, False),
        ],
    )
    def test_run_must_exceed_every_limit(self, change: dict[str, Any], *, matches: bool) -> None:
        """Several limits of one policy are an AND. Two policies are an OR."""
        history = (1800.0,) * LEAST_HISTORY
        reason = _verdict(due(**change), run(minutes=60), succeeded_seconds=history)
        assert reason is (None if matches else NotMatched.WITHIN_LIMIT)

    @pytest.mark.parametrize("seconds", [1e12, 1e300])
    def test_numbers_that_make_no_sense_stop_nothing(self, seconds: float) -> None:
        """Times of thousands of years, and runs of almost no DPUs, leave the other runs to be judged."""
        odd = due(max_times_usual=1000, max_dpu_hours=1_000_000, warn_at_percent=99, schedule="rate(1 day)")
        active = run(max_capacity=5e-324)
        history = (seconds,) * LEAST_HISTORY
        assert _verdict(odd, active, succeeded_seconds=history) is NotMatched.WITHIN_LIMIT


class TestWarnings:
    """A run near the limit is reported once, before it is stopped."""

    @pytest.mark.parametrize(
        ("minutes", "verdict"),
        [
            (479, NotMatched.WITHIN_LIMIT),
            (480, "warning"),
            (539, "warning"),
            (540, NotMatched.WITHIN_LIMIT),
            (600, NotMatched.WITHIN_LIMIT),
            (601, None),
        ],
    )
    def test_warning_time_is_in_the_period_that_ends_at_the_due_time(
        self, minutes: int, verdict: NotMatched | str | None
    ) -> None:
        """The due time itself belongs to the period, and the time one period before it does not."""
        limited = due(max_minutes=600, warn_at_percent=80, schedule="rate(1 hour)")
        assert _verdict(limited, run(minutes=minutes)) == verdict

    def test_microsecond_decides(self) -> None:
        """A run whose warning time is a microsecond after the due time is warned of by the next sweep."""
        limited = due(max_minutes=600, warn_at_percent=80, schedule="rate(1 hour)")
        early = run(started_on=NOON - timedelta(minutes=480) + MICROSECOND)
        assert _verdict(limited, early) is NotMatched.WITHIN_LIMIT
        assert _verdict(replace(limited, due=NOON + timedelta(hours=1)), early) == "warning"

    def test_run_over_the_limit_is_no_warning(self) -> None:
        """A run that passed the warning and the limit in the same period matches."""
        limited = due(max_minutes=60, warn_at_percent=80, schedule="rate(1 hour)")
        assert _verdict(limited, run(minutes=60)) == "warning"
        assert _verdict(limited, run(minutes=61)) is None

    @pytest.mark.parametrize(
        ("facts", "reason"),
        [
            ({"state": "STOPPING"}, NotMatched.STOPPING),
            ({"state": "PAUSED"}, NotMatched.OTHER_STATE),
            ({"execution_class": "FLEX"}, NotMatched.OTHER_EXECUTION_CLASS),
        ],
        ids=str,
    )
    def test_run_that_the_policy_does_not_mean_is_no_warning(
        self, facts: dict[str, Any], reason: NotMatched
    ) -> None:
        """Only a run that would be stopped at the limit is warned of."""
        limited = due(max_minutes=60, warn_at_percent=80, schedule="rate(1 hour)", execution_class="STANDARD")
        assert _verdict(limited, run(minutes=50, **facts)) is reason

    @pytest.mark.parametrize(
        "change",
        [
            {"warn_at_percent": None},
            {"schedule": None},
            {"schedule": "cron(0 * * * ? *)"},
            {"max_minutes": None},
        ],
        ids=str,
    )
    def test_warning_needs_a_limit_and_a_rate(self, change: dict[str, Any]) -> None:
        """Without a rate, no period says which sweep is to warn."""
        values = {"max_minutes": 600, "warn_at_percent": 80, "schedule": "rate(1 hour)", **change}
        assert _verdict(due(**values), run(minutes=480)) != "warning"

    def test_warning_follows_the_limit_that_is_exceeded_last(self) -> None:
        """With several limits, the run is near its stop only when it is near the last of them."""
        limited = due(max_minutes=60, max_dpu_hours=100, warn_at_percent=80, schedule="rate(1 hour)")
        assert _verdict(limited, run(minutes=48)) is NotMatched.WITHIN_LIMIT
        assert _verdict(limited, run(minutes=480)) == "warning"

    @given(
        rate=st.tuples(st.sampled_from([1, 2, 7, 15, 90]), st.sampled_from(["minute", "hour", "day"])),
        minutes=st.integers(1, 21_600),
        percent=st.integers(1, 99),
        phase=st.integers(0, 90 * 1440 * 60_000_000),
    )
    @example(rate=(1, "hour"), minutes=300, percent=80, phase=0)
    @example(rate=(1, "hour"), minutes=300, percent=80, phase=60 * 60_000_000 - 1)
    def test_exactly_one_sweep_warns_and_none_after_the_first_stop(
        self, rate: tuple[int, str], minutes: int, percent: int, phase: int
    ) -> None:
        """Over the life of a run, one sweep of a rate warns where synthesis allows the warning.

        Elsewhere a run may be stopped without a warning, but never be warned of twice, or after its stop.
        """
        number, unit = rate
        period = timedelta(minutes=number * {"minute": 1, "hour": 60, "day": 1440}[unit])
        max_minutes = min(minutes, 300 * period // timedelta(minutes=1))
        active = run(started_on=NOON - (timedelta(microseconds=phase) % period))
        limited = due(max_minutes=max_minutes, warn_at_percent=percent, schedule=f"rate({number} {unit}s)")
        sweeps = range(timedelta(minutes=max_minutes) // period + 3)
        verdicts = [_verdict(replace(limited, due=NOON + index * period), active) for index in sweeps]
        warnings = [index for index, verdict in enumerate(verdicts) if verdict == "warning"]
        stops = [index for index, verdict in enumerate(verdicts) if verdict is None]
        assert stops == [*range(stops[0], len(verdicts))]
        assert len(warnings) <= 1
        assert all(index < stops[0] for index in warnings)
        can_come_before_the_stop = timedelta(minutes=max_minutes) * (100 - percent) >= period * 100
        assert len(warnings) == 1 or not can_come_before_the_stop


class TestJudging:
    """A job's runs, by all policies that consider the job."""

    def test_each_policy_judges_each_run(self) -> None:
        """Every run is judged by each policy, at that policy's due time."""
        policies = [
            due("long", max_minutes=60),
            due("early", at=NOON - timedelta(minutes=30)),
            due("flex", execution_class="FLEX"),
        ]
        judgement = judge(policies, reading(run("new", minutes=10), run("old", minutes=90), job_name="etl"))
        assert (judgement.job_name, judgement.policies) == ("etl", ("long", "early", "flex"))
        assert [(c.due.policy.name, c.job_name, c.run.run_id) for c in judgement.candidates] == [
            ("long", "etl", "old"),
            ("early", "etl", "old"),
        ]
        assert [(left.policy, left.job_name, left.run.run_id, left.reason) for left in judgement.left] == [
            ("long", "etl", "new", NotMatched.WITHIN_LIMIT),
            ("early", "etl", "new", NotMatched.STARTED_LATER),
            ("flex", "etl", "new", NotMatched.OTHER_EXECUTION_CLASS),
            ("flex", "etl", "old", NotMatched.OTHER_EXECUTION_CLASS),
        ]

    @pytest.mark.parametrize("complete", [True, False])
    def test_job_without_active_runs_is_considered(self, *, complete: bool) -> None:
        """Its policies count the job, and whether it was read whole."""
        judgement = judge([due()], reading(complete=complete))
        assert (judgement.policies, judgement.complete) == (("runaway",), complete)
        assert (judgement.candidates, judgement.left) == ((), ())

    def test_candidate_has_the_usual_time_of_its_job(self) -> None:
        """The report shows what is usual, also where the policy has no limit on it."""
        judgement = judge([due()], reading(run(), succeeded_seconds=(90.0,) * 10))
        assert [candidate.usual_seconds for candidate in judgement.candidates] == [90]
