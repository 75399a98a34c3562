"""What the unit tests share: Hypothesis without a deadline, and the fake AWS."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.fakes.aws_server import FakeAws

# A busy machine is slow, and that is no failure.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """Run a Glue and an SQS on a loopback socket."""
    with FakeAws() as aws:
        yield aws


@pytest.fixture
def own_loggers() -> Iterator[None]:
    """Let a test make its loggers anew: Powertools keeps a logger, and a test's stream with it, for ever."""
    _forget_loggers()
    yield
    _forget_loggers()


def _forget_loggers() -> None:
    for service in ("stop", "confirm"):
        logging.root.manager.loggerDict.pop(service, None)
