"""The sections of a result, which are read one by one, so that an error affects one section only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from gluebrake_cli.errors import explain

T = TypeVar("T")


@dataclass(frozen=True)
class Sections:
    """Reads sections. If one section fails, `unknown` has the error, and the others are still read."""

    unknown: dict[str, str] = field(default_factory=dict)

    def read(self, name: str, read: Callable[[], T]) -> T | None:
        """Return the result of `read`, or None after an error."""
        try:
            return read()
        except Exception as error:  # noqa: BLE001 - an error of one section must not prevent the other sections
            self.unknown[name] = explain(error) or repr(error)
            return None
