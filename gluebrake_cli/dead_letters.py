"""Dead letters as values: the reason, the request, and the message that a redrive sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from gluebrake.contract import ATTEMPT, SENDER, STAGE, SUBMITTED_AT, VIA, StopRequest
from gluebrake.grouping import grouped
from gluebrake.model import AwsEnvironment, Message
from gluebrake.parsing import dispatcher, provenance, stop_request
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError
from gluebrake.parsing.messages import parse_message
from gluebrake.patterns import matches_any
from gluebrake_cli.reasons import CRASHED, INVOCATION_FAILED, NO_ERROR_CODE, explanation

Attributes = Mapping[str, Mapping[str, Any]]
"""Message attributes in the form of the SQS API."""

# A redrive does not send these attributes: they have the reason of the dead letter, and retry counters.
# EventBridge writes the same names as Gluebrake, and Lambda writes its own names:
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
_NOT_REDRIVEN: Final = frozenset(
    {
        *("ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS"),
        *("EXHAUSTED_RETRY_CONDITION", "RULE_ARN", "TARGET_ARN"),
        *("RequestID", "ErrorCode", "ErrorMessage"),
        *(ATTEMPT, SENDER, STAGE, SUBMITTED_AT, VIA),
    }
)


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message of the dead-letter queue. `job_name` and `job_run_ids` are empty if it does not name them.

    `via` is the event, the notification or the alarm action that carried the request, empty for other requests.
    """

    message_id: str
    reason: str
    error_message: str
    job_name: str
    job_run_ids: tuple[str, ...]
    sent_at: datetime
    attempts: int | None
    body: str
    attributes: Attributes
    via: str = ""

    @property
    def run_count(self) -> str:
        """The number of its runs, "selected" for a selection, or an empty text if it names no job."""
        return str(len(self.job_run_ids) or ("selected" if self.job_name else ""))


class Filter(Struct, frozen=True):
    """The dead letters to which a command applies. An empty field matches all. `*` matches any text."""

    reasons: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    """Ids, or their first characters. `*` has no meaning here."""

    def matches(self, dead_letter: DeadLetter) -> bool:
        """Return whether every field matches."""
        return (
            _matches_any(self.reasons, dead_letter.reason)
            and _matches_any(self.jobs, dead_letter.job_name)
            and (not self.message_ids or dead_letter.message_id.startswith(self.message_ids))
        )


def _matches_any(patterns: Sequence[str], text: str) -> bool:
    return not patterns or matches_any(patterns, text)


class ReasonGroup(Struct, frozen=True):
    """The dead letters with one reason, counted by job. The job is empty if a message names no job."""

    reason: str
    count: int
    jobs: dict[str, int]
    oldest: datetime


def parse(received: Mapping[str, Any], aws_environment: AwsEnvironment) -> DeadLetter:
    """Parse a message as ReceiveMessage returns it, with all its attributes."""
    system, attributes = received["Attributes"], received.get("MessageAttributes", {})
    texts = {name: attribute.get("StringValue", "") for name, attribute in attributes.items()}
    sent_at = datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC)
    sender, via = system.get("SenderId", ""), texts.get(VIA, "")
    message = provenance.with_via(
        Message(received["MessageId"], received["Body"], sent_at, sender=sender, via=via)
    )
    request = _request(message, aws_environment)
    reason, error_message = _reason(texts, system)
    return DeadLetter(
        message_id=message.message_id,
        reason=reason,
        error_message=error_message,
        job_name=request.job_name if request else "",
        job_run_ids=(request.job_run_ids or ()) if request else (),
        sent_at=sent_at,
        attempts=_attempts(texts),
        body=message.body,
        attributes=attributes,
        via=message.via,
    )


def _request(message: Message, aws_environment: AwsEnvironment) -> StopRequest | None:
    try:
        requests = parse_message(message, dispatcher.parse, aws_environment)
    except ParsingError:
        return None
    return requests[0] if isinstance(requests, list) else None


