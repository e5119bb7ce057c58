"""Block and Aside: what a reader finds in an office file, in reading order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mm_rag._printing import printable
from mm_rag.segment import Scalar

_REPEATED_LETTERS = 100  # of a cell that spans several: a longer one is a paragraph
_SPACES = re.compile("  +")


@dataclass(frozen=True)
class Block:
    """A piece of the text of a document.

    Attributes:
        kind: `item` is an entry of a list, `row` a row of a table in Markdown.
        text: The words.
        level: Level of a heading, from 1.
        head: The head of the row's table, in Markdown; the first row of a table has no text.
        table: Number of the row's table.
        is_attached: Whether it belongs to the block before it, such as a footnote.
    """

    kind: Literal["text", "heading", "caption", "picture", "item", "row"]
    text: str
    level: int = 0
    head: str = ""
    table: int = 0
    is_attached: bool = False


@dataclass(frozen=True)
class Aside:
    """A text beside the document's text, such as a comment or hidden words.

    Attributes:
        text: The words.
        name: Added to the headings above it: `"Notes"`.
        metadata: More about it.
        is_joined: Whether it is put together with the asides of the same metadata after it.
    """

    text: str
    name: str = ""
    metadata: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    is_joined: bool = False


Item: TypeAlias = Block | Aside


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: Its words, without line ends.
        columns: Number of columns that it spans.
        is_continued: Whether it is part of the cell above it.
    """

    text: str
    columns: int = 1
    is_continued: bool = False


class TableRows:
    """Turns the rows of a table into blocks, one by one.

    A merged cell with a short text is repeated in every row and column that it spans, so that each
    row can be understood alone.

    Args:
        number: A number of the table that no other table of the document has.
        is_attached: For the blocks.
    """

    def __init__(self, number: int, *, is_attached: bool = False) -> None:
        self._number = number
        self._is_attached = is_attached
        self._above: list[str] = []
        self._head = ""

    def row(self, cells: Sequence[Cell]) -> Block | None:
        """The block of the next row; None for an empty row."""
        texts: list[str] = []
        alone = sum(bool(cell.text) for cell in cells) == 1
        for cell in cells:
            at = len(texts)
            text = cell.text
            if cell.is_continued and at < len(self._above):
                text = self._above[at]
            is_repeated = len(text) <= _REPEATED_LETTERS and not alone
            texts += [text] + [text if is_repeated else ""] * (cell.columns - 1)
        self._above = [text if len(text) <= _REPEATED_LETTERS else "" for text in texts]
        if not any(texts):
            return None
        line = " | ".join(text.replace("|", "\\|") for text in texts)
        line = f"| {line} |"
        if not self._head:
            self._head = f"{line}\n|{'---|' * len(texts)}"
            return Block("row", "", 0, self._head, self._number, self._is_attached)
        return Block("row", line, 0, self._head, self._number, self._is_attached)


def table_blocks(
    rows: Sequence[Sequence[Cell]], number: int, *, is_attached: bool = False
) -> Iterator[Block]:
    """Yield the rows of a table as blocks."""
    table = TableRows(number, is_attached=is_attached)
    for cells in rows:
        if block := table.row(cells):
            yield block


def table_of(rows: Sequence[Sequence[str]], number: int, *, attached: bool = False) -> list[Block]:
    """The blocks of a table without merged cells."""
    cells = [[Cell(one_paragraph(text)) for text in row] for row in rows]
    return list(table_blocks(cells, number, is_attached=attached))


def one_paragraph(text: str) -> str:
    """A text without control characters, on one line."""
    return " ".join(printable(text).split())


def lines(text: str) -> str:
    """A text without control characters and needless spaces."""
    stripped = (_SPACES.sub(" ", line).strip() for line in printable(text).splitlines())
    return "\n".join(line for line in stripped if line)
