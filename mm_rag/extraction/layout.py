"""Put lines of text with boxes in reading order: columns, rows, paragraphs, right-to-left text."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from statistics import median
from typing import Literal, TypeAlias, TypeVar

from mm_rag.boxes import Box

# Lines in a column of prose have many letters, unlike those in a table or receipt.
_PROSE_LETTERS = 20
_PROSE_ROWS = 4
_MOST_SPANNING = 0.3
_GUTTERS = range(15, 86)  # in hundredths of the width
_HYPHEN = re.compile(r"(?<![\w-])([^\W\d_]{2,})-\n([a-zà-öø-ÿ]{2,})")

_FROM_RIGHT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff]")


@dataclass(frozen=True)
class TextLine:
    """A line, or a part of a line that was found in one piece.

    Attributes:
        text: The text.
        box: Left, top, right, bottom; x to the right and y down, in any unit.
        confidence: From 0 to 1; 1 for exact text.
    """

    text: str
    box: Box
    confidence: float = 1.0

    @property
    def height(self) -> float:
        """Height of the box, never 0."""
        return max(self.box[3] - self.box[1], 1e-6)


AnyLine = TypeVar("AnyLine", bound=TextLine)
Row: TypeAlias = list[AnyLine]


def is_right_to_left(text: str) -> bool:
    """Whether at least half of the words are in a right-to-left script, such as Arabic and Hebrew.

    Words are counted, not letters: two long Latin names do not turn a Hebrew line around.
    """
    if not _FROM_RIGHT.search(text):
        return False
    ways = [_way(word) for word in text.split()]
    return ways.count("from right") >= ways.count("from left")


def in_logical_order(lines: Sequence[AnyLine]) -> list[AnyLine]:
    """Words or parts of one line, sorted from visual to logical order.

    A line is read from right to left if most of it is written so; runs of the other direction
    within it are read the other way.
    """
    from_left = sorted(lines, key=lambda line: line.box[0])
    text = " ".join(line.text for line in lines)
    if not _FROM_RIGHT.search(text):
        return from_left
    backwards = is_right_to_left(text)
    ordered = from_left[::-1] if backwards else from_left
    against = _against([line.text for line in ordered], backwards)
    found: list[AnyLine] = []
    for is_against, pairs in groupby(zip(against, ordered, strict=True), lambda pair: pair[0]):
        run = [line for _, line in pairs]
        found += run[::-1] if is_against else run
    return found


def rows(lines: Sequence[AnyLine]) -> list[Row[AnyLine]]:
    """Lines grouped into rows in reading order: columns of prose one by one, else row by row."""
    split = _columns(lines)
    if split is None:
        return _rows_across(lines)
    ordered: list[Row[AnyLine]] = []
    for spanning, first, second in _bands(lines, split):
        if is_right_to_left(" ".join(line.text for line in [*first, *second])):
            first, second = second, first
        ordered += [*_rows_across(spanning), *rows(first), *rows(second)]
    return ordered


def text_of(ordered: Sequence[Row[AnyLine]]) -> str:
    """The text of rows, with empty lines for wide gaps and hyphenated words joined."""
    parts: list[str] = []
    previous: Row[AnyLine] | None = None
    for row in ordered:
        if previous is not None:
            parts.append("\n\n" if begins_paragraph(previous, row) else "\n")
        parts.append(" ".join(line.text.strip() for line in row))
        previous = row
    return _HYPHEN.sub(r"\1\2", "".join(parts)).strip()


def begins_paragraph(above: Sequence[TextLine], below: Sequence[TextLine]) -> bool:
    """Whether the gap between two rows is wide."""
    gap = min(line.box[1] for line in below) - max(line.box[3] for line in above)
    # A row further up begins the next column, mostly in the middle of a sentence.
    return gap > 0 and gap > 0.6 * median(line.height for line in [*above, *below])


def _against(texts: Sequence[str], backwards: bool) -> list[bool]:
    """Which words are written against the direction of their row.

    Punctuation between two such words ("A - B") counts as one of them.
    """
    ways = [_way(text) for text in texts]
    other = ("from left", "digits") if backwards else ("from right",)
    found = [way in other for way in ways]
    for at, way in enumerate(ways[1:-1], start=1):
        if way == "neither" and found[at - 1] and found[at + 1]:
            found[at] = True
    return found


def _way(text: str) -> Literal["from right", "from left", "digits", "neither"]:
    kinds = {unicodedata.bidirectional(letter) for letter in text}
    if kinds & {"R", "AL"}:
        return "from right"
    if "L" in kinds:
        return "from left"
    return "digits" if kinds & {"EN", "AN"} else "neither"


def _rows_across(lines: Sequence[AnyLine]) -> list[Row[AnyLine]]:
    """Group lines that are side by side into rows, from the top down."""
    found: list[Row[AnyLine]] = []
    for line in sorted(lines, key=lambda line: (line.box[1] + line.box[3]) / 2):
        if found and _is_beside(line, found[-1]):
            found[-1].append(line)
        else:
            found.append([line])
    return [in_logical_order(row) for row in found]


def _is_beside(line: TextLine, row: Sequence[TextLine]) -> bool:
    other = row[-1]
    shared = min(line.box[3], other.box[3]) - max(line.box[1], other.box[1])
    return shared > 0.5 * min(line.height, other.height) and not any(
        min(line.box[2], one.box[2]) - max(line.box[0], one.box[0]) > 0.5 * line.height
        for one in row
    )


def _columns(lines: Sequence[TextLine]) -> float | None:
    """The x of a gutter between two columns of prose; None if there is none."""
    if len(lines) < 2 * _PROSE_ROWS:
        return None
    left, right = min(line.box[0] for line in lines), max(line.box[2] for line in lines)
    step = max(right - left, 1e-6) / 100
    candidates = [left + step * at for at in _GUTTERS]
    crossings = _crossings(lines, left, step)
    fewest = min(crossings)
    if fewest > _MOST_SPANNING * len(lines):
        return None
    best = [x for x, crossed in zip(candidates, crossings, strict=True) if crossed == fewest]
    gutter = best[len(best) // 2]
    sides = (
        [line for line in lines if line.box[2] <= gutter],
        [line for line in lines if line.box[0] >= gutter],
    )
    return gutter if all(map(_is_prose, sides)) and _side_by_side(*sides) else None


def _crossings(lines: Sequence[TextLine], left: float, step: float) -> list[int]:
    """Number of lines that cross each possible position of a gutter."""
    changes = [0] * 102
    for line in lines:
        changes[max(0, int((line.box[0] - left) / step) + 1)] += 1
        changes[min(101, max(0, math.ceil((line.box[2] - left) / step)))] -= 1
    return list(accumulate(changes))[_GUTTERS.start : _GUTTERS.stop]


def _is_prose(lines: Sequence[TextLine]) -> bool:
    side = _rows_across(lines)
    if len(side) < _PROSE_ROWS:
        return False
    return median(sum(len(line.text) for line in row) for row in side) >= _PROSE_LETTERS


def _side_by_side(left: Sequence[TextLine], right: Sequence[TextLine]) -> bool:
    tops = [min(line.box[1] for line in side) for side in (left, right)]
    bottoms = [max(line.box[3] for line in side) for side in (left, right)]
    shared = min(bottoms) - max(tops)
    return shared > 0.3 * min(b - t for t, b in zip(tops, bottoms, strict=True))


def _bands(
    lines: Sequence[AnyLine], gutter: float
) -> Iterator[tuple[list[AnyLine], list[AnyLine], list[AnyLine]]]:
    """Bands of (spanning, left, right) lines from the top down; a spanning line begins a band."""
    band: tuple[list[AnyLine], list[AnyLine], list[AnyLine]] = ([], [], [])
    for line in sorted(lines, key=lambda line: (line.box[1] + line.box[3]) / 2):
        spans = line.box[0] < gutter < line.box[2]
        if spans and (band[1] or band[2]):
            yield band
            band = ([], [], [])
        band[0 if spans else 1 if line.box[2] <= gutter else 2].append(line)
    yield band
