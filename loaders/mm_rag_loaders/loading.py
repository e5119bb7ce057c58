"""load: turn files, folders, patterns, addresses and bytes into a stream of segments."""

from __future__ import annotations

import logging
import mimetypes
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from mm_rag.content import Url
from mm_rag.errors import SourceForbidden, UnreadableMedia
from mm_rag.media.access import check_bytes
from mm_rag.media.addresses import without_user
from mm_rag.media.plain_text import is_plain_text
from mm_rag.segment import Segment
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.outcome import Event, FileOutcome, LoadedFile, ProgressTracker, progress_bar
from mm_rag_loaders.read import read_source
from mm_rag_loaders.sources import Source, Sources, as_source, find_sources, last_part, title_from
from mm_rag_loaders.worker_pool import default_workers, read_in_workers

OnFile: TypeAlias = Callable[[FileOutcome], None]

logger = logging.getLogger(__name__)

_ANYTHING = "application/octet-stream"
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


def load(
    sources: Sources,
    options: LoadOptions | None = None,
    *,
    progress: bool = False,
    on_file: OnFile | None = None,
) -> Iterator[Segment]:
    """Read files, folders, patterns and addresses, file by file, as segments in a fixed order.

    Worker processes read in parallel, a little ahead of the caller; the memory they take does not
    grow with the number or length of files. They stop when the iterator is closed.

    Args:
        sources: A file, a folder (with its subfolders), a pattern such as `"scans/**/*.pdf"`, an
            address, or several of these.
        options: Options for turning files into segments, number of processes, and limits.
        progress: Whether to show a progress bar on the terminal.
        on_file: Called with the outcome of each file, after its segments. By default files that
            could not be read are logged as warnings.

    Raises:
        InputError: A path does not exist, or a pattern matches nothing. Problems of an existing
            file are in its outcome and never raised.
        WorkerError: No worker process can be started.
        StorageError: The assets cannot be written, which would fail for every file.
    """
    found = find_sources(sources)
    return _segments(found, options or LoadOptions(), on_file or log_outcome, progress)


def _segments(
    sources: list[Source], options: LoadOptions, on_file: OnFile, progress: bool
) -> Iterator[Segment]:
    with ExitStack() as stack:
        bar = stack.enter_context(progress_bar()) if progress else None
        tracker = ProgressTracker(len(sources), bar)
        for event in stack.enter_context(closing(_events(sources, options, len(sources)))):
            tracker.after(event)
            if isinstance(event, Segment):
                yield event
            else:
                on_file(event)


def log_outcome(outcome: FileOutcome) -> None:
    """Log a file that was not read."""
    if outcome.state != "loaded":
        logger.warning("Left out %s: %s", outcome.source, outcome.reason)


def load_file(source: str | Path, options: LoadOptions | None = None) -> LoadedFile:
    """Read one file or address completely. A bad file never raises.

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
    """Read sources in parallel, and yield each file completely, in order.

    Args:
        sources: Consumed a little ahead of what is yielded; one by one without worker processes.
        options: As for `load`.
        on_event: Called with every segment and outcome as they arrive.

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


def _events(
    sources: Iterable[Source], options: LoadOptions, count: int | None = None
) -> Generator[Event]:
    """For each source in turn its segments as they are read, then its outcome."""
    workers = default_workers() if options.workers is None else options.workers
    if workers:
        yield from read_in_workers(sources, options, min(workers, count or workers))
        return
    for source in sources:
        yield from read_source(source, options)


def load_bytes(
    data: bytes,
    options: LoadOptions | None = None,
    *,
    source: str | None = None,
    mime_type: str | None = None,
) -> Iterator[Segment]:
    """Read the content of a file from memory. The bytes are kept among the assets.

    Args:
        data: A PDF, an office file, a picture, a recording, a video or a text.
        options: As for `load`.
        source: Path or address of the data, if known. It is not opened, and user and password are
            removed. By default the kept file is the source.
        mime_type: Claimed type, for data that does not tell it itself.

    Raises:
        UnreadableMedia: The data is empty, damaged, or of a kind that is not read.
        SourceForbidden: The policy does not allow opening it.
        MediaTooLarge: It is over the policy's `max_bytes`.
        WorkerError: No worker process can be started.
        StorageError: The assets cannot be written.
    """
    options = options or LoadOptions()
    if source and isinstance(as_source(source).location, Url):
        source = without_user(source)
    name = last_part(source) if source else "What was given in memory"
    check_bytes(len(data), name, options.policy)
    kept = options.assets.keep(data, _suffix(data, source, mime_type))
    for segment in load_or_raise(kept, _reading_assets(options), name=name):
        if source is None:
            yield segment
        else:
            yield replace(segment, source=source, title=segment.title or title_from(source))


def _suffix(data: bytes, source: str | None, mime_type: str | None) -> str:
    """The suffix of the kept file; only plain text and some recordings need one."""
    named = Path(last_part(source)).suffix if source else ""
    guessed = mimetypes.guess_extension(mime_type) if mime_type and mime_type != _ANYTHING else None
    for suffix in (named, guessed or ""):
        if _SUFFIX.fullmatch(suffix):
            return suffix
    return ".txt" if is_plain_text(data[:65_536]) else ""


def _reading_assets(options: LoadOptions) -> LoadOptions:
    """Options that allow opening files among the assets."""
    roots = options.policy.roots
    if roots is None:
        return options
    return replace(options, policy=replace(options.policy, roots=(*roots, options.assets.root)))


def load_or_raise(
    path: Path, options: LoadOptions | None = None, *, name: str = ""
) -> Iterator[Segment]:
    """Read one file as `load` does, but raise its error after the segments that could be read.

    Args:
        path: The file.
        options: As for `load`.
        name: Name of the file in errors; by default its own.

    Raises:
        InputError: There is no such file.
        UnreadableMedia: It is empty, damaged, locked, or of a kind that is not read.
        SourceForbidden: The policy does not allow opening it.
    """

    def check(outcome: FileOutcome) -> None:
        if outcome.state == "refused":
            raise SourceForbidden(outcome.reason)
        if outcome.state != "loaded":
            # The name of a kept file is a hash, which means nothing to the reader.
            reason = re.sub(f"^{re.escape(path.name)}(?= )", "it", outcome.reason.rstrip("."))
            raise UnreadableMedia(f"{name or path.name} cannot be read: {reason}.")

    return load(path, options, on_file=check)
