"""The files in a `winmail.dat` (TNEF), in which Outlook packs what other programs cannot show.

The format is a list of attributes ([MS-OXTNEF]); those of a file come after each other. The text
and the attachments are read, no other properties.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_SIGNATURE = 0x223E9F78
_BODY = 0x800C
_FILE_DATA = 0x800F
_FILE_TITLE = 0x8010
_FILE_START = 0x9002
_MESSAGE_PROPERTIES = 0x9003
_FILE_PROPERTIES = 0x9005
_CODE_PAGE = 0x9007

_LONG_NAME, _DATA_OBJECT = 0x3707, 0x3701
_PLAIN_BODY, _HTML_BODY, _RTF_BODY = 0x1000, 0x1013, 0x1009
_SIZES = {0x02: 2, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 2, 0x14: 8, 0x40: 8}
_STRING8, _UNICODE, _OBJECT, _BINARY, _GUID = 0x1E, 0x1F, 0x0D, 0x102, 0x48
_MULTIPLE = 0x1000
_NAMED = 0x8000
_MESSAGE_ID = bytes.fromhex("0703020000000000c000000000000046")  # IID_IMessage


@dataclass
class PackedFile:
    """A file in a `winmail.dat`.

    Attributes:
        name: Its name.
        data: Its bytes; of a message, another TNEF.
        is_message: Whether it is a message.
    """

    name: str = ""
    data: bytes = b""
    is_message: bool = False


@dataclass
class Unpacked:
    """The content of a `winmail.dat`.

    Attributes:
        text: Plain text of the message.
        html: Its HTML.
        rtf: Its compressed RTF.
        files: Its attachments.
        is_damaged: Whether it ends too early or is not TNEF.
    """

    text: str
    html: bytes
    rtf: bytes
    files: list[PackedFile]
    is_damaged: bool


def unpacked(data: bytes) -> Unpacked:
    """Read a `winmail.dat`. What comes before damage is kept."""
    found = Unpacked("", b"", b"", [], is_damaged=False)
    charset = "cp1252"
    try:
        for attribute, value in _attributes(data):
            match attribute:
                case n if n == _CODE_PAGE and len(value) >= 4:
                    charset = f"cp{struct.unpack_from('<I', value)[0]}"
                case n if n == _BODY:
                    found.text = _text8(value, charset)
                case n if n == _FILE_START:
                    found.files.append(PackedFile())
                case n if n == _FILE_TITLE and found.files:
                    found.files[-1].name = found.files[-1].name or _text8(value, charset)
                case n if n == _FILE_DATA and found.files:
                    found.files[-1].data = found.files[-1].data or value
                case n if n == _FILE_PROPERTIES and found.files:
                    _add_file_properties(found.files[-1], value, charset)
                case n if n == _MESSAGE_PROPERTIES:
                    _add_body(found, value, charset)
                case _:
                    pass
    except (struct.error, ValueError, IndexError):
        found.is_damaged = True
    return found


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    if len(data) < 6 or struct.unpack_from("<I", data)[0] != _SIGNATURE:
        raise ValueError("no TNEF")
    at = 6
    while at + 9 <= len(data):
        _, attribute, _, size = struct.unpack_from("<BHHI", data, at)
        value = data[at + 9 : at + 9 + size]
        if len(value) < size:
            raise ValueError("cut")
        yield attribute, value
        at += 9 + size + 2  # a checksum follows


def _add_file_properties(file: PackedFile, value: bytes, charset: str) -> None:
    for number, kind, held in _properties(value):
        if number == _LONG_NAME:
            file.name = _text(kind, held, charset) or file.name
        elif number == _DATA_OBJECT and held:
            # An object begins with the identifier of its interface.
            file.is_message = kind == _OBJECT and held.startswith(_MESSAGE_ID)
            file.data = held[16:] if kind == _OBJECT else held


def _add_body(found: Unpacked, value: bytes, charset: str) -> None:
    for number, kind, held in _properties(value):
        if number == _PLAIN_BODY:
            found.text = found.text or _text(kind, held, charset)
        elif number == _HTML_BODY:
            found.html = held
        elif number == _RTF_BODY:
            found.rtf = held


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, type and value of MAPI properties; of several values the first."""
    (count,) = struct.unpack_from("<I", data)
    at = 4
    for _ in range(min(count, len(data) // 4)):
        kind, number = struct.unpack_from("<HH", data, at)
        at += 4
        if number >= _NAMED:
            at = _after_name(data, at)
        is_multiple, kind = bool(kind & _MULTIPLE), kind & ~_MULTIPLE
        values = 1
        if is_multiple or kind in (_STRING8, _UNICODE, _OBJECT, _BINARY):
            (values,) = struct.unpack_from("<I", data, at)
            at += 4
        first = b""
        for index in range(min(values, len(data))):
            held, at = _value(data, at, kind)
            first = held if index == 0 else first
        yield number, kind, first


def _after_name(data: bytes, at: int) -> int:
    is_text, size = struct.unpack_from("<II", data, at + 16)
    return at + 24 + (_padded(size) if is_text else 0)


def _value(data: bytes, at: int, kind: int) -> tuple[bytes, int]:
    if kind in (_STRING8, _UNICODE, _OBJECT, _BINARY):
        (size,) = struct.unpack_from("<I", data, at)
        held = data[at + 4 : at + 4 + size]
        if len(held) < size:
            raise ValueError("cut")
        return held, at + 4 + _padded(size)
    size = 16 if kind == _GUID else _SIZES[kind] if kind in _SIZES else _unknown(kind)
    if at + size > len(data):
        raise ValueError("cut")
    return data[at : at + size], at + _padded(size)


def _unknown(kind: int) -> int:
    raise ValueError(f"unknown type {kind}")


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4


def _text(kind: int, value: bytes, charset: str) -> str:
    if kind == _UNICODE:
        return value.decode("utf-16-le", "replace").rstrip("\0")
    return _text8(value, charset)


def _text8(value: bytes, charset: str) -> str:
    held = value.rstrip(b"\0")
    try:
        return held.decode(charset, "replace")
    except LookupError:
        return held.decode("cp1252", "replace")
