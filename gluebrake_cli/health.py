"""The health of a deployment: its queues, alarms, event source mappings, configuration and latest outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, Self

import msgspec
from msgspec import Struct

from gluebrake.model import AwsEnvironment
from gluebrake.outcomes import Outcome
from gluebrake.problems import Problem as ProblemMetric
from gluebrake.settings import PREFIX, SettingsError, StopSettings, load
from gluebrake.stages import Queue
from gluebrake_cli import problem_kinds
from gluebrake_cli.runs import LogLine
from gluebrake_cli.sections import Sections

# CloudWatch Logs returns the oldest events first. So the command searches ever longer windows that end now,
# until it has enough outcomes: a busy minute has hundreds, a quiet day hardly one.
WINDOWS: Final = (timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=3), timedelta(days=1))

_READ_DEAD_LETTERS: Final = "`gluebrake dead-letters --by-reason` shows why, and what to do."
_COUNTS_KINDS: Final = frozenset(map(str, ProblemMetric))
"""The titles of the alarms that count several kinds of problems."""

ENABLE_MAPPING: Final = (
    "While it is not Enabled, the function consumes no message of its queue."
    " `gluebrake doctor` prints the command that enables it."
)


class QueueDepth(Struct, frozen=True, kw_only=True):
    """The number of messages in a queue."""

    name: str
    messages: int
    in_flight: int
    delayed: int
    oldest_age_seconds: int | None = None

    @classmethod
    def parse(cls, name: str, attributes: Mapping[str, str]) -> Self:
        """Parse SQS's queue attributes."""
        count = "ApproximateNumberOfMessages"
        return cls(
            name=name,
            messages=int(attributes[count]),
            in_flight=int(attributes[f"{count}NotVisible"]),
            delayed=int(attributes[f"{count}Delayed"]),
        )


class Alarm(Struct, frozen=True):
    """An alarm of the stack."""

    name: str
    state: str
    description: str
    title: str = ""
    """The name of the alarm in docs/operations.md."""


class MappingState(Struct, frozen=True):
    """The state of a function's event source mapping, as Lambda names it."""

    function: str
    state: str
    uuid: str


class Problem(Struct, frozen=True):
    """A problem that needs attention, and the action to take."""

    text: str
    remedy: str = ""


class Health(Struct, frozen=True, kw_only=True):
    """The health of a deployment. If a section cannot be read, it is empty and `unknown` has the error."""

    account: str
    region: str
    stack: str
    queues: Sequence[QueueDepth]
    alarms: Sequence[Alarm]
    mappings: Sequence[MappingState]
    config: Mapping[str, Any]
    outcomes: Sequence[LogLine]
    """The newest outcome of each of the latest runs, newest first. See `latest`."""
    unknown: Mapping[str, str]
    kinds: Mapping[str, Mapping[str, int]] = {}
    """The kinds of problems in the logs with their numbers of lines, by the title of their alarm."""

    @property
    def aws_environment(self) -> AwsEnvironment:
        """The account and the Region of the deployment."""
        return AwsEnvironment(self.account, self.region)

    @property
    def problems(self) -> list[Problem]:
        """The problems that need attention."""
        return [*self._problems()]

    def _problems(self) -> Iterator[Problem]:
        if number := self.dead_letters:
            letters = f"{number} dead letter{'' if number == 1 else 's'}"
            yield Problem(f"{letters}: requests that could not be carried out", _READ_DEAD_LETTERS)
        for alarm in self.alarms:
            if alarm.state == "ALARM":
                yield Problem(self._in_alarm(alarm), alarm.description)
        for mapping in self.mappings:
            if mapping.state != "Enabled":
                yield Problem(f"the {mapping.function} function's mapping is {mapping.state}", ENABLE_MAPPING)
        for section, error in self.unknown.items():
            yield Problem(f"{section}: {error}")

    def _in_alarm(self, alarm: Alarm) -> str:
        kinds = self.kinds.get(alarm.title)
        text = f"the alarm {alarm.title or alarm.name} is in ALARM"
        return f"{text}; the log of the last hour has {problem_kinds.in_words(kinds)}" if kinds else text

    @property
    def observes(self) -> bool:
        """Whether the functions read each request as a dry run."""
        return bool(self.config.get("observe"))

    @property
    def dead_letters(self) -> int:
        """The number of messages in the dead-letter queue, 0 if the queue cannot be read."""
        depth = next((queue for queue in self.queues if queue.name == Queue.DEAD_LETTER), None)
        return depth.messages + depth.in_flight if depth else 0

    def as_json(self) -> dict[str, Any]:
        """Return the members of the JSON output."""
        return {**msgspec.structs.asdict(self), "wrong": [problem.text for problem in self.problems]}


