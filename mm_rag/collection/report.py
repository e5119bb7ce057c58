"""What `sync` and `verify` found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from mm_rag_loaders.outcome import FileState


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What became of one file.

    Attributes:
        path: Absolute.
        state: `indexed` (new or changed), `incomplete` (as `indexed`, but without the words of its
            pictures, speech or screen, since what reads them is not installed or failed; it is
            read again by the next sync), `unchanged`, `moved` (what another path gave is here now,
            and was not read again), `duplicate` (the same content as another file), `removed` (gone
            from the folder), `unreadable`, `refused` (the MediaPolicy does not allow to open it),
            `unsupported` (of a kind that is not read).
        reason: Why it is not, or not wholly, in; empty when all is well.
        segments: How many Segments it gave, by modality.
    """

    path: str
    state: FileState
    reason: str = ""
    segments: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """What a sync did, file by file.

    Attributes:
        files: In the order of their paths.
        segments: How many Segments the collection holds afterwards, by modality.
        seconds: How long it took.
    """

    files: tuple[FileReport, ...]
    segments: Mapping[str, int]
    seconds: float

    def count(self, state: FileState) -> int:
        """How many files ended in a state."""
        return Counter(file.state for file in self.files)[state]

    @property
    def counts(self) -> dict[FileState, int]:
        """How many files ended in each state, those in which none did left out."""
        counted = Counter(file.state for file in self.files)
        return {state: counted[state] for state in get_args(FileState) if counted[state]}

    @property
    def remarks(self) -> tuple[FileReport, ...]:
        """The files about which there is something to say."""
        return tuple(file for file in self.files if file.reason)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """Whether the parts of a collection agree.

    Attributes:
        segments: How many Segments the catalog knows.
        damaged_segments: Ids of Segments whose record or vector in the catalog is not what was
            written.
        differing: Ids of Segments of which Chroma holds another record or vector than the catalog.
        lost: Ids of Segments that `repair` could not restore; their files are `unfinished`.
        missing_vectors: Ids of Segments that Chroma lacks or cannot give.
        missing_words: Ids of Segments that the lexical index lacks.
        strays: Ids that Chroma or the lexical index has and the catalog does not know: left by a
            run that was killed, or by a catalog that was lost.
        damaged: Whether files of Chroma, of the lexical index or of the catalog cannot be read at
            all, or are not what was written.
        missing_files: Pictures, recordings, videos and word boxes that Segments refer to and that
            are gone.
        damaged_files: Pictures and word boxes among the assets that are not what was written.
        orphaned_files: Pictures and word boxes among the assets that no Segment refers to.
        unfinished: Files that the next sync reads again.
        foreign: How many records other programs keep in the Chroma collection; nothing is amiss.
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
        """True when nothing is amiss."""
        return not any(
            (
                self.damaged_segments,
                self.differing,
                self.lost,
                self.missing_vectors,
                self.missing_words,
                self.strays,
                self.damaged,
                self.missing_files,
                self.damaged_files,
                self.orphaned_files,
                self.unfinished,
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"ok": self.ok, **asdict(self)}
