"""The state of every file, the outcome of loading it, and the progress of loading many."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from mm_rag._printing import counted, one_line
from mm_rag.errors import InputError
from mm_rag.media.formats import MediaKind
from mm_rag.segment import Segment
from mm_rag_loaders.sources import last_part

FileState: TypeAlias = Literal[
    "indexed",
    "incomplete",
    "unchanged",
    "moved",
    "duplicate",
    "removed",
    "unreadable",
    "refused",
    "unsupported",
    "unread",
    "added",
    "loaded",
]
"""The state of a file, for loaders, catalog, reports and listings.

- `loaded`: read, and not yet in a collection; a sync makes it `indexed` or `incomplete`.
- `indexed`: in the collection.
- `incomplete`: in the collection, without the words that a missing or failing reader would have
  given; the next sync reads it again.
- `unread`: in the collection, but partly damaged; the next sync reads it again.
- `added`: no file of a sync: its segments were passed to `Collection.add`.
- `duplicate`: another file with the same content is in the collection.
- `unreadable`: it should have been read and could not be.
- `refused`: the MediaPolicy does not allow opening it.
- `unsupported`: mm_rag does not read this kind of file.
- `unchanged`: not read again by this sync.
- `moved`: content that was indexed under another path, and was not read again.
- `removed`: no longer in the folder.
"""

NoteKind: TypeAlias = Literal[
    "blank",
    "changes",
    "damaged",
    "encoding",
    "form",
    "hidden",
    "limit",
    "misnamed",
    "missing reader",
    "ocr",
    "script",
    "unsupported",
]
"""The subject of a note about a file.

- `blank`: pages without anything on them.
- `changes`: tracked changes, of which one version was read.
- `damaged`: parts that could not be read, or were repaired.
- `encoding`: text that is not UTF-8.
- `form`: a form of which not everything can be read.
- `hidden`: hidden rows, sheets, slides, layers or text.
- `limit`: parts left out because of a limit of the policy or of the loader.
- `misnamed`: a suffix that contradicts the content.
- `missing reader`: parts whose reader is not installed.
- `ocr`: text replaced by OCR.
- `script`: text in a script that this installation cannot read.
- `unsupported`: parts that mm_rag does not read.
"""


@dataclass(frozen=True)
class Note:
    """A part of a file that was left out or changed when the file was read, and why.

    Attributes:
        kind: Its subject (see `NoteKind`).
        text: One line.

    Raises:
        InputError: The kind is another one.
    """

    kind: NoteKind
    text: str

    def __post_init__(self) -> None:
        """Check the kind."""
        if self.kind not in get_args(NoteKind):
            raise InputError(f"A note is about {', '.join(get_args(NoteKind))}; got {self.kind!r}.")

    def __str__(self) -> str:
        """The text."""
        return self.text


_SHOWN_NOTES = 4


def in_one_line(notes: Sequence[Note]) -> str:
    """The first notes in one line, and the number of further ones."""
    shown = "; ".join(note.text for note in notes[:_SHOWN_NOTES])
    more = len(notes) - _SHOWN_NOTES
    return f"{shown}; and {counted(more, 'further note')}" if more > 0 else shown


_LOAD_STATES = ("loaded", "unreadable", "refused", "unsupported")


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """The outcome of loading one file.

    Attributes:
        source: Absolute path, or address.
        sha256: Hexadecimal sha256 of its bytes; empty if they could not be read.
        kind: Kind of its content; None if it is unknown or mm_rag does not read it.
        state: `loaded`, `unreadable`, `refused` or `unsupported` (see `FileState`).
        notes: Parts of a loaded file that were left out or changed, and why.
        reason: Why it was not loaded; empty if it was.
        incomplete: Whether words are missing because a reader is not installed or failed.

    Raises:
        InputError: The state is another one.
    """

    source: str
    sha256: str = ""
    kind: MediaKind | None = None
    state: FileState
    notes: tuple[Note, ...] = ()
    reason: str = ""
    incomplete: bool = False

    def __post_init__(self) -> None:
        """Check the state."""
        if self.state not in _LOAD_STATES:
            raise InputError(f"Loading ends in {', '.join(_LOAD_STATES)}; got {self.state!r}.")


@dataclass(frozen=True, kw_only=True)
class LoadedFile(FileOutcome):
    """The outcome of loading one file, with its segments.

    Attributes:
        segments: In reading order; empty if the file was not loaded.
    """

    segments: tuple[Segment, ...] = ()


Event: TypeAlias = Segment | FileOutcome
"""For each file first its segments in reading order, then its FileOutcome."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of loading files.

    Attributes:
        files: Files done, loaded or not.
        of: Number of files.
        pages: Pages of documents read.
        seconds: Seconds of recordings and videos read.
        name: Name of the current file; empty before the first.
    """

    files: int = 0
    of: int
    pages: int = 0
    seconds: float = 0.0
    name: str = ""

    def done(self, name: str) -> Progress:
        """The progress after a file that is not read."""
        return replace(self, name=name, files=self.files + 1)

    def after(self, event: Event) -> Progress:
        """The progress after a segment or a file."""
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
"""Called at the beginning, after every segment and after every file."""


class ProgressTracker:
    """Keeps the current `Progress` and passes every change on.

    Args:
        of: Number of files.
        on_progress: Called with the progress, first at once.
    """

    def __init__(self, of: int, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._show(Progress(of=of))

    def done(self, name: str) -> None:
        """Count a file that is not read."""
        self._show(self._progress.done(name))

    def after(self, event: Event) -> None:
        """Count a segment or a file."""
        self._show(self._progress.after(event))

    def _show(self, progress: Progress) -> None:
        self._progress = progress
        if self._on_progress:
            self._on_progress(progress)


@contextmanager
def progress_bar() -> Generator[OnProgress]:
    """A progress bar on standard error with files, pages and seconds; removed when done."""
    # Imported only where a bar is shown.
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
