"""Builders of values with defaults, and Hypothesis strategies. A test names only the fields that matter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from gluebrake.contract import ATTEMPT, SENDER, STAGE, STOP_REQUESTED, SUBMITTED_AT, VIA, StopRequest
from gluebrake.decisions.planning import Limits
from gluebrake.decisions.routing import Backoff, RetryPolicy
from gluebrake.lambda_event import Bookkeeping
from gluebrake.model import (
    TERMINAL_STATES,
    AwsEnvironment,
    Finding,
    JobRun,
    Message,
    MessageResult,
    Observation,
    OutgoingMessage,
    ParsedRequest,
    RunFacts,
    RunResult,
    StopBatch,
    StopTarget,
)
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher
from gluebrake.parsing.context import Parser
from gluebrake.parsing.messages import parse_messages
from gluebrake.stages import Queue

NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
"""The default time of every value."""

AWS_ENVIRONMENT: Final = AwsEnvironment("123456789012", "eu-west-1")
"""The account and Region in which runs may be stopped."""

SETTINGS: Final[Mapping[str, Any]] = {
    "job_arn_prefix": f"arn:aws:glue:{AWS_ENVIRONMENT.region}:{AWS_ENVIRONMENT.account}:job/",
    "jobs": ["*"],
    "protected_jobs": [],
    "protect_tag": "gluebrake:protect",
    "max_runs_per_request": 1000,
    "event_bus_name": "gluebrake-bus",
    "trusted_sender_ids": ["AROAGLUEBRAKE"],
    "calls_at_once": 8,
    "max_attempts": 8,
    "retry_seconds": [5, 900],
    "confirm_seconds": [15, 300],
    "confirm_deadline_seconds": 1800,
    "detailed_metrics": True,
}
"""A function's settings as the stack writes them with a dashboard, without the queues' URLs."""

SENDER_ID: Final = "AIDAEXAMPLE:guardrail"
FUNCTION_SENDER_ID: Final = "AROAGLUEBRAKE:stop"
EVENT_VIA: Final = "event e-1 of guardrail in account "
BOOKKEEPING_ATTRIBUTES: Final = frozenset({ATTEMPT, SENDER, STAGE, SUBMITTED_AT, VIA})

ACTIVE_STATES: Final = ("STARTING", "RUNNING", "WAITING", "STOPPING", "PAUSED_BY_A_LATER_GLUE", "")
STATES: Final = (*ACTIVE_STATES, *sorted(TERMINAL_STATES))


def request(*run_ids: str, **changes: Any) -> StopRequest:
    """Build a stop request for runs of the job `etl`."""
    return replace(StopRequest(job_name="etl", job_run_ids=run_ids or ("jr_1",)), **changes)


def body(*run_ids: str, **fields: Any) -> str:
    """Write a stop request as a producer does. A field that is None is left out."""
    members = {"JobName": "etl", "JobRunIds": list(run_ids or ("jr_1",)), **fields}
    return json.dumps({name: value for name, value in members.items() if value is not None})


def event(detail: Any, detail_type: Any = STOP_REQUESTED) -> str:
    """Write an EventBridge event around `detail`."""
    envelope = {"version": "0", "id": "e-1", "detail-type": detail_type, "source": "guardrail"}
    return json.dumps({**envelope, "resources": [], "detail": detail})


def message(text: str | None = None, **changes: Any) -> Message:
    """Build a message that was sent at noon."""
    return replace(Message("m-1", body() if text is None else text, NOON, SENDER_ID), **changes)


def record(text: str = "", attributes: Mapping[str, str] | None = None, **system: str) -> dict[str, Any]:
    """Build the record in which Lambda receives a message."""
    milliseconds = str(int(NOON.timestamp() * 1000))
    known = {"SentTimestamp": milliseconds, "SenderId": SENDER_ID, "ApproximateReceiveCount": "1"}
    return {
        "messageId": "m-1",
        "eventSource": "aws:sqs",
        "body": text or body(),
        "attributes": {**known, **system},
        "messageAttributes": {
            name: {"dataType": "String", "stringValue": value} for name, value in (attributes or {}).items()
        },
    }


def parsed(*run_ids: str, by: Message | None = None, **changes: Any) -> ParsedRequest:
    """Build a parsed stop request; `by` is its message, `changes` are the request's."""
    stop_request = request(*run_ids, **changes)
    return ParsedRequest(by or message(), stop_request, stop_request.job_run_ids or ())


