"""Reranker: a closer look at what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, Unpack, cast

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor, nn

from mm_rag.checkpoint import Hub, find_default_model, find_model
from mm_rag.content import MODALITIES, Chat, modality_name
from mm_rag.device import as_dtype, best_device
from mm_rag.embedded import embedded_chain
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError, UnsupportedModality, at_position
from mm_rag.inputs import as_content
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.modules import FeatureCache, LateInteraction, LoadOptions, Module, Scorer
from mm_rag.modules.dense import activation_by_name
from mm_rag.modules.module import read_json, write_json
from mm_rag.modules.scorer import Asked, ScoreOptions
from mm_rag.modules.scorers import load_scorer, scorer_of
from mm_rag.options import chosen_prompt, named_prompts

Scores: TypeAlias = npt.NDArray[np.float32]
Activation: TypeAlias = Callable[[Tensor], Tensor]

_SETTINGS = "config_sentence_transformers.json"


class Ranked(TypedDict):
    """A document's place in a ranking; a dict, so that JSON takes it.

    Attributes:
        index: Its position among the documents that were given.
        score: Higher is better; comparable within one reranker.
    """

    index: int
    score: float


class PredictOptions(TypedDict, total=False):
    """How `Reranker.predict` scores; described there."""

    batch_size: int
    prompt: str | None
    prompt_name: str | None
    activation_fn: Activation | None
    progress: bool


class Reranker:
    """Score documents for a query.

    Args:
        model: A folder, or a model's name on the hub. None for late interaction over the embedded
            default encoder, or over `encoder`.
        encoder: An encoder whose modules and weights are used by the default, not loaded again.
        modules: What it is made of instead of a `model`, in order: `[Transformer]` made for
            classification, `[Transformer, LogitScore]`, `[Transformer, Pooling, Dense]`, or
            `[LateInteraction]`.
        revision: A branch, tag or commit of the model.
        device: Such as `"cuda"`; the GPU when there is one, by default. An `encoder` stays where
            it is.
        dtype: Of the weights, such as `torch.bfloat16`; what the checkpoint says, by default.
        trust_remote_code: Run Python code that lies in the checkpoint.
        model_kwargs: For the `from_pretrained` of the transformers model.
        processor_kwargs: For the `from_pretrained` of its tokenizer or processor.
        config_kwargs: For the `from_pretrained` of its configuration.
        prompts: Instructions by name, over those of the checkpoint.
        default_prompt_name: The one that is used where none is asked for.
        num_labels: Of a classifier: 1 for a score, more for classes.
        max_seq_length: Tokens of a pair, of which only documents are cut.
        activation_fn: Applied to the scores, in float32; what the checkpoint says, by default, or
            else a sigmoid for one label and nothing for several.
        feature_cache: Keeps what the model sees of pages, so that another query that meets them
            costs their text only; 512 MiB in memory by default. `FeatureCache(0)` keeps nothing.
        policy: Limits on the media that it is given.
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
        modules: Sequence[Module | Scorer] | None = None,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        trust_remote_code: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        num_labels: int | None = None,
        max_seq_length: int | None = None,
        activation_fn: Activation | None = None,
        feature_cache: FeatureCache | None = None,
        policy: MediaPolicy = DEFAULT_POLICY,
        cache_folder: str | Path | None = None,
        local_files_only: bool = False,
        token: str | None = None,
    ) -> None:
        if sum(given is not None for given in (model, encoder, modules)) > 1:
            raise InputError("Give a Reranker one of: a model, an encoder, modules.")
        labels = {} if num_labels is None else {"num_labels": num_labels}
        length = {} if max_seq_length is None else {"model_max_length": max_seq_length}
        options = LoadOptions(
            dtype=as_dtype(dtype),
            trust_remote_code=trust_remote_code,
            model_kwargs=dict(model_kwargs or {}),
            processor_kwargs={**(processor_kwargs or {}), **length},
            config_kwargs={**(config_kwargs or {}), **labels},
            policy=policy,
        )
        hub = Hub(
            revision=revision,
            cache_folder=cache_folder,
            local_files_only=local_files_only,
            token=token,
        )
        cache = FeatureCache() if feature_cache is None else feature_cache
        saved: dict[str, Any] = {}
        if modules is not None:
            scorer = scorer_of(modules, cache)
            self.name = "custom"
        elif encoder is not None:
            scorer = LateInteraction(encoder.chain)
            self.name = encoder.name
        elif model is None:
            scorer = LateInteraction(embedded_chain(find_default_model(hub), options))
            self.name = "embedded"
        else:
            folder = find_model(model, hub)
            scorer = load_scorer(folder, options, cache)
            saved = read_json(folder / _SETTINGS, default={})
            self.name = str(model)
        target = scorer if encoder is not None else scorer.to(device or best_device())
        self.scorer = target.eval()
        self.prompts = named_prompts(saved.get("prompts"), prompts)
        self.default_prompt_name = default_prompt_name or saved.get("default_prompt_name")
        chosen_prompt(self.prompts, None, self.default_prompt_name)  # it has to be there
        self.activation_fn = activation_fn or _activation(saved, scorer)

    @property
    def judges(self) -> bool:
        """Whether its score orders documents by itself.

        A trained reranker judges. The late interaction of the default is one voice among others:
        its score joins the sum of the retrieval scores.
        """
        return self.scorer.judges

    @property
    def num_labels(self) -> int:
        """How many scores a pair gets."""
        return self.scorer.labels

    @property
    def max_seq_length(self) -> int | None:
        """Tokens of a pair at most; None where it is not cut."""
        return self.scorer.max_length

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

    def predict(
        self,
        pairs: Any,
        *,
        batch_size: int = 32,
        prompt: str | None = None,
        prompt_name: str | None = None,
        activation_fn: Activation | None = None,
        progress: bool = False,
    ) -> Scores:
        """Score pairs of a query and a document.

        What pairs with the same query share is computed once where the model allows it.

        Args:
            pairs: A list of pairs, each side whatever `mm_rag.inputs.as_content` takes; or one
                pair. Chat messages with the roles `query` and `document` are a pair too.
            batch_size: Pairs in a batch at most; long ones make smaller batches.
            prompt: The instruction of this call.
            prompt_name: The name of one of `prompts`.
            activation_fn: Applied to the scores, instead of the reranker's own.
            progress: Draw a progress bar.

        Returns:
            Shape (pairs,), float32; higher is better. (pairs, labels) for several labels; without
            the first dimension for one pair.

        Raises:
            InputError: A pair is none, its query is longer than the model takes, or an option is
                impossible.
            UnsupportedModality: The model does not take one of the inputs.
            UnreadableMedia: A file is missing or damaged.
        """
        single = _is_pair(pairs)
        try:
            asked = [self._asked(place, pair) for place, pair in enumerate(_listed(pairs))]
            with Progress(disable=not progress) as bar:
                options = ScoreOptions(
                    batch_size=batch_size,
                    prompt=chosen_prompt(
                        self.prompts, prompt, prompt_name or self.default_prompt_name
                    ),
                    on_batch=partial(bar.advance, bar.add_task("Scoring", total=len(asked))),
                )
                scores = self.scorer.score(asked, options)
        except InputError as error:
            error.position = None if single else error.position
            raise
        scores = (activation_fn or self.activation_fn)(scores)
        scores = scores.squeeze(-1) if self.num_labels == 1 else scores
        return (scores[0] if single else scores).numpy()

    def rank(
        self,
        query: Any,
        documents: Sequence[Any],
        top_k: int | None = None,
        **options: Unpack[PredictOptions],
    ) -> list[Ranked]:
        """Order documents by how well they answer the query, the best first.

        Args:
            query: Whatever `mm_rag.inputs.as_content` takes; `Text("...")` is always text.
            documents: The same, each of any modality.
            top_k: How many to return; None for all.
            **options: Those of `predict`.

        Raises:
            InputError: The model gives several labels, `top_k` is negative, or as for `predict`;
                the position is the document's.
            UnsupportedModality: The model does not take one of the inputs.
            UnreadableMedia: A file is missing or damaged.
        """
        if top_k is not None and top_k < 0:
            raise InputError(f"A ranking has 0 places or more; got {top_k = }.")
        if self.num_labels != 1:
            raise InputError(
                f"{self.name} gives {self.num_labels} labels, by which nothing can be ordered; use "
                "predict."
            )
        asked = as_content(query, media=self._media)
        scores = self.predict([(asked, document) for document in documents], **options)
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        return [Ranked(index=index, score=float(scores[index])) for index in order[:top_k]]

    def save(self, path: str | Path) -> None:
        """Write it to a folder, in the format of sentence-transformers.

        Raises:
            InputError: The activation is no class of torch, whose name could be written.
        """
        folder = Path(path)
        activation = type(self.activation_fn)
        if not isinstance(self.activation_fn, nn.Module):
            raise InputError(
                f"The activation {self.activation_fn!r} cannot be saved; give an instance of a "
                "class of torch.nn, such as torch.nn.Sigmoid()."
            )
        self.scorer.save(folder)
        settings = {
            "model_type": "CrossEncoder",
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "activation_fn": f"{activation.__module__}.{activation.__name__}",
        }
        write_json(folder / _SETTINGS, settings)

    def __repr__(self) -> str:
        lines = "\n".join(f"  {line}" for line in self.scorer.describe().splitlines())
        activation = getattr(self.activation_fn, "__name__", type(self.activation_fn).__name__)
        return f"Reranker({self.name})\n{lines}\n  {activation}"

    @property
    def _media(self) -> list[str]:
        return [name for name in MODALITIES if self.supports(name)]

    def _asked(self, position: int, pair: Any) -> Asked:
        """One pair as Content, which the model takes."""
        with at_position(position):
            if isinstance(pair, Chat) or not _is_two(pair):
                chat = as_content(pair)
                if not isinstance(chat, Chat):
                    raise InputError(
                        "A pair is a query and a document, or chat messages; got a "
                        f"{type(pair).__name__}."
                    )
                self._check("messages", "message")
                return chat
            query, document = (as_content(side, media=self._media) for side in pair)
            self._check("query", modality_name(query))
            self._check("document", modality_name(document))
            return query, document

    def _check(self, side: str, modality: str) -> None:
        if not self.supports(modality):
            raise UnsupportedModality(
                f"The reranker {self.name} does not take {modality.replace('+', ' with ')} "
                f"({side}); it takes {', '.join(self.modalities)}."
            )


