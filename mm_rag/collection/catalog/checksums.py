"""Checksums: whether a row of the catalog is what was written.

The checksums of a row are 64 bytes: a hash of the record, a hash of the vector, and a sketch of the
vector (8 float32 projections). Chroma stores normalised vectors, whose last bits differ: the sketch
shows whether such a copy is the same vector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt

HASH = 16
"""Bytes of each of the two hashes."""

_SIGNS = 8  # numbers in a sketch
_TOLERANCE = 1e-5  # of a number in a sketch; normalising a vector changes it by 1e-7


def record_sum(columns: Iterable[object]) -> bytes:
    """The hash of a row's columns without its vector."""
    digest = hashlib.blake2b(digest_size=HASH)
    for column in columns:
        value = _as_bytes(column)
        digest.update(len(value).to_bytes(8, "little"))
        digest.update(value)
    return digest.digest()


def vector_sums(id_: str, vector: bytes) -> bytes:
    """The hash of a vector together with its id, and the vector's sketch."""
    return _vector_sum(id_, vector) + _sketch(vector)


def is_record(checksums: bytes | None, columns: Iterable[object]) -> bool:
    """Whether a row's columns are what was written; True for unknown checksums."""
    return checksums is None or checksums[:HASH] == record_sum(columns)


def is_vector(checksums: bytes | None, id_: str, vector: bytes) -> bool:
    """Whether a vector is what was written, byte by byte; True for unknown checksums."""
    return checksums is None or checksums[HASH : 2 * HASH] == _vector_sum(id_, vector)


def is_same_vector(checksums: bytes | None, vector: npt.NDArray[np.float32]) -> bool:
    """Whether a vector has the same direction as the one that was written."""
    if checksums is None or len(checksums) != 2 * HASH + 4 * _SIGNS:
        return False
    sketch = np.frombuffer(checksums[2 * HASH :], np.float32)
    own = np.frombuffer(_sketch(vector.tobytes()), np.float32)
    return bool((np.abs(own - sketch) <= _TOLERANCE).all())


def _vector_sum(id_: str, vector: bytes) -> bytes:
    digest = hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=HASH)
    digest.update(vector)
    return digest.digest()


def _sketch(vector: bytes) -> bytes:
    numbers = np.frombuffer(vector, np.float32).astype(np.float64)
    length = float(np.linalg.norm(numbers)) or 1.0
    return (_signs(len(numbers)) @ (numbers / length)).astype(np.float32).tobytes()


@cache
def _signs(dimension: int) -> npt.NDArray[np.float64]:
    """Fixed unit vectors, of shape (_SIGNS, dimension)."""
    bits = np.frombuffer(hashlib.shake_256(b"mm_rag").digest(_SIGNS * dimension), np.uint8)
    signs = np.where(bits & 1, 1.0, -1.0).reshape(_SIGNS, dimension)
    return signs / np.sqrt(max(1, dimension))


def _as_bytes(column: object) -> bytes:
    match column:
        case None:
            return b""
        case bytes():
            return column
        case str():
            return column.encode("utf-8", "surrogatepass")
        case int() | float():  # a column of REAL returns 3.0 for 3
            return repr(float(column)).encode()
        case _:
            return repr(column).encode()
