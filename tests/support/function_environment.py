"""The environment variables of a function that runs in its own process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gluebrake.outcomes import NoticeKind
from gluebrake.settings import environment
from tests.support.builders import SETTINGS
from tests.support.fakes.aws_server import REGION, TOPIC_ARN
from tests.support.simulated_aws import SimulatedAws

ROOT: Final = Path(__file__).parents[2]


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
