"""The configuration: read from the CDK's context and checked as a whole."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct, field

from gluebrake.settings import Pattern, Seconds, mistakes

EFFECTIVE: Final = "configuration.json"
"""The file of the cloud assembly that has the effective configuration, with all keys."""


class ConfigError(ValueError):
    """The configuration cannot be used. The text names every error, one a line."""


def _between(low: int, high: int) -> Meta:
    return Meta(ge=low, le=high, description=f"a whole number from {low} to {high}")


# Every type describes its rule in words, which the error messages use.
# No brackets beside a wildcard: cdk-nag uses the ARN in a finding's name, and fails on brackets there.
_Job = Annotated[
    Pattern,
    Meta(
        pattern=r"^([^*]*|[^][(){}]*)\Z",
        description="a job name or a pattern without brackets, 1 to 255 characters",
    ),
]
_EventJob = Annotated[Pattern, Meta(description="a job name or a pattern, 1 to 255 characters")]
# EventBridge's prefix filter has no wildcard: an asterisk would match only itself.
_AlarmPrefix = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[^*]*\Z",
        description="a prefix of alarm names without a wildcard, 1 to 255 characters",
    ),
]
_Delay = Annotated[Seconds, Meta(description="a whole number from 1 to 900")]
_Delays = Meta(description="a list of two delays in seconds, the first and the longest")
_Days = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
_Tag = Meta(
    pattern=r"^[\w .:/=+@-]{1,128}\Z", description="a tag key: 1 to 128 letters, digits, spaces or _.:/=+@-"
)
_Python = Literal["3.11", "3.12", "3.13", "3.14"]
_Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+\Z")]


def default_python(version: tuple[Any, ...] = sys.version_info) -> _Python:
    """Return the version of this Python, which can compile the functions, or else Lambda's newest."""
    own = "{}.{}".format(*version)
    return next((python for python in get_args(_Python) if python == own), get_args(_Python)[-1])


class Config(Struct, frozen=True, kw_only=True, rename="camel"):
    """The configuration keys, with their defaults."""

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
    stop_on_run_status: Annotated[tuple[_EventJob, ...], Meta(description="a list of jobs")] = ()
    stop_on_alarms: Annotated[
        tuple[_AlarmPrefix, ...], Meta(description="a list of prefixes of alarm names")
    ] = ()
    alarm_email: Annotated[_Email | None, Meta(description="an e-mail address, or null for none")] = None
    outcome_events: Annotated[bool, Meta(description="true or false")] = True
    log_retention_days: Annotated[
        _Days,
        Meta(description=f"one of CloudWatch's numbers of days: {', '.join(map(str, get_args(_Days)))}"),
    ] = 30
    memory_mb: Annotated[int, _between(128, 10_240)] = 512
    python: Annotated[_Python, Meta(description='"3.11", "3.12", "3.13" or "3.14", in quotes')] = field(
        default_factory=default_python
    )
    architecture: Annotated[Literal["arm64", "x86_64"], Meta(description='"arm64" or "x86_64"')] = "arm64"
    target: Annotated[Literal["aws", "local"], Meta(description='"aws" or "local"')] = "aws"


_TYPES: Final = {field.encode_name: field.type for field in msgspec.structs.fields(Config)}

# AWS limits a function's environment (4 kB), a role's policies (10 kB) and an event pattern (2,048 characters).
# Each maximum here leaves room for the other variables, statements and fields.
_MAX_JOBS_IN_ENVIRONMENT: Final = 3000
_MAX_JOBS_IN_POLICY: Final = 8000
_ARN_AROUND_A_JOB: Final = 60
_MAX_NAMES_IN_EVENT_PATTERN: Final = 1720
_FILTER_AROUND_A_NAME: Final = 16
_MAX_BATCH_WITHOUT_WINDOW: Final = 10

