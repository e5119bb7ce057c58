"""Read one source in this process: detect its kind and run the loader. Bad content never raises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from mm_rag.content import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from mm_rag.errors import InputError, MissingExtra, SourceForbidden
from mm_rag.media.kind import OFFICE_SUFFIXES, FileType, MediaKind, file_type
from mm_rag_loaders.audio_loader import AudioLoader
from mm_rag_loaders.image_loader import ImageLoader
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import Loader, SourceFile, options_for
from mm_rag_loaders.office import OfficeLoader
from mm_rag_loaders.outcome import Event, FileOutcome
from mm_rag_loaders.pdf import PDFLoader
from mm_rag_loaders.sources import Source
from mm_rag_loaders.text_loader import TextLoader
from mm_rag_loaders.video_loader import VideoLoader

LOADERS: dict[MediaKind, type[Loader]] = {
    "pdf": PDFLoader,
    "office": OfficeLoader,
    "image": ImageLoader,
    "audio": AudioLoader,
    "video": VideoLoader,
    "text": TextLoader,
}
_SUFFIXES: dict[MediaKind, frozenset[str]] = {
    "pdf": frozenset([".pdf"]),
    "office": OFFICE_SUFFIXES,
    "image": IMAGE_SUFFIXES,
    "audio": AUDIO_SUFFIXES,
    "video": VIDEO_SUFFIXES,
}


def read_source(source: Source, options: LoadOptions) -> Iterator[Event]:
    """Yield the segments of a source as they are read, then its FileOutcome.

    Raises:
        StorageError: The assets cannot be written.
    """
    with ExitStack() as opened:
        yield from _events(source, options, opened)


def _events(source: Source, options: LoadOptions, opened: ExitStack) -> Iterator[Event]:
    spent, resumed = 0.0, time.monotonic()
    file, kind = None, None
    try:
        file = SourceFile.of(source, options)
        opened.enter_context(file.opened)
        options = options_for(file, source, options)
        found = file_type(file.opened, options.policy)
        kind = found.kind
        misnamed = _misnamed(file.path, found)
        if misnamed:
            file.notes.append(misnamed)
        if kind is None:
            yield _not_read(file, found, misnamed)
            return
        for segment in LOADERS[kind](options).segments(file):
            spent += time.monotonic() - resumed
            yield segment
            if spent > options.policy.max_load_seconds:
                file.notes.append(_cut_short(segment.where, options))
                break
            resumed = time.monotonic()
    except (InputError, MissingExtra, OSError, MemoryError) as error:
        yield FileOutcome(
            source=str(source),
            sha256=file.sha256 if file else "",
            kind=kind,
            state="refused" if isinstance(error, SourceForbidden) else "unreadable",
            notes=tuple(file.notes) if file else (),
            reason=_one_line(error),
        )
        return
    yield FileOutcome(
        source=str(source),
        sha256=file.sha256,
        kind=kind,
        state="loaded",
        notes=tuple(file.notes),
        incomplete=bool(file.missing),
    )


def _cut_short(where: str, options: LoadOptions) -> str:
    return (
        f"only read until {where or 'its first part'}: it took longer than "
        f"{options.policy.max_load_seconds:g} s (MediaPolicy.max_load_seconds)"
    )


def _not_read(file: SourceFile, found: FileType, misnamed: str) -> FileOutcome:
    return FileOutcome(
        source=file.source,
        sha256=file.sha256,
        state="unreadable" if misnamed else "unsupported",
        reason=misnamed or f"it is {found.name}, which mm_rag does not read",
    )


def _misnamed(path: Path, found: FileType) -> str:
    """`"named .jpg, but is a PDF"` if suffix and content contradict each other, else `""`."""
    suffix = path.suffix.lower()
    named = {kind for kind, suffixes in _SUFFIXES.items() if suffix in suffixes}
    # The same containers hold sound and video, so either suffix is right.
    named |= {"audio", "video"} if named & {"audio", "video"} else set()
    if not named or not found.certain or found.kind in named:
        return ""
    return f"named {path.suffix}, but is {found.name}"


def _one_line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "loading it takes more memory than there is, or than MediaPolicy.max_memory allows"
    return " ".join(str(error).split())
