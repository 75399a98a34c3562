"""Fixtures and settings of all tests: Hypothesis without a deadline, the order of files, and the fake AWS."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import is_hypothesis_test, settings

from tests.support import botocore_caches
from tests.support.fakes.aws_server import FakeAws

# On a busy machine an example may take long, which is not a failure. `make unit` asks for fewer examples.
settings.register_profile("unit", deadline=None, max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")))
settings.load_profile("unit")

# The CDK's own template rules take most of a synthesis. tests/infra/test_template_rules.py applies them.
# https://github.com/aws/aws-cdk/pull/38379
os.environ["CDK_VALIDATION"] = "false"

botocore_caches.install()

SLOW: Final = (
    "e2e/test_cli.py",
    "e2e/test_notices.py",
    "e2e/test_cli_docs.py",
    "e2e/test_fleet_command.py",
    "e2e/test_sweeps.py",
    "integration/test_scenarios.py",
    "e2e/test_recipes.py",
    "e2e/test_environments.py",
    "e2e/test_history.py",
    "e2e/test_uninstall.py",
    "e2e/test_signal_docs.py",
    "e2e/test_policy_docs.py",
    "integration/test_sweep_kills.py",
    "e2e/test_observe.py",
    "e2e/test_verify.py",
    "e2e/test_iam.py",
    "integration/test_kills.py",
    "chaos/test_short.py",
    "infra/test_deploy.py",
    "infra/test_artifact.py",
    "e2e/test_observability.py",
    "packaging/test_clone.py",
    "e2e/test_commands.py",
    "adversarial/test_dry_run_anywhere.py",
    "e2e/test_canary.py",
    "e2e/test_stopping.py",
    "packaging/test_make.py",
    "cli/test_command_verify.py",
    "e2e/test_third_stage.py",
    "adversarial/test_selection_redelivery.py",
    "infra/test_template_rules.py",
    "infra/test_cdk_cli.py",
    "e2e/test_signals.py",
    "infra/test_stack.py",
)
"""The files that take longest, the slowest first."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of tests that are not measured."""
    config.addinivalue_line("markers", "unmeasured: do not measure coverage during this test.")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Measure coverage by examples only. It takes as long as a property test itself, and must not be random."""
    if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
        item.add_marker("unmeasured")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Suspend the tracer of coverage during an unmeasured test.

    The marker `no_cover` of pytest-cov has no effect in a worker of xdist. There pytest-cov starts coverage
    twice and suspends it once.
    """
    tracer = sys.gettrace()
    if item.get_closest_marker("unmeasured"):
        sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


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
