"""StaticEmbedding: a text's vector is the mean of its tokens' vectors, without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.checkpoints.weights import read_weights, save_weights, weights_file
from mm_rag.content import Content, Text
from mm_rag.errors import CheckpointError, UnsupportedModality
from mm_rag.modules.module import InputModule
from mm_rag.preprocessing.control_tokens import ControlTokens
from mm_rag.preprocessing.features import Features

_TOKENIZER = "tokenizer.json"


class StaticEmbedding(InputModule):
    """Look up the vector of every token, and average them.

    A text without tokens gets a vector of zeros. A CPU encodes thousands of texts a second.

    Args:
        tokenizer: A tokenizer of the tokenizers library; its padding is switched off.
        weights: One row per token id, shape (tokens, dimension).
    """

    type_name = (
        "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding"
    )

    def __init__(self, tokenizer: Tokenizer, weights: Tensor) -> None:
        super().__init__()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._control = ControlTokens(tokenizer)
        # EmbeddingBag takes floats only; quantised checkpoints hold int8.
        rows = weights if weights.is_floating_point() else weights.float()
        self.embedding = nn.EmbeddingBag.from_pretrained(rows, freeze=False, mode="mean")

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, of the tokenizers library."""
        return self._tokenizer

    @property
    def modalities(self) -> tuple[str, ...]:
        """Text."""
        return ("text",)

    @property
    def out_dim(self) -> int:
        """The size of the vectors."""
        return self.embedding.embedding_dim

    @property
    def label(self) -> str:
        """Such as `StaticEmbedding(29528 tokens)`."""
        return f"StaticEmbedding({self.embedding.num_embeddings} tokens)"

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """The tokenizer's token ids by token."""
        return self.tokenizer.get_vocab()

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Make `input_ids`, the tokens of all texts in a row, and `offsets`, where each begins.

        Raises:
            UnsupportedModality: A content is not text.
            CheckpointError: The tokenizer has tokens without a vector.
        """
        texts = [self._text(content, prompt) for content in contents]
        rows: Any = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        tokens: list[list[int]] = [row.ids for row in rows]
        counts = np.fromiter(map(len, tokens), np.int64, len(tokens))
        ids = np.fromiter(chain.from_iterable(tokens), np.int64, counts.sum())
        if ids.size and ids.max() >= self.embedding.num_embeddings:
            raise CheckpointError(
                f"The tokenizer gives token {ids.max()}, but there are vectors for "
                f"{self.embedding.num_embeddings} only: {_TOKENIZER} is another model's."
            )
        offsets = np.cumsum(counts) - counts
        return Features({"input_ids": torch.from_numpy(ids), "offsets": torch.from_numpy(offsets)})

    def forward(self, features: Features) -> Features:
        """Add `sentence_embedding`."""
        features["sentence_embedding"] = self.embedding(features["input_ids"], features["offsets"])
        return features

    def _text(self, content: Content, prompt: str) -> str | tuple[str, str]:
        if not isinstance(content, Text):
            raise UnsupportedModality(f"StaticEmbedding takes text, not {content!r}.")
        text = prompt + self._control.as_text(content.text)
        return text if content.second is None else (text, self._control.as_text(content.second))

    @classmethod
    def load(cls, folder: Path, options: PretrainedOptions) -> Self:
        """Load it from a checkpoint of sentence-transformers or model2vec.

        Raises:
            CheckpointError: The tokenizer or the weights are missing or damaged.
        """
        path = folder / _TOKENIZER
        if not path.is_file():
            raise CheckpointError(f"The checkpoint {folder} has no {_TOKENIZER}.")
        weights = _rows(read_weights(folder), weights_file(folder))
        # From bytes, because from_file raises a bare Exception instead of a ValueError.
        try:
            tokenizer = Tokenizer.from_buffer(path.read_bytes())
        except ValueError as error:
            raise CheckpointError(f"Cannot read {path}: {error}") from error
        module = cls(tokenizer, weights)
        return module.to(options.dtype) if options.dtype else module

    def save(self, folder: Path) -> None:
        """Write the tokenizer and the weights."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / _TOKENIZER))
        save_weights(self, folder)


def _rows(weights: Mapping[str, Tensor], path: Path) -> Tensor:
    """The vectors, one row per token id.

    model2vec has another name for them; tokens may share rows (`mapping`), and their weights in the
    mean may be separate (`weights`).
    """
    rows = weights.get("embedding.weight", weights.get("embeddings"))
    if rows is None or rows.ndim != 2:
        raise CheckpointError(
            f"{path} contains no token vectors: 'embedding.weight' is missing or not a matrix."
        )
    if "embedding.weight" in weights:
        return rows
    try:
        rows = rows[weights["mapping"].long()] if "mapping" in weights else rows
        if "weights" in weights:
            wide = torch.promote_types(rows.dtype, torch.float32)
            rows = rows.to(wide) * weights["weights"].to(wide).unsqueeze(1)
    except (IndexError, RuntimeError) as error:
        raise CheckpointError(
            f"In {path} 'mapping' or 'weights' does not fit 'embeddings': {error}"
        ) from error
    return rows.contiguous()
