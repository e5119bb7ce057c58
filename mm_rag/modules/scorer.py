"""Scorers: how well does a document answer a query?"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mm_rag.content import Content, Text, modality_name
from mm_rag.errors import CheckpointError, UnsupportedModality
from mm_rag.modules.batching import plan, token_budget
from mm_rag.modules.module import write_json
from mm_rag.modules.transformer import Transformer

Pair: TypeAlias = tuple[Content, Content]
Scores: TypeAlias = npt.NDArray[np.float32]


class Scorer(nn.Module, ABC):
    """Score pairs of a query and a document.

    Attributes:
        judges: Whether its score is good enough to order documents by it alone. Otherwise it is one
            voice beside the retrieval scores.
    """

    judges: ClassVar[bool]

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """What queries and documents can be."""

    @abstractmethod
    def score(self, pairs: Sequence[Pair], *, batch_size: int) -> Scores:
        """Score every pair; higher is better. Shape (pairs,), float32."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write it to a folder that `Reranker` loads."""

    def supports(self, modality: str) -> bool:
        """Whether queries and documents can be of this modality, or this combination."""
        return modality in self.modalities

    def reads(self, modality: str) -> bool:
        """Whether this modality is scored by words read from it."""
        return False

    def describe(self) -> str:
        """One line per part, for `print(reranker)`."""
        return type(self).__name__


class PairClassifier(Scorer):
    """A cross-encoder: a classifier that reads query and document together.

    Args:
        transformer: Loaded for sequence classification, with one label.
        activation: Applied to the logits.
    """

    judges = True

    def __init__(self, transformer: Transformer, activation: nn.Module) -> None:
        super().__init__()
        if transformer.output_name != "scores":
            raise CheckpointError(f"{transformer.label} makes no scores; it cannot rerank.")
        labels = transformer.model.config.num_labels
        if labels != 1:
            raise CheckpointError(f"A reranker gives one score; this model gives {labels} labels.")
        self.transformer = transformer
        self.activation = activation
        self._lock = threading.Lock()  # tokenizers keep the settings of a call as state

    @property
    def modalities(self) -> tuple[str, ...]:
        """Text only."""
        return ("text",)

    def score(self, pairs: Sequence[Pair], *, batch_size: int) -> Scores:
        """The classifier's logit after the activation, computed in float32."""
        texts = [(_text(query), _text(document)) for query, document in pairs]
        device = next(self.transformer.parameters()).device
        with self._lock:
            lengths = self.transformer.processing.pair_lengths(texts)
        scores = torch.empty(len(pairs))
        tokens = token_budget(device)
        for batch in plan(lengths, [0] * len(pairs), batch_size=batch_size, tokens=tokens):
            with self._lock, torch.inference_mode():
                features = self.transformer.processing.pairs([texts[i] for i in batch])
                logits = self.transformer(features.to(device))["scores"]
                scores[batch] = self.activation(logits.float()).squeeze(-1).cpu()
        return scores.numpy()

    def save(self, folder: Path) -> None:
        """In the format of sentence-transformers' CrossEncoder."""
        self.transformer.save(folder)
        modules = [{"idx": 0, "name": "0", "path": "", "type": self.transformer.type_name}]
        write_json(folder / "modules.json", modules)
        activation = type(self.activation)
        name = f"{activation.__module__}.{activation.__name__}"
        config = {"model_type": "CrossEncoder", "activation_fn": name}
        write_json(folder / "config_sentence_transformers.json", config)

    def describe(self) -> str:
        """The transformer and the activation."""
        return f"{self.transformer.label}\n{type(self.activation).__name__}"


def _text(content: Content) -> str:
    if not isinstance(content, Text):
        raise UnsupportedModality(f"This reranker takes text, not {modality_name(content)}.")
    return content.text
