"""Late interaction: every word of the query looks for its best match in the document."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mm_rag.content import Content, content_key
from mm_rag.errors import InputError, UnsupportedModality, at_position
from mm_rag.modules.chain import Chain
from mm_rag.modules.module import LoadOptions, write_json
from mm_rag.preprocessing.batching import TokenVectors, token_vectors
from mm_rag.preprocessing.pairs import Asked, Pair
from mm_rag.rerankers.scorer import ScoreOptions, Scorer
from mm_rag.rerankers.word_weights import WordWeights

_ENCODER = "encoder"


class LateInteraction(Scorer):
    """Weighted MaxSim over the token vectors of an encoder.

    A pair's score is the mean, over the query's tokens, of the highest cosine with any token of the
    document; rare tokens weigh more. It depends on nothing but the pair. Documents that are longer
    than the encoder takes are cut into windows, and the best window counts.

    Args:
        chain: The encoder's modules, which are shared and not copied.
    """

    judges = False
    type_name = "mm_rag.modules.LateInteraction"

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.chain = chain
        self.weights = WordWeights(chain.input.vocabulary)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of the encoder."""
        return self.chain.input.modalities

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the encoder."""
        return self.chain.input.tokenizer

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The lock of the chain."""
        return self.chain.lock

    def supports(self, modality: str) -> bool:
        """As the encoder does."""
        return self.chain.input.supports(modality)

    def reads(self, modality: str) -> bool:
        """As the encoder does."""
        return self.chain.input.reads(modality)

    def score(self, pairs: Sequence[Asked], options: ScoreOptions) -> Tensor:
        """Between -1 and 1; empty queries and documents give 0.

        Raises:
            InputError: There is an instruction, or chat messages: no template would show them.
        """
        if options.prompt:
            raise InputError("This reranker compares words; it takes no instruction (prompt).")
        sides = [_sides(position, asked) for position, asked in enumerate(pairs)]
        size = options.batch_size
        queries = self._vectors([query for query, _ in sides], size, windows=False)
        documents = self._vectors([document for _, document in sides], size, windows=True)
        scores = torch.zeros(len(sides), 1)
        for position, (query, document) in enumerate(sides):
            [asked] = queries[content_key(query)]
            weights = self.weights(asked.token_ids)
            windows = documents[content_key(document)]
            scores[position] = max(max_sim(asked, window, weights) for window in windows)
        options.on_batch(len(sides))
        return scores

    def _vectors(
        self, contents: Sequence[Content], batch_size: int, *, windows: bool
    ) -> Mapping[Hashable, list[TokenVectors]]:
        """The token vectors of every distinct content, by its key, window by window."""
        unique = {content_key(content): content for content in contents}
        prepared = [self.chain.input.prepare(content) for content in unique.values()]
        with self.chain.lock:  # a tokenizer keeps the settings of a call while it works
            split = self.chain.input.split
            pieces = [split(content) if windows else [content] for content in prepared]
        flat = [piece for content in pieces for piece in content]
        made = iter(token_vectors(self.chain, flat, batch_size=batch_size))
        return {
            key: [next(made) for _ in content] for key, content in zip(unique, pieces, strict=True)
        }

    @classmethod
    def load(cls, folder: Path, options: LoadOptions) -> Self:
        """Load it with its encoder."""
        return cls(Chain.load(folder / _ENCODER, options))

    def save(self, folder: Path) -> None:
        """Write it with its encoder."""
        self.chain.save(folder / _ENCODER)
        entry = {"idx": 0, "name": "0", "path": "", "type": self.type_name}
        write_json(folder / "modules.json", [entry])

    def describe(self) -> str:
        """The encoder's modules, and how their vectors are compared."""
        return f"{self.chain.describe()}\nLateInteraction(weighted MaxSim)"


def _sides(position: int, asked: Asked) -> Pair:
    if isinstance(asked, tuple):
        return asked
    with at_position(position):
        raise UnsupportedModality("This reranker takes pairs, and no chat messages.")


def max_sim(query: TokenVectors, document: TokenVectors, weights: npt.NDArray[np.float32]) -> float:
    """The weighted mean, over the query's tokens, of the best cosine with the document's tokens."""
    if not len(query.vectors) or not len(document.vectors):
        return 0.0
    best = (query.vectors @ document.vectors.T).max(axis=1)
    return float(best @ weights / weights.sum())
