"""The files in a TAR archive, compressed or not, read once from begin to end."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO

from mm_rag_loaders.archive.packed import ALWAYS_UNPACKED, DAMAGE, Bomb, LeftOut, Packed
from mm_rag_loaders.archive.streams import Decompressed
from mm_rag_loaders.outcome import NoteKind

BLOCK = 512
_INVALID_HEADER: type[Exception] = getattr(tarfile, "InvalidHeaderError")  # noqa: B009 - no stub
_CHUNK_BYTES = 64 * 1024  # where an archive is cut, less than this is lost


def is_tar(block: bytes) -> bool:
    """Whether the first 512 bytes of a file are the header of a TAR archive."""
    try:
        tarfile.TarInfo.frombuf(block[:BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def files_in_tar(
    file: BinaryIO | Decompressed,
    left_out: LeftOut,
    note: Callable[[NoteKind, str], None],
    most: int,
) -> Iterator[Packed]:
    """Yield the files in order. Each must be unpacked before the next.

    Damaged blocks are skipped up to the next header of a file.

    Args:
        file: The archive, decompressed.
        left_out: Told of links and devices.
        note: Told of damage.
        most: Bytes to which a file may be unpacked.
    """
    header_type = type("Header", (_Header,), {"damaged": 0})
    try:
        archive = tarfile.TarFile(
            fileobj=file,  # pyright: ignore[reportArgumentType] - it has what is used of a file
            tarinfo=header_type,
            ignore_zeros=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
        while (header := archive.next()) is not None:
            # They would be kept for every file.
            archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs
            if header.isdir():
                continue
            if reason := _no_file(header):
                left_out.add("unsupported", reason, _name(header))
            elif reason := _too_large(header, most):
                left_out.add("limit", reason, _name(header))
            else:
                yield Packed(_name(header), lambda header=header: _chunks(archive, header), most)
    except Bomb as error:
        note("limit", f"the rest of the archive was not read: {error}")
    except DAMAGE as error:
        note("damaged", f"the archive is damaged, and what follows was not read: {error}")
    if header_type.damaged:
        note("damaged", "the archive is damaged: files in it may be missing")


def _no_file(header: tarfile.TarInfo) -> str:
    if header.isreg():
        return ""
    return (
        "links are not followed"
        if header.islnk() or header.issym()
        else "devices and pipes are not read"
    )


def _too_large(header: tarfile.TarInfo, most: int) -> str:
    if header.size > most:
        return f"over {most:,} bytes when unpacked (MediaPolicy.max_bytes)"
    # The holes of a sparse file take no bytes in the archive.
    is_bomb = header.issparse() and header.size > ALWAYS_UNPACKED
    return "sparse files that are far larger when unpacked" if is_bomb else ""


def _chunks(archive: tarfile.TarFile, header: tarfile.TarInfo) -> Iterator[bytes]:
    reader: IO[bytes] | None = archive.extractfile(header)
    assert reader is not None
    while chunk := reader.read(_CHUNK_BYTES):
        yield chunk


def _name(header: tarfile.TarInfo) -> str:
    """The name; bytes that are not UTF-8 are read as Windows-1252."""
    data = header.name.encode("utf-8", "surrogateescape")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


class _Header(tarfile.TarInfo):
    """A header; `tarfile` skips damaged ones without a word.

    Attributes:
        damaged: Number of damaged blocks where a header should be.
    """

    damaged = 0

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Any:
        """Read the next header."""
        try:
            return super().fromtarfile(tarfile)
        except _INVALID_HEADER:
            cls.damaged += 1
            raise
