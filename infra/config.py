"""The configuration: read from the CDK's context and checked as a whole."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, field

from gluebrake import environments
from gluebrake.outcomes import NoticeKind
from gluebrake.patterns import matches_any
from gluebrake.policies import Policy
from gluebrake.prices import Prices
from gluebrake.settings import AccountId, Mistake, Namespace, Pattern, Seconds, mistakes
from infra import policy_rules
from infra.config_rules import RULES
from infra.names import CANARY_JOB


class ConfigError(ValueError):
    """The configuration cannot be used. The text has one line for each error."""

    @classmethod
    def of(cls, errors: Iterable[str]) -> ConfigError:
        """Return an error whose text has these lines."""
        return cls("\n".join(["The configuration cannot be used:", *errors]))


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
# EventBridge takes the prefix literally, IAM as part of an ARN pattern. Without `*`, `?` and `$`, both match
# the same names: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
_AlarmPrefix = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[^*?$]*\Z",
        description="a prefix of alarm names, 1 to 255 characters without *, ? and $, which are special in IAM",
    ),
]
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
_Namespace = Annotated[
    Namespace,
    Meta(
        pattern=r"^[ -9;-~][ -~]*\Z",
        description="a CloudWatch namespace: 1 to 255 ASCII characters, the first not a colon",
    ),
]
_Account = Annotated[AccountId, Meta(description="an AWS account id: 12 digits, in quotes")]
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
# The alarm CanarySilent looks back on 1.5 times the rate, in whole hours. CloudWatch allows at most seven days:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
_Rate = Annotated[str, Meta(pattern=r"^rate\((1 hour|([2-9]|[1-8][0-9]|9[0-6]) hours|1 day|[2-4] days)\)\Z")]

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_EventBus.html
_Bus = Annotated[str, Meta(pattern=r"^arn:[\w-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/[\w./-]{1,256}\Z")]

_NoticeKind = Annotated[NoticeKind, Meta(description='"stopped", "notStopped" or "policies"')]
_Policy = Annotated[Policy, Meta(description="a guardrail policy: an object as in docs/schemas/policies.json")]

# CloudWatch's limit for the alarm SweepsMissing. With a longer rate, the alarm could fire between two sweeps.
_LONGEST_SILENCE_HOURS: Final = 7 * 24
_LONGEST_RATE: Final = timedelta(days=6)


def default_python(version: tuple[Any, ...] = sys.version_info) -> _Python:
    """Return the version of this Python, so that it can compile the functions, or else Lambda's newest."""
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
    alarm_namespaces: Annotated[
        tuple[_Namespace, ...], Meta(description="a list of CloudWatch namespaces")
    ] = ()
    alarm_accounts: Annotated[tuple[_Account, ...], Meta(description="a list of AWS account ids")] = ()
    alarm_email: Annotated[_Email | None, Meta(description="an e-mail address, or null for none")] = None
    notify_email: Annotated[_Email | None, Meta(description="an e-mail address, or null for none")] = None
    notify_on: Annotated[tuple[_NoticeKind, ...], Meta(description="a list of kinds of notices")] = (
        *NoticeKind,
    )
    price_per_dpu_hour: Annotated[
        Prices, Meta(description="an object with any of standard, flex and memoryOptimized")
    ] = Prices()
    # Each policy can need a schedule, and a template can have 500 resources.
    policies: Annotated[
        tuple[_Policy, ...], Meta(max_length=100, description="a list of at most 100 guardrail policies")
    ] = ()
    canary: Annotated[
        _Rate | None,
        Meta(description='null for off, or a rate from "rate(1 hour)" to "rate(4 days)" in hours or days'),
    ] = None
    observe: Annotated[bool, Meta(description="true, to read and report and stop nothing, or false")] = False
    outcome_events: Annotated[bool, Meta(description="true or false")] = True
    dashboard: Annotated[
        bool, Meta(description="true, for a dashboard and all the metrics that it shows, or false")
    ] = False
    tracing: Annotated[
        bool, Meta(description="true, to send a trace of each invocation to X-Ray, or false")
    ] = False
    central_bus_arn: Annotated[
        _Bus | None, Meta(description="the ARN of an event bus that collects reports, or null for none")
    ] = None
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

    @property
    def canary_rate(self) -> str | None:
        """The rate of the canary's runs, or None while the canary is off."""
        return None if self.observe else self.canary

    @property
    def canary_hours(self) -> int:
        """The hours from one run of the canary to the next, 0 while it is off."""
        if self.canary_rate is None:
            return 0
        number, unit = self.canary_rate.removeprefix("rate(").removesuffix(")").split()
        return int(number) * (24 if unit.startswith("day") else 1)

    @property
    def sweep_hours(self) -> int:
        """The hours within which a sweep must complete: two periods of the shortest rate, at most 7 days.

        The value is 0 if no rate is 6 days or less, because an alarm evaluates at most 7 days.
        """
        periods = [policy.period for policy in self.policies if policy.period]
        if not periods or min(periods) > _LONGEST_RATE:
            return 0
        return min(math.ceil(2 * min(periods) / timedelta(hours=1)), _LONGEST_SILENCE_HOURS)

    @property
    def stoppable_jobs(self) -> tuple[str, ...]:
        """The jobs whose runs STOP may stop: the key `jobs`, and always the canary's job."""
        return self.jobs if matches_any(self.jobs, CANARY_JOB) else (*self.jobs, CANARY_JOB)


