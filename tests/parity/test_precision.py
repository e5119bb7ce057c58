"""Quantized vectors are, bit for bit, those of sentence-transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sentence_transformers.util.quantization import quantize_embeddings

from mm_rag.errors import InputError
from mm_rag.precision import PRECISIONS, Precision, quantize

DTYPES = {"float32": np.float32, "int8": np.int8, "uint8": np.uint8}


def vectors(count: int = 120, dimension: int = 21) -> npt.NDArray[np.float32]:
    made = np.random.default_rng(4).normal(size=(count, dimension)).astype(np.float32)
    made[:, 3] = 0.25  # a dimension without a range
    made[5:6] = 0  # zero is not above zero
    return made


def same(mine: npt.NDArray[Any], reference: Any) -> None:
    assert mine.dtype == reference.dtype
    np.testing.assert_array_equal(mine, reference)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dimension", [16, 21])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_every_precision(precision: Precision, dimension: int, dtype: Any) -> None:
    given = vectors(dimension=dimension).astype(dtype)

    same(quantize(given, precision), quantize_embeddings(given, precision))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensors_and_bfloat16(precision: Precision) -> None:
    given = torch.from_numpy(vectors())

    same(quantize(given, precision), quantize_embeddings(given, precision))
    same(quantize(given.bfloat16(), precision), quantize_embeddings(given.bfloat16(), precision))
    same(quantize(given.double(), precision), quantize_embeddings(given.double(), precision))
    same(quantize(given.requires_grad_(), precision), quantize(vectors(), precision))


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_given_ranges_serve_a_single_vector_and_cut_what_is_outside(precision: Precision) -> None:
    many = vectors()
    ranges = np.stack([many.min(axis=0), many.max(axis=0)])
    query = many[7]

    same(quantize(query, precision, ranges=ranges), quantize(many, precision)[7])
    wide = many * 3
    reference = quantize_embeddings(wide, precision, ranges)
    same(quantize(wide, precision, ranges=ranges), reference)
    same(quantize(many[:1], precision, ranges=ranges), quantize(many, precision)[:1])


@pytest.mark.parametrize("precision", ["float32", "binary", "ubinary"])
def test_a_single_vector_needs_no_ranges(precision: Precision) -> None:
    same(quantize(vectors()[0], precision), quantize_embeddings(vectors()[0], precision))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_vectors_give_none(precision: Precision) -> None:
    same(quantize(vectors(0), precision), quantize_embeddings(vectors(0), precision))


def test_eight_dimensions_share_a_byte_and_the_last_is_filled_up() -> None:
    signs = np.array([[1, -1, 0, 1, -1, -1, -1, 2, 1, 1]], dtype=np.float32)

    assert quantize(signs, "ubinary").tolist() == [[0b10010001, 0b11000000]]
    assert quantize(signs, "binary").tolist() == [[0b10010001 - 128, 0b11000000 - 128]]


@pytest.mark.parametrize("precision", ["int8", "uint8"])
@pytest.mark.parametrize("shape", [(1, 21), (21,)])
def test_ranges_of_a_single_vector_are_refused(
    precision: Precision, shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match=r"cannot come from a single vector.*ranges="):
        quantize(vectors(1).reshape(shape), precision)


def test_what_cannot_be_quantized_is_refused() -> None:
    nonsense: Any = "int4"
    with pytest.raises(InputError, match="no precision 'int4'; there are float32, int8"):
        quantize(vectors(), nonsense)
    with pytest.raises(InputError, match=r"floats of shape .*int8 of shape \(120, 21\)"):
        quantize(quantize(vectors(), "int8"), "binary")
    with pytest.raises(InputError, match=r"\(120, 21\) have the shape \(2, 21\).*have \(2, 20\)"):
        quantize(vectors(), "int8", ranges=np.zeros((2, 20)))
