"""Run a function in its own process, configured by environment variables, with the event on standard input.

Usage: `python -m tests.support.function_process stop`. Logs and metrics go to standard output. The last line is
the answer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gluebrake.handlers import confirm, stop, sweep
from gluebrake.outcomes import NoticeKind
from gluebrake.settings import environment
from tests.support.builders import SETTINGS
from tests.support.fakes.aws_server import REGION, TOPIC_ARN
from tests.support.simulated_aws import CONFIRM, STOP, Context, SimulatedAws

ROOT: Final = Path(__file__).parents[2]
HANDLERS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    STOP: stop.handler,
    CONFIRM: confirm.handler,
    "sweep": sweep.handler,
}


def environment_of(simulation: SimulatedAws) -> dict[str, str]:
    """Return the environment variables that the stack sets, and those that lead to the simulated AWS."""
    values = {
        "stop_queue_url": simulation.stop_queue.url,
        "confirm_queue_url": simulation.confirm_queue.url,
        "dead_letter_queue_url": simulation.dead_letter_queue.url,
        "notice_topic_arn": TOPIC_ARN,
        "notify_on": tuple(NoticeKind),
        **SETTINGS,
    }
    aws = {
        "AWS_ENDPOINT_URL": simulation.aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "NO_PROXY": "127.0.0.1",
    }
    path = os.pathsep.join([str(ROOT / "lambda_src"), str(ROOT)])
    return {"PATH": os.environ["PATH"], "PYTHONPATH": path, **aws, **environment(values)}


def main(service: str) -> None:
    """Handle one event."""
    event = json.load(sys.stdin)
    timeout = 900.0 if service == "sweep" else 30.0
    answer = HANDLERS[service](event, Context(lambda: timeout))
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
