"""The files that are embedded in an office file: documents, workbooks, recordings, videos."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from mm_rag._optional import require
from mm_rag._printing import counted, one_line
from mm_rag.content import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from mm_rag.errors import UnreadableMedia
from mm_rag.media.access import opened
from mm_rag.media.kind import file_type, office_suffix
from mm_rag_loaders.loader import Member, SourceFile
from mm_rag_loaders.office.package import Package

_FOLDER = re.compile(r"(^|/)(embeddings|afchunks?)/", re.IGNORECASE)
_CHART = re.compile(r"(^|/)charts/chart[^/]*\.xml$", re.IGNORECASE)
_MEDIA = AUDIO_SUFFIXES | VIDEO_SUFFIXES
_OBJECT = re.compile(r"^(Object \d+|Obj[0-9A-F]+)$")  # the name of an object in OpenDocument
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Signs of embedded files in formats before Office Open XML: the storage of objects of Word, in
# UTF-16; an object of RTF; the atom of an object of PowerPoint.
_SIGNS = (
    "ObjectPool".encode("utf-16-le"),
    b"\\objdata",
    b"\x10\x00\x11\x10",
)
_BLOCK = 1024**2
_MOST_NAME = 1000  # bytes


def may_have_embedded(path: Path) -> bool:
    """Whether a file of a format before Office Open XML may have embedded files."""
    before = b""
    with path.open("rb") as reader:
        while block := reader.read(_BLOCK):
            if any(sign in before + block for sign in _SIGNS):
                return True
            before = block[-32:]
    return False


def embedded_files(package: Package, folder: Path, file: SourceFile) -> Iterator[Member]:
    """Yield the embedded files of an office file.

    Args:
        package: The office file.
        folder: An empty folder, in which one file at a time is written.
        file: Gets the notes.
    """
    names: set[str] = set()
    behind = _behind_charts(package)
    if behind:
        what = counted(len(behind), "chart")
        file.note("limit", f"the workbooks behind {what} were not read: the charts have the values")
    for part in package.names:
        if not _is_embedded(part) or part in behind:
            continue
        path = folder / f"part{PurePosixPath(part).suffix[:10]}"
        try:
            with package.opened(part) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
            name, path = _unwrapped(path, PurePosixPath(part).name)
        except UnreadableMedia as error:
            file.note("damaged", f"an embedded file was not read: {error}")
            continue
        if name:
            name = _with_suffix(name, path)
            yield Member(name=_new(name, names), path=path)
        else:
            file.note("unsupported", f"{part} was not read: an object of another program")
        path.unlink(missing_ok=True)


def _behind_charts(package: Package) -> set[str]:
    """The names of the workbooks whose values charts show."""
    found: set[str] = set()
    for part in package.names:
        if _CHART.search(part):
            try:
                relations = package.relations(part).values()
            except UnreadableMedia:
                continue
            found |= {each.target for each in relations if each.type == "package"}
    return found


def _with_suffix(name: str, path: Path) -> str:
    """The name with the suffix of its content, where it has that of any object."""
    if not name.lower().endswith(".bin"):
        return name
    with opened(path) as file:
        suffix = office_suffix(file_type(file).mime)
    return f"{name[: -len('.bin')]}{suffix}" if suffix else name


def _is_embedded(part: str) -> bool:
    path = PurePosixPath(part)
    is_object = bool(_FOLDER.search(part)) or bool(_OBJECT.match(part))
    return is_object or path.suffix.lower() in _MEDIA


def _new(name: str, names: set[str]) -> str:
    """A name that no other embedded file has."""
    path, number = PurePosixPath(name), 1
    while name.lower() in names:
        number += 1
        name = f"{path.stem} {number}{path.suffix}"
    names.add(name.lower())
    return name


def _unwrapped(path: Path, name: str) -> tuple[str, Path]:
    """Name and path of the file in an OLE object; the name is empty without one.

    A whole document of an older format is an OLE file itself, and stays as it is.
    """
    with path.open("rb") as reader:
        if reader.read(len(_OLE)) != _OLE:
            return name, path
    olefile: Any = require("olefile", extra="documents", feature="Reading embedded files")
    try:
        with olefile.OleFileIO(str(path)) as ole:
            streams = {stream[0].strip("\x01\x02\x03").lower(): stream for stream in ole.listdir()}
            if "ole10native" in streams:
                with ole.openstream(streams["ole10native"]) as stream:
                    return _native(stream, path, name)
            for known in ("package", "contents", "embeddedodf"):
                if known in streams:
                    inner = path.with_name("inner")
                    with ole.openstream(streams[known]) as stream, inner.open("wb") as target:
                        shutil.copyfileobj(stream, target)
                    path.unlink()
                    return PurePosixPath(name).stem, inner
            is_document = streams.keys() & {"worddocument", "workbook", "book"}
            is_document = is_document or "powerpoint document" in streams
            return (name if is_document else ""), path
    except (OSError, ValueError, IndexError, AttributeError, TypeError, KeyError) as error:
        raise UnreadableMedia(f"{name} is damaged: {one_line(str(error))}.") from error


def _native(stream: IO[bytes], path: Path, name: str) -> tuple[str, Path]:
    """Write the file that the Windows packager put into an object beside it.

    Its parts: size, flags, name, path, more flags, temporary path, size, content.
    """
    stream.read(6)
    label = _text(stream)
    given = PureWindowsPath(_text(stream) or label).name or label
    stream.read(4)
    stream.read(int.from_bytes(stream.read(4), "little"))
    size = int.from_bytes(stream.read(4), "little")
    given = one_line(PureWindowsPath(given).name, "") or name
    inner = path.with_name(f"inner{PurePosixPath(given).suffix[:10]}")
    with inner.open("wb") as target:
        while size > 0 and (block := stream.read(min(size, _BLOCK))):
            target.write(block)
            size -= len(block)
    path.unlink()
    return given, inner


def _text(stream: IO[bytes]) -> str:
    """The text up to the next NUL byte."""
    found = bytearray()
    while len(found) < _MOST_NAME and (byte := stream.read(1)) not in (b"", b"\0"):
        found += byte
    return found.decode("cp1252", "replace")
