"""The results of the sweep benchmark: its targets and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.accounts import ScheduledJob
from benchmarks.report import Report, Table, Target
from benchmarks.sweep_calls import calls_of_child_resource, calls_of_every_page, fewest_calls, runs_listed

COMPARED: Final = 1_000
LARGEST: Final = 10_000
SIZES: Final = (10, 100, COMPARED, LARGEST)
TIMEOUT_SECONDS: Final = 900.0
"""The timeout of the function SWEEP, which is Lambda's longest."""

_MOST_CALLS: Final = 1.15
_MOST_GROWTH: Final = 1.01
_MOST_BYTES: Final = 100_000_000

Accounts = Mapping[int, Sequence[ScheduledJob]]
"""The jobs of each account, by their number."""


class Measured(NamedTuple):
    """What a sweep did, and what it took."""

    calls: Counter[str]
    """The number of calls that the client received, by operation."""
    matched_jobs: frozenset[str]
    not_read: frozenset[str]
    """The jobs that the sweep names as not read."""
    cut_off: frozenset[str]
    """The jobs of which the client did not serve every page that can hold an active run."""
    is_complete: bool
    simulated_seconds: float
    cpu_seconds: float
    """The sweep's own CPU time, without that of the client that makes the pages."""
    peak_bytes: int

    @property
    def total(self) -> int:
        """The number of all calls."""
        return self.calls.total()


TEXT: Final = """\
SWEEP reads accounts whose jobs have a year of runs. The pace of ten calls a second decides how long a sweep
takes. The minimum is the fewest calls without knowing which jobs are active. The usual script reads every
page, as Cloud Custodian's [child
resources](https://github.com/cloud-custodian/cloud-custodian/blob/main/c7n/query.py) do."""


def report(accounts: Accounts, sweeps: Mapping[int, Measured], limited: Measured) -> Report:
    """Return the report; `limited` is the sweep of the largest account with SWEEP's timeout."""
    return Report(
        title="Sweep",
        text=TEXT,
        tables=[_summary(accounts, sweeps)],
        details=[_calls(accounts, sweeps), _costs(sweeps), _limited(limited)],
        targets=targets(accounts, sweeps, limited),
    )


def targets(accounts: Accounts, sweeps: Mapping[int, Measured], limited: Measured) -> list[Target]:
    """Return whether the sweeps made few calls, found every old run, and named what they did not read."""
    compared, largest = sweeps[COMPARED], sweeps[LARGEST]
    ratio = compared.total / fewest_calls(accounts[COMPARED])
    growth = (largest.total / LARGEST) / (compared.total / COMPARED)
    return [
        Target(
            figure="calls of a sweep, relative to the minimum",
            limit=f"≤ {_MOST_CALLS:.2f}",
            measured=f"{ratio:.3f}",
            met=ratio <= _MOST_CALLS,
        ),
        Target(
            figure=f"calls per job of {LARGEST:,}, relative to {COMPARED:,}",
            limit=f"≤ {_MOST_GROWTH:.2f}",
            measured=f"{growth:.3f}",
            met=growth <= _MOST_GROWTH,
        ),
        Target(
            figure="peak memory of a sweep",
            limit=f"≤ {_MOST_BYTES / 1e6:.0f} MB",
            measured=f"{compared.peak_bytes / 1e6:.0f} MB",
            met=compared.peak_bytes <= _MOST_BYTES,
        ),
        _found(accounts, sweeps),
        _named(limited),
    ]


def _found(accounts: Accounts, sweeps: Mapping[int, Measured]) -> Target:
    old = {size: {job.name for job in jobs if job.stuck is not None} for size, jobs in accounts.items()}
    found = sum(len(old[size] & measured.matched_jobs) for size, measured in sweeps.items())
    return Target(
        figure="jobs with an old run that sweeps report",
        limit="all",
        measured=f"{found:,} of {sum(map(len, old.values())):,}",
        met=all(each.is_complete and each.matched_jobs == old[size] for size, each in sweeps.items()),
    )


def _named(limited: Measured) -> Target:
    named = len(limited.not_read & limited.cut_off)
    return Target(
        figure="unread jobs that a sweep names",
        limit="all",
        measured=f"{named:,} of {len(limited.cut_off):,}",
        met=bool(limited.cut_off) and limited.not_read == limited.cut_off and not limited.is_complete,
    )


def _summary(accounts: Accounts, sweeps: Mapping[int, Measured]) -> Table:
    rows = [
        (
            *map(
                _count,
                (size, fewest_calls(accounts[size]), measured.total, calls_of_every_page(accounts[size])),
            ),
            f"{measured.simulated_seconds / 60:.1f}",
        )
        for size, measured in sweeps.items()
        if size in (COMPARED, LARGEST)
    ]
    ways = ("minimum", "sweep", "usual script")
    return Table(
        title="Calls that find all active runs",
        columns=("jobs", *ways, "minutes of a sweep"),
        rows=rows,
    )


def _calls(accounts: Accounts, sweeps: Mapping[int, Measured]) -> Table:
    rows = []
    for size, measured in sweeps.items():
        jobs = accounts[size]
        fewest = fewest_calls(jobs)
        others = (calls_of_every_page(jobs), calls_of_child_resource(jobs), runs_listed(jobs))
        counts = map(_count, (size, fewest, measured.total, *others))
        rows.append((*counts, f"{measured.total / fewest:.3f}", f"{others[0] / measured.total:.0f}"))
    ways = ("minimum", "sweep", "usual script", "Cloud Custodian")
    return Table(
        title="Calls of a sweep and of other ways",
        columns=("jobs", *ways, "runs listed", "sweep / minimum", "usual script / sweep"),
        rows=rows,
    )


def _costs(sweeps: Mapping[int, Measured]) -> Table:
    operations = ("ListJobs", "GetJobRuns", "BatchGetJobs", "GetTags")
    rows = [
        (
            _count(size),
            *(_count(measured.calls[operation]) for operation in operations),
            f"{measured.total / size:.2f}",
            f"{measured.simulated_seconds / 60:.1f}",
            f"{measured.cpu_seconds / size * 1e3:.1f}",
            f"{measured.peak_bytes / 1e6:.0f}",
        )
        for size, measured in sweeps.items()
    ]
    return Table(
        title="What a sweep without a time limit takes",
        columns=("jobs", *operations, "calls per job", "minutes", "own CPU per job, ms", "peak memory, MB"),
        rows=rows,
        note="Minutes are those of the pace. Own CPU is that of the sweep alone, and the peak is that of its "
        "process. Neither includes the work of botocore, which parses each page.",
    )


def _limited(limited: Measured) -> Table:
    unread = len(limited.not_read)
    figures = (LARGEST, limited.total, LARGEST - unread, unread, len(limited.matched_jobs))
    return Table(
        title=f"A sweep of {LARGEST:,} jobs in {TIMEOUT_SECONDS:.0f} seconds",
        columns=("jobs", "calls", "jobs read", "jobs not read", "jobs reported", "ended after, s"),
        rows=[(*map(_count, figures), f"{limited.simulated_seconds:.0f}")],
    )


def _count(count: int) -> str:
    return f"{count:,}"
