"""Values for tests, with defaults: a test names only what it is about. Strategies stand beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from gluebrake.contract import ATTEMPT, SENDER, STOP_REQUESTED, SUBMITTED_AT, StopRequest
from gluebrake.decisions.planning import Limits
from gluebrake.decisions.routing import Backoff, RetryPolicy
from gluebrake.model import (
    TERMINAL_STATES,
    AwsEnvironment,
    Finding,
    JobRun,
    Message,
    MessageResult,
    Observation,
    ParsedRequest,
    Queue,
    RunFacts,
    RunResult,
    Send,
    StopBatch,
    StopTarget,
)
from gluebrake.outcomes import Outcome

NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
"""The moment at which all that has no time of its own happens."""

AWS_ENVIRONMENT: Final = AwsEnvironment("123456789012", "eu-west-1")
"""Where runs may be stopped."""

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
}
"""The settings of a function as the stack gives them, but for the queues' URLs."""

SENDER_ID: Final = "AIDAEXAMPLE:guardrail"
OUR_SENDER_ID: Final = "AROAGLUEBRAKE:stop"
OUR_ATTRIBUTES: Final = frozenset({ATTEMPT, SENDER, SUBMITTED_AT})

ACTIVE_STATES: Final = ("STARTING", "RUNNING", "WAITING", "STOPPING", "PAUSED_BY_A_LATER_GLUE", "")
STATES: Final = (*ACTIVE_STATES, *sorted(TERMINAL_STATES))


def request(*run_ids: str, **changes: Any) -> StopRequest:
    """Build a stop request for runs of the job `etl`."""
    return replace(StopRequest(job_name="etl", job_run_ids=run_ids or ("jr_1",)), **changes)


def body(*run_ids: str, **fields: Any) -> str:
    """Write a stop request as a producer does; a field that is None is left out."""
    said = {"JobName": "etl", "JobRunIds": list(run_ids or ("jr_1",)), **fields}
    return json.dumps({name: value for name, value in said.items() if value is not None})


def event(detail: Any, detail_type: Any = STOP_REQUESTED) -> str:
    """Write an EventBridge event around `detail`."""
    envelope = {"version": "0", "id": "e-1", "detail-type": detail_type, "source": "guardrail"}
    return json.dumps({**envelope, "resources": [], "detail": detail})


def message(text: str | None = None, **changes: Any) -> Message:
    """Build a message that was sent at noon."""
    return replace(Message("m-1", body() if text is None else text, NOON, SENDER_ID), **changes)


def record(text: str = "", attributes: Mapping[str, str] | None = None, **system: str) -> dict[str, Any]:
    """Build the record of a message as Lambda gets it."""
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
    """Build what a message asks for; `by` is the message, `changes` are the request's."""
    asking = request(*run_ids, **changes)
    return ParsedRequest(by or message(), asking, asking.job_run_ids or ())


def target(run_id: str = "jr_1", job_name: str = "etl", **changes: Any) -> StopTarget:
    """Build a demand at its first attempt."""
    first = StopTarget(
        run=JobRun(job_name, run_id),
        dry_run=False,
        attempt=0,
        maybe_already_stopped=False,
        submitted_at=None,
        reason="over budget",
        requested_by="guardrail/nightly",
        sender=SENDER_ID,
        message_ids=("m-1",),
    )
    return replace(first, **changes)


def batch(*run_ids: str, job_name: str = "etl") -> StopBatch:
    """Build a batch of demands for runs of one job."""
    return StopBatch(job_name, tuple(target(run_id, job_name) for run_id in run_ids))


def finding(
    seen: Observation = Observation.SUBMITTED, code: str = "", state: str | None = None, **changes: Any
) -> Finding:
    """Build a finding; `state` is the run's, `changes` are the demand's."""
    facts = None if state is None else RunFacts("jr_1", state)
    return Finding(target(**changes), seen, code, f"{code} it is" if code else "", facts)


def result(outcome: Outcome, **changes: Any) -> RunResult:
    """Build what became of a demand; `changes` are the demand's."""
    return RunResult(target(**changes), outcome)


