"""What a user may choose, read from the CDK's context and checked as a whole."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from gluebrake.settings import Pattern, Seconds


class ConfigError(ValueError):
    """The configuration cannot be used; the text names every mistake, one a line."""


def _between(low: int, high: int) -> Meta:
    return Meta(ge=low, le=high, description=f"a whole number from {low} to {high}")


# Every type carries its rule in words: that is what a mistake's message says.
# Brackets beside a wildcard: the CDK's checks use the ARN in a finding's name, and stumble over them there.
_Job = Annotated[
    Pattern,
    Meta(
        pattern=r"^([^*]*|[^][(){}]*)\Z",
        description="a job's name, or a pattern without brackets, of 1 to 255 characters",
    ),
]
_SignalledJob = Annotated[
    Pattern, Meta(description="a job's name, or a pattern of names, of 1 to 255 characters")
]
# An asterisk would be no wildcard there, and the rule would wait for alarms that nobody has.
_AlarmPrefix = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[^*]*\Z",
        description="what alarms' names begin with, without a wildcard, of 1 to 255 characters",
    ),
]
_Delay = Annotated[Seconds, Meta(description="a whole number from 1 to 900")]
_Delays = Meta(description="a list of two: the first delay and the longest, in seconds")
_Days = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
_Tag = Meta(
    pattern=r"^[\w .:/=+@-]{1,128}\Z", description="a tag key: 1 to 128 letters, digits, spaces or _.:/=+@-"
)
_Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+\Z")]


class Config(Struct, frozen=True, kw_only=True, rename="camel"):
    """The choices, and what holds where none is made."""

    jobs: Annotated[tuple[_Job, ...], Meta(min_length=1, description="a list of one or more jobs")] = ("*",)
    protected_jobs: Annotated[tuple[_Job, ...], Meta(description="a list of jobs")] = ()
    protect_tag: Annotated[str, _Tag] = "gluebrake:protect"
    max_runs_per_request: Annotated[int, _between(1, 100_000)] = 1000
    batch_size: Annotated[int, _between(1, 10_000)] = 10
    batch_window_seconds: Annotated[int, _between(0, 300)] = 0
    max_concurrency: Annotated[int, _between(2, 1000)] = 2
    calls_at_once: Annotated[int, _between(1, 50)] = 8
    max_attempts: Annotated[int, _between(1, 100)] = 8
    retry_seconds: Annotated[tuple[_Delay, _Delay], _Delays] = (5, 900)
    confirm_seconds: Annotated[tuple[_Delay, _Delay], _Delays] = (15, 300)
    confirm_deadline_seconds: Annotated[int, _between(1, 86_400)] = 1800
    stop_on_run_status: Annotated[tuple[_SignalledJob, ...], Meta(description="a list of jobs")] = ()
    stop_on_alarms: Annotated[
        tuple[_AlarmPrefix, ...], Meta(description="a list of what alarms' names begin with")
    ] = ()
    alarm_email: Annotated[_Email | None, Meta(description="an e-mail address, or null for none")] = None
    outcome_events: Annotated[bool, Meta(description="true or false")] = True
    log_retention_days: Annotated[
        _Days,
        Meta(description=f"one of CloudWatch's numbers of days: {', '.join(map(str, get_args(_Days)))}"),
    ] = 30
    memory_mb: Annotated[int, _between(128, 10_240)] = 512
    python: Annotated[
        Literal["3.11", "3.12", "3.13", "3.14"], Meta(description='"3.11", "3.12", "3.13" or "3.14", in quotes')
    ] = "3.13"
    architecture: Annotated[Literal["arm64", "x86_64"], Meta(description='"arm64" or "x86_64"')] = "arm64"
    target: Annotated[Literal["aws", "local"], Meta(description='"aws" or "local"')] = "aws"


# What AWS allows, less what else stands there: queue URLs and the other settings in the environment (4 kB), the
# other statements in the policy (10 kB), what else an event pattern (2,048 characters) asks for.
_JOBS_IN_ENVIRONMENT: Final = 3000
_JOBS_IN_POLICY: Final = 8000
_ARN_AROUND_A_JOB: Final = 60
_NAMES_IN_EVENT_PATTERN: Final = 1720
_OPERATOR_BESIDE_A_NAME: Final = 16
_LARGEST_WITHOUT_WINDOW: Final = 10

_LIMITS_TOGETHER: Final[tuple[tuple[tuple[str, ...], Callable[[Config], bool], str], ...]] = (
    (
        ("batchSize", "batchWindowSeconds"),
        lambda config: config.batch_size <= _LARGEST_WITHOUT_WINDOW or config.batch_window_seconds >= 1,
        "a batchSize over 10 needs a batchWindowSeconds of at least 1",
    ),
    (
        ("retrySeconds",),
        lambda config: config.retry_seconds[0] <= config.retry_seconds[1],
        "the first delay must not be longer than the longest",
    ),
    (
        ("confirmSeconds",),
        lambda config: config.confirm_seconds[0] <= config.confirm_seconds[1],
        "the first delay must not be longer than the longest",
    ),
    (
        ("jobs", "protectedJobs"),
        lambda config: _fits(config.jobs + config.protected_jobs),
        "too many for Lambda's environment (4 kB) or the role's policy (10 kB); use patterns",
    ),
    (
        ("stopOnRunStatus",),
        lambda config: _fits_a_rule(config.stop_on_run_status),
        "too many for a rule's event pattern (2,048 characters); use patterns",
    ),
    (
        ("stopOnAlarms",),
        lambda config: _fits_a_rule(config.stop_on_alarms),
        "too many for a rule's event pattern (2,048 characters); use shorter ones",
    ),
)


def load(context: Callable[[str], Any]) -> Config:
    """Read the configuration by `context`, which looks up a key of the CDK's context.

    Raises ConfigError with every mistake.
    """
    chosen: dict[str, Any] = {}
    mistakes: list[str] = []
    for where, layer in _layers(context):
        mistakes += _mistakes(where, layer)
        chosen |= layer
    good, bad = _converted(chosen)
    config = Config(**good)
    mistakes += [
        f"{', '.join(keys)}: {rule}"
        for keys, holds, rule in _LIMITS_TOGETHER
        if bad.isdisjoint(keys) and not holds(config)
    ]
    if mistakes:
        raise ConfigError("\n".join(["The configuration cannot be used:", *mistakes]))
    return _for_this_machine(config) if config.target == "local" else config


def _fits(jobs: tuple[str, ...]) -> bool:
    arns = sum(_ARN_AROUND_A_JOB + len(job) for job in jobs)
    return len(msgspec.json.encode(jobs)) <= _JOBS_IN_ENVIRONMENT and arns <= _JOBS_IN_POLICY


def _fits_a_rule(names: tuple[str, ...]) -> bool:
    # Encoded twice, since a backslash is escaped for the filter as well.
    return sum(_OPERATOR_BESIDE_A_NAME + len(_json(_json(name))) for name in names) <= _NAMES_IN_EVENT_PATTERN


def _layers(context: Callable[[str], Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    chosen = context("gluebrake")
    yield "gluebrake.", _object("gluebrake", {} if chosen is None else chosen)
    if file := context("config"):
        yield f"{file}: ", _object(file, _read(file))
    if target := context("target"):
        yield "-c ", {"target": target}


def _read(file: str) -> Any:
    try:
        return msgspec.json.decode(Path(file).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"-c config={file}: cannot be read: {error}") from error


def _object(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {_json(value)} should be an object of keys and values")
    return value


def _mistakes(where: str, layer: Mapping[str, Any]) -> Iterator[str]:
    kinds = _kinds()
    for key, value in layer.items():
        if key in kinds:
            yield from _broken_rules(where + key, value, kinds[key])
        else:
            yield f"{where}{key}: unknown; the keys are {', '.join(sorted(kinds))}"


def _broken_rules(path: str, value: Any, kind: Any) -> list[str]:
    item = _item(kind)
    if item is not None and isinstance(value, list):
        broken = [rule for i, v in enumerate(value) for rule in _broken_rules(f"{path}[{i}]", v, item)]
        if broken:
            return broken
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return [f"{path}: {_json(value)} should be {_rule(kind)}"]
    return []


def _converted(chosen: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    good, bad = {}, set()
    for field in msgspec.structs.fields(Config):
        if field.encode_name not in chosen:
            continue
        try:
            good[field.name] = msgspec.convert(chosen[field.encode_name], field.type)
        except msgspec.ValidationError:
            bad.add(field.encode_name)
    return good, bad


def _kinds() -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(Config)}


def _item(kind: Any) -> Any:
    inner = kind.__origin__ if get_origin(kind) is Annotated else kind
    return get_args(inner)[0] if get_origin(inner) is tuple else None


def _rule(kind: Any) -> str:
    return str(next(meta.description for meta in reversed(kind.__metadata__) if meta.description))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _for_this_machine(config: Config) -> Config:
    here = {
        "python": "{}.{}".format(*sys.version_info),
        "architecture": "x86_64" if platform.machine().lower() in {"x86_64", "amd64"} else "arm64",
    }
    return msgspec.structs.replace(config, **here)
