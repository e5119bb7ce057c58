"""Read XML of any size as records: what its repeated elements and their attributes say.

Nothing outside of the file is opened. Entities that the file declares are replaced if they are
plain text; those that contain others, as bombs do, are refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import unescape
from typing import Protocol
from xml.parsers import expat

_CHUNK = 65_536
_MOST_CHUNK = 64 * 1024**2
_MOST_DEPTH = 200  # elements in each other; deeper ones are read as text
_MOST_LEVEL = 6  # depth down to which records are looked for
_MOST_OPEN = 20_000  # characters of a record, from which its elements become records
_MOST_ATTRIBUTES = 1000  # of an element
_MOST_NAMES = 4  # before a value
_MOST_ENTITY = 1000  # characters
_MOST_ENTITIES = 100_000  # replaced in one file
_NO_WORDS = re.compile(r"xmlns|.*:(schemaLocation|space|noNamespaceSchemaLocation)\Z|xml:")
_TITLES = ("title", "name", "label", "heading", "subject", "headline")
_IN_TEXT = ("href", "url", "alt", "title")  # attributes that are read of elements within a text


class ByteStream(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Read at most `size` bytes; none at the end."""
        ...


class NestedEntities(Exception):
    """The file declares entities that contain others."""


@dataclass(frozen=True)
class Line:
    """A value in a record.

    Attributes:
        path: Names of the elements from the record to the value.
        value: The text.
    """

    path: tuple[str, ...]
    value: str

    def __str__(self) -> str:
        """The value after its name: `author/name: Ada`."""
        name = "/".join(self.path[-_MOST_NAMES:])
        return f"{name}: {self.value}" if name else self.value


@dataclass(frozen=True)
class Record:
    """A record.

    Attributes:
        place: Path of its element, with its number among its siblings: `/rss/channel/item[3]`.
        lines: Lines of its text.
    """

    place: str
    lines: tuple[Line, ...]

    @property
    def title(self) -> str:
        """Title or name of the record, if it has one."""
        return next(
            (line.value for line in self.lines if line.path and line.path[-1].lower() in _TITLES),
            "",
        )


@dataclass
class _Open:
    """An open element: its number among the siblings of its name, and what is in it so far."""

    name: str
    number: int
    attributes: Mapping[str, str]
    content: list[str | Line] = field(default_factory=list[str | Line])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    in_text: bool = False  # its text was written out before it ended


