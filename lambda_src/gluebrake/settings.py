"""Frozen settings from environment variables. The infrastructure writes the variables with `environment`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta, Struct

from gluebrake.outcomes import NoticeKind
from gluebrake.prices import Prices

PREFIX: Final = "GLUEBRAKE_"

# Lambda updates a function's code before its configuration, so new code can briefly run with old variables.
_FORMER_NAMES: Final = {"GLUEBRAKE_OWN_SENDERS": "GLUEBRAKE_TRUSTED_SENDER_IDS"}

Pattern = Annotated[str, Meta(min_length=1, max_length=255)]
"""A pattern of job names: `*` matches any text, every other character matches itself, and case matters."""

Seconds = Annotated[int, Meta(ge=1, le=900)]
"""A delay that one SQS message can have."""

Namespace = Annotated[str, Meta(min_length=1, max_length=255)]
"""A namespace of CloudWatch metrics."""

AccountId = Annotated[str, Meta(pattern=r"^[0-9]{12}\Z")]
"""An AWS account."""

T = TypeVar("T", bound=Struct)


class SettingsError(ValueError):
    """Invalid values. The text names each value and the rule that it breaks."""


class Settings(Struct, frozen=True, kw_only=True, rename=lambda name: PREFIX + name.upper()):
    """The settings that every function reads from its environment. Values are JSON, except plain strings."""

    dead_letter_queue_url: str
    event_bus_name: str
    trusted_sender_ids: Annotated[tuple[str, ...], Meta(min_length=1)]
    job_arn_prefix: Annotated[str, Meta(pattern=r"^arn:[^:]+:glue:[^:]+:[^:]+:job/\Z")]
    max_runs_per_request: Annotated[int, Meta(ge=1)]
    calls_at_once: Annotated[int, Meta(ge=1, le=50)]
    price_per_dpu_hour: Prices = Prices()
    notice_topic_arn: str = ""
    notify_on: tuple[NoticeKind, ...] = ()
    detailed_metrics: bool = False

    def __post_init__(self) -> None:
        """Check that the first delay of each backoff does not exceed its longest delay."""
        pairs = {
            PREFIX + name.upper(): getattr(self, name) for name in self.__struct_fields__ if name in _BACKOFFS
        }
        wrong = [name for name, (first, longest) in pairs.items() if first > longest]
        if wrong:
            raise ValueError(
                "; ".join(f"{name}: the first delay must not exceed the longest" for name in wrong)
            )


_BACKOFFS: Final = frozenset({"confirm_seconds", "retry_seconds"})


class ConfirmSettings(Settings, frozen=True, kw_only=True):
    """The settings that CONFIRM reads from its environment. STOP reads them as well."""

    confirm_queue_url: str
    confirm_seconds: tuple[Seconds, Seconds]
    confirm_deadline_seconds: Annotated[int, Meta(ge=1, le=86_400)]


class StopSettings(ConfirmSettings, frozen=True, kw_only=True):
    """The settings that STOP reads from its environment."""

    stop_queue_url: str
    jobs: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    protected_jobs: tuple[Pattern, ...]
    protect_tag: Annotated[str, Meta(min_length=1, max_length=128)]
    max_attempts: Annotated[int, Meta(ge=1, le=100)]
    retry_seconds: tuple[Seconds, Seconds]
    observe: bool = False
    alarm_namespaces: tuple[Namespace, ...] = ()
    alarm_accounts: tuple[AccountId, ...] = ()
    sweep_sender_ids: tuple[str, ...] = ()


class SweepSettings(Settings, frozen=True, kw_only=True):
    """The settings that SWEEP reads from its environment."""

    stop_queue_url: str
    jobs: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    protected_jobs: tuple[Pattern, ...]
    protect_tag: Annotated[str, Meta(min_length=1, max_length=128)]
    signal_topics: dict[str, str]
    """The policy of each signal topic, by the topic's ARN."""


def environment(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables for `values`, whose keys are the names of Settings' fields."""
    return {
        PREFIX + name.upper(): value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in values.items()
    }


def load(kind: type[T], environ: Mapping[str, str]) -> T:
    """Read a function's settings from environment variables. Raise SettingsError with every mistake."""
    texts = {f.encode_name for f in msgspec.structs.fields(kind) if _is_text(f.type)}
    current = {_FORMER_NAMES.get(name, name): value for name, value in environ.items()}
    return checked(
        kind,
        {
            name: value if name in texts else _json(value)
            for name, value in (current | dict(environ)).items()
            if name.startswith(PREFIX)
        },
    )


def checked(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return a `kind` made of values by their encoded names. Raise SettingsError with every mistake."""
    problems = [problem for f in msgspec.structs.fields(kind) for problem in _problems(f, values)]
    if problems:
        raise SettingsError("; ".join(problems))
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from error


class Mistake(NamedTuple):
    """A value that breaks the `rule` of its type. `path` is its key and, in a list, its index.

    For a missing field, the value is UNSET. For an unknown field, the type is None.
    """

    path: str
    value: Any
    kind: Any
    rule: str


def mistakes(path: str, value: Any, kind: Any) -> list[Mistake]:
    """Return every mistake of a value that must have the type `kind`. Mistakes of its parts replace its own."""
    if of_parts := [*_mistakes_of_parts(path, value, kind)]:
        return of_parts
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return [Mistake(path, value, kind, str(error))]
    return []


def _mistakes_of_parts(path: str, value: Any, kind: Any) -> Iterator[Mistake]:
    """Yield the mistakes of a list's items, or of an object's fields."""
    inner = kind.__origin__ if get_origin(kind) is Annotated else kind
    if get_origin(inner) is tuple and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from mistakes(f"{path}[{index}]", item, get_args(inner)[0])
    elif isinstance(inner, type) and issubclass(inner, Struct) and isinstance(value, Mapping):
        yield from _mistakes_of_fields(path, value, inner)


def _mistakes_of_fields(path: str, value: Mapping[str, Any], kind: type[Struct]) -> Iterator[Mistake]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        if name in value:
            yield from mistakes(f"{path}.{name}", value[name], field.type)
        elif field.required:
            yield Mistake(f"{path}.{name}", UNSET, field.type, "missing")
    for name in value if kind.__struct_config__.forbid_unknown_fields else ():
        if name not in fields:
            rule = f"unknown; the fields are {', '.join(sorted(fields))}"
            yield Mistake(f"{path}.{name}", value[name], None, rule)


def _problems(f: msgspec.structs.FieldInfo, values: Mapping[str, Any]) -> list[str]:
    name = f.encode_name
    if name in values:
        return [f"{mistake.path}: {mistake.rule}" for mistake in mistakes(name, values[name], f.type)]
    return [f"{name}: missing"] if f.required else []


def _is_text(kind: Any) -> bool:
    return kind is str or getattr(kind, "__origin__", None) is str


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
