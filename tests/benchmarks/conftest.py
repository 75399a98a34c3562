"""Fixtures for the tests of the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from benchmarks.lambda_events import one_run_requests, records
from gluebrake import lambda_event
from gluebrake.model import Message
from tests.support.builders import NOON, bookkeeping
from tests.support.simulated_aws import SimulatedAws

MESSAGES: Final = 250


@pytest.fixture
def simulation() -> Iterator[SimulatedAws]:
    """Run a simulated AWS with both functions."""
    with SimulatedAws() as simulation:
        yield simulation


def messages_of(service: str) -> tuple[Message, ...]:
    """Parse the service's records as its function does."""
    event = lambda_event.parse(
        {"Records": list(records(service, one_run_requests(MESSAGES)))},
        request_id="request-1",
        now=NOON,
        bookkeeping=bookkeeping(),
    )
    assert event.from_queue
    return event.messages
