"""The similarity of vectors by four measures, computed in float32 for any dtype."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from mm_rag.errors import InputError

Similarity: TypeAlias = Literal["cosine", "dot", "euclidean", "manhattan"]
SIMILARITIES: tuple[Similarity, ...] = get_args(Similarity)


def similarity(
    a: npt.ArrayLike | Tensor, b: npt.ArrayLike | Tensor, measure: Similarity = "cosine"
) -> npt.NDArray[np.float32]:
    """Compare every vector of `a` with every vector of `b`.

    Args:
        a: Shape (n, dimension) or (dimension,), of any dtype, on any device.
        b: Shape (m, dimension) or (dimension,); moved to the device of `a`.
        measure: `"cosine"`, `"dot"`, `"euclidean"` or `"manhattan"`. The cosine with a vector of
            zeros is 0.

    Returns:
        Shape (n, m); higher is more similar, so distances are negative.

    Raises:
        InputError: There is no such measure, or the dimensions differ.
    """
    left, right = _pair(a, b)
    match check_similarity(measure):
        case "cosine":
            result = F.normalize(left, dim=-1) @ F.normalize(right, dim=-1).T
        case "dot":
            result = left @ right.T
        case "euclidean":
            # In float64: in float32 cancellation puts a vector up to 1e-3 from itself, and cdist
            # without matrix products is 20 times slower.
            result = -torch.cdist(left.double(), right.double()).float()
        case "manhattan":
            result = -torch.cdist(left, right, p=1)
    return result.cpu().numpy()


def pairwise_similarity(
    a: npt.ArrayLike | Tensor, b: npt.ArrayLike | Tensor, measure: Similarity = "cosine"
) -> npt.NDArray[np.float32]:
    """Compare the first vector of `a` with the first of `b`, the second with the second, ...

    Args:
        a: Shape (n, dimension) or (dimension,), of any dtype, on any device.
        b: The same shape; moved to the device of `a`.
        measure: As for `similarity`.

    Returns:
        Shape (n,); higher is more similar, so distances are negative.

    Raises:
        InputError: There is no such measure, or the shapes differ.
    """
    left, right = _pair(a, b)
    if len(left) != len(right):
        raise InputError(
            f"Vectors are compared in pairs, and there are {len(left)} of shape "
            f"{tuple(left.shape)} for {len(right)} of shape {tuple(right.shape)}."
        )
    match check_similarity(measure):
        case "cosine":
            result = (F.normalize(left, dim=-1) * F.normalize(right, dim=-1)).sum(dim=-1)
        case "dot":
            result = (left * right).sum(dim=-1)
        case "euclidean":
            result = -torch.linalg.vector_norm(left - right, dim=-1)
        case "manhattan":
            result = -torch.linalg.vector_norm(left - right, ord=1, dim=-1)
    return result.cpu().numpy()


def _pair(a: npt.ArrayLike | Tensor, b: npt.ArrayLike | Tensor) -> tuple[Tensor, Tensor]:
    left, right = _rows(a), _rows(b)
    if left.shape[1] != right.shape[1]:
        raise InputError(
            f"Vectors of shapes {tuple(left.shape)} and {tuple(right.shape)} cannot be compared: "
            f"their dimensions are {left.shape[1]} and {right.shape[1]}. Were they made by "
            "different models, or by one with another truncate_dim?"
        )
    return left, right.to(left.device)


def _rows(vectors: npt.ArrayLike | Tensor) -> Tensor:
    rows = _tensor(vectors)
    if rows.ndim not in (1, 2):
        raise InputError(
            f"Vectors come as (n, dimension) or (dimension,), not as {tuple(rows.shape)}."
        )
    return rows if rows.ndim == 2 else rows[None]


def _tensor(vectors: npt.ArrayLike | Tensor) -> Tensor:
    if isinstance(vectors, Tensor):
        # Apple's GPUs have no float64.
        vectors = vectors.cpu() if vectors.device.type == "mps" else vectors
        return vectors.detach().float()
    try:
        # Read-only arrays are copied, because torch warns about them.
        return torch.from_numpy(np.require(vectors, np.float32, ["C", "W"]))
    except (TypeError, ValueError) as error:
        raise InputError(f"Vectors are arrays of numbers, all of one length: {error}") from error


def check_similarity(measure: Similarity) -> Similarity:
    """Check the name of a measure.

    Raises:
        InputError: There is no such measure.
    """
    if measure not in SIMILARITIES:
        raise InputError(
            f"There is no similarity {measure!r}; there are {', '.join(SIMILARITIES)}."
        )
    return measure
