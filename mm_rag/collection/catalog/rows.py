"""Rows of the catalog: files, Segments with their vectors, and counts of a source."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mm_rag.collection.catalog.checksums import (
    is_record,
    is_same_vector,
    is_vector,
    record_sum,
    vector_sums,
)
from mm_rag.collection.catalog.own_files import OwnFiles
from mm_rag.errors import CollectionError
from mm_rag.record import segment_from_json, segment_to_json
from mm_rag.segment import Segment
from mm_rag_loaders.outcome import FileState

_RECORD = ("id", "sha256", "source", "modality", "page", "start", "given", "record")
_TEXTS = ("id", "sha256", "source", "modality", "given", "record")

RECORD = ", ".join(_RECORD)
"""The columns of a Segment without its checksums and its vector."""

# Most records have none, and looking for its name is faster than parsing them.
MEMBER = """CASE WHEN instr(record, '"member"') THEN json_extract(record, '$.member') END"""
"""The expression for `Segment.member`, which has no column."""

FOUND = f"id, sha256, {MEMBER} AS member, modality, page, start, vector, checksums"
"""The columns of `found_of_row`."""

COLUMNS = f"{RECORD}, checksums, vector"
"""All columns of a Segment."""

RAW_COLUMNS = ", ".join(
    f"CAST({name} AS BLOB) AS {name}" if name in _TEXTS else name
    for name in (*_RECORD, "checksums", "vector")
)
"""All columns of a Segment, with texts as bytes: a damaged text cannot be decoded."""


@dataclass(frozen=True, kw_only=True)
class CatalogFile:
    """A source file, as it was when it was last looked at.

    Attributes:
        path: Absolute.
        sha256: Of its bytes.
        size: In bytes.
        mtime_ns: Its modification time.
        beside: The subtitle files beside it, as they were, and the reader that read it.
        state: `indexed`, `incomplete`, `unread`, `duplicate`, `unreadable`, `refused` or
            `unsupported` (see `FileState`).
        reason: Why, for people; empty for a plain `indexed`.
        ctime_ns: Its inode change time; 0 where unknown (`FileStamp`).
        inode: Its number in the file system.
        tags: Its tags, one a line, sorted.
        indexed_at: When it was read, in seconds since 1970; 0 where unknown.
    """

    path: str
    sha256: str
    size: int
    mtime_ns: int
    beside: str
    state: FileState
    reason: str = ""
    ctime_ns: int = 0
    inode: int = 0
    tags: str = ""
    indexed_at: float = 0.0

    @property
    def is_in(self) -> bool:
        """Whether its Segments can be found."""
        return self.state in ("indexed", "incomplete", "unread")


@dataclass(frozen=True, kw_only=True)
class SourceStats:
    """Counts of what a collection has of a source, or of a file in it.

    Attributes:
        source: Absolute path of the file, or its address.
        member: Path of the file in it; None for the source itself.
        pages: Number of pages; 0 for a source without pages.
        pageless: Number of Segments that belong to no page.
        clips: Number of clips of a recording or video; 0 for other sources.
        modalities: Of its Segments, separated by commas.
        contents: Number of different contents; above 1 where Segments of an older version of the
            file were added with `Collection.add`.
        last: Where the last clip begins, in seconds; None without clips.
    """

    source: str
    member: str | None
    pages: int
    pageless: int
    clips: int
    modalities: str
    contents: int
    last: float | None

    @property
    def is_plain(self) -> bool:
        """Whether it is only pages, or one whole, and of one content."""
        return self.contents == 1 and not self.clips and (not self.pageless or not self.pages)


class Kind(NamedTuple):
    """A kind of Segment: its modality, and for pictures whether it is the page of a document."""

    modality: str
    is_page: bool = False


def kind_of(modality: str, *, has_page: bool) -> Kind:
    """The kind of a Segment; passages on pages and elsewhere are of one kind."""
    return Kind(modality, modality == "image" and has_page)


class Found(NamedTuple):
    """What a search needs of a candidate before it decides which few to show.

    A tuple, because every search makes hundreds.

    Attributes:
        id: The Segment's id.
        sha256: Of its file.
        member: Path of the file in that file to which it belongs; None for the file itself.
        modality: The Segment's modality.
        page: Its page, counted from 1.
        start: Where it begins, in seconds.
        vector: Its vector's bytes, float32.
    """

    id: str
    sha256: str
    member: str | None
    modality: str
    page: int | None
    start: float | None
    vector: bytes

    @property
    def place(self) -> tuple[str, str | None, int | None, float | None]:
        """The same as `Segment.place`."""
        return (self.sha256, self.member, self.page, self.start)

    @property
    def kind(self) -> Kind:
        """The kind of the Segment."""
        return kind_of(self.modality, has_page=self.page is not None)


def found_of_row(row: sqlite3.Row) -> Found:
    """The `Found` of a row that has the columns of `FOUND`.

    Raises:
        CollectionError: The vector is damaged.
    """
    _check_vector(row["checksums"], row["id"], row["vector"])
    return Found._make(tuple(row)[: len(Found._fields)])


def stacked(vectors: Iterable[bytes]) -> npt.NDArray[np.float32]:
    """Vectors as one array of shape (n, dimension); of shape (0, 0) for no vectors."""
    given = list(vectors)
    flat = np.frombuffer(b"".join(given), dtype=np.float32)
    return flat.reshape(len(given), -1) if given else flat.reshape(0, 0)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A Segment and its vector.

    Attributes:
        segment: The Segment.
        vector: Shape (dimension,), float32.
        given: A hash of what the model was given (`given_of`): the vector is valid as long as it is
            the same.
        features: The looks of its picture (`picture_features`), to be kept with it; None if
            nothing new is known.
    """

    segment: Segment
    vector: npt.NDArray[np.float32]
    given: str
    features: bytes | None = None

    def to_row(self, own: OwnFiles) -> tuple[object, ...]:
        """The values of `COLUMNS`."""
        record = _record_of(self.segment, self.given, own)
        vector = np.asarray(self.vector, dtype=np.float32).tobytes()
        return (*record, record_sum(record) + vector_sums(self.segment.id, vector), vector)

    @classmethod
    def of_row(cls, row: sqlite3.Row, own: OwnFiles) -> Entry:
        """The entry of a row that has `COLUMNS`.

        Raises:
            CollectionError: The row is damaged.
        """
        segment = segment_of_row(row, own)
        _check_vector(row["checksums"], segment.id, row["vector"])
        vector = np.frombuffer(row["vector"], dtype=np.float32)
        return cls(segment=segment, vector=vector, given=row["given"])


