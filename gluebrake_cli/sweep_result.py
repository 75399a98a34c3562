"""The result of a sweep by hand for one policy. Does not call AWS."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gluebrake.decisions.policies import MEANINGS, Left
from gluebrake.grouping import chunked, grouped
from gluebrake.model import JobRun
from gluebrake.policies import Policy
from gluebrake.sweep_contract import PolicyReport, ReportedRun, SweepReport
from gluebrake_cli.errors import explain_in_sweep
from gluebrake_cli.tables import counted

_NAMES_IN_A_TEXT: Final = 5


class LeftRun(Struct, frozen=True, kw_only=True, rename="camel"):
    """An active run that the policy does not match, with the first reason."""

    job_name: str
    job_run_id: str
    state: str
    started_on: datetime | None
    reason: str
    meaning: str


class SweepResult(Struct, frozen=True, kw_only=True):
    """The report of a policy, the active runs that do not match, and the most runs of a stop request."""

    policy: Policy
    report: SweepReport
    left: Sequence[Left]
    ids_in_a_request: int

    @property
    def summary(self) -> PolicyReport:
        """What the sweep found in numbers."""
        (summary,) = self.report.policies
        return summary

    @property
    def runs(self) -> list[ReportedRun]:
        """The reported runs: first the runs to stop, then the others. Each group is oldest first."""
        return sorted(self.report.runs, key=lambda run: (run.warning, bool(run.not_stopped), -run.minutes))

    @property
    def stoppable(self) -> list[ReportedRun]:
        """The runs that the policy matches and that nothing protects."""
        return [run for run in self.runs if run.is_stoppable]

    @property
    def left_runs(self) -> list[LeftRun]:
        """The active runs that the policy does not match, by their jobs."""
        runs = [
            LeftRun(
                job_name=left.job_name,
                job_run_id=left.run.run_id,
                state=left.run.state,
                started_on=left.run.started_on,
                reason=left.reason,
                meaning=MEANINGS[left.reason],
            )
            for left in self.left
        ]
        return sorted(runs, key=lambda run: (run.job_name, run.job_run_id))

    @property
    def notes(self) -> list[str]:
        """Texts about jobs that the sweep skipped because of the stack's configuration."""
        names = self.report.jobs_left_out
        if not names:
            return []
        jobs = counted(len(names), "job")
        return [f"{jobs} left out by `jobs` or `protectedJobs` of the configuration: {_first(names)}"]

    @property
    def problems(self) -> list[str]:
        """The problems of the sweep, one text each."""
        return [*self._problems()]

    def _problems(self) -> Iterator[str]:
        if not self.summary.jobs:
            hint = "" if self.report.errors else f": {considers_no_job(self.policy)}"
            yield f"{self.policy.name} considered 0 jobs{hint}"
        if names := self.report.jobs_not_read:
            yield f"{counted(len(names), 'job')} not read whole: {_first(names)}"
        yield from map(explain_in_sweep, self.report.errors)

    def to_request(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield a job and ids of its runs for each stop request."""
        for job_name, runs in grouped(self.stoppable, attrgetter("job_name")).items():
            for ids in chunked([run.job_run_id for run in runs], self.ids_in_a_request):
                yield job_name, ids

    def requested(self, runs: Collection[JobRun]) -> SweepReport:
        """Return the report, in which the runs whose stop was requested are marked."""
        marked = [
            replace(run, stop_requested=JobRun(run.job_name, run.job_run_id) in runs) for run in self.runs
        ]
        summary = replace(self.summary, stop_requested=sum(run.stop_requested for run in marked))
        return replace(self.report, policies=(summary,), runs=tuple(marked))


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_IN_A_TEXT} more" if len(names) > _NAMES_IN_A_TEXT else ""
    return ", ".join(names[:_NAMES_IN_A_TEXT]) + more


def considers_no_job(policy: Policy) -> str:
    """Return what to check if a policy considers no job."""
    tags = " has all its tags and" if policy.tags else ""
    return f"no job{tags} matches its patterns, within `jobs` and `protectedJobs` of the configuration"
