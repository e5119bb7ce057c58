"""load: files, folders, patterns and addresses to a stream of Segments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeAlias

from mm_rag.segment import Segment
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.outcome import Event, FileOutcome, LoadedFile
from mm_rag_loaders.progress import OnProgress, Progress, progress_bar
from mm_rag_loaders.read import read_source
from mm_rag_loaders.sources import Source, Sources, as_source, find_sources
from mm_rag_loaders.workers import default_workers, read_in_workers

OnFile: TypeAlias = Callable[[FileOutcome], None]

logger = logging.getLogger(__name__)


def load(
    sources: Sources,
    options: LoadOptions | None = None,
    *,
    progress: bool = False,
    on_file: OnFile | None = None,
) -> Iterator[Segment]:
    """Read files, folders, patterns and addresses, file by file, as Segments in a fixed order.

    Files are read in parallel, in processes of their own, a little ahead of what is asked for; the
    memory they take does not grow with their number or length. Whoever stops asking stops them.

    Args:
        sources: A file, a folder (with all its folders), a pattern such as `"scans/**/*.pdf"`, an
            address, or several of these.
        options: How files are turned into Segments, by how many processes, and what may be opened.
        progress: Whether to show a bar on the terminal.
        on_file: Told what became of each file, after its Segments. Without it, files that could not
            be read are logged as warnings.

    Raises:
        InputError: A path does not exist, or a pattern matches nothing. What is wrong with a file
            that does exist is in its outcome, and never raised.
        WorkerError: No process can be started.
        StorageError: The assets cannot be written, which would befall every file.
    """
    found = find_sources(sources)
    return _segments(found, options or LoadOptions(), on_file or log_outcome, progress)


def load_file(source: str | Path, options: LoadOptions | None = None) -> LoadedFile:
    """Read one file or address whole. A bad one never raises.

    Raises:
        WorkerError: As for `load`.
        StorageError: As for `load`.
    """
    return next(load_files([as_source(source)], options))


def load_files(
    sources: Iterable[Source],
    options: LoadOptions | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Generator[LoadedFile]:
    """Read sources in parallel, and yield each whole, in order.

    Args:
        sources: Asked for a little ahead of what is yielded; without processes, when it is needed.
        options: As for `load`.
        on_event: Told of every Segment and every outcome as they come.

    Raises:
        WorkerError: As for `load`.
        StorageError: As for `load`.
    """
    segments: list[Segment] = []
    with closing(_events(sources, options or LoadOptions())) as events:
        for event in events:
            if on_event:
                on_event(event)
            if isinstance(event, Segment):
                segments.append(event)
            else:
                yield LoadedFile(**vars(event), segments=tuple(segments))
                segments.clear()


def _segments(
    sources: list[Source], options: LoadOptions, on_file: OnFile, progress: bool
) -> Iterator[Segment]:
    with ExitStack() as stack:
        show = stack.enter_context(progress_bar()) if progress else None
        events = stack.enter_context(closing(_events(sources, options, len(sources))))
        for event in _watched(events, len(sources), show):
            if isinstance(event, Segment):
                yield event
            else:
                on_file(event)


def _watched(events: Iterator[Event], count: int, show: OnProgress | None) -> Iterator[Event]:
    done = Progress(of=count)
    for event in events:
        if show:
            done = done.after(event)
            show(done)
        yield event


def _events(
    sources: Iterable[Source], options: LoadOptions, count: int | None = None
) -> Generator[Event]:
    """Of each source in turn its Segments, as they are read, and its FileOutcome."""
    workers = default_workers() if options.workers is None else options.workers
    if workers:
        yield from read_in_workers(sources, options, min(workers, count or workers))
        return
    for source in sources:
        yield from read_source(source, options)


def log_outcome(outcome: FileOutcome) -> None:
    """Log a file that was not read."""
    if outcome.state != "loaded":
        logger.warning("Left out %s: %s", outcome.source, outcome.reason)
