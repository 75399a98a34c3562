"""Stop requests for exactly the runs that a sweep by hand has shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import typer
from msgspec import Struct
from msgspec.structs import replace

from gluebrake.contract import StopRequest
from gluebrake.model import JobRun
from gluebrake_cli import output, stop_requests, tables
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.live_runs import follow_live
from gluebrake_cli.runs import FollowedRuns, PollOptions
from gluebrake_cli.sweep_result import SweepResult

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment


class StopOptions(NamedTuple):
    """Whether to stop the runs, for which reason, the number that answers the question, and how to follow them.

    Without a number the command asks. Without poll options the runs are not followed.
    """

    stop: bool
    number: int | None
    reason: str
    poll_options: PollOptions | None

    def check(self) -> None:
        """Raise BadParameter for an option that has no meaning without --stop."""
        if not self.stop and self.number is not None:
            raise typer.BadParameter("--yes requires --stop")

    @property
    def asks(self) -> bool:
        """Whether the operator must answer a question."""
        return self.stop and self.number is None


class SentRequest(Struct, frozen=True):
    """A stop request, and the id of the message that carried it."""

    message_id: str
    request: StopRequest


class Stops(Struct, frozen=True, kw_only=True):
    """The requests that were sent, and the last status of their runs.

    `sent` is None without --stop, or if the operator did not confirm, which `refusal` says.
    """

    sent: Sequence[SentRequest] | None = None
    followed: FollowedRuns = FollowedRuns()
    refusal: str = ""

    @property
    def messages(self) -> dict[JobRun, str]:
        """The runs, each with the id of the message that requested its stop."""
        return {
            JobRun(sent.request.job_name, run_id): sent.message_id
            for sent in self.sent or ()
            for run_id in sent.request.job_run_ids or ()
        }

    @property
    def problems(self) -> list[str]:
        """Why nothing was stopped, and how many runs were still waited for when --timeout had passed."""
        return [text for text in (self.refusal, self.followed.unfinished) if text]

    @property
    def exit_code(self) -> int:
        """Return 0 if everything was sent, and no followed run is running any more."""
        return NOT_OK if self.refusal else self.followed.exit_code

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` shows, as for `gluebrake stop`."""
        return {"requests": self.sent, **self.followed.as_json()}


def stop_runs(deployment: Deployment, result: SweepResult, options: StopOptions, since: datetime) -> Stops:
    """Stop the runs of the report if the operator confirms their number. Follow them if `options` say so."""
    place = tables.place(deployment.aws_environment)
    if refusal := _refusal(result, options.number, place):
        return Stops(refusal=refusal)
    requests = [*_requests(result, options.reason, deployment.caller(), since)] if result.stoppable else []
    stops = Stops(sent=_send(deployment, requests))
    if not options.poll_options:
        return stops
    if not stops.messages:
        return replace(stops, followed=FollowedRuns(statuses=[]))
    followed = follow_live(deployment, stops.messages, since=since, poll_options=options.poll_options)
    return replace(stops, followed=followed)


def _refusal(result: SweepResult, number: int | None, place: str) -> str:
    """Return why nothing is stopped, empty if the operator's number is that of the runs to stop."""
    runs = len(result.stoppable)
    if number is None and not runs:
        return ""
    answer = str(number) if number is not None else _ask(result, place)
    if answer == str(runs):
        return ""
    can_be_stopped = f"{tables.counted(runs, 'run')} that can be stopped"
    return f"your number is {answer}, and the report has {can_be_stopped}: nothing was stopped"


def _ask(result: SweepResult, place: str) -> str:
    runs = tables.counted(len(result.stoppable), "run")
    jobs = tables.counted(len({run.job_name for run in result.stoppable}), "job")
    return output.ask(f"Stop {runs} of {jobs} {place}? Type the number of runs")


def _requests(result: SweepResult, reason: str, requested_by: str, now: datetime) -> Iterator[StopRequest]:
    for job_name, run_ids in result.to_request():
        yield stop_requests.build(
            job_name,
            stop_requests.Runs(run_ids=run_ids),
            reason=reason or result.policy.reason,
            requested_by=requested_by,
            now=now,
        )


def _send(deployment: Deployment, requests: Sequence[StopRequest]) -> list[SentRequest]:
    sent: list[SentRequest] = []
    try:
        for request in requests:
            body = msgspec.json.encode(request).decode()
            sent.append(SentRequest(deployment.stop_queue.send_one(body), request))
    except (Exception, KeyboardInterrupt):
        output.note(f"{len(sent)} of {len(requests)} stop requests were sent before this error:")
        raise
    return sent
