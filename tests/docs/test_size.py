"""The documents stay short, and a reader finds each of them."""

from __future__ import annotations

from typing import Final

from docs.generate import DOCS
from tests.docs.document import Document

PAGES: Final = sorted(DOCS.glob("*.md"))


def test_the_pages_are_short() -> None:
    """All pages without the decisions have at most 15,000 words."""
    assert sum(len(page.read_text().split()) for page in PAGES) <= 15_000


def test_the_index_has_each_page() -> None:
    """docs/README.md links to every other page."""
    linked = {link.partition("#")[0] for link in Document(DOCS / "README.md").links}
    assert {page.name for page in PAGES} - {"README.md"} <= linked


def test_each_page_says_for_whom_it_is() -> None:
    """The first paragraph of a page begins with its readers."""
    first = {page.name: next(b.text for b in Document(page).blocks if not b.kind) for page in PAGES}
    assert {name: text for name, text in first.items() if not text.startswith("For ")} == {}