# Rules over several keys, or over a whole list: the keys, the condition, and the message if it does not hold.
_RULES: Final[tuple[tuple[tuple[str, ...], Callable[[Config], bool], str], ...]] = (
    (
        ("batchSize", "batchWindowSeconds"),
        lambda config: config.batch_size <= _MAX_BATCH_WITHOUT_WINDOW or config.batch_window_seconds >= 1,
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
        lambda config: _jobs_fit(config.jobs + config.protected_jobs),
        "too many for Lambda's environment (4 kB) or the role's policy (10 kB); use patterns",
    ),
    (
        ("stopOnRunStatus",),
        lambda config: _names_fit(config.stop_on_run_status),
        "too many for a rule's event pattern (2,048 characters); use patterns",
    ),
    (
        ("stopOnAlarms",),
        lambda config: _names_fit(config.stop_on_alarms),
        "too many for a rule's event pattern (2,048 characters); use shorter prefixes",
    ),
)


def load(context: Callable[[str], Any]) -> Config:
    """Return the configuration from `context`, which looks up a key of the CDK's context.

    Raises ConfigError, whose text names every error.
    """
    layers = [*_layers(context)]
    errors = [error for source, layer in layers for error in _errors(source, layer)]
    values = {key: value for _, layer in layers for key, value in layer.items()}
    wrong = {key for key, value in values.items() if key not in _TYPES or mistakes(key, value, _TYPES[key])}
    config = msgspec.convert({key: values[key] for key in values.keys() - wrong}, Config)
    errors += [
        f"{', '.join(keys)}: {message}"
        for keys, holds, message in _RULES
        if wrong.isdisjoint(keys) and not holds(config)
    ]
    if errors:
        raise ConfigError("\n".join(["The configuration cannot be used:", *errors]))
    return _for_this_machine(config) if config.target == "local" else config


def _jobs_fit(jobs: tuple[str, ...]) -> bool:
    arns = sum(_ARN_AROUND_A_JOB + len(job) for job in jobs)
    return len(msgspec.json.encode(jobs)) <= _MAX_JOBS_IN_ENVIRONMENT and arns <= _MAX_JOBS_IN_POLICY


def _names_fit(names: tuple[str, ...]) -> bool:
    # Encoded twice, because the filter escapes a backslash as well.
    size = sum(_FILTER_AROUND_A_NAME + len(_json(_json(name))) for name in names)
    return size <= _MAX_NAMES_IN_EVENT_PATTERN


def _layers(context: Callable[[str], Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each source of the configuration with its prefix in error messages. A later source wins."""
    values = context("gluebrake")
    yield "gluebrake.", _object("gluebrake", {} if values is None else values)
    if file := context("config"):
        yield f"{file}: ", _object(file, _read(file))
    if target := context("target"):
        yield "-c ", {"target": target}


def _read(file: str) -> Any:
    try:
        return msgspec.json.decode(Path(file).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"-c config={file}: cannot be read: {error}") from error


def _object(source: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{source}: {_json(value)} should be an object of keys and values")
    return value


def _errors(source: str, layer: Mapping[str, Any]) -> Iterator[str]:
    for key, value in layer.items():
        if key not in _TYPES:
            yield f"{source}{key}: unknown; the keys are {', '.join(sorted(_TYPES))}"
            continue
        for mistake in mistakes(source + key, value, _TYPES[key]):
            yield f"{mistake.path}: {_json(mistake.value)} should be {_description(mistake.kind)}"


def _description(annotation: Any) -> str:
    return str(next(meta.description for meta in reversed(annotation.__metadata__) if meta.description))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _for_this_machine(config: Config) -> Config:
    """Return the configuration with this interpreter's version and this processor's architecture."""
    runtime = {
        "python": "{}.{}".format(*sys.version_info),
        "architecture": "x86_64" if platform.machine().lower() in {"x86_64", "amd64"} else "arm64",
    }
    return msgspec.structs.replace(config, **runtime)
