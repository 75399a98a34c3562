"""The contributor's tour follows the calls of the code, and each link names the line of its symbol."""

from __future__ import annotations

from typing import Final

import pytest

from docs import tour
from docs.generate import DOCS

TEXT: Final = (DOCS / "tour.md").read_text()
PACKAGE: Final = "lambda_src/gluebrake/"


def test_links_follow_a_moved_symbol() -> None:
    """A link to a wrong line gets the line of its symbol."""
    lines = (DOCS.parent / "docs" / "tour.py").read_text().splitlines()
    line = 1 + next(n for n, text in enumerate(lines) if text.startswith("def numbered("))
    assert tour.numbered("[`numbered`](../docs/tour.py#L1)") == f"[`numbered`](../docs/tour.py#L{line})"


def test_a_link_to_an_unknown_symbol_is_an_error() -> None:
    """A renamed function breaks the tour loudly."""
    with pytest.raises(KeyError, match="gone"):
        tour.numbered("[`gone`](../docs/tour.py#L1)")


def test_every_link_is_held() -> None:
    """No link to the code is written in a form that the generator would not renumber."""
    assert len(tour.links(TEXT)) == TEXT.count(".py#L")


@pytest.mark.parametrize(
    ("caller", "called"),
    [
        ("handlers/stop.py", "runtime.invoke("),
        ("runtime.py", "lambda_event.parse("),
        ("runtime.py", "isolate_poison_pills("),
        ("runtime.py", "parse_messages("),
        ("handlers/stop.py", "dispatcher.parse"),
        ("handlers/stop.py", "resolve("),
        ("handlers/stop.py", "select("),
        ("handlers/stop.py", "planning.plan("),
        ("handlers/stop.py", "glue.stop("),
        ("handlers/stop.py", "decide_stops("),
        ("runtime.py", "dispatch("),
        ("dispatch.py", "outgoing_messages("),
        ("dispatch.py", "outcome_events("),
        ("dispatch.py", "record_results("),
        ("runtime.py", "notify("),
        ("handlers/confirm.py", "decide_confirmations("),
        ("handlers/sweep.py", "sweep("),
    ],
)
def test_the_tour_follows_the_calls(caller: str, called: str) -> None:
    """Each step is a call in the module that the tour names, and the tour links to what is called."""
    assert called in (DOCS.parent / PACKAGE / caller).read_text()
    assert called.rstrip("(").rpartition(".")[2] in {name.rpartition(".")[2] for _, name in tour.links(TEXT)}
