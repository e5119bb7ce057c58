"""The outcome of every file, and the progress of loading."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from mm_rag._printing import one_line
from mm_rag.media.kind import MediaKind
from mm_rag.segment import Segment
from mm_rag_loaders.sources import last_part

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


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far loading has come.

    Attributes:
        files: That are done, read or not.
        of: How many there are.
        pages: Of documents, that were read.
        seconds: Of recordings and videos, that were read.
        name: Of the file at hand; empty before the first.
    """

    files: int = 0
    of: int
    pages: int = 0
    seconds: float = 0.0
    name: str = ""

    def done(self, name: str) -> Progress:
        """How far it has come with one more file that need not be read."""
        return replace(self, name=name, files=self.files + 1)

    def after(self, event: Event) -> Progress:
        """How far it has come with one more Segment, or one more file done."""
        name = last_part(event.source)
        if not isinstance(event, Segment):
            return self.done(name)
        if event.modality == "image" and event.page is not None:
            return replace(self, name=name, pages=self.pages + 1)
        if event.modality in ("audio", "video"):
            length = (event.end or 0.0) - (event.start or 0.0)
            return replace(self, name=name, seconds=self.seconds + length)
        return replace(self, name=name)


OnProgress: TypeAlias = Callable[[Progress], None]
"""Called at the beginning, after every Segment and after every file."""


@contextmanager
def progress_bar() -> Generator[OnProgress]:
    """A bar on the terminal's error channel, with files, pages and seconds; it goes when done."""
    # Imported for those who look at it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files  {task.fields[pages]} pages  {task.fields[seconds]:.0f} s", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("Looking for files", total=None, pages=0, seconds=0.0)

        def show(progress: Progress) -> None:
            bars.update(
                task,
                total=progress.of,
                completed=progress.files,
                description=one_line(progress.name)[:40],
                pages=progress.pages,
                seconds=progress.seconds,
            )

        yield show
