"""A function's process that handles one event after another.

Usage: `python -m tests.chaos.flood_function stop`. Each line of standard input is an event. Logs and metrics go
to standard output. After each event there is a line with the answer, the CPU time and the peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from tests.support.function_process import HANDLERS
from tests.support.lambda_context import Context


def main(service: str) -> None:
    """Handle events until standard input ends."""
    for line in sys.stdin:
        event = json.loads(line)
        began = time.process_time()
        answer = HANDLERS[service](event, Context())
        took = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sys.stdout.write(f"{json.dumps({'answer': answer, 'cpu_seconds': took, 'peak_rss': peak})}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
