"""Loader: the contract between a kind of file and the Segments that come out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.segment import Segment
from mm_rag_loaders.hashing import file_sha256
from mm_rag_loaders.names import name_in_words
from mm_rag_loaders.options import LoadOptions


@dataclass(frozen=True)
class SourceFile:
    """A file on its way through a loader.

    Attributes:
        path: Absolute.
        sha256: Of its bytes.
        notes: What was not as it should be, though the file could be read: "page 3 was damaged".
            Loaders append to it; it ends in the report.
        missing: What could not be read because its reader is not installed. The file is tried again
            by the next sync.
    """

    path: Path
    sha256: str
    notes: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, path: str | Path) -> SourceFile:
        """Hash a file.

        Raises:
            UnreadableMedia: There is no such file, it is empty, or it may not be read.
        """
        path = Path(path).absolute()
        if not path.is_file():
            raise UnreadableMedia(f"There is no file {path}.")
        if path.stat().st_size == 0:
            raise UnreadableMedia(f"{path.name} is empty (0 bytes).")
        try:
            return cls(path, file_sha256(path))
        except OSError as error:
            raise UnreadableMedia(f"{path.name} cannot be read: {error.strerror}.") from error

    def note_missing(self, what: str, error: MissingExtra) -> None:
        """Note that something was not read because its reader is not installed."""
        self.missing.append(what)
        self.notes.append(f"{what} was not read: {error}")

    @property
    def name_in_words(self) -> str:
        """`"team_photo-2024.jpg"` as `"team photo 2024"`; empty where the name says nothing."""
        return name_in_words(self.path.stem)


class Loader(ABC):
    """Turns one kind of file into Segments."""

    def __init__(self, options: LoadOptions | None = None) -> None:
        self.options = options or LoadOptions()

    def load(self, path: str | Path) -> Iterator[Segment]:
        """Read a file.

        Raises:
            UnreadableMedia: The file cannot be read; PasswordNeeded where it is locked.
            MediaTooLarge: The file is over a limit of the policy.
        """
        return self.segments(SourceFile.of(path))

    @abstractmethod
    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the file's Segments one by one, in reading order, holding one page at a time."""
