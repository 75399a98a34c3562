"""Invariants: no stop request is lost and no result is invented, wherever the functions run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from gluebrake.model import MAX_RUNS_PER_CALL
from tests.support.fakes.exchange import Json
from tests.support.selections import RunFacts, RunKey, SentSelection, request_with_selection

TargetKey = tuple[str, str, bool]
"""Job name, run id, dry run."""

DeadLetter = tuple[str, Mapping[str, Json]]
"""A dead letter's body and attributes, in SQS's own format."""

NEXT_QUEUE: Final = {
    "StopSubmitted": "confirm",
    "AlreadyStopping": "confirm",
    "NotYetConfirmed": "confirm",
    "Retrying": "stop",
    "Deferred": "stop",
}
"""The queue that an outcome leads to. Every other outcome is final."""

FAILURES: Final = frozenset({"NotFound", "NotAllowed", "Failed", "StopTimedOut", "Unconfirmed"})
"""The outcomes of a target that make a dead letter."""

_MESSAGE_FAILURES: Final = frozenset({"InvalidRequest", "TooManyRuns"})
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The messages that were sent, and all that is known about their results."""

    bodies: Collection[str]
    """The bodies of the messages that were sent."""
    lines: Sequence[Json]
    """The log lines that have an outcome."""
    dead_letters: Sequence[DeadLetter]
    stop_calls: Sequence[Json]
    """The parameters of each BatchStopJobRun call."""
    max_runs: int
    events: Sequence[Json]
    """The detail of each outcome event on the bus, whether or not the function received the answer."""
    undelivered: int
    """How many messages are still on the work queues."""
    selections: Sequence[SentSelection] = ()
    """The messages that do not name all runs that they mean."""
    runs: Mapping[RunKey, RunFacts] = field(default_factory=dict)
    """What is known of each run."""
    active: Collection[RunKey] = ()
    """The runs that are still active at the end."""

    @cached_property
    def requested(self) -> Counter[TargetKey]:
        """How many messages name each target."""
        return Counter(key for body in self.bodies for key in self.keys(body))

    @cached_property
    def ends(self) -> Counter[TargetKey]:
        """How many final outcomes each target has."""
        return Counter(key_of(line) for line in self.lines if "job_run_id" in line and is_final(line))

    @cached_property
    def moved(self) -> set[TargetKey]:
        """The targets whose messages SQS moved to the dead-letter queue after too many receives."""
        bodies = [body for body, attributes in self.dead_letters if "ERROR_CODE" not in attributes]
        return {key for body in bodies for key in self.keys(body)}

    @cached_property
    def unusable(self) -> set[str]:
        """The bodies that are not valid requests."""
        bodies = (body for body in self.bodies if request_with_selection(body) is None)
        return {body for body in bodies if self.request(body) is None}

    @cached_property
    def listed(self) -> set[TargetKey]:
        """The targets that only requests with attempts name, which one result may account for as a whole."""
        named = {body for body in self.bodies if request_with_selection(body) is None}
        return self.requested.keys() - {key for body in named for key in self.keys(body)}

    @cached_property
    def whole_ends(self) -> set[tuple[str, bool]]:
        """Job name and dry run of each final outcome of a request as a whole."""
        lines = (line for line in self.lines if "job_run_id" not in line and is_final(line))
        return {(line["job_name"], line["dry_run"]) for line in lines}

    @cached_property
    def abandoned(self) -> Counter[str]:
        """How many dead letters are selections, by job. They account for the runs that they mean."""
        requests = [request_with_selection(body) for body, _ in self.dead_letters]
        return Counter(request["JobName"] for request in requests if request)

    @cached_property
    def given_up(self) -> set[str]:
        """The jobs with a dead letter of a selection that an earlier delivery may have carried out."""
        requests = [
            request_with_selection(body)
            for body, attributes in self.dead_letters
            if attributes.get("ERROR_CODE", {}).get("StringValue") != "TooManyRuns"
        ]
        return {request["JobName"] for request in requests if request}

    def is_meant(self, key: TargetKey) -> bool:
        """Return whether a message names the target, or means it without its name."""
        job_name, run_id, dry_run = key
        return key in self.requested or any(
            s.may_mean((job_name, run_id), self.runs, dry_run=dry_run) for s in self.selections
        )

    def keys(self, body: str) -> set[TargetKey]:
        """Return the targets that a message names."""
        request = self.request(body)
        if request is None:
            return set()
        job_name, dry_run = request["JobName"], request.get("DryRun", False)
        return {(job_name, run_id, dry_run) for run_id in request["JobRunIds"]}

    def request(self, body: str) -> Json | None:
        """Parse a message independently of Gluebrake. Return None if it is not a valid request."""
        try:
            request: Any = json.loads(body)
        except ValueError:
            return None
        if isinstance(request, dict):
            request = request.get("detail", request)
        if "JobRunIds" not in request or len(set(request["JobRunIds"])) > self.max_runs:
            return None
        return dict(request)


def violations(evidence: Evidence) -> list[str]:
    """Return what was lost, invented or left on a queue. The list is empty if every invariant holds."""
    return [
        *_lost(evidence),
        *_without_dead_letter(evidence),
        *_invented(evidence),
        *_unrequested_stops(evidence),
        *_unfinished_selections(evidence),
    ]


def repeated_ends(evidence: Evidence) -> list[str]:
    """Return the targets with more final outcomes than messages. Without redeliveries there are none."""
    return [f"ended too often: {key}" for key in evidence.ends - evidence.requested]


