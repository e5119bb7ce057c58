"""Put lines of text with boxes in reading order: columns, rows, paragraphs, right-to-left text."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby, pairwise
from statistics import median
from typing import Generic, Literal, TypeAlias, TypeVar

from mm_rag.boxes import Box
from mm_rag.extraction.hyphens import Hyphens

_MOST_DEPTH = 12  # columns within columns
_FEWEST_LINES = 6
_MOST_BESIDE = (
    100  # lines side by side that are compared, so that the time is linear in their number
)
_PROSE_ROWS = 3
_STEPS = 200  # of the width: places of a gutter
_GUTTERS = range(16, 185)
_MOST_GUTTERS = 5  # of each kind, that are tried
_NARROW = 0.45  # of the height: less space is between two words of a line
_FEWEST_PAIRS = 3  # of lines, to tell prose from a list
_FAR = 2.2  # times the usual height: what is farther from two columns does not belong to one
_HEADING = 1.12  # times the usual height
_SAME_STEP = 0.15  # of the distance of lines
_SAME_ROW = 0.22  # of the height
_MATCH = 0.6  # of the rows of one side stand on a row of the other
_FEWER = 0.7  # times the rows of the text beside it: a box or notes
_MOST_BROKEN = 0.4  # of the lines of prose: those that end a paragraph, or a sentence
_LONGEST_FIGURE = 20  # letters
_BULLET = re.compile(r"[^\w\s\"'(\[\u2018-\u201f\u00ab$\u00bf\u00a1]\s|\(?\w{1,2}[.)]\s")

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
Span: TypeAlias = tuple[float, float]


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
    """Lines grouped into rows in reading order: columns of prose one by one, else row by row.

    Two columns are read row by row if their lines belong together, as names and addresses do. A box
    or a note beside a text is read after it.
    """
    return _ordered(lines, _MOST_DEPTH)


def text_of(ordered: Sequence[Row[AnyLine]], hyphens: Hyphens | None = None) -> str:
    """The text of rows, with empty lines for wide gaps and words joined that are cut by a hyphen.

    Args:
        ordered: In reading order.
        hyphens: Knows the words of the whole document; by default those of these rows only.
    """
    parts: list[str] = []
    previous: Row[AnyLine] | None = None
    for row in ordered:
        if previous is not None:
            parts.append("\n\n" if begins_paragraph(previous, row) else "\n")
        parts.append(" ".join(line.text.strip() for line in row))
        previous = row
    text = "".join(parts).strip()
    if hyphens is None:
        hyphens = Hyphens()
        hyphens.see(text)
    return hyphens.joined(text)


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
    return [in_logical_order(row) for row in _grouped(lines)]


def _grouped(lines: Sequence[AnyLine]) -> list[Row[AnyLine]]:
    found: list[Row[AnyLine]] = []
    for line in sorted(lines, key=_middle):
        if found and _is_beside(line, found[-1]):
            found[-1].append(line)
        else:
            found.append([line])
    return found


def _is_beside(line: TextLine, row: Sequence[TextLine]) -> bool:
    other = row[-1]
    shared = min(line.box[3], other.box[3]) - max(line.box[1], other.box[1])
    return shared > 0.5 * min(line.height, other.height) and not any(
        min(line.box[2], one.box[2]) - max(line.box[0], one.box[0]) > 0.5 * line.height
        for one in row[-_MOST_BESIDE:]
    )


def _ordered(lines: Sequence[AnyLine], depth: int) -> list[Row[AnyLine]]:
    bands = _columns(lines) if depth else None
    if bands is None:
        return _rows_across(lines)
    found: list[Row[AnyLine]] = []
    asides: list[Row[AnyLine]] = []
    across: list[AnyLine] = []
    for at, band in enumerate(bands):
        if not band.is_columns:
            across += [*band.spanning, *band.left, *band.right, *band.below]
            continue
        found += _ordered([*across, *band.spanning], depth - 1)
        across = list(band.below)
        after = bands[at + 1].spanning if at + 1 < len(bands) else []
        main, aside = _flow_and_aside(band, after)
        found += _ordered(main, depth - 1)
        if aside:
            asides += _ordered(aside, depth - 1)
        else:
            found += _ordered(band.right if main is band.left else band.left, depth - 1)
    return [*found, *_ordered(across, depth - 1), *asides]


@dataclass
class _Band(Generic[AnyLine]):
    """Lines between two others that span both columns.

    Attributes:
        spanning: Lines over both columns, above the others.
        left: Lines left of the gutter.
        right: Lines right of it.
        below: Lines far below the others.
        is_columns: Whether the left lines are read before the right ones, not row by row.
    """

    spanning: list[AnyLine] = field(default_factory=list[AnyLine])
    left: list[AnyLine] = field(default_factory=list[AnyLine])
    right: list[AnyLine] = field(default_factory=list[AnyLine])
    below: list[AnyLine] = field(default_factory=list[AnyLine])
    is_columns: bool = False


def _columns(lines: Sequence[AnyLine]) -> list[_Band[AnyLine]] | None:
    """The bands of the best gutter between two columns, from the top down; None without columns."""
    if len(lines) < _FEWEST_LINES:
        return None
    by_height = sorted(lines, key=_middle)
    far = _FAR * median(line.height for line in lines)
    groups = _grouped(lines)
    reach = {id(line): span for row in groups for line, span in _reaches(row)}
    beside = {
        id(line) for row in groups if len({reach[id(line)] for line in row}) > 1 for line in row
    }
    best: list[_Band[AnyLine]] | None = None
    most = 0.0
    for gutter in _gutters(lines):
        bands = _bands(by_height, reach, gutter)
        gain = 0.0
        for at, band in enumerate(bands):
            above, band.below = _cut_off(band, far)
            band.spanning += above
            ends = [
                *band.spanning[-1:],
                *(bands[at + 1].spanning[:1] if at + 1 < len(bands) else []),
            ]
            # Lines that reach into the gutter beside others are those of a ragged column.
            both = [*band.left, *band.right]
            is_ragged = any(id(line) in beside and _is_near(line, both) for line in ends)
            band.is_columns = not is_ragged and _are_columns(band.left, band.right)
            gain += band.is_columns * min(len(band.left), len(band.right))
        if gain > most:
            best, most = bands, gain
    return best


def _gutters(lines: Sequence[TextLine]) -> list[float]:
    """The x of some possible gutters: those between most lines, and those that fewest span."""
    left, right = min(line.box[0] for line in lines), max(line.box[2] for line in lines)
    step = max(right - left, 1e-6) / _STEPS
    # Numbers of lines that begin right of a position, and that end left of it.
    begin, end = [0] * (_STEPS + 2), [0] * (_STEPS + 2)
    for line in lines:
        begin[int((line.box[0] - left) / step + 1e-6)] += 1
        end[math.ceil((line.box[2] - left) / step - 1e-6)] += 1
    before = list(accumulate(end))
    after = [len(lines) - count for count in accumulate(begin, initial=0)]
    found: list[tuple[int, int, float]] = []
    for (on_left, on_right), run in groupby(
        range(_GUTTERS.start, _GUTTERS.stop), key=lambda at: (before[at], after[at])
    ):
        places = list(run)
        if min(on_left, on_right) > 1:
            spanning = len(lines) - on_left - on_right
            middle = left + step * (places[0] + places[-1]) / 2
            found.append((-min(on_left, on_right), spanning, middle))
    by_spanning = sorted(found, key=lambda each: (each[1], each[0]))
    return list(
        {x: 0 for _, _, x in [*sorted(found)[:_MOST_GUTTERS], *by_spanning[:_MOST_GUTTERS]]}
    )


def _is_near(line: TextLine, lines: Sequence[TextLine]) -> bool:
    top = min((one.box[1] for one in lines), default=math.inf)
    bottom = max((one.box[3] for one in lines), default=-math.inf)
    return max(top - line.box[3], line.box[1] - bottom) < line.height


def _reaches(row: Sequence[TextLine]) -> Iterator[tuple[TextLine, Span]]:
    """For each line its left and right end, those of its neighbours included that are near."""
    run: list[TextLine] = []
    for line in [*sorted(row, key=lambda line: line.box[0]), None]:
        if run and (line is None or line.box[0] - run[-1].box[2] > _NARROW * run[-1].height):
            span = run[0].box[0], max(one.box[2] for one in run)
            yield from ((one, span) for one in run)
            run = []
        if line is not None:
            run.append(line)


def _spans(reach: Span, gutter: float) -> bool:
    return reach[0] < gutter < reach[1]


def _bands(
    by_height: Sequence[AnyLine], reach: Mapping[int, Span], gutter: float
) -> list[_Band[AnyLine]]:
    """Bands of lines from the top down; a line that spans the gutter begins a band."""
    headings = _headings_across(by_height, gutter)
    found = [_Band[AnyLine]()]
    for at, line in enumerate(by_height):
        if _spans(reach[id(line)], gutter) or at in headings:
            if found[-1].left or found[-1].right:
                found.append(_Band())
            found[-1].spanning.append(line)
        elif line.box[2] <= gutter:
            found[-1].left.append(line)
        else:
            found[-1].right.append(line)
    return found


def _headings_across(by_height: Sequence[TextLine], gutter: float) -> set[int]:
    """Large lines that do not reach the gutter, though both columns end above them."""
    usual = median(line.height for line in by_height)
    right = [line for line in by_height if line.box[0] >= gutter]
    middles = [_middle(line) for line in right]
    found: set[int] = set()
    for at, line in enumerate(by_height):
        if line.box[2] > gutter or line.height < _HEADING * usual or "\n" in line.text:
            continue
        next_one = bisect_left(middles, _middle(line))
        if 0 < next_one < len(right):
            above, below = right[next_one - 1], right[next_one]
            if above.box[3] <= line.box[1] + 0.3 * usual and below.box[1] >= line.box[3]:
                found.add(at)
    return found


def _cut_off(band: _Band[AnyLine], far: float) -> tuple[list[AnyLine], list[AnyLine]]:
    """Remove the lines far above or below the others, and return them: page numbers, headings."""
    both = sorted([*band.left, *band.right], key=_middle)
    left, right = ({id(line) for line in side} for side in (band.left, band.right))
    first, last, bottom = 0, len(both), -math.inf
    for at, line in enumerate(both):
        if line.box[1] - bottom > far and at:
            above = {id(one) for one in both[first:at]}
            below = {id(one) for one in both[at:last]}
            if above <= left or above <= right:
                first = at
            elif below <= left or below <= right:
                last = at
                break
        bottom = max(bottom, line.box[3])
    kept = {id(line) for line in both[first:last]}
    band.left = [line for line in band.left if id(line) in kept]
    band.right = [line for line in band.right if id(line) in kept]
    return both[:first], both[last:]


def _flow_and_aside(
    band: _Band[AnyLine], after: Sequence[AnyLine]
) -> tuple[list[AnyLine], list[AnyLine]]:
    """Lines of a band of columns in reading order, with those beside a text that goes on.

    The text goes on above or below the band in lines of the full width, at its own distance.
    """
    first, second = band.left, band.right
    if is_right_to_left(" ".join(line.text for line in [*first, *second])):
        first, second = second, first
    goes_on = [_goes_on(band.spanning, side, after) for side in (first, second)]
    if goes_on[0] > goes_on[1]:
        return first, second
    return (second, first) if goes_on[1] > goes_on[0] else (first, [])


def _goes_on(above: Sequence[TextLine], side: Sequence[TextLine], below: Sequence[TextLine]) -> int:
    """At how many of its ends a column goes on in lines of the full width."""
    if not side:
        return 0
    steps = [
        lower.box[3] - upper.box[3]
        for upper, lower in pairwise(side)
        if lower.box[3] - upper.box[3] > 0.5 * upper.height
    ]
    usual = median(steps) if steps else 1.3 * side[0].height
    found = 0
    for upper, lower in ((above[-1:], side[:1]), (side[-1:], below[:1])):
        if upper and lower and _is_like(upper[0], lower[0]):
            found += abs(lower[0].box[3] - upper[0].box[3] - usual) < _SAME_STEP * usual
    return found


def _is_like(one: TextLine, other: TextLine) -> bool:
    return abs(one.height - other.height) < 0.1 * one.height


def _are_columns(left: Sequence[TextLine], right: Sequence[TextLine]) -> bool:
    """Whether two sides are read one after the other, and not row by row."""
    if not left or not right or not _side_by_side(left, right):
        return False
    sides = _Side.of(left), _Side.of(right)
    if any(side.has_solid for side in sides):
        return True
    if any(side.is_figures for side in sides):
        return False
    small, large = sorted(sides, key=lambda side: len(side.rows))
    if len(small.rows) < 2 or len(large.rows) < _PROSE_ROWS:
        return bool(large.is_prose) and len(large.rows) > 2 * _PROSE_ROWS
    matching = _matching(small, large)
    if small.is_prose and large.is_prose:
        if matching > _MATCH and len(small.rows) <= _PROSE_ROWS and not small.goes_on:
            return False
        return not (matching > _MATCH and small is sides[0] and _are_labels(small, large))
    if sides[1].is_bulleted and len(sides[1].rows) >= _PROSE_ROWS:
        return True
    if large.is_prose:
        if small is sides[0] and _are_labels(small, large):
            return False
        return matching < _MATCH or len(small.rows) <= _FEWER * len(large.rows)
    return matching < _MATCH and len(small.rows) >= _PROSE_ROWS and small.is_prose is not None


@dataclass(frozen=True)
class _Side:
    """Measurements of the lines on one side of a gutter.

    Attributes:
        rows: Lines side by side, from the top down.
        has_solid: Whether there is a table or a picture.
        is_figures: Whether most lines are numbers.
        is_bulleted: Whether most rows begin with a bullet.
        is_prose: Whether lines are as long as their words allow; None if there are too few.
        goes_on: Whether many lines begin with a small letter.
    """

    rows: list[list[TextLine]]
    has_solid: bool
    is_figures: bool
    is_bulleted: bool
    is_prose: bool | None
    goes_on: bool

    @classmethod
    def of(cls, lines: Sequence[TextLine]) -> _Side:
        texts = [line for line in lines if line.text and "\n" not in line.text]
        rows = _grouped(lines)
        small = sum(line.text[:1].islower() for line in texts)
        bullets = sum(_BULLET.match(row[0].text) is not None for row in rows)
        return cls(
            rows,
            has_solid=len(texts) < len(lines),
            is_figures=sum(map(_is_figure, texts)) > 0.5 * len(texts),
            is_bulleted=bullets > 0.3 * len(rows),
            is_prose=_is_prose(texts),
            goes_on=small > 0.4 * len(texts),
        )


def _is_figure(line: TextLine) -> bool:
    text = line.text.replace(" ", "")
    return len(text) < _LONGEST_FIGURE and sum(map(str.isdigit, text)) >= 0.4 * len(text)


def _is_prose(lines: Sequence[TextLine]) -> bool | None:
    """Whether lines are broken because the next word did not fit, as in a paragraph.

    The lines of a list end where an entry ends. None if there are too few lines to tell.
    """
    broken = pairs = small = 0
    for column in _chains(lines):
        width = max(line.box[2] - line.box[0] for line in column)
        for above, below in pairwise(column):
            if below.box[1] - above.box[3] < 0.6 * above.height:
                pairs += 1
                broken += above.box[2] - above.box[0] + _first_word(below) < width
                small += below.text[:1].islower()
    if pairs < _FEWEST_PAIRS - (small > 0.5 * pairs):
        return None
    # Lists hardly ever go on in small letters; a paragraph of many short sentences does not either.
    return broken <= (_MOST_BROKEN + 0.3 * (small > 0.3 * pairs)) * pairs


def _first_word(line: TextLine) -> float:
    """Width of the first word and a space."""
    letters = len(line.text.split(maxsplit=1)[0]) + 1
    return (line.box[2] - line.box[0]) * letters / max(1, len(line.text))


def _chains(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines that stand one below the other."""
    found: list[list[TextLine]] = []
    for line in sorted(lines, key=_middle):
        best, most = None, 0.0
        for column in found[-_MOST_BESIDE:]:
            last = column[-1]
            shared = min(line.box[2], last.box[2]) - max(line.box[0], last.box[0])
            least = 0.5 * min(line.box[2] - line.box[0], last.box[2] - last.box[0])
            if shared > max(most, least) and _middle(line) > _middle(last) + 0.3 * last.height:
                best, most = column, shared
        if best is None:
            found.append([line])
        else:
            best.append(line)
    return found


