"""One emulator for all tests. Each test uses jobs, queues and functions with names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.emulator import Emulator, running


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Start an emulator for the session."""
    with running() as emulator:
        yield emulator