class Source(Protocol):
    """The source of each section. Each call can fail without the others."""

    @property
    def stack(self) -> str:
        """Return the stack's name."""

    @property
    def aws_environment(self) -> AwsEnvironment:
        """Return the account and the Region."""

    def depths(self) -> list[QueueDepth]:
        """Return the depth of each queue."""

    def oldest_ages(self, now: datetime) -> Mapping[str, int]:
        """Return the age in seconds of each queue's oldest message, if CloudWatch has the age."""

    def alarms(self) -> list[Alarm]:
        """Return the stack's alarms."""

    def problem_messages(self, since: datetime) -> Iterable[str]:
        """Return the messages of the log lines about problems since a time."""

    def mappings(self) -> list[MappingState]:
        """Return the state of each function's event source mapping."""

    def configuration(self, function: str) -> Mapping[str, Any]:
        """Return a function's configuration."""

    def outcomes(self, since: datetime, until: datetime | None) -> list[LogLine]:
        """Return the logs' outcomes from `since` to before `until`, oldest first."""


def read(source: Source, now: datetime, outcomes: int) -> Health:
    """Read every section, with at most this number of outcomes. A failed section does not affect the others."""
    sections = Sections()
    ages = sections.read("age of the oldest message", lambda: source.oldest_ages(now)) or {}
    depths = sections.read("queues", source.depths) or []
    alarms = sections.read("alarms", source.alarms) or []
    return Health(
        account=source.aws_environment.account,
        region=source.aws_environment.region,
        stack=source.stack,
        queues=[msgspec.structs.replace(depth, oldest_age_seconds=ages.get(depth.name)) for depth in depths],
        alarms=alarms,
        mappings=sections.read("mappings", source.mappings) or [],
        config=sections.read("config", lambda: _config(source.configuration("stop"))) or {},
        outcomes=sections.read("outcomes", lambda: _newest(source, now, outcomes)) or [],
        kinds=sections.read("kinds of problems", lambda: _kinds(source, now, alarms)) or {},
        unknown=sections.unknown,
    )


def _kinds(source: Source, now: datetime, alarms: Iterable[Alarm]) -> Mapping[str, Mapping[str, int]]:
    """Read the kinds of problems, if an alarm that counts several kinds is in ALARM."""
    if any(alarm.state == "ALARM" and alarm.title in _COUNTS_KINDS for alarm in alarms):
        return problem_kinds.count(source.problem_messages(now - problem_kinds.WINDOW))
    return {}


def _config(configuration: Mapping[str, Any]) -> dict[str, Any]:
    variables = configuration.get("Environment", {}).get("Variables", {})
    try:
        return msgspec.structs.asdict(load(StopSettings, variables))
    except SettingsError:
        # Another version of Gluebrake deployed the function, so its variables are shown without parsing.
        return {
            name.removeprefix(PREFIX).lower(): value
            for name, value in variables.items()
            if name.startswith(PREFIX)
        }


def _newest(source: Source, now: datetime, count: int) -> list[LogLine]:
    lines: list[LogLine] = []
    newest: list[LogLine] = []
    until = None  # this machine's clock may be behind AWS's
    for window in WINDOWS:
        lines = [*source.outcomes(now - window, until), *lines]
        newest = [*latest(reversed(lines))]
        if len(newest) >= count:
            break
        until = now - window
    return newest[:count]


def latest(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """Yield the newest line of each run, or of each message without a run. The lines are newest first.

    A complete sweep is no outcome of a run or of a stop request: `gluebrake policies` shows the sweeps.
    """
    seen = set()
    for line in lines:
        key = (line.get("job_name"), line.get("job_run_id") or str(line.get("message_ids")))
        is_sweep = line.get("outcome") == Outcome.SWEPT and not line.get("error_message")
        if key not in seen and not is_sweep:
            seen.add(key)
            yield line
