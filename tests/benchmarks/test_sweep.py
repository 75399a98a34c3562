"""Tests of the benchmark of a sweep: the accounts, the counts, the sweeps and the targets."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

import pytest

from benchmarks.__main__ import DOCS
from benchmarks.accounts import (
    DAY,
    HOUR,
    JOBS_IN_A_PAGE,
    MIX,
    NOW,
    RUNS_IN_A_PAGE,
    AccountGlue,
    ScheduledJob,
    generate,
)
from benchmarks.sweep import SEED, measure
from benchmarks.sweep_calls import (
    OLDEST_ACTIVE_MINUTES,
    calls_of_child_resource,
    calls_of_every_page,
    fewest_calls,
    fewest_pages,
    runs_listed,
)
from benchmarks.sweep_report import COMPARED, LARGEST, Measured, report, targets
from gluebrake.aws.job_reader import JOBS_IN_A_CALL
from tests.support.fakes.exchange import Json

SHORT_HISTORY: Final = 21
"""Days, in which some jobs still have thousands of runs."""


def _job(*, minutes: int = DAY, runs: int = 365, newest: float = 0, stuck: int | None = None) -> ScheduledJob:
    return ScheduledJob("job", minutes, newest, runs, stuck)


def _pages(job: ScheduledJob) -> list[list[Json]]:
    """Read all pages of a job as the usual script does."""
    glue, token, pages = AccountGlue([job]), "0", []
    while token:
        page = glue.get_job_runs(JobName=job.name, MaxResults=RUNS_IN_A_PAGE, NextToken=token)
        pages.append(page["JobRuns"])
        token = page.get("NextToken", "")
    return pages


class TestAccounts:
    """The generated accounts, and the client that serves them."""

    def test_jobs_have_the_shares_of_the_mix(self) -> None:
        """A hundred jobs have exactly the shares, and one in fifty has a stuck run."""
        jobs = generate(100, SEED)
        assert Counter(job.minutes for job in jobs) == {minutes: share * 100 for minutes, share in MIX}
        assert sum(job.stuck is not None for job in jobs) == 2

    def test_account_is_reproducible(self) -> None:
        """The same seed gives the same account, so that the counts are the same on every machine."""
        assert generate(50, SEED) == generate(50, SEED)

    def test_every_size_has_a_stuck_run(self) -> None:
        """A small account also has a run to find."""
        assert sum(job.stuck is not None for job in generate(10, SEED)) == 1

    @pytest.mark.parametrize("job", [job for job in generate(200, SEED) if job.stuck is not None])
    def test_stuck_run_is_active_and_between_13_hours_and_7_days_old(self, job: ScheduledJob) -> None:
        """Exactly one active run of the job is over the policies' limits."""
        active = [run for page in _pages(job) for run in page if run["JobRunState"] == "RUNNING"]
        old = [run for run in active if (NOW - run["StartedOn"]).total_seconds() > 12 * 3600]
        assert len(old) == 1
        assert 13 * HOUR <= (NOW - old[0]["StartedOn"]).total_seconds() / 60 <= 7 * DAY

    def test_pages_have_each_run_once_and_the_newest_first(self) -> None:
        """The pages of a list are full except for the last, and its end has no token."""
        pages = _pages(_job(minutes=5, runs=450))
        runs = [run for page in pages for run in page]
        assert [len(page) for page in pages] == [200, 200, 50]
        assert [run["StartedOn"] for run in runs] == sorted((run["StartedOn"] for run in runs), reverse=True)
        assert len({run["Id"] for run in runs}) == 450

    def test_names_have_pages_as_well(self) -> None:
        """A listing of jobs has at most a thousand names."""
        glue = AccountGlue(generate(JOBS_IN_A_PAGE + 1, SEED))
        first = glue.list_jobs(MaxResults=5000)
        second = glue.list_jobs(MaxResults=5000, NextToken=first["NextToken"])
        assert (len(first["JobNames"]), len(second["JobNames"])) == (JOBS_IN_A_PAGE, 1)
        assert "NextToken" not in second


