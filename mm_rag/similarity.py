"""How similar two vectors are: four measures, in float32 whatever the vectors are kept in."""

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
    """Every vector of `a` against every one of `b`.

    Args:
        a: Shape (n, dimension) or (dimension,), of any dtype, on any device.
        b: Shape (m, dimension) or (dimension,); moved to the device of `a`.
        measure: `"cosine"`, `"dot"`, `"euclidean"` or `"manhattan"`. The cosine with a vector of
            zeros is 0.

    Returns:
        Shape (n, m); higher is more similar, so distances come out negative.

    Raises:
        InputError: There is no such measure, or the vectors are of different dimensions.
    """
    left, right = _pair(a, b)
    match check_similarity(measure):
        case "cosine":
            result = F.normalize(left, dim=-1) @ F.normalize(right, dim=-1).T
        case "dot":
            result = left @ right.T
        case "euclidean":
            # In float32 the products cancel, and a vector lies up to 1e-3 from itself; cdist
            # without products is right, and 20 times slower.
            result = -torch.cdist(left.double(), right.double()).float()
        case "manhattan":
            result = -torch.cdist(left, right, p=1)
    return result.cpu().numpy()


def pairwise_similarity(
    a: npt.ArrayLike | Tensor, b: npt.ArrayLike | Tensor, measure: Similarity = "cosine"
) -> npt.NDArray[np.float32]:
    """The first vector of `a` against the first of `b`, the second against the second, and so on.

    Args:
        a: Shape (n, dimension) or (dimension,), of any dtype, on any device.
        b: The same shape; moved to the device of `a`.
        measure: As for `similarity`.

    Returns:
        Shape (n,); higher is more similar, so distances come out negative.

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
        # torch warns of arrays that it cannot write to, and those are copied here.
        return torch.from_numpy(np.require(vectors, np.float32, ["C", "W"]))
    except (TypeError, ValueError) as error:
        raise InputError(f"Vectors are arrays of numbers, all of one length: {error}") from error


def check_similarity(measure: Similarity) -> Similarity:
    """The measure, where there is one of that name.

    Raises:
        InputError: There is none.
    """
    if measure not in SIMILARITIES:
        raise InputError(
            f"There is no similarity {measure!r}; there are {', '.join(SIMILARITIES)}."
        )
    return measure
