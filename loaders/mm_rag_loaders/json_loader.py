"""JSONLoader: JSON and JSON lines as records that know their path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from typing import ClassVar, TextIO

from mm_rag._printing import counted, printable
from mm_rag.errors import UnreadableMedia
from mm_rag.media.text_encoding import open_text
from mm_rag.segment import Segment
from mm_rag_loaders.json_records import DECODER, JSONText, NotJSON, Place, Unit, Units
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.passages import passages
from mm_rag_loaders.row_passages import Record, RowPassage, record_passages, weight

_LONGEST_LINE = 16 * 1024**2  # letters of one record
_PEEKED = 1024**2  # letters of a line by which JSON lines are recognised
_LINES_SUFFIXES = frozenset([".jsonl", ".ndjson"])
_TEXT_BLOCK = 262_144  # letters of other text, divided at once
_MOST_HEADING = 0.3  # share of a passage
_ITEM = re.compile(r"(.*)\[(\d+)\]")


class JSONLoader(Loader):
    """Reads JSON and JSON lines, in any encoding, of any length."""

    becomes: ClassVar[str] = "objects and long texts with their keys, and their path in the file"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield passages of whole objects, or of the members of objects that are longer.

        Raises:
            UnreadableMedia: It is not text, or has no values in it.
        """
        part = -1
        opened = open_text(file.opened)
        if opened.note:
            file.note("encoding", opened.note)
        with opened.stream as text:
            for part, (passage, place) in enumerate(self._passages(text, file)):
                yield file.text_segment(passage, part=part, place=place)
        if part < 0:
            raise UnreadableMedia(f"{file.name} has no values in it.")

    def _passages(self, text: TextIO, file: SourceFile) -> Iterator[tuple[str, str]]:
        units = Units(self.options.passage_words)
        first, second = text.readline(_PEEKED), text.readline(_PEEKED)
        if _is_lines(first, second, file.opened.path.suffix.lower()):
            head = first + second
            head += "" if head.endswith("\n") else text.readline(_LONGEST_LINE)
            lines = chain(
                head.removesuffix("\n").split("\n"), iter(lambda: text.readline(_LONGEST_LINE), "")
            )
            yield from self._of_units(_of_lines(lines, units, file))
        else:
            read = _Peeked(first + second, text).read
            yield from self._of_document(JSONText(read), units, file)
        if units.binary:
            file.note(
                "unsupported", f"bytes written as text were left out, first at {units.binary}"
            )
        if units.deep:
            file.note("limit", f"values in over 100 levels were left out, first at {units.deep}")

    def _of_document(
        self, document: JSONText, units: Units, file: SourceFile
    ) -> Iterator[tuple[str, str]]:
        problem: list[NotJSON] = []

        def found() -> Iterator[Unit]:
            try:
                for place, value in document.values():
                    yield from units.of(place, value)
            except NotJSON as error:
                problem.append(error)

        yield from self._of_units(found())
        if problem:
            line = document.line
            file.note("damaged", f"no JSON from line {line} on ({problem[0]}): read as text")
            for block in _blocks(document.rest()):
                for passage in passages(printable(block), max_words=self.options.passage_words):
                    yield passage, f"from line {line} on"

    def _of_units(self, units: Iterator[Unit]) -> Iterator[tuple[str, str]]:
        """The passages of units, each with its place; those of one array may share a passage."""
        most = self.options.passage_words
        for (_, heading), group in groupby(
            units, lambda unit: (unit.place.parent, unit.place.heading)
        ):
            above = heading if weight(heading) <= _MOST_HEADING * most else ""
            room = most - weight(above)
            records = (Record(unit.place.path, unit.fields) for unit in group)
            for passage in record_passages(records, max_words=room):
                yield f"{above}\n{passage.text}".strip(), _place(passage)


class _Peeked:
    """A text of which the beginning was read already."""

    def __init__(self, beginning: str, text: TextIO) -> None:
        self._beginning = beginning
        self._text = text

    def read(self, letters: int) -> str:
        if self._beginning:
            beginning, self._beginning = self._beginning, ""
            return beginning
        return self._text.read(letters)


def _is_lines(first: str, second: str, suffix: str) -> bool:
    """Whether each line of a text is a JSON value of its own."""
    if suffix in _LINES_SUFFIXES:
        return first.strip() not in ("{", "[", "")
    return _is_container(first) and _is_container(second)


def _is_container(line: str) -> bool:
    try:
        return isinstance(DECODER.decode(line), list)
    except (ValueError, RecursionError):
        return False


def _of_lines(lines: Iterable[str], units: Units, file: SourceFile) -> Iterator[Unit]:
    damaged, where = 0, 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = Place(f"line {number}", "lines")
        try:
            yield from units.of(place, DECODER.decode(line.strip("\ufeff\x1e")))
        except (json.JSONDecodeError, RecursionError):
            damaged, where = damaged + 1, where or number
            yield Unit(place, [("", printable(line.strip()))])
    if damaged:
        what = f"{counted(damaged, 'line')} without JSON, the first is line {where}"
        file.note("damaged", f"{what}: read as text")


def _place(passage: RowPassage) -> str:
    """`"$.orders[3-7]"`, `"lines 3-7"` or `"$.orders"`."""
    first, last = passage.first, passage.last
    if first == last:
        return first
    if first.startswith("line ") and last.startswith("line "):
        return f"lines {first[5:]}-{last[5:]}"
    one, other = _ITEM.fullmatch(first), _ITEM.fullmatch(last)
    if one and other and one[1] == other[1]:
        return f"{one[1]}[{one[2]}-{other[2]}]"
    return f"{first} to {last}"


def _blocks(texts: Iterator[str]) -> Iterator[str]:
    """Collect texts to blocks that end with a line, as far as lines are short."""
    held = ""
    for text in texts:
        held += text
        if len(held) >= _TEXT_BLOCK:
            end = held.rfind("\n") + 1 or len(held)
            yield held[:end]
            held = held[end:]
    yield held
