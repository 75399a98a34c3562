"""Fixtures and settings of all tests: Hypothesis without a deadline, the order of files, and the fake AWS."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.support.fakes.aws_server import FakeAws

# On a busy machine an example may take long, which is not a failure. `make unit` asks for fewer examples.
settings.register_profile("unit", deadline=None, max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")))
settings.load_profile("unit")

SLOW: Final = (
    "e2e/test_cli.py",
    "integration/test_scenarios.py",
    "e2e/test_sweeps.py",
    "e2e/test_notices.py",
    "e2e/test_cli_docs.py",
    "e2e/test_iam.py",
    "infra/test_artifact.py",
    "chaos/test_short.py",
    "e2e/test_history.py",
    "infra/test_deploy.py",
    "e2e/test_commands.py",
    "packaging/test_clone.py",
    "packaging/test_make.py",
    "e2e/test_policy_docs.py",
    "e2e/test_third_stage.py",
    "e2e/test_uninstall.py",
    "e2e/test_canary.py",
    "e2e/test_recipes.py",
    "e2e/test_verify.py",
    "adversarial/test_dry_run_anywhere.py",
    "integration/test_sweep_kills.py",
    "infra/test_stack.py",
)
"""The files that take longest, the slowest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the workers begin with the slow files. One that begins last would keep the other workers waiting."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(SLOW)}
    items.sort(key=lambda item: ranks.get(item.path, len(SLOW)))


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