def key_of(line: Json) -> TargetKey:
    """Return the target that a log line is about."""
    return line["job_name"], line["job_run_id"], line["dry_run"]


def is_final(line: Json) -> bool:
    """Return whether no further outcome follows the line's."""
    return line["outcome"] not in NEXT_QUEUE and not line["will_redeliver"]


def makes_dead_letter(line: Json) -> bool:
    """Return whether a dead letter results from the line's outcome."""
    return line["outcome"] in FAILURES and not line["dry_run"]


def is_original_message(attributes: Mapping[str, Json]) -> bool:
    """Return whether a dead letter is an unusable message with its original body."""
    return attributes.get("ERROR_CODE", {}).get("StringValue") in _MESSAGE_FAILURES


def _lost(evidence: Evidence) -> Iterator[str]:
    if evidence.undelivered:
        yield f"stuck: {evidence.undelivered} messages on the work queues"
    for key in evidence.requested.keys() - evidence.ends.keys() - evidence.moved:
        job_name, _, dry_run = key
        if key not in evidence.listed or (job_name, dry_run) not in evidence.whole_ends:
            yield f"lost: {key}"
    # A dry run that names too many runs is logged and makes no dead letter.
    expected = {body for body in evidence.unusable if "DryRun" not in body}
    yield from (f"lost: the message {body}" for body in expected - {body for body, _ in evidence.dead_letters})


def _without_dead_letter(evidence: Evidence) -> Iterator[str]:
    failed = {
        key_of(line)
        for line in evidence.lines
        if "job_run_id" in line and is_final(line) and makes_dead_letter(line)
    }
    in_dead_letters = {key for body, _ in evidence.dead_letters for key in evidence.keys(body)}
    yield from (f"no dead letter: {key}" for key in failed - in_dead_letters)


def _invented(evidence: Evidence) -> Iterator[str]:
    logged = {key_of(line) for line in evidence.lines if "job_run_id" in line}
    yield from (f"invented in the log: {key}" for key in logged if not evidence.is_meant(key))
    published = {(event["jobName"], event["jobRunId"]) for event in evidence.events if "jobRunId" in event}
    for run in published:
        if not any(evidence.is_meant((*run, dry_run)) for dry_run in (False, True)):
            yield f"invented as an event: {run}"
    for body, attributes in evidence.dead_letters:
        keys = evidence.keys(body)
        names_all = bool(keys) and request_with_selection(body) is None
        if not all(map(evidence.is_meant, keys)) or not (names_all or _is_sent(body, attributes, evidence)):
            yield f"invented as a dead letter: {body}"
        if any(dry_run for _, _, dry_run in keys - evidence.moved):
            yield f"a dry run as a dead letter: {body} {dict(attributes)}"


def _is_sent(body: str, attributes: Mapping[str, Json], evidence: Evidence) -> bool:
    """Return whether the body was sent, or is a selection that was sent and has its time now.

    A dead letter of a function has the time. SQS moves messages of a producer and retries of a function.
    """
    if SentSelection.parse(body, _LATEST) in evidence.selections:
        return True
    is_read_selection = "ERROR_CODE" in attributes and request_with_selection(body) is not None
    return body in evidence.bodies and not is_read_selection


def _unfinished_selections(evidence: Evidence) -> Iterator[str]:
    """Yield the runs that a selection left without an outcome, and the selections without a dead letter."""
    accounted = evidence.ends.keys() | evidence.moved | evidence.requested.keys()
    submitted = {
        (call["JobName"], run_id, False) for call in evidence.stop_calls for run_id in call["JobRunIds"]
    }
    for key in sorted(submitted - accounted):
        if evidence.is_meant(key) and key[0] not in evidence.given_up:
            yield f"submitted without an end: {key}"
    spared = evidence.abandoned.keys() | {
        line["job_name"] for line in evidence.lines if line["outcome"] == "Protected"
    }
    every_run = [selection for selection in evidence.selections if not selection.states]
    for job_name, run_id in sorted(evidence.active):
        is_selected = any(s.may_mean((job_name, run_id), evidence.runs, dry_run=False) for s in every_run)
        if is_selected and (job_name, run_id, False) not in accounted and job_name not in spared:
            yield f"selected and not stopped: {job_name, run_id}"
    failed = Counter(line["job_name"] for line in evidence.lines if _is_failed_selection(line))
    yield from (f"no dead letter of a selection: {job_name}" for job_name in failed - evidence.abandoned)


def _is_failed_selection(line: Json) -> bool:
    outcomes = (FAILURES | _MESSAGE_FAILURES) - {"InvalidRequest"}
    is_of_message = "job_run_id" not in line and not line["error_message"].startswith("JobRunIds:")
    return is_of_message and line["outcome"] in outcomes and not (line["dry_run"] or line["will_redeliver"])


def _unrequested_stops(evidence: Evidence) -> Iterator[str]:
    for call in evidence.stop_calls:
        run_ids = call["JobRunIds"]
        if not all(evidence.is_meant((call["JobName"], run_id, False)) for run_id in run_ids):
            yield f"stopped a run that no message names: {call}"
        if not 1 <= len(run_ids) == len(set(run_ids)) <= MAX_RUNS_PER_CALL:
            yield f"not 1 to {MAX_RUNS_PER_CALL} distinct runs in a call: {call}"
