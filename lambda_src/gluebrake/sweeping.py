"""A sweep: read the jobs that the due policies consider, and conclude which runs to report and to stop.

The function SWEEP and the command `gluebrake sweep` share this code. A sweep itself sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from gluebrake.aws.call_budget import NotStartedError
from gluebrake.aws.findings import CallError
from gluebrake.aws.job_reader import JobReader, error_text
from gluebrake.decisions.planning import Limits
from gluebrake.decisions.policies import Judgement, judge, means_job
from gluebrake.decisions.sweep_conclusion import Conclusion, conclude
from gluebrake.grouping import grouped
from gluebrake.policies import STREAMING, DuePolicy
from gluebrake.prices import Prices
from gluebrake.sweep_contract import SweepReport

# A run ends after seven days. A streaming run can last until the weekly maintenance window after that:
# https://docs.aws.amazon.com/glue/latest/webapi/API_JobRun.html, Timeout.
_OLDEST_RUN: Final = timedelta(days=8)
_OLDEST_STREAMING_RUN: Final = timedelta(days=15)


class Sweep(Struct, frozen=True):
    """The result of a sweep. The sweep is incomplete if a considered job was not read, or a call failed."""

    conclusion: Conclusion
    jobs_not_read: tuple[str, ...]
    errors: tuple[str, ...]
    jobs_left_out: tuple[str, ...] = ()
    """Jobs that a policy's patterns include, but `jobs` or `protectedJobs` in the configuration exclude."""

    @property
    def is_complete(self) -> bool:
        """Whether every job that the policies consider was read."""
        return not self.jobs_not_read and not self.errors

    def report(self, swept_at: datetime) -> SweepReport:
        """Return the public report of the sweep."""
        return SweepReport(
            swept_at=swept_at,
            complete=self.is_complete,
            jobs_not_read=self.jobs_not_read,
            jobs_left_out=self.jobs_left_out,
            errors=self.errors,
            policies=self.conclusion.reports,
            runs=self.conclusion.runs,
        )


def sweep(  # noqa: PLR0913 - the last five are passed by name
    policies: Sequence[DuePolicy],
    reader: JobReader,
    *,
    limits: Limits,
    ids_in_a_request: int,
    prices: Prices,
    shuffle: Callable[[list[str]], None],
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Sweep:
    """Sweep all jobs that the policies consider. `progress` gets the number of jobs read, and of all jobs."""
    by_job, errors = _jobs_in_question(policies, reader)
    left_out = {name for name in by_job if limits.rejection(name) is not None}
    by_job = {name: of_job for name, of_job in by_job.items() if name not in left_out}
    names = list(by_job)
    # In a random order, successive incomplete sweeps leave different jobs unread.
    shuffle(names)
    judgements: list[Judgement] = []
    for index, name in enumerate(names):
        progress(index, len(names))
        reading = reader.read(name, _oldest_active(by_job[name]))
        judgements.append(judge(by_job[name], reading))
        errors += _new_error(reading.error, errors)
    matched = list(dict.fromkeys(judgement.job_name for judgement in judgements if judgement.candidates))
    definitions, definition_errors = reader.definitions(matched)
    protected, tag_errors = reader.protected(name for name in matched if name in definitions)
    conclusion = conclude(
        policies, judgements, definitions, protected, ids_in_a_request=ids_in_a_request, prices=prices
    )
    not_read = tuple(sorted(judgement.job_name for judgement in judgements if not judgement.complete))
    return Sweep(conclusion, not_read, (*errors, *definition_errors, *tag_errors), tuple(sorted(left_out)))


def _jobs_in_question(
    policies: Sequence[DuePolicy], reader: JobReader
) -> tuple[dict[str, list[DuePolicy]], list[str]]:
    """Return the policies that consider each job, in their order, and the errors of the ListJobs calls."""
    listed: dict[tuple[tuple[str, str], ...], set[str]] = {}
    errors: list[str] = []
    for tags in grouped(policies, _tags):
        try:
            listed[tags] = set(reader.job_names(dict(tags)))
        except (CallError, NotStartedError) as error:
            errors.append(f"ListJobs{f' with tags {dict(tags)}' if tags else ''}: {error_text(error)}")
    names = sorted(set().union(*listed.values()))
    by_job = {
        name: [due for due in policies if name in listed.get(_tags(due), ()) and means_job(due.policy, name)]
        for name in names
    }
    return {name: of_job for name, of_job in by_job.items() if of_job}, errors


def _tags(due: DuePolicy) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(due.policy.tags.items()))


def _oldest_active(policies: Sequence[DuePolicy]) -> datetime:
    """Return a time before which no run that can still be active has started."""
    return min(
        due.due - (_OLDEST_STREAMING_RUN if STREAMING in due.policy.types else _OLDEST_RUN) for due in policies
    )


def _new_error(error: str, errors: Sequence[str]) -> list[str]:
    """Return the error unless it is in `errors`, because hundreds of jobs may be unread for one reason."""
    return [error] if error and error not in errors else []