def given_of(segment: Segment, *, words: bool = True) -> str:
    """A hash of what a model is given of a Segment, whatever the path of the file.

    Two Segments of the same id and the same hash have the same vector: the id stands for the bytes
    and the place in them, the hash for the words and, where it is not the file itself, the picture.

    Args:
        segment: The Segment.
        words: Whether the model is given its words.
    """
    picture = ""
    if segment.media is not None and segment.media != segment.source:
        picture = Path(segment.media).name  # named after its content
    given = json.dumps([segment.words if words else "", picture])
    return hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def segment_of_row(row: sqlite3.Row, own: OwnFiles) -> Segment:
    """The Segment of a row that has `RECORD` and `checksums`.

    Raises:
        CollectionError: The record is damaged.
    """
    if not is_record(row["checksums"], (row[name] for name in _RECORD)):
        raise _damaged("record", row["id"])
    try:
        return own.found(segment_from_json(row["record"]))
    except (ValueError, TypeError, RecursionError) as error:  # of a row without checksums
        raise _damaged("record", row["id"]) from error


def _record_of(segment: Segment, given: str, own: OwnFiles) -> tuple[object, ...]:
    """The values of `RECORD`."""
    segment = own.stored(segment)
    return (
        segment.id,
        segment.sha256,
        segment.source.encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
        segment.modality,
        segment.page,
        segment.start,
        given,
        segment_to_json(segment),
    )


def _check_vector(checksums: bytes | None, id_: str, vector: bytes) -> None:
    if not is_vector(checksums, id_, vector):
        raise _damaged("vector", id_)


def _damaged(what: str, id_: object) -> CollectionError:
    return CollectionError(
        f"The catalog is damaged: the {what} of Segment {id_} is not what was written. "
        "Repair it with repair(), or mm-rag verify --repair."
    )


