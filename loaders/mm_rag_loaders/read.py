"""Read one source in this process: detect its kind and run the loader. Bad content never raises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from mm_rag.content import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from mm_rag.errors import InputError, MissingExtra, SourceForbidden
from mm_rag.media.formats import TEXT_FORMATS, MediaKind, by_suffix
from mm_rag.media.kind import OFFICE_SUFFIXES, FileType, file_type
from mm_rag.media.policy import MediaPolicy
from mm_rag.segment import Segment
from mm_rag_loaders.archive import ArchiveLoader
from mm_rag_loaders.audio_loader import AudioLoader
from mm_rag_loaders.calendar_loader import CalendarLoader
from mm_rag_loaders.code_loader import CodeLoader
from mm_rag_loaders.epub_loader import EpubLoader
from mm_rag_loaders.html_loader import HtmlLoader
from mm_rag_loaders.image_loader import ImageLoader
from mm_rag_loaders.iwork_loader import IWorkLoader
from mm_rag_loaders.json_loader import JSONLoader
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import Loader, Member, SourceFile, options_for
from mm_rag_loaders.mail import EmailLoader
from mm_rag_loaders.markup_loader import MarkupLoader
from mm_rag_loaders.members import MemberNotes, in_container, open_member
from mm_rag_loaders.notebook_loader import NotebookLoader
from mm_rag_loaders.office import OfficeLoader
from mm_rag_loaders.outcome import Event, FileOutcome
from mm_rag_loaders.pdf import PDFLoader
from mm_rag_loaders.sources import Source
from mm_rag_loaders.spreadsheet import SpreadsheetLoader
from mm_rag_loaders.svg_loader import SvgLoader
from mm_rag_loaders.table_loader import TableLoader
from mm_rag_loaders.text_loader import TextLoader
from mm_rag_loaders.transcript_loader import TranscriptLoader
from mm_rag_loaders.video_loader import VideoLoader
from mm_rag_loaders.xml_loader import XmlLoader

LOADERS: dict[MediaKind, type[Loader]] = {
    "pdf": PDFLoader,
    "office": OfficeLoader,
    "spreadsheet": SpreadsheetLoader,
    "image": ImageLoader,
    "audio": AudioLoader,
    "video": VideoLoader,
    "text": TextLoader,
    "code": CodeLoader,
    "calendar": CalendarLoader,
    "transcript": TranscriptLoader,
    "markup": MarkupLoader,
    "html": HtmlLoader,
    "notebook": NotebookLoader,
    "xml": XmlLoader,
    "svg": SvgLoader,
    "ebook": EpubLoader,
    "table": TableLoader,
    "json": JSONLoader,
    "email": EmailLoader,
    "archive": ArchiveLoader,
    "iwork": IWorkLoader,
}
_SUFFIXES: dict[MediaKind, frozenset[str]] = {
    "pdf": frozenset([".pdf"]),
    "office": OFFICE_SUFFIXES,
    "spreadsheet": OFFICE_SUFFIXES,
    "image": IMAGE_SUFFIXES,
    "audio": AUDIO_SUFFIXES,
    "video": VIDEO_SUFFIXES,
}
_TEXT_SUFFIXES = frozenset(by_suffix(TEXT_FORMATS))
_MOST_NESTED = 5
"""Files in files in files: more are left out."""


def read_source(source: Source, options: LoadOptions) -> Iterator[Event]:
    """Yield the segments of a source as they are read, then its FileOutcome.

    Raises:
        StorageError: The assets cannot be written.
    """
    with ExitStack() as opened:
        yield from _events(source, options, opened)


def _events(source: Source, options: LoadOptions, opened: ExitStack) -> Iterator[Event]:
    limits = _Limits(options.policy)
    file, kind = None, None
    try:
        file = SourceFile.of(source, options)
        opened.enter_context(file.opened)
        options = options_for(file, source, options)
        found = file_type(file.opened, options.policy)
        kind = found.kind
        misnamed = _misnamed(file.path, found)
        if misnamed:
            file.note("misnamed", misnamed)
        if kind not in LOADERS:
            yield _not_read(file, found, misnamed)
            return
        for segment in _contents(LOADERS[kind](options), file, limits):
            limits.pause()
            yield segment
            if limits.is_late:
                file.note("limit", _cut_short(segment.where, options))
                break
            limits.resume()
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


class _Limits:
    """Time, files and bytes that one source, with all files in it, may still take.

    Time in which the caller works with a segment does not count.
    """

    def __init__(self, policy: MediaPolicy) -> None:
        self._policy = policy
        self._members, self._bytes = 0, 0
        self._spent, self._resumed = 0.0, time.monotonic()

    def pause(self) -> None:
        self._spent += time.monotonic() - self._resumed
        self._resumed = time.monotonic()

    def resume(self) -> None:
        self._resumed = time.monotonic()

    @property
    def is_late(self) -> bool:
        return self._spent > self._policy.max_load_seconds

    def reached(self, member: Member, depth: int) -> str:
        """Count a file in a file; return the limit that it is over, or `""`."""
        self.pause()
        self._members += 1
        self._bytes += 0 if member.stays else member.path.stat().st_size
        if depth > _MOST_NESTED:
            return f"files more than {_MOST_NESTED} levels deep in each other are not read"
        if self._members > self._policy.max_members:
            return f"only {self._policy.max_members:,} files are read (MediaPolicy.max_members)"
        if self._bytes > self._policy.max_bytes:
            return f"only {self._policy.max_bytes:,} bytes are unpacked (MediaPolicy.max_bytes)"
        return "it took too long (MediaPolicy.max_load_seconds)" if self.is_late else ""


def _contents(
    loader: Loader, file: SourceFile, limits: _Limits, depth: int = 1
) -> Iterator[Segment]:
    """The segments of a file, then those of the files in it."""
    yield from loader.segments(file)
    notes = MemberNotes(file)
    try:
        for member in loader.members(file):
            if reason := limits.reached(member, depth):
                file.note("limit", f"{member.name} and what follows was not read: {reason}")
                return
            yield from _member_segments(member, file, loader.options, limits, depth, notes)
    except (InputError, OSError) as error:
        file.note("damaged", f"what follows could not be read: {_one_line(error)}")
    finally:
        notes.finish()


def _member_segments(
    member: Member,
    container: SourceFile,
    options: LoadOptions,
    limits: _Limits,
    depth: int,
    notes: MemberNotes,
) -> Iterator[Segment]:
    """The segments of a file in a file. Its problems become notes of the outer file."""
    about = member
    try:
        with open_member(member, container, options) as inner:
            if inner.type.kind not in LOADERS:
                notes.add(member, "unsupported", f" was not read: it is {inner.type.name}")
                return
            loader = LOADERS[inner.type.kind](inner.options)
            try:
                for segment in _contents(loader, inner.file, limits, depth + 1):
                    yield in_container(segment, about, container)
                    about = replace(member, text="")
            finally:
                for note in inner.file.notes:
                    notes.add(member, note.kind, f": {note.text}")
                if inner.file.missing:
                    container.missing.append(member.name)
    except MissingExtra as error:
        container.missing.append(member.name)
        notes.add(member, "missing reader", f" was not read: {error}")
    except (InputError, OSError, MemoryError) as error:
        notes.add(member, "damaged", f" was not read: {_one_line(error)}")


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
    if suffix in _TEXT_SUFFIXES and found.kind in _SUFFIXES:
        return f"named {path.suffix}, but is {found.name}"
    if not named or not found.certain or found.kind in named:
        return ""
    return f"named {path.suffix}, but is {found.name}"


def _one_line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "loading it takes more memory than there is, or than MediaPolicy.max_memory allows"
    return " ".join(str(error).split())
