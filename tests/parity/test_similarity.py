"""Similarities are those of sentence-transformers, and right where those are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sentence_transformers import SimilarityFunction

from mm_rag.errors import InputError
from mm_rag.similarity import SIMILARITIES, Similarity, pairwise_similarity, similarity


def vectors(count: int, *, seed: int, dimension: int = 96) -> npt.NDArray[np.float32]:
    made = np.random.default_rng(seed).normal(size=(count, dimension))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


A, B = vectors(40, seed=1), vectors(30, seed=2)


def close(mine: Any, reference: Any, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(mine, np.asarray(reference), rtol=0, atol=tolerance)


@pytest.mark.parametrize("measure", SIMILARITIES)
@pytest.mark.parametrize("rows", [3, 30])
def test_every_measure_is_sentence_transformers(measure: Similarity, rows: int) -> None:
    theirs = SimilarityFunction.to_similarity_fn(measure)
    in_pairs = SimilarityFunction.to_similarity_pairwise_fn(measure)

    mine = similarity(A, B[:rows], measure)

    assert (mine.shape, mine.dtype) == ((40, rows), np.float32)
    close(mine, theirs(A, B[:rows]))
    close(pairwise_similarity(A[:rows], B[:rows], measure), in_pairs(A[:rows], B[:rows]))
    close(pairwise_similarity(A[:rows], B[:rows], measure), np.diagonal(mine))


@pytest.mark.parametrize("measure", SIMILARITIES)
@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int8, torch.uint8]
)
def test_any_dtype_is_computed_in_float32(measure: Similarity, dtype: torch.dtype) -> None:
    left, right = ((torch.from_numpy(v) * 100).abs().to(dtype) for v in (A, B))

    mine = similarity(left, right, measure)

    assert mine.dtype == np.float32
    np.testing.assert_array_equal(mine, similarity(left.float().numpy(), right.float(), measure))


@pytest.mark.parametrize("measure", SIMILARITIES)
def test_zeros_are_like_nothing_and_never_nan(measure: Similarity) -> None:
    zeros = np.zeros((2, 96), dtype=np.float32)

    across, with_themselves = similarity(A, zeros, measure), similarity(zeros, zeros, measure)

    assert np.isfinite(across).all()
    np.testing.assert_array_equal(with_themselves, np.zeros((2, 2)))
    if measure == "cosine":
        np.testing.assert_array_equal(across, np.zeros((40, 2)))
        np.testing.assert_array_equal(pairwise_similarity(A[:2], zeros), np.zeros(2))


def test_close_vectors_keep_their_distance() -> None:
    # sentence-transformers is off by more than 1e-4 here: in float32, the products cancel.
    near = A + np.float32(1e-4) * vectors(40, seed=3)
    exact = -np.linalg.norm(A[:, None].astype(np.float64) - near[None], axis=-1)

    close(similarity(A, near, "euclidean"), exact, tolerance=1e-6)
    close(np.diagonal(similarity(A, A, "euclidean")), np.zeros(40), tolerance=1e-7)


def test_single_vectors_lists_and_read_only_arrays() -> None:
    frozen = A.copy()
    frozen.flags.writeable = False

    assert similarity(A[0], B).shape == (1, 30)
    assert similarity([1.0, 0.0], [[2.0, 0.0], [0.0, 3.0]]).tolist() == [[1.0, 0.0]]
    assert pairwise_similarity(A[0], A[0]).shape == (1,)
    assert similarity(A, np.zeros((0, 96))).shape == (40, 0)
    np.testing.assert_array_equal(similarity(frozen[::-1], B), similarity(A, B)[::-1])
    weights = torch.from_numpy(A).requires_grad_()
    np.testing.assert_array_equal(similarity(weights, B), similarity(A, B))


@pytest.mark.parametrize("compare", [similarity, pairwise_similarity])
def test_what_cannot_be_compared_is_refused(compare: Any) -> None:
    with pytest.raises(InputError, match=r"\(40, 96\) and \(40, 95\).*96 and 95"):
        compare(A, A[:, :-1])
    with pytest.raises(InputError, match=r"not as \(1, 40, 96\)"):
        compare(A[None], A)
    with pytest.raises(InputError, match="no similarity 'jaccard'; there are cosine, dot"):
        compare(A, A, "jaccard")
    with pytest.raises(InputError, match="arrays of numbers, all of one length"):
        compare([[1.0], [1.0, 2.0]], A)


def test_pairs_need_as_many_on_both_sides() -> None:
    with pytest.raises(InputError, match=r"40 of shape \(40, 96\) for 30 of shape \(30, 96\)"):
        pairwise_similarity(A, B)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("measure", SIMILARITIES)
def test_vectors_on_a_gpu(measure: Similarity) -> None:
    expected = similarity(A, B, measure)

    close(similarity(torch.from_numpy(A).cuda(), B, measure), expected)
    close(similarity(A, torch.from_numpy(B).cuda(), measure), expected)
