"""Fixtures of the integration tests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from gluebrake.handlers import stop
from gluebrake.handlers.stop import StopDependencies
from gluebrake.settings import environment
from tests.support.builders import SETTINGS
from tests.support.fakes.aws_server import REGION, FakeAws
from tests.support.fakes.sqs import Queue
from tests.support.simulated_aws import SimulatedAws

# A failed assertion of this module then shows its values, as in a test.
pytest.register_assert_rewrite("tests.support.properties")

QUEUES: Final = ("stop", "confirm", "dead_letter")

MakeDependencies = Callable[..., StopDependencies]
"""Makes STOP's dependencies; its arguments replace settings."""


@pytest.fixture
def simulation() -> Iterator[SimulatedAws]:
    """Run an AWS with both functions."""
    with SimulatedAws() as simulation:
        yield simulation


@pytest.fixture
def queues(aws: FakeAws) -> dict[str, Queue]:
    """Make the three queues."""
    return {name: aws.sqs.add_queue(name) for name in QUEUES}


@pytest.fixture
def make_dependencies(
    aws: FakeAws, queues: dict[str, Queue], monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeDependencies]:
    """Return a function that makes STOP's dependencies from settings, with clients of the fake AWS."""
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
    }.items():
        monkeypatch.setenv(name, value)
    # Without a bus the function publishes no outcome events.
    settings = {f"{name}_queue_url": queue.url for name, queue in queues.items()} | {"event_bus_name": ""}
    logging.root.manager.loggerDict.pop(
        "stop", None
    )  # Powertools keeps the logger and stream of an earlier test
    yield lambda **changes: stop.build_dependencies(environment({**SETTINGS, **settings, **changes}))
    logging.root.manager.loggerDict.pop("stop", None)
