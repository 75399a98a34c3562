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
from gluebrake_cli import interrupts, output, stop_requests, tables
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.live_runs import follow_live
from gluebrake_cli.runs import FollowedRuns, PollOptions
from gluebrake_cli.sweep_result import SweepResult

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment


class StopOptions(NamedTuple):
    """The options of stopping: the reason, the number of runs from --yes, and how to follow the runs.

    Without a number, the command asks for it. Without poll options, the runs are not followed.
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

    `sent` is None without --stop, or if the operator did not confirm, and then `refusal` says why. After an
    error, `failure` says how many requests were sent before.
    """

    sent: Sequence[SentRequest] | None = None
    followed: FollowedRuns = FollowedRuns()
    refusal: str = ""
    failure: str = ""

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
        """Why not every stop was requested, and how many runs were not over when --timeout had passed."""
        return [text for text in (self.refusal, self.failure, self.followed.unfinished) if text]

    @property
    def exit_code(self) -> int:
        """Return 0 if every request was sent and no followed run is still running."""
        return max(NOT_OK if self.refusal or self.failure else 0, self.followed.exit_code)

    def as_json(self) -> dict[str, Any]:
        """Return the members of the JSON output, in the form of `gluebrake stop`."""
        return {"requests": self.sent, **self.followed.as_json()}


def stop_runs(deployment: Deployment, result: SweepResult, options: StopOptions, since: datetime) -> Stops:
    """Stop the runs of the report if the operator confirms their number. Then follow them, if requested."""
    if refused := refusal([result], options.number, tables.place(deployment.aws_environment)):
        return Stops(refusal=refused)
    stops, error = request_stops(deployment, result, options.reason, since)
    if error:
        output.note(stops.failure)
        raise error
    if not options.poll_options:
        return stops
    if not stops.messages:
        return replace(stops, followed=FollowedRuns(statuses=[]))
    followed = follow_live(deployment, stops.messages, since=since, poll_options=options.poll_options)
    return replace(stops, followed=followed)


def refusal(results: Sequence[SweepResult], number: int | None, place: str) -> str:
    """Return why no run is stopped, empty if the operator's number equals the number of runs to stop."""
    runs = sum(len(result.stoppable) for result in results)
    if number is None and not runs:
        return ""
    answer = str(number) if number is not None else _ask(results, place)
    if answer == str(runs):
        return ""
    can_be_stopped = f"{tables.counted(runs, 'run')} that can be stopped"
    return f"your number is {answer}, and the report has {can_be_stopped}: nothing was stopped"


def _ask(results: Sequence[SweepResult], place: str) -> str:
    runs = tables.counted(sum(len(result.stoppable) for result in results), "run")
    jobs = sum(len({run.job_name for run in result.stoppable}) for result in results)
    return output.ask(f"Stop {runs} of {tables.counted(jobs, 'job')} {place}? Type the number of runs")


def request_stops(
    deployment: Deployment, result: SweepResult, reason: str, since: datetime
) -> tuple[Stops, BaseException | None]:
    """Send requests for all runs to stop. After an error, return the requests that were sent before."""
    requests = [*_requests(result, reason, deployment.caller(), since)] if result.stoppable else []
    sent: list[SentRequest] = []
    try:
        for request in requests:
            interrupts.check()
            body = msgspec.json.encode(request).decode()
            sent.append(SentRequest(deployment.stop_queue.send_one(body), request))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the caller reports it
        total = tables.counted(len(requests), "stop request")
        failure = f"{len(sent)} of {total} were sent before this error:"
        return Stops(sent=sent, failure=failure), error
    return Stops(sent=sent), None


def _requests(result: SweepResult, reason: str, requested_by: str, now: datetime) -> Iterator[StopRequest]:
    for job_name, run_ids in result.to_request():
        yield stop_requests.build(
            job_name,
            stop_requests.Runs(run_ids=run_ids),
            reason=reason or result.policy.reason,
            requested_by=requested_by,
            now=now,
        )
