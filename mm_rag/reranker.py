"""Reranker: a closer look at what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mm_rag.checkpoint import Hub, find_default_model, find_model
from mm_rag.content import Content, modality_name
from mm_rag.device import as_dtype, best_device
from mm_rag.embedded import embedded_chain
from mm_rag.encoder import Encoder
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality
from mm_rag.inputs import as_content
from mm_rag.modules import LateInteraction, LoadOptions, Transformer
from mm_rag.modules.dense import activation_by_name
from mm_rag.modules.module import read_json
from mm_rag.modules.scorer import Pair, PairClassifier, Scorer, Scores


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A document's place in a ranking.

    Attributes:
        index: Its position among the documents that were given.
        score: Higher is better; comparable within one reranker.
    """

    index: int
    score: float


class Reranker:
    """Score documents for a query.

    Args:
        model: A folder, or a model's name on the hub. None for late interaction over the embedded
            default encoder, or over `encoder`.
        encoder: An encoder whose modules and weights are used by the default, not loaded again.
        modules: The scorer to use instead of a `model`.
        revision: A branch, tag or commit of the model.
        device: Such as `"cuda"`; the GPU when there is one, by default. An `encoder` stays where
            it is.
        dtype: Of the weights, such as `torch.bfloat16`; what the checkpoint says, by default.
        trust_remote_code: Run Python code that lies in the checkpoint.
        model_kwargs: For the `from_pretrained` of the transformers model.
        processor_kwargs: For the `from_pretrained` of its tokenizer or processor.
        config_kwargs: For the `from_pretrained` of its configuration.
        cache_folder: Where models are kept.
        local_files_only: Fetch nothing.
        token: For private models.

    Raises:
        CheckpointError: There is no such model, or it cannot rerank.
        MissingExtra: The embedded default is not on this machine.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        encoder: Encoder | None = None,
        modules: Sequence[Scorer] | None = None,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        trust_remote_code: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        cache_folder: str | Path | None = None,
        local_files_only: bool = False,
        token: str | None = None,
    ) -> None:
        if sum(given is not None for given in (model, encoder, modules)) > 1:
            raise InputError("Give a Reranker one of: a model, an encoder, modules.")
        options = LoadOptions(
            dtype=as_dtype(dtype),
            trust_remote_code=trust_remote_code,
            model_kwargs=dict(model_kwargs or {}),
            processor_kwargs=dict(processor_kwargs or {}),
            config_kwargs=dict(config_kwargs or {}),
        )
        hub = Hub(
            revision=revision,
            cache_folder=cache_folder,
            local_files_only=local_files_only,
            token=token,
        )
        if modules is not None:
            [scorer] = modules
            self.name = "custom"
        elif encoder is not None:
            scorer = LateInteraction(encoder.chain)
            self.name = encoder.name
        elif model is None:
            scorer = LateInteraction(embedded_chain(find_default_model(hub), options))
            self.name = "embedded"
        else:
            scorer = _load(find_model(model, hub), options)
            self.name = str(model)
        target = scorer if encoder is not None else scorer.to(device or best_device())
        self.scorer = target.eval()

    @property
    def judges(self) -> bool:
        """Whether its score orders documents by itself.

        A trained reranker judges. The late interaction of the default is one voice among others:
        its score joins the sum of the retrieval scores.
        """
        return self.scorer.judges

    @property
    def modalities(self) -> tuple[str, ...]:
        """What queries and documents can be."""
        return self.scorer.modalities

    def supports(self, modality: str | Sequence[str]) -> bool:
        """Whether it takes a modality, or several together: `("text", "image")`."""
        names = modality.split("+") if isinstance(modality, str) else modality
        return self.scorer.supports("+".join(sorted(set(names))))

    def reads(self, modality: str) -> bool:
        """Whether a modality is scored by words read from it, not by what is seen or heard."""
        return self.scorer.reads(modality)

    def predict(self, pairs: Sequence[tuple[Any, Any]], *, batch_size: int = 32) -> Scores:
        """Score pairs of a query and a document.

        Args:
            pairs: Each side is whatever `mm_rag.inputs.as_content` takes.
            batch_size: Inputs in a batch at most; long ones make smaller batches.

        Returns:
            Shape (pairs,), float32; higher is better.

        Raises:
            UnsupportedModality: The model does not take one of the inputs.
            UnreadableMedia: A file is missing or damaged.
        """
        contents: list[Pair] = [(as_content(query), as_content(text)) for query, text in pairs]
        for position, pair in enumerate(contents):
            self._check(position, pair)
        return self.scorer.score(contents, batch_size=batch_size)

    def rank(
        self,
        query: Any,
        documents: Sequence[Any],
        top_k: int | None = None,
        *,
        batch_size: int = 32,
    ) -> list[Ranked]:
        """Order documents by how well they answer the query, the best first.

        Args:
            query: Whatever `mm_rag.inputs.as_content` takes; `Text("...")` is always text.
            documents: The same, each of any modality.
            top_k: How many to return; None for all.
            batch_size: Inputs in a batch at most; long ones make smaller batches.

        Raises:
            UnsupportedModality: The model does not take one of the inputs.
            UnreadableMedia: A file is missing or damaged.
        """
        asked = as_content(query)
        scores = self.predict([(asked, text) for text in documents], batch_size=batch_size)
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        return [Ranked(index=index, score=float(scores[index])) for index in order[:top_k]]

    def save(self, path: str | Path) -> None:
        """Write it to a folder; trained ones in the format of sentence-transformers."""
        self.scorer.save(Path(path))

    def __repr__(self) -> str:
        lines = "\n".join(f"  {line}" for line in self.scorer.describe().splitlines())
        return f"Reranker({self.name})\n{lines}"

    def _check(self, position: int, pair: tuple[Content, Content]) -> None:
        for side, content in zip(("query", "document"), pair, strict=True):
            modality = modality_name(content)
            if not self.supports(modality):
                raise UnsupportedModality(
                    f"The reranker {self.name} does not take {modality.replace('+', ' with ')} "
                    f"({side} {position}); it takes {', '.join(self.modalities)}."
                )


def _load(folder: Path, options: LoadOptions) -> Scorer:
    modules = read_json(folder / "modules.json", default=[])
    if modules and modules[0].get("type") == LateInteraction.type_name:
        return LateInteraction.load(folder, options)
    if len(modules) > 1:
        names = ", ".join(str(entry.get("type")) for entry in modules)
        raise CheckpointError(f"{folder} is no reranker that mm_rag knows: it has {names}.")
    transformer = (
        Transformer.load(folder, options)
        if modules
        else Transformer.from_pretrained(folder, options, task="sequence-classification")
    )
    return PairClassifier(transformer, _activation(folder, transformer.model.config))


def _activation(folder: Path, config: Any) -> nn.Module:
    """Where versions of sentence-transformers have kept it, the newest first; else a sigmoid."""
    saved = read_json(folder / "config_sentence_transformers.json", default={})
    older: dict[str, str] = getattr(config, "sentence_transformers", None) or {}
    name = (
        saved.get("activation_fn")
        or older.get("activation_fn")
        or getattr(config, "sbert_ce_default_activation_function", None)
    )
    return activation_by_name(name) if name else nn.Sigmoid()
