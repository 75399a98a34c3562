"""The runs of a stop request and their states in Glue, read before the request is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Struct

from gluebrake.contract import StopRequest
from gluebrake.error_codes import NOT_FOUND
from gluebrake.model import TERMINAL_STATES, JobRun
from gluebrake_cli import output, run_states, tables
from gluebrake_cli.errors import OperatorError, explain
from gluebrake_cli.runs import requested_runs

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

_MOST_NAMES: Final = 5


class KnownRuns(Struct, frozen=True):
    """The runs that a request means, and the states that were read."""

    runs: Sequence[JobRun]
    states: Mapping[JobRun, str] = {}

    @property
    def over(self) -> dict[JobRun, str]:
        """The terminal states of the runs that are over."""
        return {run: state for run, state in self.states.items() if state in TERMINAL_STATES}

    @property
    def are_over(self) -> bool:
        """Whether no run is active, so that there is nothing to stop."""
        return len(self.over) == len(self.runs)


def look(deployment: Deployment, request: StopRequest, now: datetime) -> KnownRuns:
    """Read which runs the request means, and the states of the runs that the request names.

    Raise OperatorError for a job or a run that Glue does not know. If Glue does not respond, return named runs
    without states, because their stop can still be requested.
    """
    try:
        if request.select is not UNSET:
            return KnownRuns(requested_runs(deployment, request, now))
        return _read_named(deployment, request, now)
    except OperatorError:
        raise
    except Exception as error:
        if _code(error) == NOT_FOUND:
            raise _unknown_job(deployment, request) from error
        if request.select is not UNSET or not (text := explain(error)):
            raise
        output.note(f"The runs cannot be read, so the request is sent without a look at them: {text}")
        return KnownRuns(named(request))


def note_over(known: KnownRuns) -> None:
    """Write which of the runs are over already, if only some of them are over."""
    over = [f"{run.run_id} is over already: {state}." for run, state in known.over.items()]
    for text in over[:_MOST_NAMES]:
        output.note(text)
    if more := over[_MOST_NAMES:]:
        output.note(f"{len(more)} more {'is' if len(more) == 1 else 'are'} over already.")


def _read_named(deployment: Deployment, request: StopRequest, now: datetime) -> KnownRuns:
    glue, of_request = deployment.clients.glue, named(request)
    states = run_states.read_all(glue, of_request)
    if unknown := [run.run_id for run in of_request if run not in states]:
        if not run_states.knows_job(glue, request.job_name):
            raise _unknown_job(deployment, request)
        raise _unknown_runs(deployment, request, unknown)
    if not request.include_attempts:
        return KnownRuns(of_request, states)
    runs = requested_runs(deployment, request, now)
    attempts = [run for run in runs if run not in states]
    return KnownRuns(runs, states | run_states.read_all(glue, attempts))


def named(request: StopRequest) -> list[JobRun]:
    """Return the runs that the request names, each once."""
    return [JobRun(request.job_name, run_id) for run_id in dict.fromkeys(request.job_run_ids or ())]


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)  # only a ClientError has it
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _unknown_job(deployment: Deployment, request: StopRequest) -> OperatorError:
    place = tables.place(deployment.aws_environment)
    return OperatorError(
        f"Glue knows no job {request.job_name} {place}: nothing was sent."
        " Check the name and --region; `aws glue list-jobs` lists the jobs"
    )


def _unknown_runs(deployment: Deployment, request: StopRequest, run_ids: Sequence[str]) -> OperatorError:
    place = tables.place(deployment.aws_environment)
    more = f" and {len(run_ids) - _MOST_NAMES} more" if len(run_ids) > _MOST_NAMES else ""
    return OperatorError(
        f"Glue knows no run {', '.join(run_ids[:_MOST_NAMES])}{more} of {request.job_name} {place}:"
        " nothing was sent. Check the id and --region, or send the request all the same with --blind"
    )
