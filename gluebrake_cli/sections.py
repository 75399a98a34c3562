"""The sections of a result. Each is read by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from gluebrake_cli.errors import explain

T = TypeVar("T")


@dataclass(frozen=True)
class Sections:
    """Reads sections. An error of one leaves the rest readable, and `unknown` has it by the section's name."""

    unknown: dict[str, str] = field(default_factory=dict)

    def read(self, name: str, read: Callable[[], T]) -> T | None:
        """Return what `read` returns, None after an error."""
        try:
            return read()
        except Exception as error:  # noqa: BLE001 - any error of one section must leave the rest readable
            self.unknown[name] = explain(error) or repr(error)
            return None
