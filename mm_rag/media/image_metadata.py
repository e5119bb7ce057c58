"""Captions, date and camera in the metadata of a picture.

Coordinates are not read, because those of a photo are often somebody's home.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree as SafeXML
from defusedxml.common import DefusedXmlException
from PIL import Image, ImageFile, IptcImagePlugin

from mm_rag._printing import one_line

_MOST_LETTERS = 10_000  # of all captions together
_MOST_XMP = 2 * 1024**2  # bytes; a long edit history has a tenth of it
_EXIF_PART = 0x8769
_DESCRIPTION, _MAKE, _MODEL = 0x010E, 0x010F, 0x0110
_USER_COMMENT, _TAKEN, _SCANNED = 0x9286, 0x9003, 0x9004
_WINDOWS = (0x9C9B, 0x9C9F, 0x9C9C, 0x9C9E)  # XPTitle, XPSubject, XPComment, XPKeywords
_PNG_TEXTS = ("Title", "Description", "Comment")
_IPTC_CHARSET = (1, 90)
_IPTC_TEXTS = ((2, 5), (2, 105), (2, 120), (2, 25))  # title, headline, caption, keywords
_IPTC_UTF8 = b"\x1b%G"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_LIST_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
_XMP_TEXTS = (
    "{http://purl.org/dc/elements/1.1/}title",
    "{http://ns.adobe.com/photoshop/1.0/}Headline",
    "{http://purl.org/dc/elements/1.1/}description",
    "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}AltTextAccessibility",
    "{http://purl.org/dc/elements/1.1/}subject",
)
_DATE = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")

_Exif: TypeAlias = Image.Exif


@dataclass(frozen=True, kw_only=True)
class ImageMetadata:
    """The metadata of a picture.

    Attributes:
        text: Titles, captions and keywords from EXIF, XMP, IPTC and PNG, each once, one a line.
        taken: Time when the photo was taken or scanned, by the camera's clock:
            `2024-05-01T12:30:00`; empty if it is not known.
        camera: Maker and model of the camera; empty if they are not known.
    """

    text: str = ""
    taken: str = ""
    camera: str = ""


def describe(picture: Image.Image) -> ImageMetadata:
    """Read the metadata of an opened picture. Damaged fields are left out."""
    exif = picture.getexif()
    part = exif.get_ifd(_EXIF_PART)
    return ImageMetadata(
        text=_distinct(map(_plain, _texts(picture, exif, part))),
        taken=_date(part.get(_TAKEN)) or _date(part.get(_SCANNED)),
        camera=_camera(exif),
    )


def _distinct(lines: Iterable[str]) -> str:
    """Lines that are not contained in earlier ones, up to 10,000 letters."""
    text = ""
    for line in lines:
        # Programs write one caption into several fields, and truncate it in some of them.
        if line and line not in text:
            text = f"{text}\n{line}" if text else line
        if len(text) >= _MOST_LETTERS:
            break
    return text[:_MOST_LETTERS]


def _texts(picture: Image.Image, exif: _Exif, part: dict[int, Any]) -> Iterator[str]:
    yield from _of_xmp(picture.info.get("xmp"))
    yield from _of_iptc(picture)
    yield _latin(exif.get(_DESCRIPTION))
    yield from (_utf_16(exif.get(tag)) for tag in _WINDOWS)
    yield _user_comment(part.get(_USER_COMMENT), exif)
    yield from (str(picture.info.get(key) or "") for key in _PNG_TEXTS)


def _of_xmp(packet: Any) -> Iterator[str]:
    if isinstance(packet, str):
        packet = packet.encode()
    if not isinstance(packet, bytes) or len(packet) > _MOST_XMP:
        return
    try:
        tree: Element = SafeXML.fromstring(packet.strip(b"\0 \r\n\t"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return
    for name in _XMP_TEXTS:
        for element in _outermost(tree, name):
            yield element.get(name, "")
            if element.tag == name:
                yield from _values(element)


def _outermost(tree: Element, name: str) -> Iterator[Element]:
    """All elements except those within an element of this name."""
    waiting = [tree]
    while waiting:
        element = waiting.pop()
        yield element
        if element.tag != name:
            waiting.extend(reversed(element))


def _values(element: Element) -> Iterator[str]:
    """A plain value, all items of a list, or the default translation."""
    items = element.findall(f".//{_LIST_ITEM}")
    translated = [item for item in items if item.get(_LANGUAGE)]
    default = [item for item in translated if item.get(_LANGUAGE) == "x-default"]
    chosen = default or translated[:1] or items
    if not items:
        yield element.text or ""
    elif translated:
        yield from (item.text or "" for item in chosen)
    else:
        yield ", ".join(filter(None, (_plain(item.text or "") for item in chosen)))


def _of_iptc(picture: Image.Image) -> Iterator[str]:
    records: dict[tuple[int, int], Any] = (
        IptcImagePlugin.getiptcinfo(cast("ImageFile.ImageFile", picture)) or {}
    )
    charset = "utf-8" if records.get(_IPTC_CHARSET) == _IPTC_UTF8 else None
    for key in _IPTC_TEXTS:
        value = records.get(key, b"")
        values: list[Any] = value if isinstance(value, list) else [value]
        yield ", ".join(_decoded(v, charset) for v in values if isinstance(v, bytes))


def _user_comment(value: Any, exif: _Exif) -> str:
    """The text of EXIF's UserComment, whose first 8 bytes name the encoding."""
    if not isinstance(value, bytes):
        return value if isinstance(value, str) else ""
    charset, text = value[:8], value[8:]
    if charset == b"UNICODE\0":
        return text.decode(_byte_order(text, exif), "ignore")
    if charset == b"JIS\0\0\0\0\0":
        return text.decode("iso2022_jp", "ignore")
    known = charset in (b"ASCII\0\0\0", bytes(8))
    return _decoded(text if known else value)


def _byte_order(text: bytes, exif: _Exif) -> str:
    """The byte order of UTF-16, which is that of the file in half of the programs only."""
    first, second = text[0::2].count(0), text[1::2].count(0)
    if first == second:
        return "utf-16-be" if exif.endian == ">" else "utf-16-le"
    return "utf-16-be" if first > second else "utf-16-le"


def _latin(value: Any) -> str:
    """A text of EXIF: Pillow decodes it as Latin-1, but most programs write UTF-8."""
    if not isinstance(value, str):
        return _decoded(value) if isinstance(value, bytes) else ""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _utf_16(value: Any) -> str:
    return value.decode("utf-16-le", "ignore") if isinstance(value, bytes) else ""


def _decoded(value: bytes, charset: str | None = None) -> str:
    try:
        return value.decode(charset or "utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def _plain(text: str) -> str:
    """The text on one line, without unprintable characters."""
    return " ".join(one_line(text[:_MOST_LETTERS], " ").split())


def _date(value: Any) -> str:
    match = _DATE.match(value) if isinstance(value, str) else None
    if match is None or match[1] == "0000":
        return ""
    year, month, day, hour, minute, second = match.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}"


def _camera(exif: _Exif) -> str:
    maker, model = (_plain(_latin(exif.get(tag)))[:100] for tag in (_MAKE, _MODEL))
    # "Canon" makes the "Canon EOS 5D", "NIKON CORPORATION" the "NIKON D90".
    repeats = maker.split(" ")[0].casefold() == model.split(" ")[0].casefold()
    return _joined([model] if repeats else [maker, model])


def _joined(words: Iterable[str]) -> str:
    return " ".join(filter(None, words))
