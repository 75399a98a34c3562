"""The demo shows which step is running."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from local.display import Display
from tests.support.eventually import eventually


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "file"])
def test_a_step_is_named_while_it_runs(*, is_terminal: bool) -> None:
    """A terminal shows a spinner, which disappears. A file gets one line."""
    output = io.StringIO()
    display = Display(console=Console(file=output, force_terminal=is_terminal, width=80))
    with display.step("Synthesise the stack"):
        eventually(lambda: "Synthesise the stack …" in output.getvalue())
        assert ("\x1b[" in output.getvalue()) is is_terminal
    # Rich then removes the spinner's line.
    assert output.getvalue().endswith("\x1b[2K") is is_terminal
    assert display.steps["Synthesise the stack"] >= 0


def test_what_a_step_prints_stays() -> None:
    """A table that is shown during a step is above the spinner."""
    output = io.StringIO()
    display = Display(console=Console(file=output, force_terminal=True, width=80))
    with display.step("Send the requests"):
        display.table("Requests", ["by"], [["queue"]])
    assert "queue" in output.getvalue()
