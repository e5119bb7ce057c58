"""A file in an archive, and what was left out of the archive."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mm_rag_loaders.outcome import NoteKind
from mm_rag_loaders.unpacking import safe_name

DAMAGE = (
    *(EOFError, NotImplementedError, OSError, RuntimeError, ValueError),
    *(lzma.LZMAError, struct.error, tarfile.TarError, zipfile.BadZipFile, zlib.error),
)
"""Errors that the libraries raise for damaged archives."""

MOST_RATIO = 250
"""Times its size to which a file may be unpacked. Logs and tables of numbers reach 20 to 100."""
ALWAYS_UNPACKED = 256 * 1024**2
"""Bytes that a file may be unpacked to, whatever its ratio."""

_SHOWN = 3  # names in a note about many files


class Bomb(OSError):
    """Something unpacks to far more than any useful file does."""


@dataclass(frozen=True)
class Packed:
    """A file in an archive.

    Attributes:
        name: Its path in the archive, as the archive gives it.
        chunks: Unpacks its bytes, piece by piece. Raises one of `DAMAGE` where it is damaged.
        most: Bytes to which it may be unpacked.
    """

    name: str
    chunks: Callable[[], Iterator[bytes]]
    most: int


class LeftOut:
    """Counts files that were left out, for one note about each reason."""

    def __init__(self) -> None:
        self._names: dict[tuple[NoteKind, str], list[str]] = {}
        self._counts: dict[tuple[NoteKind, str], int] = {}

    def add(self, kind: NoteKind, reason: str, name: str, *, partly: bool = False) -> None:
        """Count a file.

        Args:
            kind: Kind of the note.
            reason: Why: "locked with a password".
            name: Its name.
            partly: Whether a part of it was read.
        """
        key = (kind, f"{'read only in part' if partly else 'not read'}: {reason}")
        self._counts[key] = self._counts.get(key, 0) + 1
        names = self._names.setdefault(key, [])
        if len(names) < _SHOWN and (shown := safe_name(name)) not in names:
            names.append(shown)

    def notes(self) -> Iterator[tuple[NoteKind, str]]:
        """A note for each reason."""
        for (kind, reason), count in self._counts.items():
            names = self._names[kind, reason]
            which = ", ".join(names)
            if count > len(names):
                which = f"{count:,} files, such as {which},"
            verb = "was" if count == 1 else "were"
            yield kind, f"{which} {verb} {reason}"
