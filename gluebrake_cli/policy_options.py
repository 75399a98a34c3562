"""A guardrail policy from the options of `gluebrake sweep`, validated by the rules of the configuration."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, get_args

import msgspec
import typer
from msgspec import Struct

from gluebrake.policies import JobType, Policy
from gluebrake.settings import Mistake, mistakes
from gluebrake_cli import durations
from gluebrake_cli.named_values import named_values

NAME: Final = "by-hand"
"""The name in reports for the policy that the options describe."""

MOST_RUNS: Final = 10_000
"""The largest allowed `maxRuns`, because the number that the operator types is the limit."""

OPTIONS: Final[Mapping[str, str]] = {
    "jobs": "--jobs",
    "except": "--except",
    "tags": "--tag",
    "maxMinutes": "--older-than",
    "maxTimesUsual": "--times-usual",
    "maxDpuHours": "--dpu-hours",
    "types": "--type",
    "states": "--state",
    "executionClass": "--execution-class",
    "reason": "--reason",
}
"""The option that gives each field of a policy."""

_RULES: Final[Mapping[str, str]] = {
    "tags": "KEY=VALUE: a key of at most 128 characters, a value of at most 256, at most 50 of them",
    "executionClass": '"STANDARD" or "FLEX"',
}
"""The rules in words of options whose values are not written as in the configuration."""

_LONGEST_REASON: Final = 1024


class Conditions(Struct, frozen=True, kw_only=True):
    """The options for the conditions of a sweep. An option that is not given is None, empty or False."""

    jobs: Sequence[str] = ()
    exclude: Sequence[str] = ()
    tags: Sequence[str] = ()
    older_than: str | None = None
    times_usual: float | None = None
    dpu_hours: float | None = None
    types: Sequence[str] = ()
    all_types: bool = False
    states: Sequence[str] = ()
    execution_class: str | None = None

    @property
    def words(self) -> list[str]:
        """The options as they are written on a command line."""
        texts: Mapping[str, Sequence[object]] = {
            "jobs": self.jobs,
            "except": self.exclude,
            "tags": self.tags,
            "types": self.types,
            "states": self.states,
            "executionClass": _listed(self.execution_class),
            "maxMinutes": _listed(self.older_than),
            "maxTimesUsual": _listed(self.times_usual),
            "maxDpuHours": _listed(self.dpu_hours),
        }
        words = [word for name, values in texts.items() for v in values for word in (OPTIONS[name], str(v))]
        return [*words, *(["--all-types"] if self.all_types else [])]

    def fields(self) -> dict[str, Any]:
        """Return the fields of a policy from the options. Raise BadParameter for a malformed text."""
        types = get_args(JobType) if self.all_types else self.types
        fields = {
            "jobs": [*self.jobs],
            "except": [*self.exclude],
            "tags": _tags(self.tags),
            "types": [*dict.fromkeys(types)],
            "states": [*dict.fromkeys(self.states)],
            "executionClass": self.execution_class,
            "maxMinutes": _minutes(self.older_than),
            "maxTimesUsual": self.times_usual,
            "maxDpuHours": self.dpu_hours,
        }
        return {name: value for name, value in fields.items() if value not in (None, [], {})}

    def mistake(self) -> str:
        """Return which options cannot be combined, empty if all can be combined."""
        if not self.jobs:
            return "name a policy of the stack, or give --jobs: --jobs '*' means every job"
        return "give --type or --all-types: one of the two" if self.types and self.all_types else ""


def choose(name: str | None, conditions: Conditions, reason: str) -> Policy | str:
    """Return the policy that the conditions describe, or the name of a policy of the stack.

    Raise BadParameter, which names each mistake in the options.
    """
    if name is None:
        if mistake := conditions.mistake():
            raise typer.BadParameter(mistake)
        return _policy({**conditions.fields(), "reason": reason or _described(conditions)}, conditions)
    if words := conditions.words:
        raise typer.BadParameter(
            f"the policy {name} has its own conditions: leave out {words[0]}, or the policy"
        )
    _policy({"jobs": ["*"], "reason": reason or name}, conditions)
    return name


def _policy(fields: Mapping[str, Any], conditions: Conditions) -> Policy:
    values = {"name": NAME, "maxRuns": MOST_RUNS, **fields}
    if wrong := [_explained(mistake, conditions) for mistake in mistakes("", values, Policy)]:
        raise typer.BadParameter("; ".join(wrong))
    return msgspec.convert(values, Policy)


def _explained(mistake: Mistake, conditions: Conditions) -> str:
    field = mistake.path.removeprefix(".").partition("[")[0]
    rules = (meta.description for meta in reversed(mistake.kind.__metadata__) if meta.description)
    given = {"maxMinutes": conditions.older_than, "tags": " ".join(conditions.tags)}
    return f"{OPTIONS[field]} {given.get(field, mistake.value)}: should be {_RULES.get(field) or next(rules)}"


def _described(conditions: Conditions) -> str:
    """Return the default reason: the command line, without characters that a reason must not have."""
    text = shlex.join(["gluebrake", "sweep", *conditions.words])[:_LONGEST_REASON]
    return "".join(char if char.isprintable() else "?" for char in text)


def _listed(value: object) -> list[object]:
    return [] if value is None else [value]


def _tags(texts: Iterable[str]) -> dict[str, str]:
    return named_values(
        "--tag",
        texts,
        form="KEY=VALUE, such as --tag env=dev",
        twice="is given twice, but a job has one value of it",
    )


def _minutes(age: str | None) -> int | None:
    if age is None:
        return None
    try:
        return durations.minutes(age)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"--older-than {error.message}") from error
