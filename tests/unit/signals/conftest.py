"""What the tests of signals share: the fake AWS, and the function's parts wired to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from hypothesis import settings

from gluebrake.invocation import Parts, wired
from gluebrake.model import Queue as To
from gluebrake.settings import environment
from tests.fakes.aws_server import ACCOUNT, REGION, FakeAws
from tests.fakes.sqs import Queue

# A busy machine is slow, and that is no failure.
settings.register_profile("signals", deadline=None)
settings.load_profile("signals")

VALUES: Final[dict[str, Any]] = {
    "job_arn_prefix": f"arn:aws:glue:{REGION}:{ACCOUNT}:job/",
    "jobs": ["*"],
    "protected_jobs": [],
    "protect_tag": "gluebrake:protect",
    "max_runs_per_request": 1000,
    "calls_at_once": 8,
    "max_attempts": 8,
    "retry_seconds": [5, 900],
    "confirm_seconds": [15, 300],
    "confirm_deadline_seconds": 1800,
}
QUEUES: Final = ("stop", "confirm", "dead_letter")

Wire = Callable[..., Parts]


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """Run a Glue and an SQS on a loopback socket."""
    with FakeAws() as aws:
        yield aws


@pytest.fixture
def queues(aws: FakeAws) -> dict[str, Queue]:
    """Make the three queues."""
    return {name: aws.sqs.add_queue(name) for name in QUEUES}


@pytest.fixture
def wire(aws: FakeAws, queues: dict[str, Queue], monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Return what wires the STOP function to the fake, with settings that differ from the usual ones."""
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
    }.items():
        monkeypatch.setenv(name, value)
    urls = {f"{name}_queue_url": queue.url for name, queue in queues.items()}
    logging.root.manager.loggerDict.pop("stop", None)  # Powertools keeps it, and an earlier test's stream
    yield lambda **changes: wired("stop", To.STOP, environment({**VALUES, **urls, **changes}))
    logging.root.manager.loggerDict.pop("stop", None)