class RecordReader:
    """Reads XML piece by piece.

    Args:
        encoding: The encoding; None for what the file says.
        level: Depth of the records, as `record_level` finds it.

    Attributes:
        damage: Why it was not read to its end; empty if it was.
        notes: Notes about parts that were left out.
        language: The language that its root names.
        root: Name of its root.
    """

    def __init__(self, encoding: str | None = None, level: int = 1) -> None:
        self.damage = ""
        self.notes: list[str] = []
        self.language = ""
        self.root = ""
        self._open: list[_Open] = []
        self._deeper = 0  # elements below `_MOST_DEPTH`
        self._size = 0  # characters held
        self._least = self._level = level  # depth of the records; the root has 0
        self._ready: list[Record] = []
        self._entities: dict[str, str] = {}
        self._replaced = 0
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.ordered_attributes = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._declare
        # With it set, entities in the text are not expanded but come here, also those that no DTD
        # declares. External ones come to the next handler, which reads nothing.
        parser.DefaultHandler = self._other
        parser.UseForeignDTD(True)
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE)
        parser.ExternalEntityRefHandler = self._external
        self._parser = parser

    def records(self, file: ByteStream) -> Iterator[Record]:
        """Yield the records in order, then what stands outside of them.

        Raises:
            NestedEntities: The file declares entities that contain others.
        """
        try:
            for _ in _parsed(self._parser, file):
                yield from self._taken()
        except expat.ExpatError as error:
            self.damage = f"line {error.lineno}: {expat.ErrorString(error.code)}"
        yield from self._taken()
        self._flush()
        yield from self._taken()

    def _taken(self) -> list[Record]:
        taken, self._ready = self._ready, []
        return taken

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _MOST_DEPTH:
            self._deeper += 1
            self._note(f"elements nested deeper than {_MOST_DEPTH} levels were read as text")
            self._text(" ")
            return
        local = name.rpartition(":")[2]
        number = 1
        if self._open:
            counts = self._open[-1].counts
            number = counts[local] = counts.get(local, 0) + 1
        else:
            self.root = local
            self.language = attributes.get("xml:lang") or attributes.get("lang") or ""
        if len(attributes) > _MOST_ATTRIBUTES:
            attributes = dict(list(attributes.items())[:_MOST_ATTRIBUTES])
            self._note(f"attributes of an element after its first {_MOST_ATTRIBUTES:,} left out")
        self._open.append(_Open(local, number, attributes))
        self._size += sum(map(len, attributes.values()))

    def _text(self, text: str) -> None:
        if not self._open:
            return
        content = self._open[-1].content
        content.append(text)
        self._size += len(text)
        space = max(text.rfind(" "), text.rfind("\n"))
        if self._size > _MOST_OPEN and text.strip() and space >= 0:
            content[-1] = text[:space]
            self._divide()
            content = self._open[-1].content
            content.append(text[space:])
            self._size = len(text) - space

    def _end(self, _name: str) -> None:
        if self._deeper:
            self._deeper -= 1
            self._text(" ")
            return
        depth = len(self._open) - 1
        if depth < self._level:
            self._flush_from(depth)
            self._level = max(self._least, depth)
            self._open.pop()
            return
        ended = self._open.pop()
        lines = _lines(ended)
        self._open[-1].content += lines
        if depth == self._level:
            self._flush_record(ended)
        elif self._size > _MOST_OPEN:
            self._divide()

    def _flush_record(self, ended: _Open) -> None:
        """Write out the record that has just ended."""
        above = self._open[-1]
        if any(isinstance(item, str) and item.strip() for item in above.content):
            return  # it stands in a text
        lines = [item for item in above.content if isinstance(item, Line)]
        above.content = []
        self._size = 0
        inner = tuple(Line(line.path[1:] or line.path, line.value) for line in lines)
        self._write(f"{self._path()}/{ended.name}[{ended.number}]", inner)

    def _divide(self) -> None:
        """Write out a record that is too long, and take its elements for records from now on."""
        self._flush()
        self._level = max(self._least, len(self._open) - 1)

    def _flush(self) -> None:
        self._flush_from(0)

    def _flush_from(self, depth: int) -> None:
        """Write out what is held of the elements from this depth on, which stay open."""
        found: list[Line] = []
        for at in range(depth, len(self._open)):
            element = self._open[at]
            path = tuple(one.name for one in self._open[depth + 1 : at + 1])
            if not element.in_text:
                found += [
                    Line((*path, *line.path), line.value) for line in _attribute_lines(element)
                ]
            element.in_text = True
            found += [Line((*path, *line.path), line.value) for line in _content_lines(element)]
            element.content = []
        self._size = 0
        self._write(self._path(depth + 1), tuple(found))

    def _write(self, place: str, lines: tuple[Line, ...]) -> None:
        if any(line.value for line in lines):
            self._ready.append(Record(place, lines))

    def _path(self, most: int | None = None) -> str:
        above = self._open if most is None else self._open[:most]
        return "".join(
            f"/{element.name}" + (f"[{element.number}]" if element.number > 1 else "")
            for element in above
        )

    def _declare(
        self,
        name: str,
        is_parameter: int,
        value: str | None,
        base: str | None,
        system: str | None,
        public: str | None,
        notation: str | None,
    ) -> None:
        if value is None:
            return
        if re.search(r"&(?!#|amp;|lt;|gt;|quot;|apos;)|%", value):
            raise NestedEntities
        if not is_parameter and len(value) <= _MOST_ENTITY:
            self._entities[name] = value

    def _external(
        self, context: str | None, base: str | None, system: str | None, public: str | None
    ) -> int:
        if context:
            self._note("entities outside of the file were not read")
            return 1
        return _empty_dtd(self._parser)

    def _other(self, data: str) -> None:
        if not (data.startswith("&") and data.endswith(";")):
            return
        self._replaced += 1
        name = data[1:-1]
        value = self._entities.get(name)
        if value is None and name not in self._entities:
            value = unescape(data)
        if value is None or value == data or self._replaced > _MOST_ENTITIES:
            self._note("unknown entities were left out")
            return
        self._text(unescape(re.sub(r"<[^>]*>", " ", value)))

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _nothing(_data: str) -> None:
    """Leave out what is neither an element nor text."""


