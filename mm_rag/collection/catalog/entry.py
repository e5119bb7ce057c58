"""Entry: a Segment with its vector, as the catalog keeps it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mm_rag.collection.catalog.checksums import is_record, is_vector, record_sum, vector_sums
from mm_rag.collection.catalog.own_files import OwnFiles
from mm_rag.errors import CollectionError
from mm_rag.record import segment_from_json, segment_to_json
from mm_rag.segment import Segment

RECORD = "id, sha256, source, modality, page, start, given, record"
COLUMNS = f"{RECORD}, checksums, vector"

_RECORD = tuple(RECORD.split(", "))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A Segment and its vector.

    Attributes:
        segment: The Segment.
        vector: Shape (dimension,), float32.
        given: What a model was given (`given_of`): as long as that stays, so does the vector.
    """

    segment: Segment
    vector: npt.NDArray[np.float32]
    given: str

    def to_row(self, own: OwnFiles) -> tuple[object, ...]:
        """As the columns `COLUMNS`."""
        record = record_of(self.segment, self.given, own)
        vector = np.asarray(self.vector, dtype=np.float32).tobytes()
        return (*record, record_sum(record) + vector_sums(self.segment.id, vector), vector)

    @classmethod
    def of_row(cls, row: sqlite3.Row, own: OwnFiles) -> Entry:
        """What `to_row` made.

        Raises:
            CollectionError: It is not what was written.
        """
        segment = segment_of_row(row, own)
        _check_vector(row["checksums"], segment.id, row["vector"])
        vector = np.frombuffer(row["vector"], dtype=np.float32)
        return cls(segment=segment, vector=vector, given=row["given"])


def record_of(segment: Segment, given: str, own: OwnFiles) -> tuple[object, ...]:
    """The columns `RECORD` of a Segment, with the `Entry.given` of it."""
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


def segment_of_row(row: sqlite3.Row, own: OwnFiles) -> Segment:
    """The Segment of a row that has the columns `RECORD` and `checksums`.

    Raises:
        CollectionError: It is not what was written.
    """
    if not is_record(row["checksums"], (row[name] for name in _RECORD)):
        raise _damaged("record", row["id"])
    try:
        return own.found(segment_from_json(row["record"]))
    except (ValueError, TypeError, RecursionError) as error:  # of a row without checksums
        raise _damaged("record", row["id"]) from error


def found_of_row(row: sqlite3.Row) -> Found:
    """The `Found` of a row that has its fields and `checksums`.

    Raises:
        CollectionError: The vector is not what was written.
    """
    _check_vector(row["checksums"], row["id"], row["vector"])
    return Found._make(tuple(row)[: len(Found._fields)])


def _check_vector(checksums: bytes | None, id_: str, vector: bytes) -> None:
    if not is_vector(checksums, id_, vector):
        raise _damaged("vector", id_)


def _damaged(what: str, id_: object) -> CollectionError:
    return CollectionError(
        f"The catalog is damaged: the {what} of Segment {id_} is not what was written. "
        "Mend it with repair(), or mm-rag verify --repair."
    )


class Found(NamedTuple):
    """What a search needs to know of many Segments, before it decides which few to show.

    A tuple, as hundreds are made for every search.

    Attributes:
        id: The Segment's.
        sha256: Of its file.
        modality: What it is.
        page: Where it is.
        start: Where it begins, in seconds.
        vector: Its vector's bytes, float32.
    """

    id: str
    sha256: str
    modality: str
    page: int | None
    start: float | None
    vector: bytes

    @property
    def place(self) -> tuple[str, int | None, float | None]:
        """As `Segment.place`."""
        return (self.sha256, self.page, self.start)


def stacked(vectors: Iterable[bytes]) -> npt.NDArray[np.float32]:
    """Vectors as one array of shape (n, dimension); of shape (0, 0) where there are none."""
    given = list(vectors)
    flat = np.frombuffer(b"".join(given), dtype=np.float32)
    return flat.reshape(len(given), -1) if given else flat.reshape(0, 0)


def given_of(segment: Segment, *, words: bool = True) -> str:
    """A hash of what a model is given of a Segment, where the file lies left out.

    Two Segments of the same id that are given the same have the same vector: the id says which
    bytes and which place in them, this the words and, where it is not the file itself, the picture.

    Args:
        segment: The Segment.
        words: Whether the model is given its words.
    """
    picture = ""
    if segment.media is not None and segment.media != segment.source:
        picture = Path(segment.media).name  # named after its content
    told = json.dumps([segment.words if words else "", picture])
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:32]
