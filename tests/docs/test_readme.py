"""The README is short, and its figures are those of the cost model."""

from __future__ import annotations

from typing import Final

import pytest

from docs.generate import DOCS
from infra import costs
from infra.config import Config

TEXT: Final = (DOCS.parent / "README.md").read_text()


def test_the_readme_is_short() -> None:
    """A reader has it read in five minutes."""
    assert len(TEXT.split()) <= 1_000


def test_an_idle_stack_costs_what_the_readme_says() -> None:
    """The figure is the sum of the idle bill's lines."""
    assert f"about {costs.total(costs.idle_month(costs.DEFAULT_STACK)):.2f} USD a month" in " ".join(
        TEXT.split()
    )


@pytest.mark.parametrize("load", costs.LOADS.values(), ids=costs.LOADS)
def test_a_million_requests_cost_what_the_readme_says(load: costs.Load) -> None:
    """Each profile's figure is in the README."""
    config = Config()
    usage = load.usage(memory_mb=config.memory_mb, calls_at_once=config.calls_at_once)
    assert f"{costs.total(usage.bill()):.2f}" in TEXT
