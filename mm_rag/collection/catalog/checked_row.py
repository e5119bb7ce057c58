"""CheckedRow: a row of the catalog that may be damaged, and what of it is sound."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mm_rag.collection.catalog.checksums import is_record, is_same_vector, is_vector
from mm_rag.collection.catalog.entry import RECORD, Entry, record_of
from mm_rag.collection.catalog.own_files import OwnFiles
from mm_rag.record import segment_from_json
from mm_rag.segment import Segment

_TEXTS = ("id", "sha256", "source", "modality", "given", "record")

RAW_COLUMNS = ", ".join(
    f"CAST({name} AS BLOB) AS {name}" if name in _TEXTS else name
    for name in (*RECORD.split(", "), "checksums", "vector")
)
"""The columns of a Segment, with texts as bytes: a damaged text cannot be decoded."""


@dataclass(frozen=True)
class CheckedRow:
    """One row.

    Attributes:
        rowid: SQLite's number of it.
        id: The Segment's id, as it stands in the row.
        sha256: Of the Segment's file, as it stands in the row.
        given: As `Entry.given`.
        segment: What the record says; None where it cannot be read.
        vector: The vector; None where its bytes are no numbers.
        record_is_sound: Whether the record is what was written.
        vector_is_sound: Whether the vector is what was written.
        checksums: What they should be.
        was_elsewhere: Whether the record names own files in another folder: the collection moved.
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

    @property
    def is_sound(self) -> bool:
        """Whether record and vector are what was written."""
        return self.record_is_sound and self.vector_is_sound

    @property
    def entry(self) -> Entry:
        """The Segment with its vector, where both are sound."""
        assert self.segment is not None
        assert self.vector is not None
        return Entry(segment=self.segment, vector=self.vector, given=self.given)

    @classmethod
    def of_row(cls, row: sqlite3.Row, own: OwnFiles) -> CheckedRow:
        """Check a row that has `rowid` and `RAW_COLUMNS`."""
        id_ = _text(row["id"])
        sums: Any = row["checksums"]
        checksums = sums if isinstance(sums, bytes) or sums is None else b""
        named = _segment(row["record"])
        segment = None if named is None else own.found(named)
        vector: Any = row["vector"]
        is_numbers = isinstance(vector, bytes) and len(vector) % 4 == 0
        is_told = is_record(checksums, (row[name] for name in RECORD.split(", ")))
        return cls(
            rowid=row["rowid"],
            id=id_,
            sha256=_text(row["sha256"]),
            given=_text(row["given"]),
            segment=segment,
            vector=np.frombuffer(vector, np.float32) if is_numbers else None,
            record_is_sound=is_told and segment is not None and segment.id == id_,
            vector_is_sound=is_numbers and is_vector(checksums, id_, vector),
            checksums=checksums,
            was_elsewhere=checksums is None and segment != named,
        )

    @property
    def ids(self) -> frozenset[str]:
        """The ids that the row and its record name: one of them may be damaged."""
        return frozenset((self.id,) if self.segment is None else (self.id, self.segment.id))

    def healed(self, copies: Mapping[str, Entry], own: OwnFiles) -> Entry | None:
        """The Segment as it was written, put together from this row and Chroma's copies.

        Of the row, the copy and the checksums, two that agree are right.

        Args:
            copies: What Chroma holds under `ids`, as far as it does, by id.
            own: The files of the collection.

        Returns:
            None where no two agree.
        """
        written = self._as_written(copies, own)
        if written is None:
            return None
        segment, given = written
        vector = self.vector
        if not self._is_vector_under(segment.id):
            copy = copies.get(segment.id)
            if copy is None or not self._is_vector_of(copy):
                return None
            vector = copy.vector
        assert vector is not None
        return Entry(segment=segment, vector=vector, given=given)

    def _as_written(self, copies: Mapping[str, Entry], own: OwnFiles) -> tuple[Segment, str] | None:
        """The Segment whose record was written, and what was given of it."""
        if self.record_is_sound and self.segment is not None:
            return self.segment, self.given
        named = [copies[id_] for id_ in sorted(self.ids) if id_ in copies]
        told = [(copy.segment, given) for copy in named for given in (copy.given, self.given)]
        if self.segment is not None:  # a column may be damaged that the record tells, too
            told.append((self.segment, self.given))
        for segment, given in told:
            if self.checksums and is_record(self.checksums, record_of(segment, given, own)):
                return segment, given
        copy = copies.get(self.segment.id) if self.segment is not None else None
        if copy is None or self.segment is None:
            return None
        is_same = own.stored(copy.segment) == own.stored(self.segment)
        return (copy.segment, copy.given) if is_same else None

    def _is_vector_under(self, id_: str) -> bool:
        """Whether the vector is what was written with an id."""
        return self.vector is not None and is_vector(self.checksums, id_, self.vector.tobytes())

    def _is_vector_of(self, copy: Entry) -> bool:
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
