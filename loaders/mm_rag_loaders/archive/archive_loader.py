"""ArchiveLoader: the files in ZIP and TAR archives, and single compressed files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar

from mm_rag.errors import UnreadableMedia
from mm_rag.segment import Segment
from mm_rag_loaders.archive.packed import DAMAGE, Bomb, LeftOut, Packed
from mm_rag_loaders.archive.streams import GZIP, Decompressed, decompressed
from mm_rag_loaders.archive.tars import BLOCK, files_in_tar, is_tar
from mm_rag_loaders.archive.zips import files_in_zip
from mm_rag_loaders.loader import Loader, Member, SourceFile
from mm_rag_loaders.mail.charsets import decoded_text
from mm_rag_loaders.unpacking import CHUNK_BYTES, MemberNames, Scratch, safe_name, scratch_folder

_ZIPS = (b"PK\3\4", b"PK\5\6", b"PK\7\10")
_LITTER = frozenset(["__macosx", ".ds_store", "thumbs.db", "desktop.ini"])
_GZIP_NAME, _GZIP_EXTRA = 0x08, 0x04
_ENDINGS = re.compile(r"\.(gz|gzip|bz2|xz|lzma|zst|zstd)$", re.IGNORECASE)


class ArchiveLoader(Loader):
    """Unpacks the files in an archive, one at a time. It has no text of its own."""

    becomes: ClassVar[str] = "each file in it, by its kind, as in a folder"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield nothing: everything is in the files.

        Raises:
            UnreadableMedia: Its beginning is damaged, or not that of an archive.
        """
        with file.opened.reader() as reader:
            if not _begins_well(reader):
                raise UnreadableMedia(f"{file.path.name} is damaged, or no archive.")
        yield from ()

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the files in the archive's order, without hidden ones, links and devices."""
        left_out, names = LeftOut(), MemberNames()
        with file.opened.reader() as reader, scratch_folder() as scratch:
            try:
                for packed in self._files(reader, file, left_out):
                    name = safe_name(packed.name)
                    if _is_litter(name):
                        continue
                    if _is_hidden(name):
                        left_out.add("hidden", "hidden files are left out", name)
                        continue
                    name = names.unique(name)
                    if path := _unpacked(packed, name, scratch, left_out):
                        yield Member(name, path)
            finally:
                for kind, text in left_out.notes():
                    file.note(kind, text)

    def _files(self, reader: BinaryIO, file: SourceFile, left_out: LeftOut) -> Iterator[Packed]:
        most = self.options.policy.max_bytes
        head = reader.read(BLOCK)
        reader.seek(0)
        if head.startswith(_ZIPS):
            password = self.options.password
            return files_in_zip(reader, file.opened.size, password, most, left_out, file.note)
        stream = decompressed(reader, head)
        if stream is None:
            return files_in_tar(reader, left_out, file.note, most)
        first = _first_block(reader, head)
        if is_tar(first):
            return files_in_tar(stream, left_out, file.note, most)
        name = _single_name(file, head)
        return iter([Packed(name, lambda: _chunks(stream), most)])


def _begins_well(reader: BinaryIO) -> bool:
    """Whether at least the beginning of an archive can be read."""
    head = reader.read(BLOCK)
    reader.seek(0)
    if head.startswith(_ZIPS):
        return True
    stream = decompressed(reader, head)
    try:
        return is_tar(head) if stream is None else bool(stream.read(1))
    except DAMAGE:
        return False


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _is_litter(name: str) -> bool:
    """Whether it is a file that systems and programs leave in folders, with nothing to read."""
    parts = name.lower().split("/")
    return not _LITTER.isdisjoint(parts) or parts[-1].startswith("~$")


def _first_block(reader: BinaryIO, head: bytes) -> bytes:
    stream = decompressed(reader, head)
    try:
        return stream.read(BLOCK) if stream else b""
    except DAMAGE:
        return b""
    finally:
        reader.seek(0)


def _chunks(stream: Decompressed) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _single_name(file: SourceFile, head: bytes) -> str:
    """The name of the only file: that of the archive without its suffix, or the one in it."""
    own = _ENDINGS.sub("", file.path.name).replace(".svgz", ".svg")
    if head.startswith(GZIP) and head[3] & _GZIP_NAME and not head[3] & _GZIP_EXTRA:
        given = head[10:].split(b"\0")[0]
        inside = safe_name(decoded_text(given)[0]) if given else ""
        if PurePosixPath(inside).suffix or not PurePosixPath(own).suffix:
            return inside or own
    return own


def _unpacked(packed: Packed, name: str, scratch: Scratch, left_out: LeftOut) -> Path | None:
    """The temporary file with an unpacked file; None if it was left out."""
    errors: list[Exception] = []
    path, is_cut = scratch.written(name, _until_damage(packed.chunks(), errors), packed.most)
    if is_cut:
        reason = f"over {packed.most:,} bytes when unpacked (MediaPolicy.max_bytes)"
        left_out.add("limit", reason, name)
        return None
    if not errors:
        return path
    if isinstance(errors[0], Bomb):
        left_out.add("limit", str(errors[0]), name)
        return None
    size = path.stat().st_size
    if not size:
        left_out.add("damaged", "damaged", name)
        return None
    left_out.add("damaged", "damaged", name, partly=True)
    return path


def _until_damage(chunks: Iterator[bytes], errors: list[Exception]) -> Iterator[bytes]:
    try:
        yield from chunks
    except DAMAGE as error:
        errors.append(error)
