"""Measure how much of a function's time each step takes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

OTHER: Final = "other"
"""The step that gets the time outside all others."""


class Stopwatch:
    """Adds up time by step. Nested steps count only for the innermost one."""

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._clock = clock
        self._steps = [OTHER]
        self._since = clock()

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, wrapped so that its time counts for the step."""

        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self.lap()
            self._steps.append(step)
            try:
                return function(*arguments, **options)
            finally:
                self.lap()
                self._steps.pop()

        return timed

    def lap(self) -> None:
        """Add the time since the last lap to the current step."""
        now = self._clock()
        self.seconds[self._steps[-1]] += now - self._since
        self._since = now
