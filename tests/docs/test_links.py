"""Links and pictures in the documents lead somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from docs.generate import DOCS
from tests.docs.document import Document

ROOT: Final = DOCS.parent
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md"), *DOCS.rglob("*.md")])
LINKS: Final = [
    pytest.param(page, link, id=f"{page.relative_to(ROOT)} to {link}")
    for page in PAGES
    for link in Document(page).links
    if not link.startswith(("https://", "mailto:"))
]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_link_leads_to_a_file_and_a_heading_of_ours(page: Path, link: str) -> None:
    """A relative link names a file of the repository and, where it has an anchor, a heading in it."""
    name, _, anchor = link.partition("#")
    file = (page.parent / name).resolve() if name else page
    assert file.is_relative_to(ROOT)
    assert file.exists()
    assert not anchor or anchor in Document(file).anchors