def _empty_dtd(parser: expat.XMLParserType) -> int:
    """Take the DTD for empty: then entities that are not declared, as `&nbsp;`, are not errors."""
    parser.ExternalEntityParserCreate(None).Parse(b"", True)
    return 1


def _parsed(parser: expat.XMLParserType, file: ByteStream) -> Iterator[None]:
    """Parse a file, and stop after each piece."""
    size, seen = _CHUNK, 0
    while data := file.read(size):
        parser.Parse(data, False)
        yield
        at = parser.CurrentByteIndex
        # A token that does not end is scanned from its beginning each time.
        size = min(2 * size, _MOST_CHUNK) if at - seen < size // 2 else _CHUNK
        seen = at
    parser.Parse(b"", True)


def record_level(file: ByteStream, encoding: str | None = None) -> int:
    """The depth at which elements with elements or attributes in them repeat; 1 if none do."""
    parser = expat.ParserCreate(encoding)
    parser.UseForeignDTD(True)
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE)

    def external(context: str | None, *_: object) -> int:
        return 1 if context else _empty_dtd(parser)

    parser.ExternalEntityRefHandler = external
    parser.DefaultHandler = _nothing
    names: list[Counter[str]] = [Counter()]
    found = set[int]()
    above: list[tuple[str, bool]] = []  # name, and whether it has attributes or elements

    def start(name: str, attributes: dict[str, str]) -> None:
        if above and len(above) <= _MOST_LEVEL:
            above[-1] = (above[-1][0], True)
        above.append((name, bool(attributes)))
        if len(above) <= _MOST_LEVEL + 1:
            names.append(Counter())

    def end(name: str) -> None:
        depth = len(above) - 1
        has_more = above.pop()[1]
        if depth > _MOST_LEVEL:
            return
        names.pop()
        if has_more:
            names[-1][name] += 1
            if names[-1][name] > 1:
                found.add(depth)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    with suppress(expat.ExpatError):
        for _ in _parsed(parser, file):
            if 1 in found:
                return 1
    return max(1, min(found, default=1))


def _lines(element: _Open) -> list[Line]:
    """Words of an element, with its name before each value."""
    lines = _content_lines(element)
    about = [] if element.in_text else _attribute_lines(element)
    if len(lines) == 1 and not lines[0].path and about:
        shown = ", ".join(f"{line.path[-1]}: {line.value}" for line in about)
        lines, about = [Line((), f"{lines[0].value} ({shown})")], []
    return [Line((element.name, *line.path), line.value) for line in (*about, *lines)]


def _content_lines(element: _Open) -> list[Line]:
    """The elements in an element, or its text with the values of the elements in it."""
    if any(isinstance(item, str) and item.strip() for item in element.content):
        texts = (item if isinstance(item, str) else item.value for item in element.content)
        return [Line((), " ".join("".join(texts).split()))]
    return [item for item in element.content if isinstance(item, Line)]


def _attribute_lines(element: _Open) -> list[Line]:
    return [
        Line((name.rpartition(":")[2],), " ".join(value.split()))
        for name, value in element.attributes.items()
        if value.strip() and not _NO_WORDS.match(name)
    ]