class TestCounts:
    """The calls that are counted from the jobs alone."""

    @pytest.mark.parametrize(
        ("job", "pages"),
        [
            (_job(), 1),
            (_job(runs=0), 1),
            (_job(minutes=HOUR, runs=8760), 1),
            (_job(minutes=15, runs=35_040), 4),
            (_job(minutes=5, runs=105_120), 12),
            (_job(minutes=5, runs=200), 1),
            (_job(minutes=5, runs=201), 2),
        ],
    )
    def test_pages_that_can_hold_an_active_run(self, job: ScheduledJob, pages: int) -> None:
        """A job needs the pages of its last eight days, and never more than it has."""
        assert fewest_pages(job) == pages

    @pytest.mark.parametrize(("oldest", "pages"), [(OLDEST_ACTIVE_MINUTES, 2), (OLDEST_ACTIVE_MINUTES + 1, 1)])
    def test_page_is_the_last_if_its_oldest_run_is_too_old(self, oldest: int, pages: int) -> None:
        """A run that started exactly eight days ago may be active, and so may the next one."""
        minutes = 10
        newest = oldest - (RUNS_IN_A_PAGE - 1) * minutes
        assert fewest_pages(_job(minutes=minutes, runs=400, newest=newest)) == pages

    def test_every_page_is_what_a_script_reads(self) -> None:
        """The count of the usual script is what a client receives that reads every page."""
        jobs = generate(20, SEED, SHORT_HISTORY)
        assert calls_of_every_page(jobs) == 1 + sum(len(_pages(job)) for job in jobs)
        assert calls_of_child_resource(jobs) == calls_of_every_page(jobs)
        assert runs_listed(jobs) == sum(len(page) for job in jobs for page in _pages(job))

    def test_type_and_tags_are_read_of_matched_jobs_only(self) -> None:
        """An account without a stuck run needs the listing and the pages alone."""
        assert fewest_calls([_job()]) == 2
        assert fewest_calls([_job(stuck=3)]) == 4

    def test_page_of_policies_has_the_count(self) -> None:
        """docs/policies.md gives the calls and the minutes of a sweep of a generated account."""
        text = " ".join((DOCS / "policies.md").read_text().replace(",", "").split())
        sentence = r"A sweep of (\d+) jobs with a year of runs makes (\d+) calls in ([0-9.]+) minutes"
        ((jobs, calls, minutes),) = re.findall(sentence, text)
        account = generate(int(jobs), SEED)
        matched = sum(job.stuck is not None for job in account)
        assert int(calls) == fewest_calls(account) - 1 + -(-matched // JOBS_IN_A_CALL)
        assert float(minutes) == round(int(calls) / 10 / 60, 1)


class TestSweeps:
    """The sweeps that are measured."""

    @pytest.mark.parametrize("jobs", [10, 60])
    def test_sweep_makes_the_fewest_calls(self, jobs: int) -> None:
        """With at most 25 matched jobs, a sweep makes exactly the fewest calls, and finds each stuck run."""
        account = generate(jobs, SEED, SHORT_HISTORY)
        measured = measure(account)
        assert measured.total == fewest_calls(account)
        assert measured.matched_jobs == {job.name for job in account if job.stuck is not None}
        assert measured.is_complete
        assert not measured.not_read | measured.cut_off

    def test_pace_is_ten_calls_a_second(self) -> None:
        """The simulated time is that of the pace."""
        measured = measure(generate(10, SEED, SHORT_HISTORY))
        # Names and runs have one pace, and definitions and tags another.
        assert measured.simulated_seconds == pytest.approx((measured.total - 2) / 10)

    def test_sweep_names_what_a_time_limit_leaves_unread(self) -> None:
        """A sweep without enough time names exactly the jobs that were cut off, and reports what it read."""
        account = generate(200, SEED, SHORT_HISTORY)
        measured = measure(account, seconds=137)
        stuck = {job.name for job in account if job.stuck is not None}
        assert not measured.is_complete
        assert 0 < len(measured.not_read) < 200
        assert measured.not_read == measured.cut_off
        assert 0 < len(measured.matched_jobs) < len(stuck)
        assert measured.matched_jobs == stuck - measured.not_read


MET: Final = Measured(
    calls=Counter(GetJobRuns=3),
    matched_jobs=frozenset({"job"}),
    not_read=frozenset(),
    cut_off=frozenset(),
    is_complete=True,
    simulated_seconds=1.0,
    cpu_seconds=1.0,
    peak_bytes=100_000_000,
)
LIMITED: Final = MET._replace(is_complete=False, not_read=frozenset({"a", "b"}), cut_off=frozenset({"a", "b"}))
ACCOUNTS: Final = {COMPARED: [_job(stuck=3)], LARGEST: [_job(stuck=3)]}


def _met(*, compared: Any = MET, largest: Any = None, limited: Any = LIMITED) -> list[bool]:
    """Return which targets are met; the largest account has ten times the calls."""
    largest = largest or compared._replace(calls=Counter(GetJobRuns=compared.total * 10))
    return [target.met for target in targets(ACCOUNTS, {COMPARED: compared, LARGEST: largest}, limited)]


class TestTargets:
    """The targets of the benchmark."""

    def test_all_targets_are_met(self) -> None:
        """Few calls, little memory, and nothing that is unread without a name meet all targets."""
        assert _met() == [True] * 5

    @pytest.mark.parametrize(
        ("changes", "missed"),
        [
            ({"compared": MET._replace(calls=Counter(GetJobRuns=5))}, 0),
            ({"largest": MET._replace(calls=Counter(GetJobRuns=31))}, 1),
            ({"compared": MET._replace(peak_bytes=100_000_001)}, 2),
            ({"compared": MET._replace(matched_jobs=frozenset())}, 3),
            ({"compared": MET._replace(matched_jobs=frozenset({"job", "other"}))}, 3),
            ({"compared": MET._replace(is_complete=False)}, 3),
            ({"limited": LIMITED._replace(not_read=frozenset({"a"}))}, 4),
            ({"limited": LIMITED._replace(not_read=frozenset({"a", "b", "c"}))}, 4),
            ({"limited": LIMITED._replace(is_complete=True)}, 4),
            ({"limited": LIMITED._replace(not_read=frozenset(), cut_off=frozenset())}, 4),
        ],
    )
    def test_figure_over_its_limit_misses_its_target(self, changes: dict[str, Any], missed: int) -> None:
        """One figure over its limit misses one target."""
        met = _met(**changes)
        assert met.index(False) == missed
        assert met.count(False) == 1

    def test_report_compares_the_ways(self) -> None:
        """A row has the fewest calls, those of the sweep and those of the other ways."""
        swept = {COMPARED: MET, LARGEST: MET._replace(calls=Counter(GetJobRuns=30))}
        section = report(ACCOUNTS, swept, LIMITED)
        calls, _, limited = section.details
        assert list(section.tables[0].rows[0]) == ["1,000", "4", "3", "3", "0.0"]
        assert list(calls.rows[0]) == ["1,000", "4", "3", "3", "3", "365", "0.750", "1"]
        assert list(limited.rows[0])[:4] == ["10,000", "3", "9,998", "2"]
