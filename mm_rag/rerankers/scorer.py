"""Scorers: how well does a document answer a query?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from mm_rag.errors import InputError
from mm_rag.preprocessing.pairs import Asked


def _nothing(count: int) -> None:
    del count


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """How pairs are scored.

    Attributes:
        batch_size: Pairs in a batch at most; there are fewer where they are long.
        prompt: The instruction; empty for none.
        on_batch: Called with the number of pairs that a batch has scored.

    Raises:
        InputError: A batch would hold nothing.
    """

    batch_size: int = 32
    prompt: str = ""
    on_batch: Callable[[int], None] = _nothing

    def __post_init__(self) -> None:
        """Refuse batches that hold nothing."""
        size: Any = self.batch_size
        if not isinstance(size, int) or size < 1:
            raise InputError(f"A batch holds at least one pair; got batch_size={size!r}.")


class Scorer(nn.Module, ABC):
    """Score pairs of a query and a document.

    Attributes:
        judges: Whether its score is good enough to order documents by it alone. Otherwise it is one
            voice beside the retrieval scores.
        labels: How many scores a pair gets.
    """

    judges: ClassVar[bool]
    labels: int = 1

    @property
    def max_length(self) -> int | None:
        """Tokens that a pair is cut at; None where it is not cut."""
        return None

    @max_length.setter
    def max_length(self, limit: int) -> None:
        raise InputError(f"{type(self).__name__} cuts no pairs: it has no max_seq_length to set.")

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the model that makes the scores; None where that reads no text."""
        return None

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer from now on.

        Raises:
            InputError: It cannot.
        """
        raise InputError(f"{type(self).__name__} cannot be given another tokenizer.")

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next((weight.device for weight in self.parameters()), torch.device("cpu"))

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while its model is used, or moved."""
        return nullcontext()

    @property
    def config(self) -> PretrainedConfig | None:
        """Of its transformers model, if that makes the scores."""
        return None

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """What queries and documents can be."""

    @abstractmethod
    def score(self, pairs: Sequence[Asked], options: ScoreOptions) -> Tensor:
        """Score every pair before any activation; shape (pairs, labels), float32, on the CPU."""

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
