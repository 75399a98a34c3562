"""Environment variables to frozen settings. The infrastructure writes them with `environment`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

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
    problems = [problem for f in msgspec.structs.fields(kind) if (problem := _problem(f, values))]
    if problems:
        raise SettingsError("; ".join(problems))
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from error


def _problem(f: msgspec.structs.FieldInfo, values: Mapping[str, Any]) -> str | None:
    if f.encode_name not in values:
        return f"{f.encode_name}: missing" if f.required else None
    try:
        msgspec.convert(values[f.encode_name], f.type)
    except msgspec.ValidationError as error:
        rule, _, path = str(error).partition(" - at `$")
        return f"{f.encode_name}{path.rstrip('`')}: {rule}"
    return None


def _is_text(kind: Any) -> bool:
    return kind is str or getattr(kind, "__origin__", None) is str


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
