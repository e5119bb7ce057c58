"""Quantise vectors: 4 times smaller with one byte per dimension, 32 times with one bit."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mm_rag.errors import InputError

Precision: TypeAlias = Literal["float32", "int8", "uint8", "binary", "ubinary"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def quantize(
    vectors: npt.NDArray[Any] | Tensor,
    precision: Precision,
    *,
    ranges: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """Quantise vectors, as sentence-transformers does.

    `"int8"` and `"uint8"` divide the range of every dimension into 256 steps. Vectors quantised
    with different ranges are not comparable, so a query needs the `ranges` of its documents.

    Args:
        vectors: Floats of shape (n, dimension) or (dimension,).
        precision: `"float32"`, `"int8"`, `"uint8"`, `"binary"` or `"ubinary"`.
        ranges: For `"int8"` and `"uint8"`: shape (2, dimension), the minimum and the maximum of
            each dimension; by default those of the given vectors.

    Returns:
        `"float32"`: float32 of the same shape. `"int8"` and `"uint8"`: that dtype, the same shape.
        `"binary"` and `"ubinary"`: int8 and uint8 with ceil(dimension / 8) columns, each holding
        eight dimensions, the first in the highest bit, padded with zero bits; a bit is 1 if the
        value is above 0, and `"binary"` is `"ubinary"` minus 128.

    Raises:
        InputError: The vectors are not floats, the ranges have another shape, or they would have to
            be computed from a single vector.
    """
    values = _floats(vectors)
    match precision:
        case "float32":
            return values.astype(np.float32)
        case "int8":
            return (_steps(values, ranges) - 128).astype(np.int8)
        case "uint8":
            return _steps(values, ranges).astype(np.uint8)
        case "binary":
            return (_bits(values).astype(np.int16) - 128).astype(np.int8)
        case "ubinary":
            return _bits(values)
        case _:
            known = ", ".join(PRECISIONS)
            raise InputError(f"There is no precision {precision!r}; there are {known}.")


def _floats(vectors: npt.NDArray[Any] | Tensor) -> npt.NDArray[Any]:
    if isinstance(vectors, Tensor):
        tensor = vectors.detach().cpu()
        # numpy has no bfloat16.
        vectors = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    values = np.asarray(vectors)
    if not np.issubdtype(values.dtype, np.floating) or values.ndim not in (1, 2):
        raise InputError(
            "Vectors to quantize are floats of shape (n, dimension) or (dimension,); "
            f"these are {values.dtype} of shape {values.shape}."
        )
    return values


def _steps(values: npt.NDArray[Any], ranges: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    low, high = _ranges(values, ranges)
    width = (high - low) / 255
    width[width == 0] = 1  # a constant dimension
    return np.clip(np.floor((values - low) / width), 0, 255)


def _ranges(values: npt.NDArray[Any], ranges: npt.NDArray[Any] | None) -> npt.NDArray[np.float32]:
    dimension = values.shape[-1]
    if ranges is not None:
        given = np.asarray(ranges, dtype=np.float32)
        if given.shape != (2, dimension):
            raise InputError(
                f"Ranges for vectors of shape {values.shape} have the shape {(2, dimension)}: the "
                f"minimum and the maximum of each dimension. These have {given.shape}."
            )
        return given
    if values.ndim == 1 or len(values) == 1:
        raise InputError(
            "The ranges for int8 and uint8 cannot come from a single vector. Quantize several "
            "together, or pass the ranges of many: "
            "quantize(vector, precision, ranges=numpy.stack([many.min(axis=0), many.max(axis=0)]))"
        )
    if len(values) == 0:
        return np.zeros((2, dimension), dtype=np.float32)
    return np.stack([values.min(axis=0), values.max(axis=0)]).astype(np.float32)


def _bits(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.packbits(values > 0, axis=-1)
