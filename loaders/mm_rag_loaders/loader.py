"""Loader: the interface between a kind of file and the segments made of it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from mm_rag.content import Url
from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.extraction.ocr import Reading, read_image
from mm_rag.media import addresses
from mm_rag.media.access import OpenedFile, check_path, opened_whole
from mm_rag.media.fetch import fetched
from mm_rag.segment import Segment
from mm_rag_loaders.hashing import file_sha256
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.sources import Source, as_source, last_part, title_from

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file on its way through a loader.

    Attributes:
        path: Absolute; of an address, where it is kept. It may lead to another file by now.
        opened: The file itself, opened once, which is what is read.
        source: Where it comes from: its absolute path as it was named, or its address.
        sha256: Of its bytes.
        notes: What was not as it should be, though the file could be read: "page 3 was damaged".
            Loaders append to it; it ends in the report.
        missing: What could not be read because its reader is not installed. The file is tried again
            by the next sync.
    """

    path: Path
    opened: OpenedFile
    source: str
    sha256: str
    notes: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, source: Source, options: LoadOptions) -> SourceFile:
        """Fetch a source, if it is an address, open it and hash it. The caller closes it.

        Raises:
            SourceForbidden: The policy does not allow to open it.
            UnreadableMedia: There is no such file, it is empty, or it may not be read.
            MediaTooLarge: It is over the policy's `max_bytes`.
        """
        opened = open_source(source, options)
        try:
            sha256 = file_sha256(opened)
        except OSError as error:
            opened.close()
            name = opened.path.name
            raise UnreadableMedia(f"{name} cannot be read: {error.strerror}.") from error
        return cls(path=opened.path, opened=opened, source=str(source), sha256=sha256)

    def note_missing(self, what: str, error: MissingExtra) -> None:
        """Note that something was not read because its reader is not installed."""
        self.missing.append(what)
        self.notes.append(f"{what} was not read: {error}")

    @property
    def name_in_words(self) -> str:
        """`"team_photo-2024.jpg"` as `"team photo 2024"`; empty where the name says nothing."""
        return title_from(self.source)

    @property
    def name(self) -> str:
        """The last part of its path or address, for messages and titles."""
        return last_part(self.source)


def options_for(file: SourceFile, source: Source, options: LoadOptions) -> LoadOptions:
    """The options to read a source with, once it is a file.

    Raises:
        SourceForbidden: The policy does not allow its address.
    """
    reading = reading_options(source, options)
    return replace(reading, assets=reading.assets.of_file(file.sha256))


class Loader(ABC):
    """Turns one kind of file into Segments."""

    def __init__(self, options: LoadOptions | None = None) -> None:
        self.options = options or LoadOptions()

    def load(self, source: str | Path) -> Iterator[Segment]:
        """Read a file, or what an address answers, in this process.

        Raises:
            SourceForbidden: The policy does not allow to open it.
            UnreadableMedia: The file cannot be read; PasswordNeeded where it is locked.
            MediaTooLarge: The file is over a limit of the policy.
        """
        place = as_source(source)
        file = SourceFile.of(place, self.options)
        reader = copy(self)
        reader.options = options_for(file, place, self.options)
        return reader._segments(file)

    def _segments(self, file: SourceFile) -> Iterator[Segment]:
        with file.opened:
            yield from self.segments(file)

    @abstractmethod
    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the file's Segments one by one, in reading order, holding one page at a time."""

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield Segments that came out of a file with their pictures written once more.

        Raises:
            UnreadableMedia: The file can no longer be read.
        """
        for segment in segments:
            yield replace(segment, media=str(file.path)) if segment.media else segment


def local_path(source: Source, options: LoadOptions) -> Path:
    """The file that a source is; what an address answers is kept among the assets.

    Raises:
        SourceForbidden: The policy does not allow to open it.
        UnreadableMedia: The path cannot be followed, or the address not be fetched.
        MediaTooLarge: It is over the policy's `max_bytes`.
    """
    path = named_file(source, options)
    if path is None:
        assert isinstance(source.place, Url)
        return _kept(source.place, options)
    check_path(path, options.policy, within=source.within)
    return path


def named_file(source: Source, options: LoadOptions) -> Path | None:
    """The file of this machine that a source names; None for an address of the web.

    Raises:
        SourceForbidden: The policy does not allow its address.
        InputError: Its address names no file.
    """
    if isinstance(source.place, Path):
        return source.place
    return addresses.local_path(source.place, options.policy)


def open_source(source: Source, options: LoadOptions) -> OpenedFile:
    """The file that a source is, opened once: what is hashed, looked at and read is this.

    Raises:
        SourceForbidden: As for `local_path`.
        UnreadableMedia: As for `local_path`, or it is empty or may not be read.
        MediaTooLarge: As for `local_path`.
    """
    path = local_path(source, options)
    policy = reading_options(source, options).policy
    return opened_whole(path, policy, within=source.within)


def reading_options(source: Source, options: LoadOptions) -> LoadOptions:
    """The options to read a source with, once it has a local path.

    What was fetched is kept among the assets, which need not be in the `roots` of the policy.

    Raises:
        SourceForbidden: The policy does not allow its address.
    """
    if named_file(source, options) is not None:
        return options
    return replace(options, policy=replace(options.policy, roots=None))


def _kept(url: Url, options: LoadOptions) -> Path:
    with fetched(url, options.policy) as path:
        suffix = path.suffix if _SUFFIX.fullmatch(path.suffix) else ""
        return options.assets.keep_file(path, suffix)


def read_picture(picture: Image.Image, file: SourceFile, place: str = "") -> Reading:
    """Read the text on a picture of a file.

    Without the reader nothing is read and the file gets a note: a model with eyes can still use
    the picture.
    """
    try:
        return read_image(picture)
    except MissingExtra as error:
        note_once(file)(place or "the picture", error)
        return Reading()


def note_once(file: SourceFile) -> Callable[[str, MissingExtra], None]:
    """What the readers of recordings and videos call, clip after clip, where a package is missing.

    The file is kept and gets a note, as in `read_picture`.
    """

    def note(what: str, error: MissingExtra) -> None:
        if what not in file.missing:
            file.note_missing(what, error)

    return note