def parse_requests(
    messages: Iterable[Message],
    parse: Parser[StopRequest] = dispatcher.parse,
    aws_environment: AwsEnvironment | None = None,
) -> tuple[list[ParsedRequest], list[MessageResult]]:
    """Parse messages as STOP and CONFIRM do."""
    pairs, results = parse_messages(messages, parse, aws_environment or AWS_ENVIRONMENT)
    return [ParsedRequest.of(message, request) for message, request in pairs], results


class Ignored(NamedTuple):
    """A message that is understood and does not ask for a stop, with the reason."""

    message: Message
    why: str


class Invalid(NamedTuple):
    """A message that cannot be used, with the reason."""

    message: Message
    why: str


def parse_one(
    message: Message, aws_environment: AwsEnvironment = AWS_ENVIRONMENT
) -> ParsedRequest | Ignored | Invalid:
    """Parse one message as STOP does."""
    requests, results = parse_requests([message], dispatcher.parse, aws_environment)
    if requests:
        (parsed,) = requests
        return parsed
    (result,) = results
    kinds: dict[Outcome, type[Ignored | Invalid]] = {
        Outcome.IGNORED: Ignored,
        Outcome.INVALID_REQUEST: Invalid,
    }
    return kinds[result.outcome](result.message, result.why)


def target(run_id: str = "jr_1", job_name: str = "etl", **changes: Any) -> StopTarget:
    """Build a target at its first attempt; `changes` are the target's or its request's."""
    defaults = {"reason": "over budget", "requested_by": "guardrail/nightly", "dry_run": False}
    fields: dict[str, Any] = {name: changes.pop(name, value) for name, value in defaults.items()}
    first_attempt = StopTarget(
        request=StopRequest(job_name, **{name: value for name, value in fields.items() if value}),
        run=JobRun(job_name, run_id),
        attempt=0,
        maybe_already_stopped=False,
        submitted_at=None,
        sender=SENDER_ID,
        via="",
        message_ids=("m-1",),
    )
    return replace(first_attempt, **changes)


def batch(*run_ids: str, job_name: str = "etl") -> StopBatch:
    """Build a batch of targets for runs of one job."""
    return StopBatch(job_name, tuple(target(run_id, job_name) for run_id in run_ids))


def finding(
    observation: Observation = Observation.SUBMITTED, code: str = "", state: str | None = None, **changes: Any
) -> Finding:
    """Build a finding; `state` is the run's, `changes` are the target's."""
    run = None if state is None else RunFacts("jr_1", state)
    return Finding(target(**changes), observation, code, f"{code} it is" if code else "", run)


def result(outcome: Outcome, **changes: Any) -> RunResult:
    """Build the result of a target; `changes` are the target's."""
    return RunResult(target(**changes), outcome)


def message_result(outcome: Outcome = Outcome.INVALID_REQUEST, *, dry_run: bool = False) -> MessageResult:
    """Build the result of a message without targets. A dry run has the request that was parsed."""
    stop_request = request(dry_run=True) if dry_run else None
    return MessageResult(message("{", attempt=2), outcome, "the body: is not JSON", request=stop_request)


def outgoing_message(text: str = "{}", **changes: Any) -> OutgoingMessage:
    """Build a message to send to the stop queue."""
    return replace(OutgoingMessage(Queue.STOP, text, frozenset({"m-1"}), {}), **changes)


def bookkeeping(stage: str = "stop", max_attempts: int = 8) -> Bookkeeping:
    """Build what a stage believes of attributes."""
    return Bookkeeping(stage, max_attempts, frozenset(SETTINGS["trusted_sender_ids"]))


def limits(**changes: Any) -> Limits:
    """Build limits that allow every job and 1,000 runs for each request."""
    return replace(Limits(jobs=("*",), protected_jobs=(), max_runs_per_request=1000), **changes)


def retry_policy(**changes: Any) -> RetryPolicy:
    """Build the retry policy of the stack's default configuration."""
    defaults = RetryPolicy(
        delays={
            Queue.STOP: Backoff(5, 900, first_attempt=1),
            Queue.CONFIRM: Backoff(15, 300, first_attempt=0),
        },
        deadline_seconds=1800,
    )
    return replace(defaults, **changes)


