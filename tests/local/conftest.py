"""One emulator for all tests of it; each test has jobs, queues and functions of its own names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.emulator import Emulator, running


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Start an emulator for the session."""
    with running() as emulator:
        yield emulator
