"""The conditions of `gluebrake history`, and the CloudWatch Logs Insights query for them.

Language: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Filter.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import typer
from msgspec import Struct

from gluebrake.outcomes import Outcome
from gluebrake.patterns import matches
from gluebrake_cli import durations
from gluebrake_cli.history_lines import Line

_NOT_ABOUT_RUNS: Final = frozenset(
    {Outcome.IGNORED, Outcome.INVALID_REQUEST, Outcome.SWEPT, Outcome.SWEEP_LATE}
)
"""Outcomes of messages that request no stop, or that cannot be read."""

_OF_A_RUN: Final = tuple(outcome for outcome in Outcome if outcome not in _NOT_ABOUT_RUNS)
_IN_A_LIST: Final = tuple(outcome for outcome in _OF_A_RUN if outcome is not Outcome.NOT_YET_CONFIRMED)
"""The outcomes in a list of many runs, without the lines of polls before a run has stopped."""

_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_PART: Final = 255
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class Search(Struct, frozen=True, kw_only=True):
    """The stops to find. In `job` and `requested_by`, `*` matches any text. An empty condition matches all."""

    since: datetime
    run: str = ""
    job: str = ""
    requested_by: str = ""
    policy: str = ""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes to find: each step of a single run, but not the polls of many runs."""
        return _OF_A_RUN if self.run else _IN_A_LIST

    @property
    def query(self) -> str:
        """The query, newest first. It finds every line that the search matches, and may find other lines."""
        outcomes = "|".join(self.outcomes)
        filters = [f'"outcome": ?"({outcomes})"', *self._filters()]
        # `@message` is the whole line. Logs Insights discovers only a limited number of fields in a line.
        lines = [f"filter @message like /{each}/" for each in filters]
        return "\n| ".join(["fields @timestamp, @message", *lines, "sort @timestamp desc"])

    @property
    def words(self) -> str:
        """The search in words, for people."""
        conditions = {"run": self.run, "job": self.job, "RequestedBy": self.requested_by, "policy": self.policy}
        texts = [f"{name} {text}" for name, text in conditions.items() if text]
        return ", ".join([*(texts or ["all stops"]), f"since {self.since:%Y-%m-%d %H:%M} UTC"])

    def matches(self, line: Line) -> bool:
        """Return whether the search matches a line. The query may also find other lines."""
        return (
            line.outcome in self.outcomes
            and (not self.run or line.job_run_id == self.run or line.job_run_id.startswith(self._attempts))
            and (not self.job or matches(self.job, line.job_name))
            and (not self.requested_by or matches(self.requested_by, line.requested_by))
            and (not self.policy or line.requested_by == self._policy)
        )

    def _filters(self) -> Iterator[str]:
        """Yield a regular expression for each condition."""
        if self.run:
            yield _starts_with("job_run_id", self.run)
        if self.job:
            yield _equals("job_name", self.job)
        if self.requested_by:
            yield _equals("requested_by", self.requested_by)
        if self.policy:
            yield _equals("requested_by", self._policy)

    @property
    def _attempts(self) -> str:
        # Glue retries the run jr_9 as the attempt with the id jr_9_attempt_1.
        return f"{self.run}_attempt_"

    @property
    def _policy(self) -> str:
        return f"policy/{self.policy}"


def _starts_with(field: str, text: str) -> str:
    """Return a regular expression for a line whose field starts with a text, in which `*` matches any text.

    The expression keeps the text's ASCII letters, digits, `-` and `_`. All other characters become ".+". So no
    text can end the expression or add to the query. `Search.matches` then checks the whole text.
    """
    parts = (_NOT_PLAIN.sub(".+", part) for part in text[:_LONGEST_PART].split("*"))
    return f'"{field}": ?"{".*".join(parts)}'


def _equals(field: str, text: str) -> str:
    """Return a regular expression for a line whose field equals a text, in the form of `_starts_with`."""
    return _starts_with(field, text) + ('"' if len(text) <= _LONGEST_PART else "")


def since(text: str, now: datetime) -> datetime:
    """Return the time of an option: a duration before now, or a time. Raise BadParameter for other texts."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return _before(now, text)
    if time.tzinfo is None:
        raise typer.BadParameter(f"--since {text}: add the time zone, such as 2026-11-24T03:00:00Z")
    if time > now:
        raise typer.BadParameter(f"--since {text}: is in the future")
    return max(time.astimezone(UTC), _EPOCH)


def _before(now: datetime, text: str) -> datetime:
    try:
        minutes = durations.minutes(text)
    except typer.BadParameter as error:
        raise typer.BadParameter(
            f"--since {text}: must be a duration such as 90m, 2h or 7d, or a time such as 2026-11-24T03:00:00Z"
        ) from error
    return max(now - timedelta(minutes=min(minutes, now.timestamp() / 60)), _EPOCH)
