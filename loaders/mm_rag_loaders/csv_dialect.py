"""Read delimited text: find its delimiter and quotes, then its records one by one."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from mm_rag_loaders.table_shape import is_value

_DELIMITERS = ",\t;|\x1f^~"  # the usual ones first
_NAMED = {".tsv": "\t", ".tab": "\t", ".psv": "|"}
_TELLS = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # as Excel writes it in the first line
_SAMPLE_ROWS = 200
# Longest record. A quote that never ends would take in the rest of the file.
_MOST_LINES, _MOST_LETTERS = 1000, 1_000_000
_MOST_TORN = 100  # such quotes from which no more lines are tried
_QUOTED = re.compile(r"\s*(['\"])(.*)\1\s*", re.DOTALL)


@dataclass(frozen=True)
class Dialect:
    """The signs between and around the values of a table.

    Attributes:
        delimiter: Stands between two values; empty if each line is one value.
        quote: Stands around values that contain the delimiter.
        told: Whether the first line only names the delimiter.
    """

    delimiter: str
    quote: str = '"'
    told: bool = False


def find_dialect(lines: list[str], suffix: str) -> Dialect:
    """Find the dialect of a text by its first lines.

    Args:
        lines: The first lines, with their ends.
        suffix: Suffix of the file's name, in lower case.
    """
    if lines and (told := _TELLS.fullmatch(lines[0])):
        return Dialect(told[1], told=True)
    quotes = ['"', "'"] if _opens_with_apostrophes(lines) else ['"']
    delimiters = _NAMED.get(suffix, "") + _DELIMITERS
    scores = {
        (delimiter, quote): _score(lines, delimiter, quote)
        for quote in quotes
        for delimiter in dict.fromkeys(delimiters)
    }
    best = max(scores, key=lambda key: scores[key])
    if scores[best] > 0:
        return Dialect(*best)
    # One value a line, which may be quoted: "Rope, long".
    rows = islice(Records(lines, Dialect(",")), _SAMPLE_ROWS)
    return Dialect("," if all(len(row) <= 1 for row in rows) else "")


def _opens_with_apostrophes(lines: list[str]) -> bool:
    text = "".join(lines[:_SAMPLE_ROWS])
    pairs = len(re.findall(r"(?:^|[,;\t|])'[^'\n]*'(?=[,;\t|\r\n])", text, re.MULTILINE))
    return pairs > len(re.findall(r'(?:^|[,;\t|])"', text, re.MULTILINE)) and pairs > 3


def _score(lines: list[str], delimiter: str, quote: str) -> float:
    """Score a delimiter: it divides lines alike, into several values, and into sensible ones."""
    records = Records(lines, Dialect(delimiter, quote))
    rows = [row for row in islice(records, _SAMPLE_ROWS) if row]
    if not rows:
        return 0.0
    widths = Counter(len(row) for row in rows)
    width, count = max(
        ((width, count) for width, count in widths.items() if width > 1),
        key=lambda pair: pair[1] * math.log2(pair[0] + 1),
        default=(1, 0),
    )
    if not count:
        return 0.0
    cells = [cell for row in rows if len(row) == width for cell in row]
    values = sum(is_value(cell) for cell in cells) / len(cells)
    return (count / len(rows)) ** 2 * math.log2(width + 1) * (0.5 + values)


class Records:
    """The records of a delimited text, read line by line.

    A quote that does not end within the longest record is taken for a letter: such a record ends
    with its line.

    Attributes:
        torn: Number of records with a quote that does not end.
    """

    def __init__(self, lines: Iterable[str], dialect: Dialect) -> None:
        self._lines = iter(lines)
        self._dialect = dialect
        self._waiting: deque[str] = deque()
        self.torn = 0

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the values of each record; none for an empty line."""
        delimiter, quote = self._dialect.delimiter, self._dialect.quote
        while (line := self._next_line()) is not None:
            if not delimiter:
                yield [line.strip()]
            elif quote in line:
                yield self._quoted(line)
            elif text := line.rstrip("\r\n"):
                yield text.split(delimiter)
            else:
                yield []

    def _next_line(self) -> str | None:
        return self._waiting.popleft() if self._waiting else next(self._lines, None)

    def _quoted(self, line: str) -> list[str]:
        """The values of a record with quotes, which may go on in the next lines."""
        taken = [line]
        usual = csv.field_size_limit(_MOST_LETTERS)
        try:
            return self._parsed(self._taking(taken), strict=True)
        except csv.Error:
            # What looked like the rest of the record are records of their own.
            self._waiting.extendleft(reversed(taken[1:]))
            return self._malformed(line, is_torn=len(taken) > 1)
        finally:
            csv.field_size_limit(usual)

    def _malformed(self, line: str, *, is_torn: bool) -> list[str]:
        if not is_torn:
            escape = "\\" if f"\\{self._dialect.quote}" in line else None
            try:
                return self._parsed([line], strict=True, escape=escape)
            except csv.Error:
                pass
        self.torn += 1
        values = line.rstrip("\r\n").split(self._dialect.delimiter)
        return [quoted[2] if (quoted := _QUOTED.fullmatch(value)) else value for value in values]

    def _taking(self, taken: list[str]) -> Iterator[str]:
        """The first of the taken lines, then further ones as they are needed."""
        yield taken[0]
        letters = len(taken[0])
        most = _MOST_LINES if self.torn < _MOST_TORN else 1
        while len(taken) < most and letters < _MOST_LETTERS:
            line = self._next_line()
            if line is None:
                return
            taken.append(line)
            letters += len(line)
            yield line

    def _parsed(
        self, lines: Iterable[str], *, strict: bool, escape: str | None = None
    ) -> list[str]:
        reader = csv.reader(
            lines,
            delimiter=self._dialect.delimiter,
            quotechar=self._dialect.quote,
            escapechar=escape,
            doublequote=escape is None,
            skipinitialspace=self._dialect.delimiter != "\t",
            strict=strict,
        )
        return next(reader, [])
