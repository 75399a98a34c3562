"""A Markdown document, parsed as GitHub parses it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

_markdown: Final = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A fenced block or a paragraph. `kind` is the info string of the fence, and empty for a paragraph."""

    kind: str
    text: str


@dataclass(frozen=True)
class Document:
    """A Markdown file."""

    path: Path

    @cached_property
    def _tokens(self) -> list[Token]:
        return _markdown.parse(self.path.read_text())

    @property
    def blocks(self) -> Iterator[Block]:
        """The fenced blocks and the paragraphs, in their order."""
        for token, after in zip(self._tokens, [*self._tokens[1:], None], strict=True):
            if token.type == "fence":
                yield Block(token.info, token.content)
            elif token.type == "paragraph_open" and after:
                yield Block("", after.content)

    def fences(self, heading: str) -> list[str]:
        """Return the fenced blocks under a heading."""
        return [token.content for token in self._under(heading) if token.type == "fence"]

    def rows(self, heading: str) -> list[list[Token]]:
        """Return the rows of the tables under a heading, without their header rows."""
        rows: list[list[Token]] = []
        tokens = iter(self._under(heading))
        for token in tokens:
            if token.type == "thead_open":
                while next(tokens).type != "thead_close":
                    pass
            elif token.type == "tr_open":
                rows.append([])
            elif token.type == "td_open":
                rows[-1].append(next(tokens))
        assert rows, f"{self.path.name} has no table under {heading!r}"
        return rows

    def _under(self, heading: str) -> Iterator[Token]:
        title = ""
        for token, after in zip(self._tokens, [*self._tokens[1:], None], strict=True):
            if token.type == "heading_open" and after:
                title = after.content
            elif title == heading:
                yield token

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors that GitHub generates for the headings."""
        found: set[str] = set()
        for token, after in zip(self._tokens, self._tokens[1:], strict=False):
            if token.type == "heading_open":
                found.add(_unused(_anchor(after), found))
        return found

    @property
    def links(self) -> Iterator[str]:
        """The targets of all links and pictures, including those in HTML."""
        for token in self._tokens:
            for inner in (token, *(token.children or ())):
                if inner.type in {"link_open", "image"}:
                    yield str(inner.attrs.get("href") or inner.attrs["src"])
                elif inner.type in {"html_block", "html_inline"}:
                    yield from re.findall(r'(?:href|src|srcset)="([^"]*)"', inner.content)


def text_of(cell: Token) -> str:
    """Return a cell's text without its markup."""
    return "".join(inner.content for inner in cell.children or ())


def _anchor(heading: Token) -> str:
    """Return a heading's anchor: lower case, with hyphens for spaces and no punctuation."""
    return re.sub(r"[^\w\- ]", "", text_of(heading).lower()).replace(" ", "-")


def _unused(anchor: str, used: set[str]) -> str:
    names = [anchor, *(f"{anchor}-{number}" for number in range(1, len(used) + 1))]
    return next(name for name in names if name not in used)
