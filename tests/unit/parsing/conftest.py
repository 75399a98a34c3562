"""What the tests of signals share: the function's parts, wired to the fake AWS."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from gluebrake.model import Queue as To
from gluebrake.runtime import Dependencies, build_dependencies
from gluebrake.settings import environment
from tests.support.builders import SETTINGS
from tests.support.fakes.aws_server import REGION, FakeAws
from tests.support.fakes.sqs import Queue

QUEUES: Final = ("stop", "confirm", "dead_letter")

Wire = Callable[..., Dependencies]


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
    # Where outcomes are told is not what signals are about.
    quiet = {f"{name}_queue_url": queue.url for name, queue in queues.items()} | {"event_bus_name": ""}
    logging.root.manager.loggerDict.pop("stop", None)  # Powertools keeps it, and an earlier test's stream
    yield lambda **changes: build_dependencies("stop", To.STOP, environment({**SETTINGS, **quiet, **changes}))
    logging.root.manager.loggerDict.pop("stop", None)