_TYPES: Final = {field.encode_name: field.type for field in msgspec.structs.fields(Config)}


class Layer(NamedTuple):
    """A source of configuration keys. `prefix` begins its errors. `more_keys` are keys that Config lacks."""

    prefix: str
    values: Mapping[str, Any]
    more_keys: tuple[str, ...] = ()

    def errors(self) -> Iterator[str]:
        """Yield the mistakes of each key by itself, with its path."""
        for key, value in self.values.items():
            if key in _TYPES:
                for mistake in mistakes(self.prefix + key, value, _TYPES[key]):
                    yield f"{mistake.path}: {_in_words(mistake)}"
            elif key not in self.more_keys:
                known = sorted({*_TYPES, *self.more_keys})
                yield f"{self.prefix}{key}: unknown; the keys are {', '.join(known)}"


def load(context: Callable[[str], Any]) -> Config:
    """Return the part of the configuration that is common to all environments.

    `context` looks up a key of the CDK's context. Raises ConfigError, whose text names every error.
    """
    layers = read_layers(context)
    config, broken = merge(layers)
    if errors := [*(error for layer in layers for error in layer.errors()), *broken]:
        raise ConfigError.of(errors)
    return config


def read_layers(context: Callable[[str], Any]) -> list[Layer]:
    """Return the sources of the configuration. A later source overrides, and the last is the command line."""
    return [*_layers(context)]


def merge(layers: Sequence[Layer]) -> tuple[Config, list[str]]:
    """Return the configuration without the invalid values, and the errors between its other values."""
    values = {key: value for layer in layers for key, value in layer.values.items() if key in _TYPES}
    wrong = {key for key, value in values.items() if mistakes(key, value, _TYPES[key])}
    config = msgspec.convert({key: values[key] for key in values.keys() - wrong}, Config)
    broken = [
        f"{', '.join(keys)}: {message}"
        for keys, holds, message in RULES
        if wrong.isdisjoint(keys) and not holds(config)
    ]
    broken += policy_rules.errors(config.policies)
    return (_for_this_machine(config) if config.target == "local" else config), broken


def _layers(context: Callable[[str], Any]) -> Iterator[Layer]:
    values = context("gluebrake")
    more_keys = (environments.KEY,)
    yield Layer("gluebrake.", _object("gluebrake", {} if values is None else values), more_keys)
    if file := context("config"):
        yield Layer(f"{file}: ", _object(file, _read(file)), more_keys)
    target = context("target")
    yield Layer("-c ", {"target": target} if target else {})


def _read(file: str) -> Any:
    try:
        return msgspec.json.decode(Path(file).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"-c config={file}: cannot be read: {error}") from error


def _object(source: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{source}: {_json(value)} should be an object of keys and values")
    return value


def _in_words(mistake: Mistake) -> str:
    if mistake.kind is None:
        return mistake.rule
    rule = f"should be {_description(mistake.kind)}"
    return f"missing; it {rule}" if mistake.value is UNSET else f"{_json(mistake.value)} {rule}"


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
