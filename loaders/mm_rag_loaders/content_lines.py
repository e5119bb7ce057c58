"""Read the content lines of vCard and iCalendar: `TEL;TYPE=work:+44 ...`, in components.

The libraries for these formats refuse what many programs write: vCard 2.1 with quoted-printable,
lines that are folded wrongly, components that do not end.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mm_rag.media.text_encoding import decoded
from mm_rag_loaders.line_passages import Line
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.text_loader import readable

_START = re.compile(r"(?:([\w-]{1,64})\.)?([A-Za-z][\w-]{0,64})(?=[;:])")
_PARAMETER = re.compile(
    r";([\w-]{1,64})(?:=((?:\"[^\"]*\"|[^;:\",]*)(?:,(?:\"[^\"]*\"|[^;:\",]*))*))?"
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MOST_LETTERS = 200_000  # of one value
_DEEPEST = 8  # components in components
_BINARY = frozenset(["PHOTO", "LOGO", "SOUND", "KEY", "ATTACH"])


@dataclass(frozen=True)
class Property:
    """One line.

    Attributes:
        name: In upper case.
        value: As written, without the encoding of the line, but with escapes.
        parameters: Values by the names of parameters, both in upper case, names without a value
            as `TYPE`.
        zone: Name of the time zone; empty without one.
        group: Name that ties it to others; empty without one.
        common_name: Name of the person that the value addresses; empty without one.
    """

    name: str
    value: str
    parameters: dict[str, list[str]]
    zone: str = ""
    group: str = ""
    common_name: str = ""

    @property
    def text(self) -> str:
        """The value, in which escaped characters are themselves."""
        return unescaped(self.value)

    @property
    def fields(self) -> list[str]:
        """The parts between semicolons."""
        return [unescaped(part) for part in re.split(r"(?<!\\);", self.value)]


@dataclass
class Component:
    """A contact, an event, or a calendar around them.

    Attributes:
        name: `VCARD`, `VEVENT`, ...
        properties: In the order of the file.
        inner: Components inside, such as reminders.
        attached: Number of pictures and files, which are left out.
    """

    name: str
    properties: list[Property] = field(default_factory=list[Property])
    inner: list[Component] = field(default_factory=list["Component"])
    attached: int = 0


def unescaped(value: str) -> str:
    """A value with line ends, commas and semicolons instead of their escapes."""
    return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value).strip()


def components(lines: Iterable[Line], file: SourceFile) -> Iterator[Component]:
    """Yield each component when it ends, those inside of a contact or event within it."""
    around: list[Component] = []
    for line in _unfolded(lines, file):
        name, _, value = line.partition(":")
        match name.upper():
            case "BEGIN" if len(around) < _DEEPEST:
                around.append(Component(value.strip().upper()))
            case "END":
                if any(each.name == value.strip().upper() for each in around):
                    while around and around[-1].name != value.strip().upper():
                        yield from _ended(around)
                    yield from _ended(around)
            case _ if around and (found := _property(line)):
                if found.name in _BINARY and not found.value.startswith(("http:", "https:")):
                    around[-1].attached += 1
                else:
                    around[-1].properties.append(found)
            case _:
                pass
    if around:
        file.note("damaged", f"it ends within a {around[-1].name}")
    while around:
        yield from _ended(around)


def _ended(around: list[Component]) -> Iterator[Component]:
    component = around.pop()
    if around and around[-1].name not in ("VCALENDAR", "VTIMEZONE"):
        around[-1].inner.append(component)
    else:
        yield component


def _unfolded(lines: Iterable[Line], file: SourceFile) -> Iterator[str]:
    """The content lines, each on one line; line ends stay where a line was folded wrongly."""
    held: list[str] = []
    letters, number, is_soft = 0, 0, False
    for line in lines:
        text = line.text
        goes_on = line.number == number or is_soft or text[:1] in (" ", "\t")
        number = line.number
        if not goes_on and _START.match(text):
            if held:
                yield "".join(held)
            held, letters = [text], len(text)
        elif held and text.strip():
            letters += len(text)
            if letters > _MOST_LETTERS:
                if not held[0].upper().startswith(tuple(_BINARY)):
                    what = f"only the first {_MOST_LETTERS:,} letters of a line were read"
                    file.note("limit", what)
                continue
            if is_soft:
                held[-1] = held[-1].removesuffix("=")
                held.append(text)
            else:
                held.append(text[1:] if text[:1] in (" ", "\t") else f"\n{text}")
        is_soft = bool(held) and text.endswith("=") and "QUOTED-PRINTABLE" in held[0].upper()
    if held:
        yield "".join(held)


def _property(line: str) -> Property | None:
    start = _START.match(line)
    if start is None:
        return None
    parameters: dict[str, list[str]] = {}
    zone = common_name = ""
    at = start.end()
    while parameter := _PARAMETER.match(line, at):
        at = parameter.end()
        name, given = parameter[1].upper(), parameter[2]
        if name == "TZID":
            zone = (given or "").strip('"')
        elif name == "CN":
            common_name = (given or "").strip('"')
        elif given is None:
            parameters.setdefault("TYPE", []).append(name)
        else:
            values = [value.strip('"').upper() for value in given.split(",")]
            parameters.setdefault(name, []).extend(values)
    colon = line.find(":", at)
    if colon < 0:
        return None
    value = line[colon + 1 :]
    encodings = parameters.get("ENCODING", []) + parameters.get("TYPE", [])
    if "QUOTED-PRINTABLE" in encodings:
        data = quopri.decodestring(value.encode())
        charset = parameters.get("CHARSET", [""])[0]
        value = readable(decoded(data, declared=charset).text).replace("\r\n", "\n")
    return Property(
        name=start[2].upper(),
        value=value,
        parameters=parameters,
        zone=zone,
        group=start[1] or "",
        common_name=common_name,
    )
