"""Loader: the interface between one kind of file and the segments made of it.

A file may contain others, such as the attachments of a message: `Loader.members` yields them, and
`mm_rag_loaders.read` reads each with the loader of its kind.

A `Source` is opened once (`SourceFile.of`): what is hashed, inspected and read is that opened file,
whatever its path leads to later.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from PIL import Image

from mm_rag._printing import one_line
from mm_rag.content import Url
from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.extraction.ocr import OCRResult, read_image
from mm_rag.extraction.picture_labels import label_line
from mm_rag.media import addresses
from mm_rag.media.access import OpenedFile, check_path, opened_whole
from mm_rag.media.fetch import fetched
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.file_stamp import FileStamp, file_sha256
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.outcome import Note, NoteKind
from mm_rag_loaders.sources import Source, as_source, last_part, title_from

PHOTOS = "what photos show"
"""Name of the labels in notes."""

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


@dataclass(kw_only=True)
class SourceFile:
    """An opened file that a loader reads, and the notes that it makes meanwhile.

    Attributes:
        path: Absolute path; for an address, the path of the fetched copy. It may lead to another
            file by now.
        opened: The file itself, opened once. Loaders read this.
        source: The absolute path as it was named, or the address.
        sha256: Hexadecimal sha256 of its bytes; for a file in a file, of the outermost one.
        within: The folder in which the file was found, which no link may leave; None if the caller
            named the file itself.
        notes: Parts that were left out or changed, and why; shown in the report. Loaders add to it
            with `note`.
        missing: Parts that could not be read because their reader is not installed. The next sync
            tries the file again.
    """

    path: Path
    opened: OpenedFile
    source: str
    sha256: str
    within: Path | None = None
    notes: list[Note] = field(default_factory=list[Note])
    missing: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, source: Source, options: LoadOptions) -> SourceFile:
        """Fetch a source if it is an address, open it and hash it. The caller closes it.

        A hash that `source.content` gives is used if the file has not changed since.

        Raises:
            SourceForbidden: The policy does not allow opening it.
            UnreadableMedia: The file is missing or empty, or may not be read.
            MediaTooLarge: It is over the policy's `max_bytes`.
        """
        opened = open_source(source, options)
        try:
            known = source.content
            is_known = known and known.stamp.is_same(FileStamp.of(opened.status))
            sha256 = known.sha256 if known and is_known else file_sha256(opened)
        except OSError as error:
            opened.close()
            name = opened.path.name
            raise UnreadableMedia(f"{name} cannot be read: {error.strerror}.") from error
        return cls(
            path=opened.path,
            opened=opened,
            source=str(source),
            sha256=sha256,
            within=source.within,
        )

    def note(self, kind: NoteKind, text: str) -> None:
        """Note, once, what was left out or changed, and why: "page 3 was damaged"."""
        note = Note(kind, one_line(text))
        if note not in self.notes:
            self.notes.append(note)

    def note_missing(self, what: str, error: MissingExtra) -> None:
        """Note, once, that something was not read because its reader is not installed."""
        if what not in self.missing:
            self.missing.append(what)
            self.note("missing reader", f"{what} was not read: {error}")

    def text_segment(
        self, text: str, *, title: str = "", part: int, page: int | None = None, **metadata: Scalar
    ) -> Segment:
        """Make a passage of the file.

        Args:
            text: The words.
            title: Title of the document; by default the file's name in words.
            part: Number among the passages of the same page, from 0.
            page: Number of the page, sheet, chapter or message, 1-based; None without pages.
            **metadata: Metadata. Empty texts are left out.
        """
        return Segment(
            modality="text",
            source=self.source,
            sha256=self.sha256,
            text=text,
            title=title or self.name_in_words,
            page=page,
            part=part,
            metadata={name: value for name, value in metadata.items() if value != ""},
        )

    @property
    def name_in_words(self) -> str:
        """`"team_photo-2024.jpg"` as `"team photo 2024"`; empty if the name is meaningless."""
        return title_from(self.source)

    @property
    def name(self) -> str:
        """The last part of the path or address, for messages and titles."""
        return last_part(self.source)


def open_source(source: Source, options: LoadOptions) -> OpenedFile:
    """Open a source once, fetching it first if it is an address.

    Raises:
        SourceForbidden: As for `local_path`.
        UnreadableMedia: As for `local_path`; or the file is empty or may not be read.
        MediaTooLarge: As for `local_path`.
    """
    path = local_path(source, options)
    policy = _reading_options(source, options).policy
    return opened_whole(path, policy, within=source.within)


def local_path(source: Source, options: LoadOptions) -> Path:
    """The local file of a source. An address is fetched, and the copy kept among the assets.

    Raises:
        SourceForbidden: The policy does not allow opening it.
        UnreadableMedia: The path cannot be followed, or the address cannot be fetched.
        MediaTooLarge: It is over the policy's `max_bytes`.
    """
    path = named_file(source, options)
    if path is not None:
        check_path(path, options.policy, within=source.within)
        return path
    assert isinstance(source.location, Url)
    with fetched(source.location, options.policy) as downloaded:
        suffix = downloaded.suffix if _SUFFIX.fullmatch(downloaded.suffix) else ""
        return options.assets.keep_file(downloaded, suffix)


def named_file(source: Source, options: LoadOptions) -> Path | None:
    """The local file that a source names; None for a web address.

    Raises:
        SourceForbidden: The policy does not allow the address.
        InputError: The address names no file.
    """
    if isinstance(source.location, Path):
        return source.location
    return addresses.local_path(source.location, options.policy)


def options_for(file: SourceFile, source: Source, options: LoadOptions) -> LoadOptions:
    """The options for reading an opened source.

    Raises:
        SourceForbidden: The policy does not allow the address.
    """
    reading = _reading_options(source, options)
    return replace(reading, assets=reading.assets.of_file(file.sha256))


def _reading_options(source: Source, options: LoadOptions) -> LoadOptions:
    """Options without `roots` for a fetched copy, which lies among the assets."""
    if named_file(source, options) is not None:
        return options
    return replace(options, policy=replace(options.policy, roots=None))


@dataclass(frozen=True)
class Member:
    """A file in a file, or a local file that belongs to a document.

    Attributes:
        name: Its relative path in the other file, with `/` between folders.
        path: A file with its bytes and its suffix, which exists until the next member is yielded.
        text: Words of the other file about it, such as the alternative text and the caption of a
            picture. They are added to its first segment.
        heading: Heading above it in the other file.
        stays: Whether `path` is a lasting file, such as a picture beside its document, of which no
            copy is kept.
    """

    name: str
    path: Path
    text: str = ""
    heading: str = ""
    stays: bool = False


class Loader(ABC):
    """Turns one kind of file into segments.

    Attributes:
        becomes: The parts of such a file that become searchable, for the table in the README.
    """

    becomes: ClassVar[str]

    def __init__(self, options: LoadOptions | None = None) -> None:
        self.options = options or LoadOptions()

    def load(self, source: str | Path) -> Iterator[Segment]:
        """Read a file or address, in this process, but not the files in it, as `load` does.

        Raises:
            SourceForbidden: The policy does not allow opening it.
            UnreadableMedia: The file cannot be read; PasswordNeeded if it is locked.
            MediaTooLarge: The file is over a limit of the policy.
        """
        found = as_source(source)
        file = SourceFile.of(found, self.options)
        reader = copy(self)
        reader.options = options_for(file, found, self.options)
        return reader._segments(file)

    def _segments(self, file: SourceFile) -> Iterator[Segment]:
        with file.opened:
            yield from self.segments(file)

    @abstractmethod
    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the file's segments one by one, in reading order, holding one page at a time."""

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the files in the file, after `segments`; none for most kinds.

        Those that are left out, because of a limit or a lock, are noted. Every file has a name of
        its own.

        Raises:
            UnreadableMedia: The file is damaged. What was yielded before is kept.
        """
        yield from ()

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield segments of a file with their pictures drawn again.

        Raises:
            UnreadableMedia: The file can no longer be read.
        """
        for segment in segments:
            yield replace(segment, media=str(file.path)) if segment.media else segment


def read_picture(picture: Image.Image, file: SourceFile, place: str = "the picture") -> OCRResult:
    """Read the text on a picture of a file.

    Without the OCR engine nothing is read and the file gets a note: a model for pictures can still
    use it. The first text in each script that cannot be read is noted too.

    Args:
        picture: The picture.
        file: Gets the notes.
        place: Name of the picture for the notes: `"page 3"`.
    """
    try:
        found = read_image(picture)
    except MissingExtra as error:
        file.note_missing(place, error)
        return OCRResult()
    for script in found.unread:
        if script.name not in file.missing:
            file.missing.append(script.name)
            file.note("script", f"{place}: {script}")
    return found


def label_picture(picture: Image.Image, text: str, file: SourceFile) -> str:
    """Label what a photo in a file shows: one line, empty if nothing is sure or it shows much text.

    Without the network for photos there are no labels, and the file gets a note.

    Args:
        picture: The picture.
        text: The text on it.
        file: Gets the note.
    """
    return label_line(picture, text, partial(file.note_missing, PHOTOS))
