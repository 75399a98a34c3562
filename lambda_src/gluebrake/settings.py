"""Environment variables to frozen settings. The infrastructure writes them with `environment`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

PREFIX: Final = "GLUEBRAKE_"

Pattern = Annotated[str, Meta(min_length=1, max_length=255)]
"""Matches a job's name: `*` is any text, every other character is itself, case counts."""

Seconds = Annotated[int, Meta(ge=1, le=900)]
"""A delay that one SQS message can carry."""

T = TypeVar("T", bound=Struct)


class SettingsError(ValueError):
    """Values that do not fit; the text names every one of them and the rule it breaks."""


class Settings(Struct, frozen=True, kw_only=True, rename=lambda name: PREFIX + name.upper()):
    """What the functions are told by their environment. The text of a value is JSON, but for plain strings."""

    stop_queue_url: str
    confirm_queue_url: str
    dead_letter_queue_url: str
    event_bus_name: str
    trusted_sender_ids: Annotated[tuple[str, ...], Meta(min_length=1)]
    job_arn_prefix: Annotated[str, Meta(pattern=r"^arn:[^:]+:glue:[^:]+:[^:]+:job/\Z")]
    jobs: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    protected_jobs: tuple[Pattern, ...]
    protect_tag: Annotated[str, Meta(min_length=1, max_length=128)]
    max_runs_per_request: Annotated[int, Meta(ge=1)]
    calls_at_once: Annotated[int, Meta(ge=1, le=50)]
    max_attempts: Annotated[int, Meta(ge=1, le=100)]
    retry_seconds: tuple[Seconds, Seconds]
    confirm_seconds: tuple[Seconds, Seconds]
    confirm_deadline_seconds: Annotated[int, Meta(ge=1, le=86_400)]

    def __post_init__(self) -> None:
        """Hold the two delays of a backoff against each other."""
        pairs = {"RETRY_SECONDS": self.retry_seconds, "CONFIRM_SECONDS": self.confirm_seconds}
        wrong = [PREFIX + name for name, (first, longest) in pairs.items() if first > longest]
        if wrong:
            raise ValueError(
                "; ".join(f"{name}: the first delay must not exceed the longest" for name in wrong)
            )


def environment(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables for `values`, which maps the names of Settings' fields."""
    return {
        PREFIX + name.upper(): value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in values.items()
    }


def settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables; raise SettingsError naming all that is wrong."""
    text = {f.encode_name for f in msgspec.structs.fields(Settings) if _is_text(f.type)}
    ours = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    return checked(Settings, {name: value if name in text else _json(value) for name, value in ours.items()})


def checked(kind: type[T], values: Mapping[str, Any]) -> T:
    """Make a `kind` of `values` by encoded name; raise SettingsError naming all that is wrong."""
    problems = [problem for f in msgspec.structs.fields(kind) for problem in _problems(f, values)]
    if problems:
        raise SettingsError("; ".join(problems))
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from error


def _problems(f: msgspec.structs.FieldInfo, values: Mapping[str, Any]) -> Iterator[str]:
    name = f.encode_name
    if name not in values:
        if f.required:
            yield f"{name}: missing"
        return
    in_items = [
        p for index, item in enumerate(_items(f, values[name])) for p in _broken(f"{name}[{index}]", *item)
    ]
    yield from in_items or _broken(name, values[name], f.type)


def _items(f: msgspec.structs.FieldInfo, value: Any) -> Iterator[tuple[Any, Any]]:
    """Pair the items of a list with the type that they should have."""
    kind = getattr(f.type, "__origin__", f.type) if get_origin(f.type) is Annotated else f.type
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        yield from ((item, get_args(kind)[0]) for item in value)


def _broken(path: str, value: Any, kind: Any) -> Iterator[str]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield f"{path}: {error}"


def _is_text(kind: Any) -> bool:
    return kind is str or getattr(kind, "__origin__", None) is str


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
