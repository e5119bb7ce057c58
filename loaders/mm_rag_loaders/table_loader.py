"""TableLoader: CSV and other delimited text, as rows with their header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import ClassVar

from mm_rag._printing import counted
from mm_rag.errors import UnreadableMedia
from mm_rag.media.text_encoding import open_text
from mm_rag.segment import Segment
from mm_rag_loaders.csv_dialect import Dialect, Records, find_dialect
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.passages import passages
from mm_rag_loaders.row_passages import (
    Record,
    Row,
    RowPassage,
    record_passages,
    table_passages,
)
from mm_rag_loaders.table_shape import table_shape

_SAMPLE_LINES, _SAMPLE_ROWS = 500, 100
_LONGEST_LINE = 4 * 1024**2  # letters


class TableLoader(Loader):
    """Reads CSV, TSV and other delimited text in any encoding, of any length."""

    becomes: ClassVar[str] = "rows with their header, and the numbers of the rows"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield passages of whole rows.

        Raises:
            UnreadableMedia: It is not text, or has no values in it.
        """
        opened = open_text(file.opened, newline="")
        if opened.note:
            file.note("encoding", opened.note)
        with opened.stream as text:
            lines = iter(lambda: text.readline(_LONGEST_LINE), "")
            part = -1
            for part, passage in enumerate(self._passages(lines, file)):
                place = passage.rows
                yield file.text_segment(
                    passage.text, part=part, place=place, rows=place.split(" ")[1]
                )
        if part < 0:
            raise UnreadableMedia(f"{file.name} has no values in it.")

    def _passages(self, lines: Iterator[str], file: SourceFile) -> Iterator[RowPassage]:
        sample = list(islice(lines, _SAMPLE_LINES))
        dialect = find_dialect(sample, file.opened.path.suffix.lower())
        if dialect.told:
            sample.pop(0)
        records = Records(chain(sample, lines), dialect)
        ragged = _Ragged()
        yield from self._table(records, dialect, ragged)
        if records.torn:
            what = counted(records.torn, "row")
            file.note(
                "damaged", f"{what} with a quote that does not end, read up to the line's end"
            )
        if ragged.count:
            what = counted(ragged.count, "row")
            file.note("damaged", f"{what} longer than the header, the first is row {ragged.first}")

    def _table(self, records: Records, dialect: Dialect, ragged: _Ragged) -> Iterator[RowPassage]:
        numbered = enumerate(records, 2 if dialect.told else 1)
        first = list(islice(numbered, _SAMPLE_ROWS))
        shape = table_shape([row for _, row in first])
        most = self.options.passage_words
        above, first = first[: shape.above], first[shape.above :]
        yield from _above(above, most)
        header = first.pop(0)[1] if shape.header else []
        rows = (Row(number, row) for number, row in chain(first, numbered))
        if header:
            rows = ragged.checked(rows, len(header))
        if shape.width <= 1:
            values = (Record(str(row.number), [("", cell) for cell in row.cells]) for row in rows)
            yield from record_passages(values, max_words=most)
            return
        found = False
        for passage in table_passages(header, rows, max_words=most):
            found = True
            yield passage
        if header and not found:
            yield from table_passages([], [Row(shape.above + 1, header)], max_words=most)


def _above(rows: list[tuple[int, list[str]]], max_words: int) -> Iterator[RowPassage]:
    """The lines above the table, such as its title."""
    lines = [" ".join(filter(None, map(str.strip, row))) for _, row in rows]
    for text in passages("\n".join(filter(None, lines)), max_words=max_words):
        yield RowPassage(text, str(rows[0][0]), str(rows[-1][0]))


@dataclass
class _Ragged:
    """Counts the rows that have more values than the header."""

    count: int = 0
    first: int = 0

    def checked(self, rows: Iterable[Row], width: int) -> Iterator[Row]:
        for row in rows:
            if len(row.cells) > width and any(cell.strip() for cell in row.cells[width:]):
                self.count += 1
                self.first = self.first or row.number
            yield row
