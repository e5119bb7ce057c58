"""How far loading has come, for those who show it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from mm_rag._printing import one_line
from mm_rag.segment import Segment
from mm_rag_loaders.outcome import Event
from mm_rag_loaders.sources import last_part


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