_MESSAGE_OUTCOMES: Final = frozenset(
    {
        Outcome.INVALID_REQUEST,
        Outcome.TOO_MANY_RUNS,
        Outcome.NO_ACTIVE_RUNS,
        Outcome.IGNORED,
        Outcome.SWEPT,
        Outcome.SWEEP_LATE,
    }
)
"""The outcomes that a message has and a target does not."""

_CONTROLS: Final = frozenset(map(chr, range(0x20))) - {"\t"}

# A filter would make Hypothesis draw each character by itself, which takes four times as long.
ONE_LINE: Final = st.characters(exclude_categories=["Cs"], exclude_characters={"\ufffe", "\uffff", *_CONTROLS})
"""The characters that Glue accepts in names and ids."""

TEXT: Final = st.characters(
    exclude_categories=["Cs"], exclude_characters={"\ufffe", "\uffff", *_CONTROLS} - {"\r", "\n"}
)
"""The characters that SQS accepts."""


def names() -> st.SearchStrategy[str]:
    """Return job names and run ids, most of them short."""
    return st.one_of(st.sampled_from(["etl", "jr_1"]), st.text(ONE_LINE, min_size=1, max_size=12))


def notes() -> st.SearchStrategy[str]:
    """Return texts for Reason and RequestedBy, most of them short."""
    return st.text(TEXT, min_size=1, max_size=12)


def times() -> st.SearchStrategy[datetime]:
    """Return one of 13 times in the hour before noon, so that equal times are drawn often."""
    return st.integers(-12, 0).map(lambda steps: NOON + timedelta(minutes=5 * steps))


def _parsed(
    run_ids: Sequence[str], by: Message, job_name: str, notes: tuple[str, str], dry_run: object
) -> ParsedRequest:
    reason, requested_by = notes
    return parsed(
        *run_ids,
        by=by,
        job_name=job_name,
        dry_run=bool(dry_run),
        reason=reason or UNSET,
        requested_by=requested_by or UNSET,
    )


def parsed_requests() -> st.SearchStrategy[list[ParsedRequest]]:
    """Return the requests of several messages. They draw from few jobs and runs, so that targets repeat."""
    drawn_ids = st.lists(st.integers(0, 59).map("jr_{}".format), min_size=1, max_size=60)
    # A range of ids makes requests of more than one batch likely.
    ranges = st.integers(1, 60).map(lambda stop: [f"jr_{number}" for number in range(stop)])
    messages = st.builds(
        Message,
        st.just(""),
        st.just(""),
        times(),
        st.sampled_from(["alice", "bob"]),
        via=st.sampled_from(["", EVENT_VIA]),
        receive_count=st.integers(1, 3),
        is_retry=st.booleans(),
        attempt=st.integers(0, 3),
        submitted_at=st.none() | times(),
    )
    request = st.builds(
        _parsed,
        st.one_of(drawn_ids, ranges),
        messages,
        st.sampled_from(["etl", "nightly", "report"]),
        st.tuples(st.sampled_from(["", "over budget"]), st.sampled_from(["", "guardrail"])),
        st.booleans(),
    )
    return st.lists(request, max_size=8).map(_numbered)


def _numbered(requests: list[ParsedRequest]) -> list[ParsedRequest]:
    return [
        replace(parsed, message=replace(parsed.message, message_id=f"m-{number}"))
        for number, parsed in enumerate(requests)
    ]


def targets() -> st.SearchStrategy[StopTarget]:
    """Return targets with few different values, so that many differ only in the run."""
    return st.builds(
        target,
        names(),
        names(),
        dry_run=st.booleans(),
        attempt=st.integers(0, 7),
        maybe_already_stopped=st.booleans(),
        submitted_at=st.none() | times(),
        reason=st.just("") | notes(),
        requested_by=st.sampled_from(["", "guardrail"]),
        sender=st.sampled_from(["", SENDER_ID]),
        via=st.sampled_from(["", EVENT_VIA]),
        message_ids=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True).map(tuple),
    )


def results() -> st.SearchStrategy[RunResult]:
    """Return results of every outcome that a target can have."""
    outcomes = [outcome for outcome in Outcome if outcome not in _MESSAGE_OUTCOMES]
    return st.builds(
        RunResult,
        targets(),
        st.sampled_from(outcomes),
        st.sampled_from(["", "ThrottlingException"]),
        st.sampled_from(["", "Rate exceeded"]),
        st.sampled_from(STATES),
    )
