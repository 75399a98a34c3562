"""A function in a process of its own, wired by its environment; the event comes on standard input.

It runs as `python -m tests.integration.function_process stop`. Logs and metrics go to standard output, and
the answer is its last line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Final

from gluebrake import confirm, stop
from tests.integration.world import CONFIRM, STOP, Context

HANDLERS: Final[dict[str, Callable[..., dict[str, Any]]]] = {STOP: stop.handler, CONFIRM: confirm.handler}


def main(service: str) -> None:
    """Handle one event."""
    event = json.load(sys.stdin)
    answer = HANDLERS[service](event, Context())
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