def _matching(small: _Side, large: _Side) -> float:
    """Share of the rows of one side that stand on a row of the other."""
    middles = sorted(_middle(row[0]) for row in large.rows)
    found = 0
    for row in small.rows:
        middle = _middle(row[0])
        at = bisect_left(middles, middle)
        near = min(abs(middle - other) for other in middles[max(0, at - 1) : at + 1])
        found += near <= _SAME_ROW * row[0].height
    return found / len(small.rows)


def _are_labels(small: _Side, large: _Side) -> bool:
    """Whether each group of lines on the left stands at the begin of a paragraph on the right."""
    begins = [large.rows[0], *(b for a, b in pairwise(large.rows) if begins_paragraph(a, b))]
    middles = [_middle(row[0]) for row in begins]
    groups = [small.rows[0], *(b for a, b in pairwise(small.rows) if begins_paragraph(a, b))]
    if len(groups) < 2 or len(groups) < 0.8 * len(small.rows):
        return False
    near = sum(
        any(abs(_middle(row[0]) - middle) <= _SAME_ROW * row[0].height for middle in middles)
        for row in groups
    )
    return near >= 0.8 * len(groups)


def _side_by_side(left: Sequence[TextLine], right: Sequence[TextLine]) -> bool:
    tops = [min(line.box[1] for line in side) for side in (left, right)]
    bottoms = [max(line.box[3] for line in side) for side in (left, right)]
    shared = min(bottoms) - max(tops)
    return shared > 0.3 * min(b - t for t, b in zip(tops, bottoms, strict=True))


def _middle(line: TextLine) -> float:
    return (line.box[1] + line.box[3]) / 2
