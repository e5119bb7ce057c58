"""CheckedRow: a row of the ledger that may be damaged, and what of it is sound."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mm_rag.collection.ledger.checksums import is_record, is_same_vector, is_vector
from mm_rag.collection.ledger.entry import RECORD, Entry, record_of_entry
from mm_rag.collection.ledger.own_files import OwnFiles
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

    def healed(self, copy: Entry | None, own: OwnFiles) -> Entry | None:
        """The Segment as it was written, put together from this row and Chroma's copy.

        Of the row, the copy and the checksums, two that agree are right.

        Returns:
            None where no two agree.
        """
        segment, given = self.segment, self.given
        if not self.record_is_sound:
            written = None if copy is None else self._as_written(copy, own)
            if written is None:
                return None
            segment, given = written.segment, written.given
        vector = self.vector
        if not self.vector_is_sound:
            if copy is None or not self._is_vector_of(copy):
                return None
            vector = copy.vector
        assert segment is not None
        assert vector is not None
        return Entry(segment=segment, vector=vector, given=given)

    def _as_written(self, copy: Entry, own: OwnFiles) -> Entry | None:
        """The copy, if it has the record that was written."""
        for entry in (copy, replace(copy, given=self.given)):  # Chroma does not keep `given`
            if self.checksums and is_record(self.checksums, record_of_entry(entry, own)):
                return entry
        is_same = self.segment is not None and own.stored(copy.segment) == own.stored(self.segment)
        return copy if is_same else None

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
