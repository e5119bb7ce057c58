"""Reports of `sync` and `verify`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from mm_rag_loaders.outcome import FileState, Note, NoteKind


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """The result of a sync for one file.

    Attributes:
        path: Absolute path.
        state: `indexed`, `incomplete`, `unchanged`, `moved`, `duplicate`, `removed`, `unreadable`,
            `refused` or `unsupported` (see `FileState`).
        reason: Why it is not indexed, or not completely, in one line; empty if all is well.
        notes: All parts that were left out or changed, of a file that this sync read.
        segments: Number of segments by modality.
    """

    path: str
    state: FileState
    reason: str = ""
    notes: tuple[Note, ...] = ()
    segments: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """The result of a sync.

    Attributes:
        files: Reports of all files, sorted by path.
        segments: Number of segments in the collection afterwards, by modality.
        seconds: Duration.
    """

    files: tuple[FileReport, ...]
    segments: Mapping[str, int]
    seconds: float

    def count(self, state: FileState) -> int:
        """Number of files in a state."""
        return Counter(file.state for file in self.files)[state]

    @property
    def counts(self) -> dict[FileState, int]:
        """Number of files in each state that occurs."""
        counted = Counter(file.state for file in self.files)
        return {state: counted[state] for state in get_args(FileState) if counted[state]}

    @property
    def noted(self) -> dict[NoteKind, int]:
        """Number of notes of each kind that occurs, about the files that this sync read."""
        noted = Counter(note.kind for file in self.files for note in file.notes)
        return {kind: noted[kind] for kind in get_args(NoteKind) if noted[kind]}

    @property
    def remarks(self) -> tuple[FileReport, ...]:
        """The files with a reason."""
        return tuple(file for file in self.files if file.reason)

    def to_dict(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """Whether catalog, vectors, lexical index and files of a collection agree.

    Attributes:
        segments: Number of segments in the catalog.
        damaged_segments: Ids of segments whose record or vector in the catalog is damaged.
        differing: Ids of segments with another record or vector in Chroma than in the catalog.
        lost: Ids of segments that `repair` could not restore; their files are `unfinished`.
        missing_vectors: Ids of segments that Chroma lacks or cannot read.
        missing_words: Ids of segments that the lexical index lacks.
        strays: Ids in Chroma or the lexical index that the catalog lacks, left by a killed run or
            a lost catalog.
        damaged: Whether files of Chroma, the lexical index or the catalog are damaged.
        missing_files: Pictures, recordings, videos and word boxes of segments that are missing.
        damaged_files: Damaged assets: pictures and word boxes.
        orphaned_files: Assets to which no segment refers.
        unfinished: Files that the next sync reads again.
        foreign: Number of records of other programs in the Chroma collection; they are harmless.
    """

    segments: int
    damaged_segments: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    missing_vectors: tuple[str, ...] = ()
    missing_words: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    damaged: bool = False
    missing_files: tuple[str, ...] = ()
    damaged_files: tuple[str, ...] = ()
    orphaned_files: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    foreign: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not any(
            value for name, value in vars(self).items() if name not in ("segments", "foreign")
        )

    def to_dict(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return {"ok": self.ok, **asdict(self)}