def message_result(outcome: Outcome = Outcome.INVALID_REQUEST, *, dry_run: bool = False) -> MessageResult:
    """Build what became of a message that could not be used; a dry run could at least be read."""
    asking = request(dry_run=True) if dry_run else None
    return MessageResult(message("{", attempt=2), outcome, "the body: is not JSON", request=asking)


def send(text: str = "{}", **changes: Any) -> Send:
    """Build a message to send to the stop queue."""
    return replace(Send(Queue.STOP, text, frozenset({"m-1"}), {}), **changes)


def limits(**changes: Any) -> Limits:
    """Build limits that let everything through."""
    return replace(Limits(jobs=("*",), protected_jobs=(), max_runs_per_request=1000), **changes)


def policy(**changes: Any) -> RetryPolicy:
    """Build the policy that the infrastructure's defaults lead to."""
    usual = RetryPolicy(
        retry=Backoff(5, 900, first_attempt=1), look=Backoff(15, 300, first_attempt=0), deadline_seconds=1800
    )
    return replace(usual, **changes)


ONE_LINE: Final = st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
    lambda character: character == "\t" or character >= " "
)
"""Glue's own characters."""

TEXT: Final = st.one_of(ONE_LINE, st.sampled_from("\r\n"))
"""What SQS carries."""


def names() -> st.SearchStrategy[str]:
    """Return job names and run ids, most of them short."""
    return st.one_of(st.sampled_from(["etl", "jr_1"]), st.text(ONE_LINE, min_size=1, max_size=12))


def notes() -> st.SearchStrategy[str]:
    """Return reasons and requesters, most of them short."""
    return st.text(TEXT, min_size=1, max_size=12)


def moments() -> st.SearchStrategy[datetime]:
    """Return times within an hour before noon, few enough of them to meet."""
    return st.integers(-12, 0).map(lambda fives: NOON + timedelta(minutes=5 * fives))


def _one_asked(
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


def askings() -> st.SearchStrategy[list[ParsedRequest]]:
    """Return what several messages ask for, of few jobs and runs, so that they ask for the same."""
    some_ids = st.lists(st.integers(0, 59).map("jr_{}".format), min_size=1, max_size=60)
    # A range of ids is how a producer comes to more than one batch.
    ranges = st.integers(1, 60).map(lambda stop: [f"jr_{number}" for number in range(stop)])
    messages = st.builds(
        Message,
        st.just(""),
        st.just(""),
        moments(),
        st.sampled_from(["alice", "bob"]),
        receive_count=st.integers(1, 3),
        is_retry=st.booleans(),
        attempt=st.integers(0, 3),
        submitted_at=st.none() | moments(),
    )
    one = st.builds(
        _one_asked,
        st.one_of(some_ids, ranges),
        messages,
        st.sampled_from(["etl", "nightly", "report"]),
        st.tuples(st.sampled_from(["", "over budget"]), st.sampled_from(["", "guardrail"])),
        st.booleans(),
    )
    return st.lists(one, max_size=8).map(_numbered)


def _numbered(askings: list[ParsedRequest]) -> list[ParsedRequest]:
    return [
        replace(one, message=replace(one.message, message_id=f"m-{number}"))
        for number, one in enumerate(askings)
    ]


def targets() -> st.SearchStrategy[StopTarget]:
    """Return demands of few kinds, so that many are alike but for the run."""
    return st.builds(
        StopTarget,
        run=st.builds(JobRun, names(), names()),
        dry_run=st.booleans(),
        attempt=st.integers(0, 7),
        maybe_already_stopped=st.booleans(),
        submitted_at=st.none() | moments(),
        reason=st.just("") | notes(),
        requested_by=st.sampled_from(["", "guardrail"]),
        sender=st.sampled_from(["", SENDER_ID]),
        message_ids=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True).map(tuple),
    )


def results() -> st.SearchStrategy[RunResult]:
    """Return results of every outcome that a demand can have."""
    outcomes = [*Outcome][: [*Outcome].index(Outcome.INVALID_REQUEST)]
    return st.builds(
        RunResult,
        targets(),
        st.sampled_from(outcomes),
        st.sampled_from(["", "ThrottlingException"]),
        st.sampled_from(["", "Rate exceeded"]),
        st.sampled_from(STATES),
    )
