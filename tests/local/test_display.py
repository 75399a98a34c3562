"""The demo shows which step is running."""

from __future__ import annotations

import io
from pathlib import Path

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


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "file"])
def test_the_state_of_a_step_is_live_on_a_terminal_only(*, is_terminal: bool) -> None:
    """A file gets no state that a later one replaces, and no control characters."""
    output = io.StringIO()
    display = Display(console=Console(file=output, force_terminal=is_terminal, width=80))
    with display.step("Glue stops the runs", 3) as update:
        update("all are running")
    assert ("all are running" in output.getvalue()) is is_terminal
    assert (output.getvalue() == "   Glue stops the runs …\n") is not is_terminal


def test_the_picture_has_the_story_only(tmp_path: Path) -> None:
    """Steps and tables of details are not in the picture, so that it is the same each time."""
    display = Display(console=Console(file=io.StringIO()))
    with display.step("Wait"):
        display.table("Time", ["seconds"], [["9.4"]])
    display.show("A storm")
    display.draw(tmp_path / "demo.svg")
    picture = (tmp_path / "demo.svg").read_text()
    assert "A&#160;storm" in picture
    assert "Wait" not in picture
    assert "9.4" not in picture


def test_the_picture_loads_nothing(tmp_path: Path) -> None:
    """GitHub shows a picture without fonts or styles from other addresses."""
    display = Display(console=Console(file=io.StringIO()))
    display.draw(tmp_path / "demo.svg")
    picture = (tmp_path / "demo.svg").read_text()
    assert "url(" not in picture
    assert picture.count("http") == picture.count('xmlns="http')
