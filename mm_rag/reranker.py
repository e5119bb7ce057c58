"""Reranker: a closer look at what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, NotRequired, Self, TypeAlias, TypedDict, Unpack, overload

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor

from mm_rag.checkpoints.config_files import (
    MODEL_CONFIG,
    check_requirements,
    read_json,
    write_json,
)
from mm_rag.checkpoints.locate import find_model
from mm_rag.checkpoints.options import PretrainedKeywords, PretrainedOptions
from mm_rag.checkpoints.publish import PushOptions, push_to_hub
from mm_rag.content import MODALITIES, Chat, Content, Text, modality_name
from mm_rag.device import as_device, best_device, move, place
from mm_rag.embedded import embedded_chain
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError, UnsupportedModality, at_position
from mm_rag.inputs import as_content
from mm_rag.inputs.pairs import listed, listed_pairs, modalities_in, sides_of
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.modules import Module
from mm_rag.modules.batching import check_finite
from mm_rag.options import (
    PREDICT,
    RANK,
    RERANKER,
    Output,
    also_named,
    check_attribute,
    check_form,
    chosen_prompt,
    named_prompts,
    whole_number,
)
from mm_rag.parallel import RerankerPool
from mm_rag.preprocessing.pairs import Asked
from mm_rag.rerankers import FeatureCache, LateInteraction, Scorer
from mm_rag.rerankers.score_activation import (
    Activation,
    activated,
    activation_name,
    checked,
    saved_activation,
)
from mm_rag.rerankers.scorer import ScoreOptions
from mm_rag.rerankers.scorers import load_scorer, scorer_of

Scores: TypeAlias = npt.NDArray[np.float32]


class Ranked(TypedDict):
    """A document's place in a ranking; a dict, so that JSON takes it.

    Attributes:
        index: Its position among the documents that were given.
        corpus_id: The same, as sentence-transformers calls it.
        score: Higher is better; comparable within one reranker.
        text: The document as it was given, where `return_documents` asks for it.
    """

    index: int
    corpus_id: int
    score: float
    text: NotRequired[Any]


class PredictOptions(TypedDict, total=False):
    """How `Reranker.predict` scores; described there."""

    batch_size: int
    prompt: str | None
    prompt_name: str | None
    activation_fn: Activation | None
    apply_softmax: bool
    progress: bool
    devices: RerankerPool | Sequence[str | torch.device]


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
        max_seq_length: Tokens of a pair, of which only documents are cut; `max_length` in
            sentence-transformers, which is taken too.
        activation_fn: Applied to the scores, in float32; what the checkpoint says, by default, or
            else a sigmoid for one label and nothing for several.
        feature_cache: Keeps what the model sees of pages, so that another query that meets them
            costs their text only; 512 MiB in memory by default. `FeatureCache(0)` keeps nothing.
        policy: What may be opened of the media that it is given, and their limits. An `encoder` or
            `modules` have their own.
        cache_folder: Where models are kept.
        local_files_only: Fetch nothing.
        token: For private models.

    Raises:
        CheckpointError: There is no such model, or it cannot rerank.
        InputError: It cannot have that many labels or tokens, or an option is impossible.
        MissingExtra: The embedded default is not on this machine, or a package that the checkpoint
            needs is not, in the version it needs.

    Attributes:
        name: Of the model, as it was given.
        scorer: What scores pairs.
        prompts: Instructions by name.
        default_prompt_name: The prompt that is used where none is asked for.
    """

    name: str
    scorer: Scorer
    prompts: dict[str, str]
    default_prompt_name: str | None
    _policy: MediaPolicy
    _activation_fn: Activation

    @also_named(RERANKER)
    def __init__(
        self,
        model: str | Path | None = None,
        *,
        encoder: Encoder | None = None,
        modules: Sequence[Module | Scorer] | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        num_labels: int | None = None,
        max_seq_length: int | None = None,
        activation_fn: Activation | None = None,
        feature_cache: FeatureCache | None = None,
        **options: Unpack[PretrainedKeywords],
    ) -> None:
        if sum(given is not None for given in (model, encoder, modules)) > 1:
            raise InputError("Give a Reranker one of: a model, an encoder, modules.")
        labels = _option("num_labels", num_labels, "num_labels")
        length = _option("max_seq_length", max_seq_length, "model_max_length")
        pretrained = PretrainedOptions.from_keywords(**options)
        if model is not None or (encoder is None and modules is None):
            pretrained = replace(
                pretrained,
                processor_kwargs=pretrained.processor_kwargs | length,
                config_kwargs=pretrained.config_kwargs | labels,
            )
        elif pretrained.policy is not DEFAULT_POLICY:
            raise InputError(
                "An encoder, or modules, open media as their own policy says: give it to them when "
                "they are made or loaded, not to the Reranker."
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
            scorer = LateInteraction(embedded_chain(pretrained))
            self.name = "embedded"
        else:
            folder = find_model(model, pretrained, organization="cross-encoder")
            saved = read_json(folder / MODEL_CONFIG, default={})
            check_requirements(saved, str(model))
            scorer = load_scorer(folder, pretrained, cache)
            self.name = str(model)
        if encoder is None:
            place(scorer, pretrained.device or best_device())
        self._policy = pretrained.policy if encoder is None else encoder.policy
        self.scorer = scorer.eval()
        self.prompts = named_prompts(saved.get("prompts"), prompts)
        self.default_prompt_name = default_prompt_name or saved.get("default_prompt_name")
        chosen_prompt(self.prompts, None, self.default_prompt_name)  # it has to be there
        self._check_asked("num_labels", num_labels, self.num_labels)
        self._check_asked("max_seq_length", max_seq_length, self.max_seq_length)
        self.activation_fn = activation_fn or saved_activation(saved, scorer)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute that there is.

        Raises:
            UnknownAttribute: There is none of that name.
        """
        check_attribute(self, Reranker, name)
        super().__setattr__(name, value)

    @property
    def policy(self) -> MediaPolicy:
        """What may be opened of the media that it is given, and their limits."""
        return self._policy

    @property
    def activation_fn(self) -> Activation:
        """What is applied to the scores."""
        return self._activation_fn

    @activation_fn.setter
    def activation_fn(self, activation: Activation) -> None:
        chosen = checked(activation)
        if chosen is None:
            raise InputError("An activation_fn is a function; torch.nn.Identity() changes nothing.")
        self._activation_fn = chosen

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
        """Tokens of a pair at most; None where it is not cut. It can be set.

        Raises:
            InputError: It is set to no whole number over 0, to more than the model has positions
                for, or the reranker cuts no pairs.
        """
        return self.scorer.max_length

    @max_seq_length.setter
    def max_seq_length(self, limit: int) -> None:
        self.scorer.max_length = whole_number("max_seq_length", limit)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the model that makes the scores; None where it reads no text."""
        return self.scorer.tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        with self.scorer.lock:
            self.scorer.replace_tokenizer(tokenizer)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.scorer.device

    def to(self, device: str | torch.device) -> Self:
        """Move the weights to a device, such as `"cuda:1"`; those of a shared encoder go along.

        Raises:
            InputError: torch knows no such device, or this machine has none.
        """
        with self.scorer.lock:
            move(self.scorer, as_device(device))
        return self

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

    @overload
    def predict(
        self, pairs: Any, *, output: Literal["numpy"] = ..., **options: Unpack[PredictOptions]
    ) -> Scores: ...
    @overload
    def predict(
        self, pairs: Any, *, output: Literal["tensor"], **options: Unpack[PredictOptions]
    ) -> Tensor: ...
    @also_named(PREDICT)
    def predict(
        self,
        pairs: Any,
        *,
        batch_size: int = 32,
        prompt: str | None = None,
        prompt_name: str | None = None,
        activation_fn: Activation | None = None,
        apply_softmax: bool = False,
        progress: bool = False,
        devices: RerankerPool | Sequence[str | torch.device] = (),
        output: Output = "numpy",
    ) -> Scores | Tensor:
        """Score pairs of a query and a document.

        What pairs with the same query share is computed once where the model allows it. The
        arguments that sentence-transformers calls otherwise are taken under its names too:
        `show_progress_bar`, `convert_to_tensor`, `activation_fct`, `pool`, `device`.

        Args:
            pairs: A list of pairs, each side whatever `mm_rag.inputs.as_content` takes; or one
                pair. Chat messages with the roles `query` and `document` are a pair too.
            batch_size: Pairs in a batch at most; long ones make smaller batches.
            prompt: The instruction of this call.
            prompt_name: The name of one of `prompts`.
            activation_fn: Applied to the scores, instead of the reranker's own.
            apply_softmax: Turn the scores of several labels into probabilities that sum to 1,
                after the activation.
            progress: Draw a progress bar.
            devices: Share the work out among processes, one for each: `["cuda:0", "cuda:1"]`,
                `["cpu", "cpu"]`. They are started for this call; those of a `pool` stay.
            output: `"numpy"`, or `"tensor"` on the CPU.

        Returns:
            Shape (pairs,), float32; higher is better. (pairs, labels) for several labels; without
            the first dimension for one pair.

        Raises:
            InputError: A pair is none, its query is longer than the model takes, or an option is
                impossible.
            UnsupportedModality: The model does not take one of the inputs.
            UnreadableMedia: A file is missing or damaged.
            NotFinite: The model makes NaN or infinity of a pair.
            WorkerError: A process on one of the `devices` died.
        """
        check_form("float32", output)
        several, single = listed_pairs(pairs)
        activation = checked(activation_fn) or self.activation_fn
        try:
            asked = [self._asked(place, pair) for place, pair in enumerate(several)]
            prompt = chosen_prompt(self.prompts, prompt, prompt_name or self.default_prompt_name)
            options = ScoreOptions(batch_size=batch_size, prompt=prompt)
            scores = self._scores(asked, options, devices, progress=progress)
            check_finite(scores, self.scorer, self.name, "score")
            scores = activated(activation, scores)
            check_finite(scores, self.scorer, f"{self.name}, after its activation,", "score")
        except InputError as error:
            error.position = None if single else error.position
            raise
        if self.num_labels == 1 and scores.ndim > 1:
            scores = scores.squeeze(-1)
        if apply_softmax and scores.ndim > 1:
            scores = scores.softmax(dim=1)
        scores = scores[0] if single else scores
        return scores.numpy() if output == "numpy" else scores

    def pool(self, devices: Sequence[str | torch.device]) -> RerankerPool:
        """Processes that score pairs together, one for each device; use it in a `with` block."""
        return RerankerPool(self, devices)

    @also_named(RANK)
    def rank(
        self,
        query: Any,
        documents: Iterable[Any],
        top_k: int | None = None,
        return_documents: bool = False,
        **options: Unpack[PredictOptions],
    ) -> list[Ranked]:
        """Order documents by how well they answer the query, the best first.

        Args:
            query: Whatever `mm_rag.inputs.as_content` takes; `Text("...")` is always text.
            documents: The same, each of any modality.
            top_k: How many to return; None for all.
            return_documents: Return each document with its place, as `text`.
            **options: Those of `predict`.

        Raises:
            InputError: The model gives several labels, `top_k` is negative, or as for `predict`;
                the position is the document's.
            UnsupportedModality: The model does not take one of the inputs.
            UnreadableMedia: A file is missing or damaged.
        """
        places: Any = top_k
        if places is not None and (not isinstance(places, Integral) or int(places) < 0):
            raise InputError(f"A ranking has 0 places or more; got {top_k = }.")
        if self.num_labels != 1:
            raise InputError(
                f"{self.name} gives {self.num_labels} labels, by which nothing can be ordered; use "
                "predict."
            )
        asked = as_content(query, media=self._media, policy=self.policy)
        several = listed(documents, "Documents")
        pairs = [(asked, document) for document in several]
        try:
            scores = self.predict(pairs, **options)
        except InputError as error:
            if error.position is not None:  # that of a document, unless the query is at fault
                self.predict((asked, Text(".")), **options)
            raise
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        ranking: list[Ranked] = []
        for index in order[:top_k]:
            place = Ranked(index=index, score=float(scores[index]), corpus_id=index)
            ranking.append({**place, "text": several[index]} if return_documents else place)
        return ranking

    def push_to_hub(self, repo_id: str, **options: Unpack[PushOptions]) -> str:
        """Upload it to a repository of the Hugging Face hub, made where it is missing.

        Args:
            repo_id: Such as `"user/model"`.
            **options: `token`, `private`, `exist_ok`, `revision`, `commit_message`, `create_pr`.

        Returns:
            The address of the commit, or of the pull request.

        Raises:
            CheckpointError: The hub was not reached, or refuses it.
        """
        return push_to_hub(self.save, repo_id, **options)

    def save(self, path: str | Path) -> None:
        """Write it to a folder, in the format of sentence-transformers.

        Raises:
            InputError: The activation is no class of torch, whose name could be written.
        """
        folder = Path(path)
        settings = {
            "model_type": "CrossEncoder",
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "activation_fn": activation_name(self.activation_fn),
        }
        folder.mkdir(parents=True, exist_ok=True)
        # First: what a killed run leaves would load with another activation.
        write_json(folder / MODEL_CONFIG, settings)
        self.scorer.save(folder)

    def __repr__(self) -> str:
        lines = "\n".join(f"  {line}" for line in self.scorer.describe().splitlines())
        activation = getattr(self.activation_fn, "__name__", type(self.activation_fn).__name__)
        return f"Reranker({self.name})\n{lines}\n  {activation}"

    def _scores(
        self,
        asked: Sequence[Asked],
        options: ScoreOptions,
        devices: RerankerPool | Sequence[str | torch.device],
        *,
        progress: bool,
    ) -> Tensor:
        """Scores before the activation, made here or on the `devices`."""
        with Progress(disable=not progress) as bar:
            advance = partial(bar.advance, bar.add_task("Scoring", total=len(asked)))
            if not devices:
                return self.scorer.score(asked, replace(options, on_batch=advance))
            given = isinstance(devices, RerankerPool)
            with nullcontext(devices) if given else self.pool(devices) as pool:
                if not asked:
                    return torch.empty(0, self.num_labels)
                return torch.from_numpy(pool.run(asked, options, done=advance))

    @property
    def _media(self) -> list[str]:
        return [name for name in MODALITIES if self.supports(name)]

    def _asked(self, position: int, pair: Any) -> Asked:
        """One pair as Content, which the model takes."""
        with at_position(position):
            sides = sides_of(pair, self.policy)
            if isinstance(sides, Chat):
                self._check("messages", sides)
                return sides
            media, policy = self._media, self.policy
            query, document = (as_content(side, media=media, policy=policy) for side in sides)
            self._check("query", query)
            self._check("document", document)
            return query, document

    def _check_asked(self, name: str, asked: int | None, has: int | None) -> None:
        if asked not in (None, has):
            raise InputError(
                f"{name}={asked} was asked for, but the reranker {self.name} has {has}, which its "
                "modules or its own settings say: it is set there."
            )

    def _check(self, side: str, content: Content) -> None:
        for modality in (modality_name(content), *modalities_in(content)):
            if not self.supports(modality):
                raise UnsupportedModality(
                    f"The reranker {self.name} does not take {modality.replace('+', ' with ')} "
                    f"({side}); it takes {', '.join(self.modalities)}."
                )


def _option(name: str, size: Any, key: str) -> dict[str, int]:
    """A setting of a model or its tokenizer under the name they have for it, where it is given."""
    return {} if size is None else {key: whole_number(name, size)}
