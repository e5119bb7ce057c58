"""What every reranker model offers, and the activation of its scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from mm_rag.errors import CheckpointError, InputError
from mm_rag.modules.layers import activation_by_name
from mm_rag.preprocessing.chat_template import PairOrChat

Activation: TypeAlias = Callable[[Tensor], Tensor]


def _ignore(count: int) -> None:
    del count


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """How pairs are scored.

    Attributes:
        batch_size: Maximum number of pairs in a batch; long pairs make smaller batches.
        prompt: The instruction; empty for none.
        on_batch: Called after each batch with the number of pairs that are done.

    Raises:
        InputError: `batch_size` is not a positive integer.
    """

    batch_size: int = 32
    prompt: str = ""
    on_batch: Callable[[int], None] = _ignore

    def __post_init__(self) -> None:
        """Validate the batch size."""
        size: Any = self.batch_size
        if not isinstance(size, int) or size < 1:
            raise InputError(f"A batch holds at least one pair; got batch_size={size!r}.")


class ScoredBatch(NamedTuple):
    """Scores of some pairs of a call.

    Attributes:
        positions: Positions of the pairs in the call.
        scores: Shape (positions, labels), float32, on the CPU.
        truncated: Whether a document was truncated.
    """

    positions: list[int]
    scores: Tensor
    truncated: bool


class RerankerModel(nn.Module, ABC):
    """Scores pairs of a query and a document.

    Attributes:
        is_cross_encoder: Whether its scores alone order documents. Scores of other models, such as
            late interaction, are combined with those of retrieval.
        labels: Number of scores per pair.
    """

    is_cross_encoder: ClassVar[bool]
    labels: int = 1

    @abstractmethod
    def score(self, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Tensor:
        """Score pairs, before any activation.

        Returns:
            Shape (pairs, labels), float32, on the CPU.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model to a folder that `Reranker` can load."""

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """Modalities of queries and documents."""

    def supports(self, modality: str) -> bool:
        """Whether queries and documents can have this modality, or this combination."""
        return modality in self.modalities

    def encodes_as_text(self, modality: str) -> bool:
        """Whether media of this modality are scored by the words read from them."""
        return False

    @property
    def max_length(self) -> int | None:
        """Maximum number of tokens of a pair; None if pairs are not truncated."""
        return None

    @max_length.setter
    def max_length(self, limit: int) -> None:
        raise InputError(f"{type(self).__name__} does not truncate pairs: no max_seq_length.")

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the model; None if it takes no text."""
        return None

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer from now on.

        Raises:
            InputError: The model cannot use another tokenizer.
        """
        raise InputError(f"The tokenizer of {type(self).__name__} cannot be replaced.")

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next((weight.device for weight in self.parameters()), torch.device("cpu"))

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while the model runs, or is moved."""
        return nullcontext()

    @property
    def config(self) -> PretrainedConfig | None:
        """Configuration of the transformers model that makes the scores, if there is one."""
        return None

    def describe(self) -> str:
        """One line per part, for `print(reranker)`."""
        return type(self).__name__


def check_activation(activation: Activation | None) -> None:
    """Check the type of a caller's activation.

    Raises:
        InputError: It is not a function, or it is a class instead of an instance.
    """
    given: Any = activation
    if given is not None and (isinstance(given, type) or not callable(given)):
        raise InputError(
            f"An activation_fn is applied to scores, such as torch.nn.Sigmoid(); got {given!r}."
        )


def saved_activation(saved: Mapping[str, Any], model: RerankerModel) -> nn.Module:
    """The activation of a checkpoint, or the usual one for the model.

    Args:
        saved: Settings of the checkpoint; older versions of sentence-transformers wrote the
            activation into the transformers configuration instead.
        model: Its model.
    """
    config: Any = model.config
    older: dict[str, str] = getattr(config, "sentence_transformers", None) or {}
    name = (
        saved.get("activation_fn")
        or older.get("activation_fn")
        or getattr(config, "sbert_ce_default_activation_function", None)
    )
    if name:
        return activation_by_name(name)
    return nn.Sigmoid() if model.is_cross_encoder and model.labels == 1 else nn.Identity()


def apply_activation(activation: Activation, scores: Tensor) -> Tensor:
    """Apply an activation to scores of shape (pairs, labels).

    Raises:
        InputError: The result is not a tensor with a row for each pair.
    """
    with torch.inference_mode():
        made: Any = activation(scores)
    if not isinstance(made, Tensor) or made.shape[:1] != scores.shape[:1]:
        shape = f" of shape {tuple(made.shape)}" if isinstance(made, Tensor) else ""
        raise InputError(
            f"The activation_fn must return a tensor with a row for each of {len(scores)} pairs; "
            f"it returned a {type(made).__name__}{shape}."
        )
    return made.float()


def activation_name(activation: Activation) -> str:
    """The dotted name by which a checkpoint refers to an activation.

    Raises:
        InputError: The activation could not be loaded by its name.
    """
    kind = type(activation)
    name = f"{kind.__module__}.{kind.__name__}"
    try:
        activation_by_name(name)
    except CheckpointError as error:
        raise InputError(
            f"The activation {activation!r} cannot be saved; give an instance of a class of "
            "torch.nn that takes no arguments, such as torch.nn.Sigmoid()."
        ) from error
    return name
