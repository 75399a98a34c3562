"""What the tests of the benchmarks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.simulated_aws import World


@pytest.fixture
def world() -> Iterator[World]:
    """Run an AWS with both functions."""
    with World() as world:
        yield world
