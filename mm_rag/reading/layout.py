"""Lines of text with their boxes, put in the order in which a person reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

Box: TypeAlias = tuple[float, float, float, float]

# A column of prose has lines of many letters; a column of a table or of a receipt has not.
_PROSE_LETTERS = 20
_PROSE_ROWS = 4
_MOST_SPANNING = 0.3
_HYPHEN = re.compile(r"(?<![\w-])([^\W\d_]{2,})-\n([a-zà-öø-ÿ]{2,})")


@dataclass(frozen=True)
class TextLine:
    """A line, or the part of a line that was found in one piece.

    Attributes:
        text: Its words.
        box: Left, top, right, bottom; x to the right and y down, in any unit.
        confidence: From 0 to 1; 1 where nothing was guessed.
    """

    text: str
    box: Box
    confidence: float = 1.0

    @property
    def height(self) -> float:
        """Of the box, never 0."""
        return max(self.box[3] - self.box[1], 1e-6)


Row: TypeAlias = list[TextLine]


def printable(text: str) -> str:
    """Without control characters, private-use bullets and halves of surrogate pairs.

    Databases refuse some of these. A soft hyphen becomes a hyphen; spaces and line ends stay.
    """
    letters = text.replace("\xad", "-")
    return "".join(letter for letter in letters if letter.isprintable() or letter.isspace())


def rows(lines: Sequence[TextLine]) -> list[Row]:
    """Rows in reading order: columns of prose one after the other, everything else row by row."""
    split = _columns(lines)
    if split is None:
        return _rows_across(lines)
    ordered: list[Row] = []
    for spanning, left, right in _bands(lines, split):
        ordered += [*_rows_across(spanning), *rows(left), *rows(right)]
    return ordered


def text_of(ordered: Sequence[Row]) -> str:
    """One line of text per row, an empty line where the gap is wide, broken words joined."""
    parts: list[str] = []
    previous: Row | None = None
    for row in ordered:
        if previous is not None:
            parts.append("\n\n" if _is_new_paragraph(previous, row) else "\n")
        parts.append(" ".join(line.text.strip() for line in row))
        previous = row
    return _HYPHEN.sub(r"\1\2", "".join(parts)).strip()


def _rows_across(lines: Sequence[TextLine]) -> list[Row]:
    """Lines side by side make a row, from left to right."""
    found: list[Row] = []
    for line in sorted(lines, key=lambda line: (line.box[1] + line.box[3]) / 2):
        if found and _is_beside(line, found[-1]):
            found[-1].append(line)
        else:
            found.append([line])
    return [sorted(row, key=lambda line: line.box[0]) for row in found]


def _is_beside(line: TextLine, row: Row) -> bool:
    other = row[-1]
    shared = min(line.box[3], other.box[3]) - max(line.box[1], other.box[1])
    return shared > 0.5 * min(line.height, other.height) and not any(
        min(line.box[2], one.box[2]) - max(line.box[0], one.box[0]) > 0.5 * line.height
        for one in row
    )


def _is_new_paragraph(above: Row, below: Row) -> bool:
    gap = min(line.box[1] for line in below) - max(line.box[3] for line in above)
    height = median(line.height for line in [*above, *below])
    # Going up means that the next column begins, most often in the middle of a sentence.
    return gap > 0.6 * height


def _columns(lines: Sequence[TextLine]) -> float | None:
    """Where, in x, a gutter separates two columns of prose; None where there is none."""
    if len(lines) < 2 * _PROSE_ROWS:
        return None
    left, right = min(line.box[0] for line in lines), max(line.box[2] for line in lines)
    candidates = [left + (right - left) * step / 100 for step in range(15, 86)]
    crossings = [_crossing(lines, x) for x in candidates]
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


def _crossing(lines: Sequence[TextLine], x: float) -> int:
    return sum(line.box[0] < x < line.box[2] for line in lines)


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
    lines: Sequence[TextLine], gutter: float
) -> Iterator[tuple[list[TextLine], list[TextLine], list[TextLine]]]:
    """What spans the gutter ends the columns above it: (spanning, left, right), top to bottom."""
    band: tuple[list[TextLine], list[TextLine], list[TextLine]] = ([], [], [])
    for line in sorted(lines, key=lambda line: (line.box[1] + line.box[3]) / 2):
        spans = line.box[0] < gutter < line.box[2]
        if spans and (band[1] or band[2]):
            yield band
            band = ([], [], [])
        band[0 if spans else 1 if line.box[2] <= gutter else 2].append(line)
    yield band
