"""Records on the terminal. Ids are never wrapped, so that an operator can copy and `grep` can find them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.text import Text

_GAP = 2


@dataclass(frozen=True)
class Records:
    """Rows of cells, the first of which is an id. Columns without any text are left out.

    Each row is one line if the widest row fits, or if the output is not a terminal. Otherwise the id has a line
    of its own, and the other cells are below it. `notes` has a text for each row, which follows the cells.
    Below an id, at most `note_lines` lines of the note are shown.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    notes: Sequence[Text] = ()
    note_lines: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the lines, the first with the names of the columns."""
        if not self.rows:
            return
        notes = self.notes or [Text()] * len(self.rows)
        lines = [[Text(name, style="bold") for name in self.columns], *self.rows]
        others = range(1, len(self.columns))
        used = [0, *(index for index in others if any(row[index].plain for row in self.rows))]
        widths = [max(cell_len(line[index].plain) for line in lines) for index in used]
        longest = sum(widths) + _GAP * len(widths) + max(cell_len(note.plain) for note in notes)
        one_line = longest <= options.max_width or not options.is_terminal
        for line, note in zip(lines, [Text(), *notes], strict=True):
            cells = [_padded(line[index], width) for index, width in zip(used, widths, strict=True)]
            if one_line:
                yield _unfolded(_joined([*cells, note]))
            else:
                short_note = note.wrap(console, options.max_width - _GAP)[: self.note_lines]
                yield from _block(cells[0], [_joined(cells[1:]), *_with_ellipsis(short_note, note)])


def _block(row_id: Text, lines: Sequence[Text]) -> Iterator[RenderableType]:
    if row_id.plain.strip():
        yield _unfolded(row_id)
    yield from (Padding(line, (0, 0, 0, _GAP), expand=False) for line in lines if line.plain)


def _with_ellipsis(lines: Sequence[Text], whole: Text) -> Sequence[Text]:
    if lines and sum(len(line.plain.split()) for line in lines) < len(whole.plain.split()):
        lines[-1].rstrip()
        lines[-1].right_crop(1)
        lines[-1].append("…")
    return lines


def _joined(cells: Sequence[Text]) -> Text:
    text = Text(" " * _GAP).join(cells)
    text.rstrip()
    return text


def _padded(cell: Text, width: int) -> Text:
    cell = cell.copy()
    cell.pad_right(width - cell_len(cell.plain))
    return cell


def _unfolded(text: Text) -> Text:
    text = text.copy()
    text.no_wrap, text.overflow = True, "ignore"
    return text
