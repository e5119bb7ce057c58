"""Detect the type of a file from its content; its name only decides where the content does not."""

from __future__ import annotations

import codecs
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import filetype  # pyright: ignore[reportMissingTypeStubs]

from mm_rag.content import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from mm_rag.media.access import FileSource, opened
from mm_rag.media.containers import (
    ARCHIVE_SUFFIXES,
    PROGRAM_PACKAGE,
    is_message,
    is_program_package,
)
from mm_rag.media.formats import (
    OFFICE_FORMATS,
    PACKAGE_FORMATS,
    TEXT_FORMATS,
    Format,
    MediaKind,
    by_mime,
    by_suffix,
)
from mm_rag.media.plain_text import is_plain_text, is_text_in_spite_of
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

_ONLY_AUDIO_SUFFIXES = frozenset([".m4a", ".m4b", ".mka", ".weba", ".wma"]) | AUDIO_SUFFIXES

# Suffixes of picture formats without a signature.
_IMAGE_SUFFIXES = frozenset([".heif", ".icb", ".spi", ".tga", ".vda", ".vst"]) | IMAGE_SUFFIXES
# Signatures of formats that Pillow reads and `filetype` does not know.
_PICTURES = {
    b"qoif": "image/qoi",
    b"icns": "image/icns",
    b"DDS ": "image/vnd.ms-dds",
    b"BLP1": "image/x-blp",
    b"BLP2": "image/x-blp",
    b"DanM": "image/x-msp",
    b"LinS": "image/x-msp",
    b"/* XPM */": "image/x-xpixmap",
    b"\x59\xa6\x6a\x95": "image/x-cmu-raster",
    b"\xb1\x68\xde\x3a": "image/x-dcx",
    b"\xff\x4f\xff\x51": "image/jp2",
    b"\x00\x00\x02\x00": "image/x-icon",  # a cursor, or else a TGA
    b"\x01\xda\x00": "image/sgi",
    b"\x01\xda\x01": "image/sgi",
    b"\x0a\x05\x01": "image/x-pcx",
    b"Image type:": "image/x-im",
}
_XBM = re.compile(rb"\s*(/\*.*?\*/\s*)?#define\s+\w+_width\s+\d", re.DOTALL)
# A text of such a name is not the medium, and its words are not what the name promises. But many
# texts, pages and tables are named .doc or .xls, and keys are texts.
_NOT_TEXT = (
    frozenset([".pdf", *by_suffix(OFFICE_FORMATS), *by_suffix(PACKAGE_FORMATS)])
    | _IMAGE_SUFFIXES
    | _ONLY_AUDIO_SUFFIXES
    | VIDEO_SUFFIXES
) - {".doc", ".key", ".msg", ".xls"}
_HEAD_BYTES = 65_536
_MOOV_BYTES = 8 * 1024**2
# An MPEG audio frame: sync, type and layer, without the invalid bit rate 15 and sampling rate 3.
_MP3_FRAME = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xe3\xe8-\xeb]", re.DOTALL)
_PNM = re.compile(rb"P[1-7]\s+(#[^\n]*\n\s*)*\d+\s+\d+\s")
_BY_MIME = by_mime((*OFFICE_FORMATS, *PACKAGE_FORMATS))
_PACKAGES_BY_MIME = by_mime(PACKAGE_FORMATS)
_TEXT_BY_SUFFIX = by_suffix(TEXT_FORMATS)
_TEXT_BY_MIME = by_mime(TEXT_FORMATS)
_PLAIN_TEXT = _TEXT_BY_MIME["text/plain"]
# Beginnings of texts whose suffix says nothing.
_TEXT_BEGINNINGS: Mapping[str, re.Pattern[bytes]] = {
    "text/html": re.compile(
        rb"\s*(<!--.*?-->\s*)*(<!doctype html|<html)", re.IGNORECASE | re.DOTALL
    ),
    "image/svg+xml": re.compile(
        rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!doctype[^>]*>\s*)*<svg\b",
        re.DOTALL | re.IGNORECASE,
    ),
    "text/xml": re.compile(rb"\s*<\?xml\b"),
    "text/vtt": re.compile(rb"WEBVTT\b|\s*1\r?\n\d\d:\d\d:\d\d,\d{3} --> "),
    "text/calendar": re.compile(rb"BEGIN:(VCARD|VCALENDAR)\b", re.IGNORECASE),
    "text/x-source": re.compile(rb"#!\s*/"),
}
LOCKED_OFFICE = "application/x-locked-office"
"""Type of an encrypted office file; which kind it is, is mostly encrypted too."""

