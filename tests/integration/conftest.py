"""What the integration tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.simulated_aws import World

# Their assertions tell as much as those of a test.
pytest.register_assert_rewrite("tests.support.properties")


@pytest.fixture
def world() -> Iterator[World]:
    """Run an AWS with both functions."""
    with World() as world:
        yield world
