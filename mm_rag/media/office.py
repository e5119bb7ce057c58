"""Which office format a file is in: ZIPs by what their index says, older ones by their streams."""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

_OPENXML = "application/vnd.openxmlformats-officedocument."
_OPENDOCUMENT = "application/vnd.oasis.opendocument."
_TYPES = {
    _OPENXML + "wordprocessingml.document": ("a Word document", ".docx"),
    _OPENXML + "presentationml.presentation": ("a PowerPoint presentation", ".pptx"),
    _OPENXML + "spreadsheetml.sheet": ("an Excel workbook", ".xlsx"),
    _OPENDOCUMENT + "text": ("an OpenDocument text", ".odt"),
    _OPENDOCUMENT + "presentation": ("an OpenDocument presentation", ".odp"),
    _OPENDOCUMENT + "spreadsheet": ("an OpenDocument spreadsheet", ".ods"),
    "application/msword": ("a Word document", ".doc"),
    "application/vnd.ms-powerpoint": ("a PowerPoint presentation", ".ppt"),
    "application/vnd.ms-excel": ("an Excel workbook", ".xls"),
    "application/rtf": ("an RTF document", ".rtf"),
}
LOCKED_OFFICE = "application/x-locked-office"
"""Of a file that is encrypted: what it is, is mostly locked too."""

OFFICE_SUFFIXES = frozenset(suffix for _, suffix in _TYPES.values())
# The content types of main parts, with their templates, shows and forms with macros.
_MAIN_PARTS = {
    rb"wordprocessingml\.(document|template)\.main|ms-word\.\w+\.macroEnabled": (
        _OPENXML + "wordprocessingml.document"
    ),
    rb"presentationml\.(presentation|slideshow|template)\.main|ms-powerpoint\.\w+\.macroEnabled": (
        _OPENXML + "presentationml.presentation"
    ),
    rb"spreadsheetml\.(sheet|template)\.main|ms-excel\.\w+\.(macroEnabled|binary)": (
        _OPENXML + "spreadsheetml.sheet"
    ),
}
_STREAMS = {
    "EncryptedPackage": LOCKED_OFFICE,
    "EncryptedSummary": LOCKED_OFFICE,
    "WordDocument": "application/msword",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
}
_ZIP, _OLE, _RTF = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", rb"{\rtf"
_DAMAGE = (
    *(EOFError, NotImplementedError, OSError, RuntimeError, ValueError),
    *(lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error),
)
_MOST_INDEX_BYTES = 1024**2
_MOST_SECTORS = 1000


def office_type(head: bytes, file: BinaryIO, suffix: str) -> tuple[str, str] | None:
    """MIME type and name of an office file; None for any other file.

    Args:
        head: Its first bytes.
        file: The opened file, which is left at any place.
        suffix: Of its name, in small letters.
    """
    mime = None
    if head.startswith(_ZIP):
        try:
            mime = _in_zip(file)
        except _DAMAGE:
            is_named_so = suffix in OFFICE_SUFFIXES
            return ("application/octet-stream", "a damaged office file") if is_named_so else None
    elif head.startswith(_OLE):
        mime = _in_ole(file)
    elif head.startswith(_RTF):
        mime = "application/rtf"
    if mime == LOCKED_OFFICE:
        return mime, "a locked office file"
    return (mime, _TYPES[mime][0]) if mime else None


def office_suffix(mime: str) -> str | None:
    """How files of an office format are usually named: ".docx"."""
    return _TYPES[mime][1] if mime in _TYPES else None


def unpacked_bytes(file: BinaryIO) -> int:
    """What a ZIP's index says that its members come to; the file's size where it is none."""
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(member.file_size for member in archive.infolist())
    except _DAMAGE:
        return file.seek(0, io.SEEK_END)


def _in_zip(file: BinaryIO) -> str | None:
    with zipfile.ZipFile(file) as archive:
        types = _start_of(archive, "[Content_Types].xml")
        found = (mime for part, mime in _MAIN_PARTS.items() if re.search(part, types))
        return next(found, None) or _open_document(archive)


def _open_document(archive: zipfile.ZipFile) -> str | None:
    mime = _start_of(archive, "mimetype").decode("latin-1").strip().removesuffix("-template")
    if mime not in _TYPES:
        return None
    is_locked = b"encryption-data" in _start_of(archive, "META-INF/manifest.xml")
    return LOCKED_OFFICE if is_locked else mime


def _start_of(archive: zipfile.ZipFile, name: str) -> bytes:
    if name not in archive.namelist():
        return b""
    with archive.open(name) as member:
        return member.read(_MOST_INDEX_BYTES)


def _in_ole(file: BinaryIO) -> str | None:
    names = set(_ole_names(file))
    return next((mime for name, mime in _STREAMS.items() if name in names), None)


def _ole_names(file: BinaryIO) -> Iterator[str]:
    """The names of a compound file's streams."""
    file.seek(0)
    header = file.read(512)
    size = 1 << min(int.from_bytes(header[30:32], "little"), 20)
    for number in _ole_chain(file, header, size):
        sector = _ole_sector(file, number, size)
        for start in range(0, len(sector), 128):
            length = int.from_bytes(sector[start + 64 : start + 66], "little")
            name = sector[start : start + max(0, min(length, 64) - 2)]
            yield name.decode("utf-16-le", "replace")


def _ole_chain(file: BinaryIO, header: bytes, size: int) -> Iterator[int]:
    """Numbers of the sectors that a compound file's directory is in."""
    number = int.from_bytes(header[48:52], "little")
    for _ in range(_MOST_SECTORS):
        if number >= 0xFFFFFFFA:  # the end of the chain, and other marks
            return
        yield number
        index, place = divmod(number, size // 4)
        table = int.from_bytes(header[76 + 4 * index : 80 + 4 * index] or b"\xff" * 4, "little")
        entry = _ole_sector(file, table, size)[4 * place : 4 * place + 4]
        number = int.from_bytes(entry, "little") if len(entry) == 4 else 0xFFFFFFFE


def _ole_sector(file: BinaryIO, number: int, size: int) -> bytes:
    place = (number + 1) * size
    if place >= file.seek(0, io.SEEK_END):
        return b""
    file.seek(place)
    return file.read(size)
