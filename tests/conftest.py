"""Fixtures and settings of all tests: Hypothesis without a deadline, and the fake AWS."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.fakes.aws_server import FakeAws

# On a busy machine an example may take long, which is not a failure. `make unit` asks for fewer examples.
settings.register_profile("unit", deadline=None, max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")))
settings.load_profile("unit")


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """Run the fake AWS on a loopback socket."""
    with FakeAws() as aws:
        yield aws


@pytest.fixture
def new_loggers() -> Iterator[None]:
    """Remove the functions' loggers: Powertools keeps a logger, and with it the stream of an earlier test."""
    _remove_loggers()
    yield
    _remove_loggers()


def _remove_loggers() -> None:
    for service in ("stop", "confirm"):
        logging.root.manager.loggerDict.pop(service, None)
