"""Dead letters as values: what they are about, why they are here, which are meant, and what to send again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from gluebrake.contract import ATTEMPT, SENDER, SUBMITTED_AT
from gluebrake.decisions.planning import matches
from gluebrake.model import AwsEnvironment, Message, ParsedRequest
from gluebrake.parsing import dispatcher, stop_request
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ReadingError
from gluebrake_cli.reasons import CRASHED, INVOCATION_FAILED, UNTOLD, meaning

Attributes = Mapping[str, Mapping[str, Any]]
"""Message attributes in SQS's own form."""

# What was written on the way here says nothing to the stop queue. EventBridge's names are ours as well:
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html, and Lambda's:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
_LEFT_BEHIND: Final = frozenset(
    {
        *("ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS"),
        *("EXHAUSTED_RETRY_CONDITION", "RULE_ARN", "TARGET_ARN"),
        *("RequestID", "ErrorCode", "ErrorMessage"),
        *(ATTEMPT, SENDER, SUBMITTED_AT),
    }
)


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message of the dead-letter queue; `job_name` and `job_run_ids` are empty where it names none."""

    message_id: str
    reason: str
    error_message: str
    job_name: str
    job_run_ids: tuple[str, ...]
    sent_at: datetime
    attempts: int | None
    body: str
    attributes: Attributes

    @property
    def runs(self) -> str:
        """How many runs it is about, as a person reads it."""
        return str(len(self.job_run_ids) or ("selected" if self.job_name else ""))


class Filter(Struct, frozen=True):
    """Which dead letters are meant: each choice narrows, none means all. `*` is any text in codes and names."""

    reasons: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    """Ids, or their beginnings."""

    def takes(self, letter: DeadLetter) -> bool:
        """Return whether the letter is meant."""
        return (
            (not self.reasons or any(matches(reason, letter.reason) for reason in self.reasons))
            and (not self.jobs or any(matches(job, letter.job_name) for job in self.jobs))
            and (not self.message_ids or letter.message_id.startswith(self.message_ids))
        )


class Group(Struct, frozen=True):
    """Dead letters of one reason, counted by job; a job without a name is a message that names none."""

    reason: str
    count: int
    jobs: dict[str, int]
    oldest: datetime


def read(received: Mapping[str, Any], home: AwsEnvironment) -> DeadLetter:
    """Read a message as ReceiveMessage returns it, with all of its attributes."""
    system, attributes = received["Attributes"], received.get("MessageAttributes", {})
    told = {name: attribute.get("StringValue", "") for name, attribute in attributes.items()}
    sent_at = datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC)
    message = Message(received["MessageId"], received["Body"], sent_at, system.get("SenderId", ""))
    said = dispatcher.read(message, home)
    reason, error_message = _reason(told, system)
    return DeadLetter(
        message_id=message.message_id,
        reason=reason,
        error_message=error_message,
        job_name=said.request.job_name if isinstance(said, ParsedRequest) else "",
        job_run_ids=said.run_ids if isinstance(said, ParsedRequest) else (),
        sent_at=sent_at,
        attempts=_attempts(told),
        body=message.body,
        attributes=attributes,
    )


def _reason(told: Mapping[str, str], system: Mapping[str, str]) -> tuple[str, str]:
    # Where SQS moved it from a queue, what else it bears is older.
    if source := system.get("DeadLetterQueueSourceArn"):
        return CRASHED, f"SQS moved it here from {source.rpartition(':')[2]}"
    if code := told.get("ERROR_CODE"):
        return code, told.get("ERROR_MESSAGE", "")
    if "RequestID" in told and "ErrorCode" in told:
        return INVOCATION_FAILED, told.get("ErrorMessage", "")
    return UNTOLD, ""


def _attempts(told: Mapping[str, str]) -> int | None:
    text = told.get("RETRY_ATTEMPTS") or told.get(ATTEMPT) or ""
    return int(text) if text.isascii() and text.isdigit() else None


def again(letter: DeadLetter) -> tuple[str, dict[str, Any]]:
    """Return the body and the attributes with which the stop queue is sent it: as it is, without the reason.

    Only a selection without a date is given one, that of the letter: brought back it must stop no younger run.
    """
    kept = {name: dict(value) for name, value in letter.attributes.items() if name not in _LEFT_BEHIND}
    return _dated(letter), kept


def _dated(letter: DeadLetter) -> str:
    try:
        request = stop_request.read(letter.body.encode(), Context(AwsEnvironment("", ""), letter.sent_at))
    except (ReadingError, ValueError, RecursionError, OverflowError):
        return letter.body
    return letter.body if request.select is UNSET else msgspec.json.encode(request).decode()


def by_reason(letters: Iterable[DeadLetter]) -> list[Group]:
    """Group the letters, the most frequent reason first."""
    groups: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        groups.setdefault(letter.reason, []).append(letter)
    return sorted(
        (_group(reason, those) for reason, those in groups.items()),
        key=lambda group: (-group.count, group.reason),
    )


def group_shape(group: Group, now: datetime) -> dict[str, Any]:
    """Return the group as `--json` shows it."""
    return {
        "reason": group.reason,
        "meaning": meaning(group.reason).words,
        "remedy": meaning(group.reason).remedy,
        "count": group.count,
        "jobs": group.jobs,
        "oldest_age_seconds": int(age(group.oldest, now).total_seconds()),
    }


def _group(reason: str, letters: Sequence[DeadLetter]) -> Group:
    jobs = Counter(letter.job_name for letter in letters)
    return Group(reason, len(letters), dict(jobs.most_common()), min(letter.sent_at for letter in letters))


def age(since: datetime, now: datetime) -> timedelta:
    """Return the time that has passed; clocks differ, and nothing is younger than now."""
    return max(now - since, timedelta())


def shape(letter: DeadLetter, now: datetime) -> dict[str, Any]:
    """Return the letter as `--json` shows it."""
    return {
        "message_id": letter.message_id,
        "reason": letter.reason,
        "meaning": meaning(letter.reason).words,
        "remedy": meaning(letter.reason).remedy,
        "error_message": letter.error_message,
        "job_name": letter.job_name,
        "job_run_ids": letter.job_run_ids,
        "sent_at": letter.sent_at,
        "age_seconds": int(age(letter.sent_at, now).total_seconds()),
        "attempts": letter.attempts,
    }
