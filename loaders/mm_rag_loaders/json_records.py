"""Read JSON of any length as records: small objects whole, large ones by their members.

A value is parsed by the standard library when the text held contains all of it. A larger one is
entered, and its members are read one by one, so that memory does not grow with the file. Numbers
stay as they are written, and of keys that occur twice both are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from mm_rag._printing import printable
from mm_rag_loaders.row_passages import weight

_WINDOW = 1_000_000  # letters of a value that is parsed whole
_BLOCK = 262_144  # letters read at once
_LONGEST_TEXT = 16 * 1024**2  # letters of one text
_MOST_LEVELS = 100
_SPACE = re.compile(r"[ \t\n\r\x1e]*")  # with the record separator of RFC 7464
_PLAIN_KEY = re.compile(r"[A-Za-z_]\w*")
_CUT = 16  # letters: the parser stops so near the end of a number or name that is cut off
_NAME_WORDS = 8  # of a value that names the object around it
# Bytes written as letters: pictures and sounds in exports. A code is shorter.
_BASE64 = re.compile(r"(?:data:[\w/+.;=-]+,)?[A-Za-z0-9+/_=\r\n-]{1000,}")


class Members(list[tuple[str, Any]]):
    """The members of an object, in order; a key may occur twice."""


Value: TypeAlias = "Members | list[Any] | str"
"""An object, an array, or a text; numbers, `true`, `false` and `null` are texts as written."""


class NotJSON(ValueError):
    """The rest of a text is not JSON."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a JSON file.

    Attributes:
        path: JSONPath: "$.orders[3].customer".
        parent: The path of the array or object in which it is.
        heading: The keys on the way to it, and the names of the objects: "Team A > messages".
        key: Its key in an object; empty for an item of an array.
    """

    path: str = "$"
    parent: str = ""
    heading: str = ""
    key: str = ""

    def member(self, key: str, name: str = "") -> Place:
        """The place of a member of the object here.

        Args:
            key: Its key.
            name: A value that names the object.
        """
        plain = _PLAIN_KEY.fullmatch(key) is not None
        step = f".{key}" if plain else f"[{json.dumps(_clean(key), ensure_ascii=False)}]"
        step = f", ${step}" if self.path.startswith("line ") and "$" not in self.path else step
        heading = " > ".join(filter(None, [self.heading, _clean(self.key), name]))
        return Place(self.path + step, self.path, heading, key)

    def item(self, index: int) -> Place:
        """The place of an item of the array here."""
        heading = " > ".join(filter(None, [self.heading, _clean(self.key)]))
        return Place(f"{self.path}[{index}]", self.path, heading)


@dataclass(frozen=True, slots=True)
class Unit:
    """Values that belong together.

    Attributes:
        place: Their place.
        fields: Their names below that place, and their texts.
    """

    place: Place
    fields: list[tuple[str, str]]


DECODER = json.JSONDecoder(
    object_pairs_hook=Members, parse_float=str, parse_int=str, parse_constant=str, strict=False
)
"""Parses to `Value`, but for `true`, `false` and `null`."""


class JSONText:
    """The text of a JSON file, of which a part is held.

    Args:
        read: Reads up to so many further letters.
    """

    def __init__(self, read: Callable[[int], str]) -> None:
        self._read = read
        self._held = ""
        self._at = 0
        self._line = 1
        self._is_whole = False

    def values(self) -> Iterator[tuple[Place, Any]]:
        """Yield each value that is small enough, and the members of larger ones, in order.

        Raises:
            NotJSON: The rest is not JSON. The values before it were yielded.
        """
        while self._letter():
            yield from self._value(Place(), 0)

    @property
    def line(self) -> int:
        """The number of the line that is read next, from 1."""
        return self._line + self._held.count("\n", 0, self._at)

    def rest(self) -> Iterator[str]:
        """Yield what follows, unparsed."""
        yield self._held[self._at :]
        while block := self._read(_BLOCK):
            yield block

    def _value(self, place: Place, level: int) -> Iterator[tuple[Place, Any]]:
        letter = self._letter()
        is_parsed, value = self._whole()
        if is_parsed:
            yield place, value
        elif letter == '"':
            yield place, self._long_text()
        elif letter and letter in "{[" and level < _MOST_LEVELS:
            self._at += 1
            inside = self._members(place, level) if letter == "{" else self._items(place, level)
            yield from inside
        else:
            raise NotJSON("nested too deep" if letter in ("{", "[") else "no value")

    def _members(self, place: Place, level: int) -> Iterator[tuple[Place, Any]]:
        name = ""
        while self._letter() != "}":
            if self._letter() != '"':
                raise NotJSON("no key")
            is_parsed, key = self._whole()
            if not is_parsed or self._letter() != ":":
                raise NotJSON("no key")
            self._at += 1
            for inside, value in self._value(place.member(key, name), level + 1):
                name = name or _naming(value, inside.parent == place.path)
                yield inside, value
            self._comma("}")
        self._at += 1

    def _items(self, place: Place, level: int) -> Iterator[tuple[Place, Any]]:
        index = 0
        while self._letter() != "]":
            yield from self._value(place.item(index), level + 1)
            self._comma("]")
            index += 1
        self._at += 1

    def _comma(self, end: str) -> None:
        letter = self._letter()
        if letter == ",":
            self._at += 1
            if self._letter() == end:
                raise NotJSON("a comma too many")
        elif letter != end:
            raise NotJSON("no comma")

    def _letter(self) -> str:
        """The next letter after spaces; empty at the end."""
        while True:
            self._at = cast("re.Match[str]", _SPACE.match(self._held, self._at)).end()
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def _whole(self) -> tuple[bool, Any]:
        """Parse a value, and whether that was possible: it fits in the window and is JSON."""
        while True:
            try:
                value, end = DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos > len(self._held) - _CUT
                if not is_cut or len(self._held) - self._at >= _WINDOW or not self._more():
                    return False, None
            except RecursionError:
                return False, None
            else:
                # A number at the end of what is held may go on.
                if end < len(self._held) or not self._more():
                    self._at = end
                    return True, value

    def _long_text(self) -> str:
        """A text that is longer than the window."""
        while len(self._held) - self._at < _LONGEST_TEXT and self._more(_LONGEST_TEXT // 4):
            try:
                value, self._at = DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError:
                continue
            return value
        raise NotJSON("a text does not end")

    def _more(self, letters: int = _BLOCK) -> bool:
        block = "" if self._is_whole else self._read(letters)
        self._is_whole = not block
        if block:
            self._line += self._held.count("\n", 0, self._at)
            self._held = self._held[self._at :] + block
            self._at = 0
        return bool(block)


class Units:
    """Divides values into units of at most so many words, and counts what is left out.

    Attributes:
        binary: The first place of bytes that were left out; empty before.
        deep: The first place of values that are nested too deep; empty before.
    """

    def __init__(self, max_words: int) -> None:
        self._most = max_words
        self.binary = ""
        self.deep = ""

    def of(self, place: Place, value: Any, level: int = 0) -> Iterator[Unit]:
        """Yield the units of a value."""
        if not isinstance(value, list):
            yield from self._unit(place, [(_clean(place.key), self._text(value, place))])
            return
        fields = self._flat("", value, place, level)
        if fields is not None:
            yield from self._unit(
                place, [(name or _clean(place.key), text) for name, text in fields]
            )
        elif isinstance(value, Members):
            yield from self._of_object(place, value, level)
        else:
            yield from self._of_array(place, cast("list[Any]", value), level)

    def _unit(self, place: Place, fields: list[tuple[str, str]]) -> Iterator[Unit]:
        kept = [(name, text) for name, text in fields if text]
        if kept:
            yield Unit(place, kept)

    def _of_object(self, place: Place, members: Members, level: int) -> Iterator[Unit]:
        """The short members and the texts together, then each large array or object."""
        fields: list[tuple[str, str]] = []
        large: list[tuple[str, Any]] = []
        name = ""
        for key, value in members:
            flat = self._flat(key, value, place, level + 1)
            if flat is None and isinstance(value, list):
                large.append((key, value))
            else:
                fields += flat or [(_clean(key), self._text(value, place.member(key)))]
                name = name or _naming(value, True)
        yield from self._unit(place, fields)
        for key, value in large:
            yield from self.of(place.member(key, name), value, level + 1)

    def _of_array(self, place: Place, items: list[Any], level: int) -> Iterator[Unit]:
        texts = [self._text(item, place) for item in items if not isinstance(item, list)]
        if len(texts) == len(items) and not any(" " in text for text in texts):
            yield from self._unit(place, [(_clean(place.key), ", ".join(filter(None, texts)))])
            return
        for index, item in enumerate(items):
            yield from self.of(place.item(index), item, level + 1)

    def _flat(
        self, name: str, value: Any, place: Place, level: int
    ) -> list[tuple[str, str]] | None:
        """The names and texts of a value that fits in a passage; None if it does not."""
        fields: list[tuple[str, str]] = []
        words = 0
        for field in self._walk(_clean(name), value, place, level):
            words += weight(field[0]) + weight(field[1])
            if words > self._most:
                return None
            fields.append(field)
        return fields

    def _walk(self, name: str, value: Any, place: Place, level: int) -> Iterator[tuple[str, str]]:
        if not isinstance(value, list):
            yield name, self._text(value, place, name)
        elif level > _MOST_LEVELS:
            self.deep = self.deep or place.path
        elif isinstance(value, Members):
            for key, inside in value:
                below = f"{name}.{_clean(key)}" if name else _clean(key)
                yield from self._walk(below, inside, place, level + 1)
        else:
            items = cast("list[Any]", value)
            if any(isinstance(item, list) for item in items):
                for item in items:
                    yield from self._walk(name, item, place, level + 1)
            else:
                texts = [self._text(item, place, name) for item in items]
                yield name, ", ".join(filter(None, texts))

    def _text(self, value: Any, place: Place, name: str = "") -> str:
        """The text of a value without members; empty for `null` and for bytes."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        text = cast("str", value)
        if len(text) >= 1000 and _BASE64.fullmatch(text):
            self.binary = self.binary or ".".join(filter(None, [place.path, name]))
            return ""
        return _clean(text)


def _naming(value: Any, is_direct: bool) -> str:
    """A value as the name of the object around it; empty if it cannot be one."""
    is_name = is_direct and isinstance(value, str) and any(map(str.isalpha, value))
    return _clean(value) if is_name and weight(value) <= _NAME_WORDS else ""


def _clean(text: str) -> str:
    return text if text.isprintable() else printable(text)