@dataclass(frozen=True)
class CheckedRow:
    """A row of a Segment that may be damaged.

    Attributes:
        rowid: SQLite's number of the row.
        id: The Segment's id, as the row has it.
        sha256: Of the Segment's file, as the row has it.
        given: As `Entry.given`.
        segment: What the record says; None where it cannot be parsed.
        vector: The vector; None where its bytes are not float32.
        record_is_sound: Whether the record is what was written.
        vector_is_sound: Whether the vector is what was written.
        checksums: What they should be.
        was_elsewhere: Whether the record names own files in another folder, as formats before 4
            did after the collection was moved.
    """

    rowid: int
    id: str
    sha256: str
    given: str
    segment: Segment | None
    vector: npt.NDArray[np.float32] | None
    record_is_sound: bool
    vector_is_sound: bool
    checksums: bytes | None
    was_elsewhere: bool

    @classmethod
    def of_row(cls, row: sqlite3.Row, own: OwnFiles) -> CheckedRow:
        """Check a row that has `rowid` and `RAW_COLUMNS`."""
        id_ = _text(row["id"])
        sums: Any = row["checksums"]
        checksums = sums if isinstance(sums, bytes) or sums is None else b""
        named = _segment(row["record"])
        segment = None if named is None else own.found(named)
        vector: Any = row["vector"]
        is_float32 = isinstance(vector, bytes) and len(vector) % 4 == 0
        is_written = is_record(checksums, (row[name] for name in _RECORD))
        return cls(
            rowid=row["rowid"],
            id=id_,
            sha256=_text(row["sha256"]),
            given=_text(row["given"]),
            segment=segment,
            vector=np.frombuffer(vector, np.float32) if is_float32 else None,
            record_is_sound=is_written and segment is not None and segment.id == id_,
            vector_is_sound=is_float32 and is_vector(checksums, id_, vector),
            checksums=checksums,
            was_elsewhere=checksums is None and segment != named,
        )

    @property
    def is_sound(self) -> bool:
        """Whether record and vector are what was written."""
        return self.record_is_sound and self.vector_is_sound

    @property
    def ids(self) -> frozenset[str]:
        """The ids that the row and its record name: one of them may be damaged."""
        return frozenset((self.id,) if self.segment is None else (self.id, self.segment.id))

    @property
    def entry(self) -> Entry:
        """The Segment with its vector, of a sound row."""
        assert self.segment is not None
        assert self.vector is not None
        return Entry(segment=self.segment, vector=self.vector, given=self.given)

    def healed(self, copies: Mapping[str, Entry], own: OwnFiles) -> Entry | None:
        """The Segment as it was written, put together from this row and Chroma's copies.

        Of the row, the copy and the checksums, two that agree are right.

        Args:
            copies: What Chroma holds under `ids`, by id.
            own: The files of the collection.

        Returns:
            None where no two agree.
        """
        written = self._as_written(copies, own)
        if written is None:
            return None
        segment, given = written
        vector = self.vector
        if not self._is_vector_of_id(segment.id):
            copy = copies.get(segment.id)
            if copy is None or not self._is_vector_of_copy(copy):
                return None
            vector = copy.vector
        assert vector is not None
        return Entry(segment=segment, vector=vector, given=given)

    def _as_written(self, copies: Mapping[str, Entry], own: OwnFiles) -> tuple[Segment, str] | None:
        """The Segment whose record was written, and its `given`."""
        if self.record_is_sound and self.segment is not None:
            return self.segment, self.given
        named = [copies[id_] for id_ in sorted(self.ids) if id_ in copies]
        possible = [(copy.segment, given) for copy in named for given in (copy.given, self.given)]
        if self.segment is not None:  # a column may be damaged that the record has, too
            possible.append((self.segment, self.given))
        for segment, given in possible:
            if self.checksums and is_record(self.checksums, _record_of(segment, given, own)):
                return segment, given
        copy = copies.get(self.segment.id) if self.segment is not None else None
        if copy is None or self.segment is None:
            return None
        is_same = own.stored(copy.segment) == own.stored(self.segment)
        return (copy.segment, copy.given) if is_same else None

    def _is_vector_of_id(self, id_: str) -> bool:
        """Whether the vector is what was written with an id."""
        return self.vector is not None and is_vector(self.checksums, id_, self.vector.tobytes())

    def _is_vector_of_copy(self, copy: Entry) -> bool:
        if is_same_vector(self.checksums, copy.vector):
            return True
        own = self.vector
        return own is not None and own.shape == copy.vector.shape and _is_parallel(own, copy.vector)


def _is_parallel(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return lengths > 0 and bool(float(one @ other) / lengths > 1 - 1e-6)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _segment(record: object) -> Segment | None:
    try:
        return segment_from_json(_text(record))
    except (ValueError, TypeError, RecursionError):
        return None
