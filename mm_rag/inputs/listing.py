"""Which values hold several inputs: lists, generators, views, columns of tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mm_rag.content import Audio, Chat, Image, Mixed, Text, Url, Video
from mm_rag.errors import InputError
from mm_rag.inputs.files import is_open_file
from mm_rag.inputs.values import is_array, is_decoder, is_picture_object

# One input each, although some of them could be gone through like a list.
_SINGLE = (
    *(str, bytes, bytearray, memoryview, Mapping, Path, Url),
    *(Text, Image, Audio, Video, Mixed, Chat),
)
_COLUMN_KINDS = frozenset("UTSO")  # of numpy: str, StringDType, bytes, objects


def items_of(values: Any) -> list[Any] | None:
    """The items of whatever holds several inputs, in order; None for a single input.

    Several inputs are in a list or another sequence, a generator, a view of a dict, a column of
    pandas, pyarrow, polars or datasets, or a numpy array of strings or objects. Other arrays are
    one medium.

    Raises:
        InputError: It is a set, which has no order, or a whole table.
    """
    if isinstance(values, _SINGLE) or is_open_file(values):
        return None
    if is_picture_object(values) or is_decoder(values) or _is_model(values):
        return None
    if hasattr(values, "columns") and hasattr(values, "shape"):
        raise InputError(
            f"A {type(values).__name__} is a whole table. Give one of its columns, or its rows as "
            "dicts such as {'text': ..., 'image': ...}."
        )
    if isinstance(values, set | frozenset):
        raise InputError("A set has no order. Give a list.")
    if is_array(values):
        return _column(values) if is_column(values) else None
    if hasattr(values, "to_pylist"):  # of pyarrow, whose items are no plain values
        return list(values.to_pylist())
    if isinstance(values, Iterable | Sequence):
        return list(cast("Iterable[Any]", values))
    return None


def is_column(values: Any) -> bool:
    """Whether it is an array of strings or objects, or a column of such a table."""
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    return kind in _COLUMN_KINDS and getattr(values, "ndim", 0) > 0


def _column(values: Any) -> list[Any]:
    if values.dtype.kind != "S" or values.ndim > 1:  # of rows, each is a column by itself
        return list(values)
    return [_words_or_bytes(item) for item in values.tolist()]


def _words_or_bytes(item: Any) -> Any:
    """A string of numpy's type `S`, in UTF-8 or ASCII; bytes that are neither hold a medium."""
    try:
        return item.decode() if isinstance(item, bytes) else item
    except UnicodeDecodeError:
        return item


def _is_model(value: Any) -> bool:
    """Whether it is an object of pydantic, which could be gone through field by field."""
    return hasattr(type(value), "model_fields")