def _reason(attributes: Mapping[str, str], system: Mapping[str, str]) -> tuple[str, str]:
    # A message that SQS moved may also have an ERROR_CODE, from an earlier time in this queue.
    if source := system.get("DeadLetterQueueSourceArn"):
        return CRASHED, f"SQS moved it here from {source.rpartition(':')[2]}"
    if code := attributes.get("ERROR_CODE"):
        return code, attributes.get("ERROR_MESSAGE", "")
    if "RequestID" in attributes and "ErrorCode" in attributes:
        return INVOCATION_FAILED, attributes.get("ErrorMessage", "")
    return NO_ERROR_CODE, ""


def _attempts(attributes: Mapping[str, str]) -> int | None:
    text = attributes.get("RETRY_ATTEMPTS") or attributes.get(ATTEMPT) or ""
    return int(text) if text.isascii() and text.isdigit() else None


def redriven(dead_letter: DeadLetter) -> tuple[str, dict[str, Any]]:
    """Return the body and the attributes that a redrive sends: the original without reason and retry counters.

    If the request has no time limit for the start of runs, it gets the time of the dead letter. So the redrive
    stops no younger run.
    """
    attributes = {
        name: dict(value) for name, value in dead_letter.attributes.items() if name not in _NOT_REDRIVEN
    }
    return _dated_body(dead_letter), attributes


def _dated_body(dead_letter: DeadLetter) -> str:
    context = Context(AwsEnvironment("", ""), dead_letter.sent_at)
    try:
        (request,) = stop_request.parse(dead_letter.body.encode(), context)
    except (ParsingError, UnicodeEncodeError, RecursionError, OverflowError):
        return dead_letter.body
    names_every_run = request.select is UNSET and not request.include_attempts
    return dead_letter.body if names_every_run else msgspec.json.encode(request).decode()


def group_by_reason(dead_letters: Iterable[DeadLetter]) -> list[ReasonGroup]:
    """Group dead letters by reason, the most frequent reason first."""
    groups = grouped(dead_letters, lambda dead_letter: dead_letter.reason)
    return sorted(
        (_group(reason, members) for reason, members in groups.items()),
        key=lambda group: (-group.count, group.reason),
    )


def _group(reason: str, dead_letters: Sequence[DeadLetter]) -> ReasonGroup:
    jobs = Counter(dead_letter.job_name for dead_letter in dead_letters)
    oldest = min(dead_letter.sent_at for dead_letter in dead_letters)
    return ReasonGroup(reason, len(dead_letters), dict(jobs.most_common()), oldest)


def age(since: datetime, now: datetime) -> timedelta:
    """Return the time since a moment, at least zero, because this machine's clock can be slow."""
    return max(now - since, timedelta())


def dead_letter_json(dead_letter: DeadLetter, now: datetime) -> dict[str, Any]:
    """Return a dead letter as `--json` shows it."""
    return {
        "message_id": dead_letter.message_id,
        "reason": dead_letter.reason,
        "meaning": explanation(dead_letter.reason).meaning,
        "remedy": explanation(dead_letter.reason).remedy,
        "error_message": dead_letter.error_message,
        "job_name": dead_letter.job_name,
        "job_run_ids": dead_letter.job_run_ids,
        "sent_at": dead_letter.sent_at,
        "age_seconds": int(age(dead_letter.sent_at, now).total_seconds()),
        "attempts": dead_letter.attempts,
        "via": dead_letter.via,
    }


def group_json(group: ReasonGroup, now: datetime) -> dict[str, Any]:
    """Return a group as `--json` shows it."""
    return {
        "reason": group.reason,
        "meaning": explanation(group.reason).meaning,
        "remedy": explanation(group.reason).remedy,
        "count": group.count,
        "jobs": group.jobs,
        "oldest_age_seconds": int(age(group.oldest, now).total_seconds()),
    }