def _listed(pairs: Any) -> list[Any]:
    """Pairs in a list; numpy's arrays of texts and other columns are lists too."""
    if _is_pair(pairs):
        return [pairs]
    return pairs.tolist() if isinstance(pairs, np.ndarray) else list(pairs)


def _is_pair(pairs: Any) -> bool:
    """Whether it is one pair, or one conversation, and no list of them."""
    if isinstance(pairs, Chat):
        return True
    if isinstance(pairs, np.ndarray):
        return cast("npt.NDArray[Any]", pairs).ndim == 1 and len(pairs) > 0
    if not isinstance(pairs, list | tuple) or not pairs:
        return False
    first: Any = pairs[0]
    listed_chats = isinstance(first, Chat) and isinstance(pairs, list)
    return not isinstance(first, list | tuple | np.ndarray) and not listed_chats


def _is_two(pair: Any) -> bool:
    """Whether it has two sides; two chat messages are no sides, but one conversation."""
    if not isinstance(pair, list | tuple | np.ndarray) or len(pair) != 2:
        return False
    first: Any = pair[0]
    return not (isinstance(pair, list) and isinstance(first, Mapping) and "role" in first)


def _activation(saved: Mapping[str, Any], scorer: Scorer) -> nn.Module:
    """Where versions of sentence-transformers have kept it, the newest first."""
    config: Any = scorer.config
    older: dict[str, str] = getattr(config, "sentence_transformers", None) or {}
    name = (
        saved.get("activation_fn")
        or older.get("activation_fn")
        or getattr(config, "sbert_ce_default_activation_function", None)
    )
    if name:
        return activation_by_name(name)
    return nn.Sigmoid() if scorer.judges and scorer.labels == 1 else nn.Identity()
