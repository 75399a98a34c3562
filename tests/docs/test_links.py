"""Tests of the links and pictures in the documents."""

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
def test_link_has_an_existing_file_and_heading(page: Path, link: str) -> None:
    """A relative link names a file of the repository, and a heading or, in code, a line of that file."""
    name, _, anchor = link.partition("#")
    file = (page.parent / name).resolve() if name else page
    assert file.is_relative_to(ROOT)
    assert file.exists()
    if file.suffix == ".py":
        assert not anchor or int(anchor.removeprefix("L")) <= len(file.read_text().splitlines())
    else:
        assert not anchor or anchor in Document(file).anchors
