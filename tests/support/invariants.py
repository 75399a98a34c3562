"""Loses nothing, invents nothing: what was asked, held against all that came of it, wherever it ran."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from gluebrake.model import MAX_RUNS_PER_CALL
from tests.support.fakes.exchange import Json

Key = tuple[str, str, bool]
"""Job name, run id, dry run."""

Letter = tuple[str, Mapping[str, Json]]
"""A dead letter's body and attributes, in SQS's own form."""

HANDED_ON: Final = {
    "StopSubmitted": "confirm",
    "AlreadyStopping": "confirm",
    "NotYetConfirmed": "confirm",
    "Retrying": "stop",
    "Deferred": "stop",
}
DEAD: Final = frozenset({"NotFound", "NotAllowed", "Failed", "StopTimedOut"})
_VERBATIM: Final = frozenset({"InvalidRequest", "TooManyRuns"})


@dataclass(frozen=True, kw_only=True)
class Account:
    """The messages that asked, and what is known of what became of them."""

    bodies: Collection[str]
    lines: Sequence[Json]
    """The log lines that tell an outcome."""
    letters: Sequence[Letter]
    stop_calls: Sequence[Json]
    """The request of each BatchStopJobRun call."""
    max_runs: int
    events: Sequence[Json]
    """The detail of each outcome event that was put on the bus, heard of or not."""
    left: int
    """How many messages are still on the work queues."""

    @cached_property
    def asked(self) -> Counter[Key]:
        """How many messages ask for each demand."""
        return Counter(key for body in self.bodies for key in self.keys(body))

    @cached_property
    def ends(self) -> Counter[Key]:
        """How often each demand ended."""
        return Counter(key_of(line) for line in self.lines if "job_run_id" in line and is_end(line))

    @cached_property
    def moved(self) -> set[Key]:
        """Which demands SQS itself moved to the dead-letter queue: their message was received too often."""
        bodies = [body for body, attributes in self.letters if "ERROR_CODE" not in attributes]
        return {key for body in bodies for key in self.keys(body)}

    @cached_property
    def unusable(self) -> set[str]:
        """Which messages ask for nothing that can be done."""
        return {body for body in self.bodies if self.request(body) is None}

    def keys(self, body: str) -> set[Key]:
        """Return which demands a message means."""
        request = self.request(body)
        if request is None:
            return set()
        job_name, dry_run = request["JobName"], request.get("DryRun", False)
        return {(job_name, run_id, dry_run) for run_id in request["JobRunIds"]}

    def request(self, body: str) -> Json | None:
        """Read a message as a person would; None when it cannot be used."""
        try:
            request: Any = json.loads(body)
        except ValueError:
            return None
        if isinstance(request, dict):
            request = request.get("detail", request)
        if "JobRunIds" not in request or len(set(request["JobRunIds"])) > self.max_runs:
            return None
        return dict(request)


def broken_promises(account: Account) -> list[str]:
    """List what was lost, invented or left lying; empty when every promise holds."""
    return [*_lost(account), *_unburied(account), *_invented(account), *_unasked_stops(account)]


def ended_too_often(account: Account) -> list[str]:
    """List the demands that ended more often than they were asked for: none, when no message came twice."""
    return [f"ended too often: {key}" for key in account.ends - account.asked]


def key_of(line: Json) -> Key:
    """Return the demand that a log line is about."""
    return line["job_name"], line["job_run_id"], line["dry_run"]


def is_end(line: Json) -> bool:
    """Return whether nothing more is to come of it."""
    return line["outcome"] not in HANDED_ON and not line["will_redeliver"]


def is_dead(line: Json) -> bool:
    """Return whether a dead letter says so as well."""
    return line["outcome"] in DEAD and not line["dry_run"]


def is_verbatim(attributes: Mapping[str, Json]) -> bool:
    """Return whether the letter is a message that could not be used, as it was."""
    return attributes.get("ERROR_CODE", {}).get("StringValue") in _VERBATIM


def _lost(account: Account) -> Iterator[str]:
    if account.left:
        yield f"stuck: {account.left} messages on the work queues"
    yield from (f"lost: {key}" for key in account.asked.keys() - account.ends.keys() - account.moved)
    # A message that names too many runs for a dry run is only logged.
    owed = {body for body in account.unusable if "DryRun" not in body}
    yield from (f"lost: the message {body}" for body in owed - {body for body, _ in account.letters})


def _unburied(account: Account) -> Iterator[str]:
    """Find the failures that no dead letter tells of."""
    failed = {key_of(line) for line in account.lines if "job_run_id" in line and is_end(line) and is_dead(line)}
    buried = {key for body, _ in account.letters for key in account.keys(body)}
    yield from (f"no dead letter: {key}" for key in failed - buried)


def _invented(account: Account) -> Iterator[str]:
    told = {key_of(line) for line in account.lines if "job_run_id" in line}
    yield from (f"invented in the log: {key}" for key in told - account.asked.keys())
    runs = {(job_name, run_id) for job_name, run_id, _ in account.asked}
    published = {(event["jobName"], event["jobRunId"]) for event in account.events if "jobRunId" in event}
    yield from (f"invented as an event: {run}" for run in published - runs)
    for body, attributes in account.letters:
        keys = account.keys(body)
        if not keys <= account.asked.keys() or (not keys and body not in account.unusable):
            yield f"invented as a dead letter: {body}"
        if any(dry_run for _, _, dry_run in keys - account.moved):
            yield f"a dry run as a dead letter: {body} {dict(attributes)}"


def _unasked_stops(account: Account) -> Iterator[str]:
    for call in account.stop_calls:
        run_ids = call["JobRunIds"]
        if not {(call["JobName"], run_id, False) for run_id in run_ids} <= account.asked.keys():
            yield f"stopped what nobody named: {call}"
        if not 1 <= len(run_ids) == len(set(run_ids)) <= MAX_RUNS_PER_CALL:
            yield f"not 1 to {MAX_RUNS_PER_CALL} distinct runs in a call: {call}"
