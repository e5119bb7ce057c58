"""load: files, folders, patterns and addresses to a stream of Segments."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from mm_rag.segment import Segment
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.outcome import Event, LoadedFile
from mm_rag_loaders.read import read_source
from mm_rag_loaders.sources import Source, Sources, as_source, find_sources

logger = logging.getLogger(__name__)


def load(sources: Sources, options: LoadOptions | None = None) -> Iterator[Segment]:
    """Read files and folders, file by file. A file that cannot be read is logged and left out.

    Args:
        sources: As for `find_sources`.
        options: How files are turned into Segments.

    Raises:
        InputError: A path does not exist, or a pattern matches nothing.
    """
    found = find_sources(sources)

    def segments() -> Iterator[Segment]:
        for event in events(found, options or LoadOptions()):
            if isinstance(event, Segment):
                yield event
            elif event.state != "loaded":
                logger.warning("Left out %s: %s", event.source, event.reason)

    return segments()


def load_file(source: str | Path, options: LoadOptions | None = None) -> LoadedFile:
    """Read one file or address whole. A bad one never raises."""
    return next(load_files([as_source(source)], options or LoadOptions()))


def load_files(sources: Iterable[Source], options: LoadOptions) -> Iterator[LoadedFile]:
    """Read sources one after the other; the next is asked for when the one before was taken."""
    segments: list[Segment] = []
    for event in events(sources, options):
        if isinstance(event, Segment):
            segments.append(event)
        else:
            yield LoadedFile(**asdict(event), segments=tuple(segments))
            segments.clear()


def events(sources: Iterable[Source], options: LoadOptions) -> Iterator[Event]:
    """Of each source in turn its Segments, as they are read, and its FileOutcome."""
    for source in sources:
        yield from read_source(source, options)
