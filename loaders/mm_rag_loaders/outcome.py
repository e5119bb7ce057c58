"""What became of a file: the line that every file gets, whatever happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mm_rag.media.kind import MediaKind
from mm_rag.segment import Segment

LoadState: TypeAlias = Literal["loaded", "unreadable", "refused", "unsupported"]


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """What became of one file.

    Attributes:
        source: Its absolute path, or its address.
        sha256: Of its bytes; empty where they could not be read.
        kind: What its content is; None where that is unknown, or nothing that mm_rag reads.
        state: `loaded`; `unreadable`: it should have been read and could not be; `refused`: the
            MediaPolicy does not allow to open it; `unsupported`: it is of a kind that mm_rag does
            not read.
        notes: What was not as it should be, though it was read.
        reason: Why it was not read; empty where it was.
        incomplete: A reader was not installed, or failed, and what it would have read is missing.
    """

    source: str
    sha256: str = ""
    kind: MediaKind | None = None
    state: LoadState
    notes: tuple[str, ...] = ()
    reason: str = ""
    incomplete: bool = False


@dataclass(frozen=True, kw_only=True)
class LoadedFile(FileOutcome):
    """What became of one file, with everything that was found in it.

    Attributes:
        segments: What can be found in it, in reading order; empty where it was not read.
    """

    segments: tuple[Segment, ...] = ()


Event: TypeAlias = Segment | FileOutcome
"""Of a file come its Segments, in reading order, and at last its FileOutcome."""
