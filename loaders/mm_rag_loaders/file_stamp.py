"""Compare versions of a file: by its stamp, its sha256, and other inputs of its reader.

A `FileStamp` costs one `stat`, the sha256 reads the file once, and the reader stamp covers what the
text of a recording or video depends on besides its own bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from mm_rag.content import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from mm_rag.errors import InputError
from mm_rag.extraction.subtitles import sidecars
from mm_rag.extraction.transcript import Transcriber
from mm_rag.media import DEFAULT_POLICY, MediaPolicy
from mm_rag.media.access import FileSource, open_file

_SAME_MOMENT_NS = 2_000_000_000
"""The coarsest clock of a common file system: FAT counts in steps of 2 seconds."""

_WITH_SIDECARS = AUDIO_SUFFIXES | VIDEO_SUFFIXES
_WITH_PICTURES = frozenset(
    [".htm", ".html", ".markdown", ".md", ".mdx", ".qmd", ".rmd", ".rst", ".xhtml"]
)
_PICTURE_END = re.compile(rb"\.(?:avif|bmp|gif|jpe?g|png|svg|tiff?|webp)\b", re.IGNORECASE)
_BORDERS, _QUOTES = re.compile(rb"[\s\"'()<>=:\[\]]"), re.compile(rb"[\n\"'()<>]")
_LONGEST_NAME = 300  # bytes
_MOST_SEARCHED = 8 * 1024**2  # bytes of a document
_MOST_HASHED = 16 * 1024**2
"""Bytes of a sidecar. The subtitles of a long film are a tenth of a megabyte."""


@dataclass(frozen=True, kw_only=True)
class FileStamp:
    """A file's entry in the file system, in integers that fit into SQLite.

    Attributes:
        size: In bytes.
        mtime_ns: Time of the last change of the content. Programs may set it to anything.
        ctime_ns: Time of the last change of content, name or permissions, which only the system
            sets; on Windows the time of creation. 0 for a stamp that equals no other, because a
            later change could have the same times.
        inode: File number: a file that replaces another one has a different number.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        """The stamp of a file that is going to be read afterwards.

        A file that was changed a moment ago may be changed again within the same tick of the clock.
        Its stamp equals no other, so that it is read again the next time.
        """
        times = (status.st_mtime_ns, status.st_ctime_ns)
        is_fresh = any(abs(time.time_ns() - each) < _SAME_MOMENT_NS for each in times)
        return cls(
            size=_signed_64_bits(status.st_size),
            mtime_ns=_signed_64_bits(status.st_mtime_ns),
            ctime_ns=0 if is_fresh else _signed_64_bits(status.st_ctime_ns),
            inode=_signed_64_bits(status.st_ino),
        )

    def is_same(self, other: FileStamp) -> bool:
        """Whether the file certainly did not change between the two stamps."""
        return self == other and self.ctime_ns != 0


@dataclass(frozen=True)
class ContentHash:
    """The sha256 of a file, and the stamp of the version that was hashed.

    Attributes:
        sha256: Hexadecimal.
        stamp: Taken before the file was read.
    """

    sha256: str
    stamp: FileStamp


def _signed_64_bits(number: int) -> int:
    """Map an integer into SQLite's range; different integers of 64 bits stay different.

    Some file systems have times after 2262, which take more than 63 bits in nanoseconds, and
    unsigned inode numbers of 64 bits.
    """
    return (number + 2**63) % 2**64 - 2**63


def file_sha256(
    path: FileSource, policy: MediaPolicy = DEFAULT_POLICY, *, within: Path | None = None
) -> str:
    """Hexadecimal sha256 of a file's bytes.

    Args:
        path: The file.
        policy: Limits on opening.
        within: The folder in which the file was found; None if the caller named the file.

    Raises:
        SourceForbidden: The policy does not allow opening it, or a link leads out of `within`.
        UnreadableMedia: It is missing, or may not be opened.
        OSError: Reading it fails.
    """
    with open_file(path, policy, within=within) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reader_stamp(path: Path, transcriber: Transcriber | None) -> str:
    """The subtitle files beside a recording or video, and the transcriber if one is named.

    For a web page or Markdown file, the pictures beside it. Empty for other files. Without a named
    transcriber it is the same as `sidecars_stamp` for a recording or video: whichever was the
    default when it was read, it is not read again because another one is the default now.
    """
    if path.suffix.lower() in _WITH_PICTURES:
        return pictures_stamp(path)
    stamp = sidecars_stamp(path)
    if transcriber is None:
        return stamp
    if path.suffix.lower() not in _WITH_SIDECARS:
        return ""
    return "|".join(filter(None, [stamp, f"heard by {transcriber.name}"]))


def sidecars_stamp(path: Path) -> str:
    """Names and content hashes of the subtitle files of a recording or video."""
    if path.suffix.lower() not in _WITH_SIDECARS:
        return ""
    return "|".join(f"{sidecar.name}:{_sidecar_stamp(sidecar)}" for sidecar in sidecars(path))


def pictures_stamp(path: Path) -> str:
    """Names, sizes and times of the pictures beside a document that its text seems to name."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_SEARCHED)
    except OSError:
        return ""
    names = set[str]()
    for found in _PICTURE_END.finditer(data):
        before = data[max(0, found.start() - _LONGEST_NAME) : found.start()]
        for borders in (_BORDERS, _QUOTES):  # names with spaces stand in quotes or brackets
            name = unquote(borders.split(before)[-1].decode("utf-8", "replace") + found[0].decode())
            if not name.startswith("/"):
                names.add(name)
    stamps: list[str] = []
    for name in sorted(names):
        with suppress(OSError, ValueError):
            status = (path.parent / name).stat()
            stamps.append(f"{name}:{status.st_size}:{status.st_mtime_ns}")
    # Segments refer to the pictures: in another folder the document is read again.
    return "|".join([str(path.parent), *stamps]) if stamps else ""


def _sidecar_stamp(sidecar: Path) -> str:
    """Content hash of a subtitle file; size and times if it is too large to be hashed each time.

    Empty for a file that cannot be read, which gives no subtitles either.
    """
    try:
        status = sidecar.stat()
        if status.st_size <= _MOST_HASHED:
            return file_sha256(sidecar)[:32]
    except (InputError, OSError):
        return ""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def without_stem(stamp: str, path: Path) -> str:
    """A reader stamp without the file's name in it, to compare it with that of a renamed file.

    Args:
        stamp: `reader_stamp` or `sidecars_stamp` of the file.
        path: The path for which it was made.
    """
    return "|".join(part.removeprefix(path.stem) for part in stamp.split("|"))
