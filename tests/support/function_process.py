"""Run a function in its own process, configured by environment variables, with the event on standard input.

Usage: `python -m tests.support.function_process stop`. Logs and metrics go to standard output. The last line is
the answer. It imports neither the fakes nor boto3, because each process spends its time on imports.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Final

from gluebrake.handlers import confirm, stop, sweep
from tests.support.lambda_context import Context

HANDLERS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "stop": stop.handler,
    "confirm": confirm.handler,
    "sweep": sweep.handler,
}


def main(service: str) -> None:
    """Handle one event."""
    event = json.load(sys.stdin)
    timeout = 900.0 if service == "sweep" else 30.0
    answer = HANDLERS[service](event, Context(lambda: timeout))
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
