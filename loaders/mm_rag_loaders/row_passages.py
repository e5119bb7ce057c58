"""Split rows and records into passages: whole rows and whole cells, with their header.

Rows come as a stream and passages leave as one: of any number of rows only those of one passage are
held. A row that is too wide for a passage becomes lines `header: value`, and is divided between its
cells; the first cell, which names the row, is repeated. Only a long text in a cell is cut, as other
texts are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mm_rag._printing import printable
from mm_rag.words import HAN_AND_KANA, HANGUL
from mm_rag_loaders.passages import passages

_SCRIPTS_WITHOUT_SPACES = re.compile(f"[{HAN_AND_KANA}{HANGUL}]")
# Codes, dates and amounts take more tokens than words of a text: an English word and its space have
# six letters, and so a row counts as a word for every six.
_LETTERS_OF_A_WORD = 6
_LONG_CELL = 0.5  # share of a passage from which the text of a cell is cut like other texts
_NAME_WORDS = 12  # of the name of a row that is repeated with its other cells
_HEADER_SHARE = 0.5  # of a passage that a repeated header may take


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        number: In the file or sheet, from 1.
        cells: Their texts; empty for an empty cell.
        remarks: Lines that belong to the row, such as comments of its cells.
    """

    number: int
    cells: Sequence[str]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A thing with named values, such as an object of a JSON file.

    Attributes:
        place: Its place in the file.
        fields: Names, which may be empty, and values.
    """

    place: str
    fields: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RowPassage:
    """A passage of rows or records.

    Attributes:
        text: A Markdown table whose first row is the header, or lines `name: value`.
        first: Number of its first row, or the place of its first record.
        last: The same of the last one.
    """

    text: str
    first: str
    last: str

    @property
    def rows(self) -> str:
        """`"row 7"` or `"rows 2-15"`."""
        is_one = self.first == self.last
        return f"row {self.first}" if is_one else f"rows {self.first}-{self.last}"


def table_passages(
    header: Sequence[str], rows: Iterable[Row], *, max_words: int
) -> Iterator[RowPassage]:
    """Yield the passages of a table.

    Args:
        header: Names of the columns; empty for a table without.
        rows: The rows below the header. They may have more or fewer cells than it.
        max_words: Longest passage.
    """
    names = [cell_text(name) for name in header]
    head = _head(names)
    room = max_words - weight(head)
    if room < max_words * (1 - _HEADER_SHARE):
        # The names of the columns alone fill the passage: they stand once, and with each value.
        yield from _alone("columns", names, max_words)
        head, room = "", 0
    yield from _filled(names, head, rows, room, max_words)


def _alone(what: str, names: Sequence[str], max_words: int) -> Iterator[RowPassage]:
    for text in passages(f"{what}: " + "; ".join(filter(None, names)), max_words=max_words):
        yield RowPassage(text, "1", "1")


def _head(names: Sequence[str]) -> str:
    return f"{_line(names)}\n|{'---|' * len(names)}\n" if any(names) else ""


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _filled(
    names: Sequence[str], head: str, rows: Iterable[Row], room: int, max_words: int
) -> Iterator[RowPassage]:
    """Collect rows until a passage is full."""
    held = _Held(head)
    for row in rows:
        cells = [cell_text(cell) for cell in row.cells]
        if len(cells) < len(names):
            cells += [""] * (len(names) - len(cells))
        if not any(cells) and not row.remarks:
            continue
        line = _line(cells)
        needed = weight(line) + sum(map(weight, row.remarks))
        if needed > room:
            yield from held.passage()
            named = [
                (names[at] if at < len(names) else "", value)
                for at, value in enumerate(cells)
                if value
            ]
            fields = [*named, *(("", remark) for remark in row.remarks)]
            yield from record_passages([Record(str(row.number), fields)], max_words=max_words)
            continue
        if held.words + needed > room:
            yield from held.passage()
        held.add(str(row.number), line, row.remarks, needed)
    yield from held.passage()


@dataclass
class _Held:
    """The rows of the passage that is being filled."""

    head: str
    words: int = 0
    lines: list[str] = field(default_factory=list[str])
    remarks: list[str] = field(default_factory=list[str])
    first: str = ""
    last: str = ""

    def add(self, number: str, line: str, remarks: Sequence[str], words: int) -> None:
        self.first = self.first if self.lines else number
        self.last = number
        self.lines.append(line)
        self.remarks += remarks
        self.words += words

    def passage(self) -> Iterator[RowPassage]:
        """Yield the rows that are held, and hold none any more."""
        if self.lines:
            text = self.head + "\n".join(self.lines)
            text += "".join(f"\n\n{remark}" for remark in self.remarks)
            yield RowPassage(text, self.first, self.last)
        self.words, self.lines, self.remarks = 0, [], []


def record_passages(records: Iterable[Record], *, max_words: int) -> Iterator[RowPassage]:
    """Yield the passages of records as lines `name: value`.

    Several short records share a passage. A long one is divided between its values, and its first
    value, which names it, is repeated.
    """
    texts: list[str] = []
    words, first, last = 0, "", ""
    for record in records:
        fields = [(name, value) for name, value in record.fields if name or value]
        if not fields:
            continue
        text = "\n".join(_field_line(name, value) for name, value in fields)
        needed = weight(text)
        if texts and words + needed > max_words:
            yield RowPassage("\n\n".join(texts), first, last)
            texts, words = [], 0
        if needed > max_words:
            yield from _divided(record.place, fields, max_words)
            continue
        first = first if texts else record.place
        last = record.place
        texts.append(text)
        words += needed
    if texts:
        yield RowPassage("\n\n".join(texts), first, last)


def _field_line(name: str, value: str) -> str:
    return f"{name}: {value}" if name and value else name or value


def _divided(place: str, fields: Sequence[tuple[str, str]], max_words: int) -> Iterator[RowPassage]:
    """The passages of one record that is too long for a passage."""
    title = _field_line(*fields[0])
    title = "" if weight(title) > min(_NAME_WORDS, max_words // 4) else title
    lines: list[str] = []
    words = 0
    for at, (name, value) in enumerate(fields):
        line = _field_line(name, value)
        needed = weight(line)
        if lines and lines != [title] and words + needed > max_words:
            yield RowPassage("\n".join(lines), place, place)
            lines, words = [], 0
        if (needed > max_words * _LONG_CELL and at == 0) or needed > max_words:
            if lines and lines != [title]:
                yield RowPassage("\n".join(lines), place, place)
            yield from _long_value(place, title, name, value, max_words)
            lines, words = [], 0
            continue
        if not lines and title and at:
            lines.append(title)
            words += weight(title)
        lines.append(line)
        words += needed
    if lines and lines != [title]:
        yield RowPassage("\n".join(lines), place, place)


def _long_value(
    place: str, title: str, name: str, value: str, max_words: int
) -> Iterator[RowPassage]:
    """A long text, cut as texts are, with the names of its row and column before each piece."""
    start = "\n".join(filter(None, [title, f"{name}:" if name else ""]))
    room = max(max_words // 2, max_words - weight(start))
    for text in passages(value, max_words=room):
        yield RowPassage(f"{start}\n{text}".strip(), place, place)


def cell_text(value: str) -> str:
    """A cell's text on one line, as it stands in a row of a Markdown table."""
    if value.isprintable() and "|" not in value and "  " not in value:
        return value.strip()
    return " ".join(printable(value).split()).replace("|", "\\|")


def weight(text: str) -> int:
    """The number of words as which a text counts."""
    words = max(text.count(" ") + text.count("\n") + 1, len(text) // _LETTERS_OF_A_WORD)
    if text.isascii():
        return words if text else 0
    return words + len(_SCRIPTS_WITHOUT_SPACES.findall(text))
