"""Frozen settings from environment variables. The infrastructure writes the variables with `environment`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

PREFIX: Final = "GLUEBRAKE_"

# Lambda updates a function's code before its configuration, so new code runs with old variables for a moment.
_FORMER_NAMES: Final = {"GLUEBRAKE_OWN_SENDERS": "GLUEBRAKE_TRUSTED_SENDER_IDS"}

Pattern = Annotated[str, Meta(min_length=1, max_length=255)]
"""Matches a job's name: `*` is any text, every other character is itself, and case matters."""

Seconds = Annotated[int, Meta(ge=1, le=900)]
"""A delay that one SQS message can have."""

T = TypeVar("T", bound=Struct)


class SettingsError(ValueError):
    """Values that break rules. The text names each of them and its rule."""


class Settings(Struct, frozen=True, kw_only=True, rename=lambda name: PREFIX + name.upper()):
    """What every function reads from its environment. Values are JSON, except plain strings."""

    confirm_queue_url: str
    dead_letter_queue_url: str
    event_bus_name: str
    trusted_sender_ids: Annotated[tuple[str, ...], Meta(min_length=1)]
    job_arn_prefix: Annotated[str, Meta(pattern=r"^arn:[^:]+:glue:[^:]+:[^:]+:job/\Z")]
    max_runs_per_request: Annotated[int, Meta(ge=1)]
    calls_at_once: Annotated[int, Meta(ge=1, le=50)]
    confirm_seconds: tuple[Seconds, Seconds]
    confirm_deadline_seconds: Annotated[int, Meta(ge=1, le=86_400)]

    def __post_init__(self) -> None:
        """Check that no first delay of a backoff exceeds its longest."""
        pairs = {
            PREFIX + name.upper(): getattr(self, name) for name in self.__struct_fields__ if name in _BACKOFFS
        }
        wrong = [name for name, (first, longest) in pairs.items() if first > longest]
        if wrong:
            raise ValueError(
                "; ".join(f"{name}: the first delay must not exceed the longest" for name in wrong)
            )


_BACKOFFS: Final = frozenset({"confirm_seconds", "retry_seconds"})


class StopSettings(Settings, frozen=True, kw_only=True):
    """What STOP reads from its environment."""

    stop_queue_url: str
    jobs: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    protected_jobs: tuple[Pattern, ...]
    protect_tag: Annotated[str, Meta(min_length=1, max_length=128)]
    max_attempts: Annotated[int, Meta(ge=1, le=100)]
    retry_seconds: tuple[Seconds, Seconds]


class ConfirmSettings(Settings, frozen=True, kw_only=True):
    """What CONFIRM reads from its environment."""


def environment(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables for `values`, which has values by the names of Settings' fields."""
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
    """Make a `kind` from values by their encoded names. Raise SettingsError with every mistake."""
    problems = [problem for f in msgspec.structs.fields(kind) for problem in _problems(f, values)]
    if problems:
        raise SettingsError("; ".join(problems))
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from error


class Mistake(NamedTuple):
    """A value that breaks the `rule` of its type; `path` is its key and, in a list, its index."""

    path: str
    value: Any
    kind: Any
    rule: str


def mistakes(path: str, value: Any, kind: Any) -> list[Mistake]:
    """Return every mistake of a value that must have the type `kind`. Those of its items replace its own."""
    item_kind = _item_kind(kind)
    if item_kind is not None and isinstance(value, list | tuple):
        of_items = [m for n, item in enumerate(value) for m in mistakes(f"{path}[{n}]", item, item_kind)]
        if of_items:
            return of_items
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return [Mistake(path, value, kind, str(error))]
    return []


def _problems(f: msgspec.structs.FieldInfo, values: Mapping[str, Any]) -> list[str]:
    name = f.encode_name
    if name in values:
        return [f"{mistake.path}: {mistake.rule}" for mistake in mistakes(name, values[name], f.type)]
    return [f"{name}: missing"] if f.required else []


def _item_kind(kind: Any) -> Any:
    """Return the type that each item of a list must have, or None if `kind` is no list."""
    inner = kind.__origin__ if get_origin(kind) is Annotated else kind
    return get_args(inner)[0] if get_origin(inner) is tuple else None


def _is_text(kind: Any) -> bool:
    return kind is str or getattr(kind, "__origin__", None) is str


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