OFFICE_SUFFIXES = frozenset(by_suffix(OFFICE_FORMATS))
_OPENXML = "application/vnd.openxmlformats-officedocument."
_OPENDOCUMENT = "application/vnd.oasis.opendocument."
# An OpenDocument file that is not in a ZIP (FODS).
_FLAT_SPREADSHEET = re.compile(
    rb"<office:document\b[^>]*office:mimetype=\"application/vnd\.oasis\.opendocument\.spreadsheet"
)
# Content types of main parts, including templates, slide shows and files with macros.
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
    "__properties_version1.0": "application/vnd.ms-outlook",
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

# Brands of pictures and sequences coded with HEVC. AVIF has the same container and is in Pillow.
_HEVC = frozenset([b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"])
_ANY_CODEC = frozenset([b"mif1", b"msf1"])
_AVIF = frozenset([b"avif", b"avis"])


@dataclass(frozen=True)
class FileType:
    """The type of a file.

    Attributes:
        kind: The kind as which mm_rag reads it; None if it does not.
        mime: MIME type; `application/octet-stream` if it is unknown.
        name: In words, with its article: "a PDF", "plain text".
        certain: False if only the file name says so.
    """

    kind: MediaKind | None
    mime: str
    name: str
    certain: bool = True


def media_kind(path: FileSource, policy: MediaPolicy = DEFAULT_POLICY) -> MediaKind | None:
    """The kind as which mm_rag reads a file; None if it does not read it.

    Raises:
        SourceForbidden: The policy does not allow opening it.
        UnreadableMedia: The file cannot be opened.
    """
    return file_type(path, policy).kind


def file_type(path: FileSource, policy: MediaPolicy = DEFAULT_POLICY) -> FileType:
    """Detect the type of a file from its first bytes.

    Raises:
        SourceForbidden: The policy does not allow opening it.
        UnreadableMedia: The file cannot be opened.
    """
    with opened(path, policy) as file, file.reader() as reader:
        return _type_of(reader, file.path.suffix.lower())


def bytes_type(data: bytes, suffix: str = "") -> FileType:
    """Detect the type of the bytes of a file.

    Args:
        data: All bytes.
        suffix: Suffix of the file's name, such as `".wma"`; empty if it is unknown.
    """
    return _type_of(io.BytesIO(data), suffix.lower())


def _type_of(file: BinaryIO, suffix: str) -> FileType:
    head = file.read(_HEAD_BYTES)
    found = _by_signature(head, file, suffix)
    # A message is a text: its headers tell.
    if found and found.kind != "email" and suffix not in _NOT_TEXT:
        is_named_so = suffix in _TEXT_BY_SUFFIX
        if is_text_in_spite_of(found.mime, head, file, is_named_so=is_named_so):
            found = None
    return found or _by_text(head, suffix) or _by_suffix(suffix)


def _by_signature(head: bytes, file: BinaryIO, suffix: str) -> FileType | None:
    if is_message(head, suffix):
        return FileType("email", "message/rfc822", "an email")
    # PDF readers look for the header in the first 1024 bytes, where an archive may have a member.
    is_archive = head.startswith(_ZIP) or head[257:262] == b"ustar"
    if b"%PDF-" in head[:1024] and not is_archive:
        return FileType("pdf", "application/pdf", "a PDF")
    if office := office_type(head, file, suffix):
        return office
    guessed = filetype.guess(head)
    mime = str(guessed.mime) if guessed else _by_own_signature(head)
    if mime is None:
        return None
    match mime.split("/")[0]:
        case "image" if mime != "image/vnd.dwg":
            return FileType("image", mime, "a picture")
        case "audio" | "video":
            return _recording(mime, head, file, suffix)
        case _:
            # `filetype` takes a ZIP for an office file because of its first member's name.
            mime = _package_mime(file, suffix) if head.startswith(_ZIP) else mime
            # `filetype` takes every compound file for a workbook.
            known = _PACKAGES_BY_MIME.get(mime)
            if known is None:
                is_package = mime == PROGRAM_PACKAGE
                name = "a package of a program" if is_package else f"a file of type {mime}"
                return FileType(None, mime, name)
            return FileType(known.kind, mime, known.name)


def _by_own_signature(head: bytes) -> str | None:
    """MIME type of formats that `filetype` does not know."""
    if is_heif(head):
        return "image/heic"
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "video/mp2t"
    if head.startswith(b".snd"):
        return "audio/basic"
    if head.startswith(b"caff"):
        return "audio/x-caf"
    if _MP3_FRAME.match(head):
        return "audio/mpeg"
    if _PNM.match(head[:512]):
        return "image/x-portable-anymap"
    if _XBM.match(head[:512]):
        return "image/x-xbitmap"
    return next((mime for start, mime in _PICTURES.items() if head.startswith(start)), None)


def _recording(mime: str, head: bytes, file: BinaryIO, suffix: str) -> FileType:
    """The type of a recording or video: containers may hold sound, pictures or both."""
    if head[4:8] == b"ftyp" or mime in ("video/x-matroska", "video/webm", "audio/ogg"):
        subtype = mime.split("/")[1]
        kind = "video" if _shows_pictures(mime, head, file, suffix) else "audio"
        return FileType(kind, f"{kind}/{subtype}", _recording_name(kind))
    kind = "audio" if mime.startswith("audio/") or suffix == ".wma" else "video"
    return FileType(kind, mime, _recording_name(kind))


def _recording_name(kind: str) -> str:
    return "a recording" if kind == "audio" else "a video"


def _shows_pictures(mime: str, head: bytes, file: BinaryIO, suffix: str) -> bool:
    if suffix in _ONLY_AUDIO_SUFFIXES:
        return False
    if head[4:8] == b"ftyp":
        handlers = set(re.findall(rb"hdlr.{8}(vide|soun)", _moov(file), re.DOTALL))
        return handlers != {b"soun"}
    if mime == "audio/ogg":
        return re.search(rb"\x80theora|OVP80|\x01video|BBCD\0", head) is not None
    return re.search(rb"A_[A-Z]", head) is None or re.search(rb"V_[A-Z]", head) is not None


def _moov(file: BinaryIO) -> bytes:
    """The start of an MP4's index, wherever in the file it is; empty if there is none."""
    for name, offset, size in _boxes(file):
        if name == b"moov":
            file.seek(offset)
            return file.read(min(size, _MOOV_BYTES))
    return b""


def _boxes(file: BinaryIO, most: int = 1000) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and size, in bytes, of an MP4's top-level boxes."""
    offset, end = 0, file.seek(0, io.SEEK_END)
    for _ in range(most):
        if offset >= end:
            return
        file.seek(offset)
        header = file.read(16)
        if len(header) < 8:
            return
        size = int.from_bytes(header[:4], "big")
        size = {0: end - offset, 1: int.from_bytes(header[8:], "big")}.get(size, size)
        if size < 8:
            return
        yield header[4:8], offset, size
        offset += size


def _by_text(head: bytes, suffix: str) -> FileType | None:
    if not head or not is_plain_text(head):
        return None
    if _FLAT_SPREADSHEET.search(head[:4096]):
        known = _BY_MIME[_OPENDOCUMENT + "spreadsheet"]
        return FileType(known.kind, known.mime, known.name)
    found = _TEXT_BY_SUFFIX.get(suffix) or _by_beginning(head) or _PLAIN_TEXT
    if suffix == ".xls" and found == _PLAIN_TEXT and b"\t" in head.split(b"\n")[0]:
        found = _TEXT_BY_MIME["text/csv"]
    if suffix in _NOT_TEXT:
        return FileType(None, "text/plain", "plain text")
    return FileType(found.kind, found.mime, found.name)


def _by_beginning(head: bytes) -> Format | None:
    start = head.removeprefix(codecs.BOM_UTF8)[:2048]
    found = (mime for mime, begins in _TEXT_BEGINNINGS.items() if begins.match(start))
    return next((_TEXT_BY_MIME[mime] for mime in found), None)


def _by_suffix(suffix: str) -> FileType:
    """The type by suffix, for content without a signature. Its reader will report the error."""
    if suffix in OFFICE_SUFFIXES:
        kind = by_suffix(OFFICE_FORMATS)[suffix].kind
        return FileType(kind, "application/octet-stream", "damaged or unknown", certain=False)
    kinds: dict[MediaKind, frozenset[str]] = {
        "archive": ARCHIVE_SUFFIXES,
        "pdf": frozenset([".pdf"]),
        "image": _IMAGE_SUFFIXES,
        "audio": _ONLY_AUDIO_SUFFIXES,
        "video": VIDEO_SUFFIXES,
    }
    for kind, suffixes in kinds.items():
        if suffix in suffixes:
            return FileType(kind, "application/octet-stream", "damaged or unknown", certain=False)
    return FileType(None, "application/octet-stream", "of an unknown kind")


def office_type(head: bytes, file: BinaryIO, suffix: str) -> FileType | None:
    """The type of an office file or Outlook message; None for any other file.

    Args:
        head: Its first bytes.
        file: The opened file; its position afterwards is undefined.
        suffix: Suffix of its name, in lower case.
    """
    mime = None
    if head.startswith(_ZIP):
        try:
            mime = _in_zip(file)
        except _DAMAGE:
            if suffix not in OFFICE_SUFFIXES:
                return None
            kind = by_suffix(OFFICE_FORMATS)[suffix].kind
            return FileType(kind, "application/octet-stream", "a damaged office file")
    elif head.startswith(_OLE):
        mime = _in_ole(file)
    elif head.startswith(_RTF):
        mime = "application/rtf"
    if mime == LOCKED_OFFICE:
        kind = by_suffix(OFFICE_FORMATS)[suffix].kind if suffix in OFFICE_SUFFIXES else "office"
        return FileType(kind, mime, "a locked office file")
    known = _BY_MIME.get(mime or "")
    return FileType(known.kind, known.mime, known.name) if known else None


def office_suffix(mime: str) -> str | None:
    """The usual suffix of an office format, such as ".docx"."""
    known = by_mime(OFFICE_FORMATS).get(mime)
    return known.suffixes[0] if known else None


def _package_mime(file: BinaryIO, suffix: str) -> str:
    """MIME type of a ZIP that is not an office file."""
    try:
        with zipfile.ZipFile(file) as archive:
            mime = _start_of(archive, "mimetype").decode("latin-1").strip()
            is_package = bool(mime) or is_program_package(archive.namelist(), suffix)
    except _DAMAGE:
        return "application/zip"
    if mime in _PACKAGES_BY_MIME:
        return mime
    named = by_suffix(PACKAGE_FORMATS).get(suffix)
    if named and named.kind == "iwork":
        return named.mime
    return PROGRAM_PACKAGE if is_package else "application/zip"


def unpacked_bytes(file: BinaryIO) -> int:
    """Unpacked size of a ZIP according to its index; the file size for other files."""
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
    if mime not in _BY_MIME or not mime.startswith(_OPENDOCUMENT):
        return None
    is_locked = b"encryption-data" in _start_of(archive, "META-INF/manifest.xml")
    return LOCKED_OFFICE if is_locked else mime


def _start_of(archive: zipfile.ZipFile, name: str) -> bytes:
    if name not in archive.namelist():
        return b""
    with archive.open(name) as member:
        return member.read(_MOST_INDEX_BYTES)


def _in_ole(file: BinaryIO) -> str | None:
    names = {name.lower() for name in _ole_names(file)}  # their case does not matter
    return next((mime for name, mime in _STREAMS.items() if name.lower() in names), None)


def _ole_names(file: BinaryIO) -> Iterator[str]:
    """The names of the streams of an OLE compound file."""
    file.seek(0)
    header = file.read(512)
    # 512 or 4096 bytes, unless the file is damaged.
    size = 1 << max(7, min(int.from_bytes(header[30:32], "little"), 20))
    for number in _ole_chain(file, header, size):
        sector = _ole_sector(file, number, size)
        for start in range(0, len(sector), 128):
            length = int.from_bytes(sector[start + 64 : start + 66], "little")
            name = sector[start : start + max(0, min(length, 64) - 2)]
            yield name.decode("utf-16-le", "replace")


def _ole_chain(file: BinaryIO, header: bytes, size: int) -> Iterator[int]:
    """Numbers of the sectors with the directory of a compound file."""
    number = int.from_bytes(header[48:52], "little")
    for _ in range(_MOST_SECTORS):
        if number >= 0xFFFFFFFA:  # end of the chain, and other markers
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


def is_heif(head: bytes) -> bool:
    """Whether a file that starts with these 64 or more bytes is a HEIC picture."""
    if head[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brand = head[8:12]
    compatible = {head[at : at + 4] for at in range(16, size - 3, 4)}
    if brand in _HEVC:
        return True
    return brand in _ANY_CODEC and not compatible & _AVIF
