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
from mm_rag.media.kind import is_plain_text
from mm_rag.segment import Segment
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.outcome import (
    Event,
    FileOutcome,
    LoadedFile,
    OnProgress,
    Progress,
    progress_bar,
)
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


def load_bytes(
    data: bytes,
    options: LoadOptions | None = None,
    *,
    source: str | None = None,
    mime_type: str | None = None,
) -> Iterator[Segment]:
    """Read what a file would hold. The bytes are kept among the assets, so that media exist.

    Args:
        data: Of a PDF, an office file, a picture, a recording, a video or a text.
        options: As for `load`.
        source: Where they come from, if that is known: a path or an address, which is not opened,
            and whose user and password are left out; else the kept file is the source.
        mime_type: What they are said to be, for contents that do not say it themselves.

    Raises:
        UnreadableMedia: They are empty, damaged, or of no kind that is read.
        SourceForbidden: The policy does not allow to open them.
        MediaTooLarge: They are over the policy's `max_bytes`.
        WorkerError: No process can be started.
        StorageError: The assets cannot be written.
    """
    options = options or LoadOptions()
    if source and isinstance(as_source(source).place, Url):
        source = without_user(source)
    name = last_part(source) if source else "What was given in memory"
    check_bytes(len(data), name, options.policy)
    kept = options.assets.keep(data, _suffix(data, source, mime_type))
    for segment in load_or_raise(kept, _reading_assets(options), name=name):
        if source is None:
            yield segment
        else:
            yield replace(segment, source=source, title=segment.title or title_from(source))


def load_or_raise(
    path: Path, options: LoadOptions | None = None, *, name: str = ""
) -> Iterator[Segment]:
    """Read one file as `load` does, but raise what is wrong with it, after what could be read.

    Args:
        path: The file.
        options: As for `load`.
        name: What it is called in errors; its own name by default.

    Raises:
        InputError: There is no such file.
        UnreadableMedia: It is empty, damaged, locked, or of no kind that is read.
        SourceForbidden: The policy does not allow to open it.
    """

    def judge(outcome: FileOutcome) -> None:
        if outcome.state == "refused":
            raise SourceForbidden(outcome.reason)
        if outcome.state != "loaded":
            # The kept file's name, which is a hash, would tell nobody anything.
            reason = re.sub(f"^{re.escape(path.name)}(?= )", "it", outcome.reason.rstrip("."))
            raise UnreadableMedia(f"{name or path.name} cannot be read: {reason}.")

    return load(path, options, on_file=judge)


def _reading_assets(options: LoadOptions) -> LoadOptions:
    """Options that allow to open what is kept among the assets."""
    roots = options.policy.roots
    if roots is None:
        return options
    return replace(options, policy=replace(options.policy, roots=(*roots, options.assets.root)))


def _suffix(data: bytes, source: str | None, mime_type: str | None) -> str:
    """Of the kept file; only plain text and some recordings need one to be known by."""
    named = Path(last_part(source)).suffix if source else ""
    guessed = mimetypes.guess_extension(mime_type) if mime_type and mime_type != _ANYTHING else None
    for suffix in (named, guessed or ""):
        if _SUFFIX.fullmatch(suffix):
            return suffix
    return ".txt" if is_plain_text(data[:65_536]) else ""
