"""The files in a ZIP archive."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mm_rag_loaders.archive.packed import (
    ALWAYS_UNPACKED,
    DAMAGE,
    MOST_RATIO,
    LeftOut,
    Packed,
)
from mm_rag_loaders.archive.zip_names import names_of
from mm_rag_loaders.outcome import NoteKind
from mm_rag_loaders.unpacking import CHUNK_BYTES

_LOCAL = struct.Struct("<4s5H3I2H")
_SIGNATURE = b"PK\3\4"
_STORED, _DEFLATED = 0, 8
_LINK, _TYPE = 0o120000, 0o170000
_HAS_DESCRIPTOR = 0x8
_MOST_BETWEEN = 24  # bytes that may follow a file: its checksum and sizes
_LOCKED = 0x1
_METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    93: "Zstandard",
    95: "XZ",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}
_AES = 99


def files_in_zip(
    file: BinaryIO,
    size: int,
    password: str | None,
    most: int,
    left_out: LeftOut,
    note: Callable[[NoteKind, str], None],
) -> Iterator[Packed]:
    """Yield the files in the order of the archive's index.

    Args:
        file: The archive.
        size: Its size in bytes.
        password: Tried on locked files.
        most: Bytes to which a file may be unpacked.
        left_out: Told of what is left out.
        note: Told of damage.
    """
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGE:
        note("damaged", "the archive's index is missing or damaged; its files were searched for")
        yield from _files_without_index(file, most, left_out)
        return
    with archive:
        entries = archive.infolist()
        overlapping = _overlapping(entries, size)
        for number, (entry, name) in enumerate(zip(entries, names_of(entries), strict=True)):
            if entry.is_dir():
                continue
            if number in overlapping:
                left_out.add("limit", "they overlap each other, as in a decompression bomb", name)
            elif (entry.external_attr >> 16) & _TYPE == _LINK:
                left_out.add("unsupported", "links are not followed", name)
            elif reason := _too_large(entry, most):
                left_out.add("limit", reason, name)
            elif reason := _locked(entry, archive, password):
                left_out.add("unsupported", reason, name)
            else:
                yield Packed(
                    name, lambda entry=entry: _chunks(archive, file, entry, password), most
                )


def _overlapping(entries: list[zipfile.ZipInfo], size: int) -> set[int]:
    """The numbers of the files that share bytes with the next one in the archive."""
    order = sorted(range(len(entries)), key=lambda number: entries[number].header_offset)
    found: set[int] = set()
    following = size
    for number in reversed(order):
        entry = entries[number]
        end = entry.header_offset + _LOCAL.size + entry.compress_size
        if end > following:
            found.add(number)
        else:
            following = entry.header_offset
    return found


def _too_large(entry: zipfile.ZipInfo, most: int) -> str:
    if entry.file_size > most:
        return f"over {most:,} bytes when unpacked (MediaPolicy.max_bytes)"
    is_bomb = entry.file_size > max(ALWAYS_UNPACKED, MOST_RATIO * entry.compress_size)
    return f"over {MOST_RATIO} times as large when unpacked" if is_bomb else ""


def _locked(entry: zipfile.ZipInfo, archive: zipfile.ZipFile, password: str | None) -> str:
    """Why a file cannot be unlocked or unpacked; empty if it can."""
    if entry.compress_type == _AES:
        return "locked with AES, which is not supported"
    if entry.compress_type in _METHODS:
        return f"compressed with {_METHODS[entry.compress_type]}, which is not supported"
    if not entry.flag_bits & _LOCKED:
        return ""
    if password is None:
        return "locked with a password (LoadOptions.password)"
    try:
        with archive.open(entry, pwd=password.encode()) as reader:
            reader.read(1)
    except DAMAGE:
        return "locked with another password than LoadOptions.password"
    return ""


def _chunks(
    archive: zipfile.ZipFile, file: BinaryIO, entry: zipfile.ZipInfo, password: str | None
) -> Iterator[bytes]:
    given = 0
    try:
        with archive.open(entry, pwd=password.encode() if password else None) as reader:
            while chunk := reader.read(CHUNK_BYTES):
                yield chunk
                given += len(chunk)
    except DAMAGE:
        if not entry.flag_bits & _LOCKED and entry.compress_type in (_STORED, _DEFLATED):
            yield from _without_check(file, entry, given)
        raise


def _without_check(file: BinaryIO, entry: zipfile.ZipInfo, given: int) -> Iterator[bytes]:
    """The bytes after those that were given, whatever names and checksums say."""
    found = _header_at(file, entry.header_offset)
    if found is None:
        return
    packed = _Inflated(file, found.start, entry.compress_type, entry.compress_size)
    at = 0
    for chunk in packed.chunks():
        if at + len(chunk) > given:
            yield chunk[max(0, given - at) : entry.file_size - at]
        at += len(chunk)


def _files_without_index(file: BinaryIO, most: int, left_out: LeftOut) -> Iterator[Packed]:
    """The files of an archive that was cut, by the header before each."""
    at = 0
    while (found := _header_at(file, at)) is not None:
        size = None if found.flags & _HAS_DESCRIPTOR else found.size
        packed = _Inflated(file, found.start, found.method, size)
        if not found.name.endswith("/"):
            if found.flags & _LOCKED:
                left_out.add("damaged", "locked, in a damaged archive", found.name)
            elif found.method not in (_STORED, _DEFLATED):
                left_out.add("damaged", "in a rare format, in a damaged archive", found.name)
            else:
                yield Packed(found.name, packed.chunks, min(most, ALWAYS_UNPACKED))
        packed.skip()
        at = packed.end


@dataclass(frozen=True)
class _Found:
    """A file found by its own header.

    Attributes:
        flags: Bits of the header.
        method: Number of the compression method.
        size: Bytes that it takes, if the flags do not say that they follow it.
        name: Its name.
        start: Offset of its bytes.
    """

    flags: int
    method: int
    size: int
    name: str
    start: int


def _header_at(file: BinaryIO, at: int) -> _Found | None:
    file.seek(at)
    head = file.read(_LOCAL.size + _MOST_BETWEEN)
    skipped = head.find(_SIGNATURE)
    if skipped < 0 or len(head) < skipped + _LOCAL.size:
        return None
    _, _, flags, method, _, _, _, size, _, name_size, more = _LOCAL.unpack_from(head, skipped)
    start = at + skipped + _LOCAL.size
    file.seek(start)
    name = file.read(name_size)
    text = name.decode("utf-8") if _is_utf8(name) else name.decode("cp437")
    return _Found(flags, method, size, text, start + name_size + more)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Inflated:
    """The bytes of one file, of which the packed size may not be known."""

    def __init__(self, file: BinaryIO, start: int, method: int, size: int | None) -> None:
        self._file, self._start, self._method, self._size = file, start, method, size
        self.end = start + (size or 0)
        self._is_done = size is not None

    def chunks(self) -> Iterator[bytes]:
        """Unpack the bytes."""
        stream = zlib.decompressobj(-15) if self._method == _DEFLATED else None
        at, left = self._start, self._size
        self._file.seek(at)
        while data := self._file.read(min(65_536, left) if left is not None else 65_536):
            at += len(data)
            left = None if left is None else left - len(data)
            if stream is None:
                yield data
            else:
                while data and not stream.eof:
                    yield stream.decompress(data, CHUNK_BYTES)
                    data = stream.unconsumed_tail
                if stream.eof:
                    self.end = at - len(stream.unused_data)
                    self._is_done = True
                    return
            self._file.seek(at)
        if left:
            raise EOFError("it is cut")
        if stream is not None:
            raise EOFError("it is cut")

    def skip(self) -> None:
        """Find the end of the file, if it is not known yet."""
        if self._is_done:
            return
        try:
            for _ in self.chunks():
                pass
        except DAMAGE:
            pass
        if not self._is_done:
            self.end = self._file.seek(0, 2)
