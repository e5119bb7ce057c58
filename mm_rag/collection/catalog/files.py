"""CatalogFile: a source file, as it was when it was last looked at."""

from __future__ import annotations

from dataclasses import dataclass

from mm_rag_loaders.outcome import FileState


@dataclass(frozen=True, kw_only=True)
class CatalogFile:
    """One source file.

    Attributes:
        path: Absolute.
        sha256: Of its bytes.
        size: In bytes.
        mtime_ns: Its modification time.
        beside: The subtitle files that lie beside it, as they were, and who read it.
        state: `indexed`, `incomplete`, `unread`, `duplicate`, `unreadable`, `refused` or
            `unsupported` (see `FileState`).
        reason: What there is to say about it; empty when all is well.
        ctime_ns: When anything of it was changed; 0 if that is not known (`FileStamp`).
        inode: Its number in the file system.
        tags: What it was tagged with, one a line, sorted.
        indexed_at: When it was read, in seconds since 1970; 0 where that is not known.
    """

    path: str
    sha256: str
    size: int
    mtime_ns: int
    beside: str
    state: FileState
    reason: str = ""
    ctime_ns: int = 0
    inode: int = 0
    tags: str = ""
    indexed_at: float = 0.0

    @property
    def is_in(self) -> bool:
        """Whether its Segments can be found."""
        return self.state in ("indexed", "incomplete", "unread")
