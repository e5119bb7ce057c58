"""Reranker: scores pairs of a query and a document, and orders documents by their score."""

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

from mm_rag.built_in import is_built_in, load_built_in
from mm_rag.checkpoints.config_files import (
    MODEL_CONFIG,
    check_kind,
    check_requirements,
    read_json,
    write_json,
)
from mm_rag.checkpoints.locate import find_model
from mm_rag.checkpoints.options import PretrainedKeywords, PretrainedOptions
from mm_rag.checkpoints.publish import PushOptions, push_to_hub
from mm_rag.content import MODALITIES, Chat, Content, Text, modality_name, parts_of
from mm_rag.device import as_device, best_device, move, place
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError, UnsupportedModality, at_position
from mm_rag.inputs import as_content
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
from mm_rag.packaged import CROSS_ENCODER
from mm_rag.parallel import RerankerPool
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.rerankers import (
    CrossEncoder,
    FeatureCache,
    LateInteraction,
    OnnxCrossEncoder,
    RerankerModel,
)
from mm_rag.rerankers.cross_encoder import model_of
from mm_rag.rerankers.model import (
    Activation,
    ScoreOptions,
    activation_name,
    apply_activation,
    check_activation,
    saved_activation,
)
from mm_rag.rerankers.pairs import as_list, as_pair, list_pairs

Scores: TypeAlias = npt.NDArray[np.float32]

BUILT_IN_CROSS_ENCODER = f"mm-rag/{CROSS_ENCODER.name}"
"""The built-in cross-encoder ms-marco-MiniLM-L12-v2: English texts. Its scores are logits."""


class Ranked(TypedDict):
    """An entry of a ranking: a dict that can be written as JSON.

    Attributes:
        index: Position of the document among those that were given.
        corpus_id: The same position, under sentence-transformers' name.
        score: Higher is better; comparable within one reranker.
        text: The document as it was given, if `return_documents` is set.
    """

    index: int
    corpus_id: int
    score: float
    text: NotRequired[Any]


class PredictOptions(TypedDict, total=False):
    """Options of `Reranker.predict`, described there.

    From `show_progress_bar` on they are sentence-transformers' names: `show_progress_bar` is
    `progress`, `activation_fct` is `activation_fn`, `pool` is `devices`, and a list as `device` is
    `devices` too. `num_workers` can only be 0, and `chunk_size` only None.
    """

    batch_size: int
    prompt: str | None
    prompt_name: str | None
    activation_fn: Activation | None
    apply_softmax: bool
    progress: bool
    devices: RerankerPool | Sequence[str | torch.device]
    show_progress_bar: bool | None
    activation_fct: Activation | None
    device: str | torch.device | Sequence[str | torch.device] | None
    pool: RerankerPool | None
    num_workers: int
    chunk_size: int | None


class RerankerKeywords(PretrainedKeywords, total=False):
    """The keyword arguments of `Reranker.from_pretrained`, which `Reranker` describes.

    `max_length` is sentence-transformers' name of `max_seq_length`.
    """

    prompts: Mapping[str, str] | None
    default_prompt_name: str | None
    num_labels: int | None
    max_seq_length: int | None
    max_length: int | None
    activation_fn: Activation | None
    feature_cache: FeatureCache | None


class Reranker:
    """Scores documents for a query.

    `Reranker("name")` and `Reranker.from_pretrained("name")` load a checkpoint of
    sentence-transformers or transformers; `Reranker(modules=[...])` is made of the given modules,
    and `Reranker(encoder=...)` compares the token vectors of an encoder by late interaction.

    Args:
        model: A folder, or the name of a model on the hub. None for late interaction over the
            embedded default encoder.
        encoder: An encoder for late interaction; its modules and weights are shared, not copied.
        modules: Modules of the reranker, in order: `[Transformer]` for sequence classification,
            `[Transformer, LogitScore]`, `[Transformer, Pooling, Dense]`, or `[LateInteraction]`.
        prompts: Instructions by name, which override those of the checkpoint.
        default_prompt_name: Name of the prompt that calls use unless they give one.
        num_labels: Number of scores per pair of a classifier.
        max_seq_length: Maximum number of tokens of a pair; longer documents are truncated, queries
            are not. sentence-transformers' name `max_length` is accepted too.
        activation_fn: Applied to the scores in float32. By default that of the checkpoint, or else
            a sigmoid for one label and the identity for several.
        feature_cache: Keeps vision features of pages, so that later queries compute only their
            text; 512 MiB in RAM by default. `FeatureCache(0)` keeps nothing.
        **options: How the model is found and loaded, all optional: `revision`, a branch, tag or
            commit; `device`, such as `"cuda"`, by default the best one (an `encoder` is not moved);
            `dtype` of the weights, by default the checkpoint's; `trust_remote_code` runs Python
            code of the checkpoint; `model_kwargs`, `processor_kwargs` and `config_kwargs` for
            transformers' `from_pretrained`; `policy`, which media may be opened, and their limits
            (an `encoder` or `modules` have their own); `cache_folder`, `local_files_only` and
            `token` for downloads.

    Raises:
        CheckpointError: The model does not exist, or cannot rerank.
        InputError: The model cannot have this number of labels or tokens, or options conflict.
        MissingExtra: The built-in default is not installed, or a package that the checkpoint
            requires is missing or has another version.

    Attributes:
        name: Name of the model, as it was given.
        model: The model that scores pairs, not the argument of that name.
        prompts: Instructions by name.
        default_prompt_name: Name of the prompt that calls use unless they give one.
    """

    name: str
    model: RerankerModel
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
        modules: Sequence[Module | RerankerModel] | None = None,
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
        labels = _setting("num_labels", num_labels, "num_labels")
        length = _setting("max_seq_length", max_seq_length, "model_max_length")
        pretrained = PretrainedOptions.from_keywords(**options)
        cache = FeatureCache() if feature_cache is None else feature_cache
        config: dict[str, Any] = {}
        if encoder is None and modules is None:
            pretrained = replace(
                pretrained,
                processor_kwargs=pretrained.processor_kwargs | length,
                config_kwargs=pretrained.config_kwargs | labels,
            )
            self.name, loaded, config = _load(model, pretrained, cache)
        elif pretrained.policy is not DEFAULT_POLICY:
            raise InputError(
                "An encoder, or modules, open media as their own policy says: give it to them when "
                "they are made or loaded, not to the Reranker."
            )
        elif encoder is not None:
            self.name, loaded = encoder.name, LateInteraction(encoder.chain)
        else:
            self.name, loaded = "custom", model_of(modules or (), cache)
        if encoder is None:
            place(loaded, pretrained.device or best_device())
        self.model = loaded.eval()
        self.prompts = named_prompts(config.get("prompts"), prompts)
        self.default_prompt_name = default_prompt_name or config.get("default_prompt_name")
        chosen_prompt(self.prompts, None, self.default_prompt_name)  # raises if there is none
        self._check_setting("num_labels", num_labels, self.num_labels)
        self._check_setting("max_seq_length", max_seq_length, self.max_seq_length)
        self.activation_fn = activation_fn or saved_activation(config, loaded)
        self._policy = pretrained.policy if encoder is None else encoder.policy

    @classmethod
    def from_pretrained(
        cls, model: str | Path | None = None, **options: Unpack[RerankerKeywords]
    ) -> Self:
        """Load a model by its name on the hub or its folder; described at the class.

        Raises:
            CheckpointError: The model does not exist, or cannot rerank.
            MissingExtra: A package that the checkpoint requires is missing or of another version.
            InputError: An option is invalid or conflicts with another.
        """
        return cls(model, **options)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute that exists.

        Raises:
            UnknownAttribute: There is no attribute of that name.
        """
        check_attribute(self, Reranker, name)
        super().__setattr__(name, value)

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
            query: Anything that `mm_rag.inputs.as_content` takes; `Text("...")` is always text.
            documents: The same, each of any modality.
            top_k: Number of entries to return; None for all.
            return_documents: Add each document to its entry, as `text`.
            **options: Options of `predict`.

        Raises:
            InputError: The model gives several labels, `top_k` is negative, or as for `predict`;
                the position is that of the document.
            UnsupportedModality: The model does not support the modality of an input.
            UnreadableMedia: A file is missing or damaged.
        """
        limit: Any = top_k  # Any: callers may not use a type checker
        if limit is not None and (not isinstance(limit, Integral) or int(limit) < 0):
            raise InputError(f"top_k is a whole number, 0 or more; got {top_k = }.")
        if self.num_labels != 1:
            raise InputError(
                f"{self.name} gives {self.num_labels} labels, by which documents cannot be "
                "ordered; use predict."
            )
        query = as_content(query, media=self._media, policy=self.policy)
        candidates = as_list(documents, "Documents")
        pairs = [(query, document) for document in candidates]
        try:
            scores = self.predict(pairs, **options)
        except InputError as error:
            # Whose fault is it? Score the query with a harmless document: if that fails too, its
            # error, which has no position, is raised instead.
            if error.position is not None:
                self.predict((query, Text(".")), **options)
            raise
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        ranking: list[Ranked] = []
        for index in order[:top_k]:
            entry = Ranked(index=index, score=float(scores[index]), corpus_id=index)
            ranking.append({**entry, "text": candidates[index]} if return_documents else entry)
        return ranking

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

        What pairs with the same query share is computed once, if the model supports that.
        sentence-transformers' names `show_progress_bar`, `convert_to_tensor`, `activation_fct`,
        `pool` and `device` are accepted too.

        Args:
            pairs: A list of pairs, each side anything that `mm_rag.inputs.as_content` takes; or a
                single pair. Chat messages of the roles `query` and `document` are a pair as well.
            batch_size: Maximum number of pairs in a batch; long pairs make smaller batches.
            prompt: The instruction of this call.
            prompt_name: Name of one of `prompts`.
            activation_fn: Applied to the scores instead of the reranker's own activation.
            apply_softmax: Turn the scores of several labels into probabilities that sum to 1, after
                the activation.
            progress: Show a progress bar.
            devices: Share the work among processes, one per device: `["cuda:0", "cuda:1"]`,
                `["cpu", "cpu"]`. They run for this call only; those of a `pool` keep running.
            output: `"numpy"`, or `"tensor"` on the CPU.

        Returns:
            Shape (pairs,), float32; higher is better. (pairs, labels) for several labels; without
            the first dimension for a single pair.

        Raises:
            InputError: An item is not a pair, a query is longer than the model takes, or an option
                is invalid.
            UnsupportedModality: The model does not support the modality of an input.
            UnreadableMedia: A file is missing or damaged.
            NotFinite: The score of a pair is NaN or infinite.
            WorkerError: A process on one of the `devices` died.
        """
        check_form("float32", output)
        check_activation(activation_fn)
        activation = activation_fn or self.activation_fn
        values, single = list_pairs(pairs)
        try:
            contents = self._contents(values)
            prompt = chosen_prompt(self.prompts, prompt, prompt_name or self.default_prompt_name)
            options = ScoreOptions(batch_size=batch_size, prompt=prompt)
            scores = self._scores(contents, options, devices, progress=progress)
            check_finite(scores, self.model, self.name, "score")
            scores = apply_activation(activation, scores)
            check_finite(scores, self.model, f"{self.name}, after its activation,", "score")
        except InputError as error:
            error.position = None if single else error.position
            raise
        if self.num_labels == 1 and scores.ndim > 1:
            scores = scores.squeeze(-1)
        if apply_softmax and scores.ndim > 1:
            scores = scores.softmax(dim=1)
        scores = scores[0] if single else scores
        return scores.numpy() if output == "numpy" else scores

    def _contents(self, values: Sequence[Any]) -> list[PairOrChat]:
        """Pairs as Content of modalities that the model supports."""
        media, contents = self._media, list[PairOrChat]()
        for position, value in enumerate(values):
            with at_position(position):
                pair = as_pair(value, media=media, policy=self.policy)
                if isinstance(pair, Chat):
                    self._check_modality("messages", pair)
                else:
                    self._check_modality("query", pair[0])
                    self._check_modality("document", pair[1])
                contents.append(pair)
        return contents

    @property
    def _media(self) -> list[str]:
        """Modalities that a str may name."""
        return [name for name in MODALITIES if self.supports(name)]

    def _check_modality(self, side: str, content: Content) -> None:
        inside = [part.modality for part in parts_of(content)] if isinstance(content, Chat) else []
        for modality in (modality_name(content), *inside):
            if not self.supports(modality):
                raise UnsupportedModality(
                    f"The reranker {self.name} does not take {modality.replace('+', ' with ')} "
                    f"({side}); it takes {', '.join(self.modalities)}."
                )

    def _scores(
        self,
        pairs: Sequence[PairOrChat],
        options: ScoreOptions,
        devices: RerankerPool | Sequence[str | torch.device],
        *,
        progress: bool,
    ) -> Tensor:
        """Scores before the activation, computed here or on the `devices`."""
        with Progress(disable=not progress) as bar:
            on_batch = partial(bar.advance, bar.add_task("Scoring", total=len(pairs)))
            if not devices:
                return self.model.score(pairs, replace(options, on_batch=on_batch))
            is_pool = isinstance(devices, RerankerPool)
            with nullcontext(devices) if is_pool else self.pool(devices) as pool:
                if not pairs:
                    return torch.empty(0, self.num_labels)
                return torch.from_numpy(pool.run(pairs, options, on_batch=on_batch))

    def pool(self, devices: Sequence[str | torch.device]) -> RerankerPool:
        """Start processes that score pairs together, one per device; use it in a `with` block."""
        return RerankerPool(self, devices)

    @property
    def policy(self) -> MediaPolicy:
        """Limits on the media that are opened."""
        return self._policy

    @property
    def activation_fn(self) -> Activation:
        """The function that is applied to the scores."""
        return self._activation_fn

    @activation_fn.setter
    def activation_fn(self, activation: Activation) -> None:
        check_activation(activation)
        given: Any = activation
        if given is None:
            raise InputError("An activation_fn is a function; torch.nn.Identity() changes nothing.")
        self._activation_fn = activation

    @property
    def is_cross_encoder(self) -> bool:
        """Whether its scores alone order documents.

        The scores of a trained cross-encoder do. Those of the default's late interaction are added
        to the scores of retrieval.
        """
        return self.model.is_cross_encoder

    @property
    def num_labels(self) -> int:
        """Number of scores per pair."""
        return self.model.labels

    @property
    def max_seq_length(self) -> int | None:
        """Maximum number of tokens of a pair; None if pairs are not truncated. It can be set.

        Raises:
            InputError: It is set to something else than a positive integer, to more than the model
                has positions for, or the reranker does not truncate pairs.
        """
        return self.model.max_length

    @max_seq_length.setter
    def max_seq_length(self, limit: int) -> None:
        self.model.max_length = whole_number("max_seq_length", limit)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the model; None if it takes no text."""
        return self.model.tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        with self.model.lock:
            self.model.replace_tokenizer(tokenizer)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.model.device

    def to(self, device: str | torch.device) -> Self:
        """Move the weights to a device, such as `"cuda:1"`, including those of a shared encoder.

        Raises:
            InputError: The device is unknown to torch, or not present.
        """
        with self.model.lock:
            move(self.model, as_device(device))
        return self

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of queries and documents."""
        return self.model.modalities

    def supports(self, modality: str | Sequence[str]) -> bool:
        """Whether it takes a modality, or several together: `("text", "image")`."""
        names = modality.split("+") if isinstance(modality, str) else modality
        return self.model.supports("+".join(sorted(set(names))))

    def encodes_as_text(self, modality: str) -> bool:
        """Whether media of a modality are scored by the words read from them."""
        return self.model.encodes_as_text(modality)

    def push_to_hub(self, repo_id: str, **options: Unpack[PushOptions]) -> str:
        """Upload the model to a repository of the Hugging Face hub, created if missing.

        Args:
            repo_id: For example `"user/model"`.
            **options: `token`, `private`, `exist_ok`, `revision`, `commit_message`, `create_pr`.

        Returns:
            The address of the commit, or of the pull request.

        Raises:
            CheckpointError: The hub cannot be reached, or refuses the upload.
        """
        return push_to_hub(self.save, repo_id, **options)

    def save(self, path: str | Path) -> None:
        """Write the model to a folder, in the format of sentence-transformers.

        Raises:
            InputError: The activation is not an instance of a torch class that a name identifies.
        """
        folder = Path(path)
        settings = {
            "model_type": "CrossEncoder",
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "activation_fn": activation_name(self.activation_fn),
        }
        folder.mkdir(parents=True, exist_ok=True)
        # Written first: the model without its settings would load with another activation.
        write_json(folder / MODEL_CONFIG, settings)
        self.model.save(folder)

    def __repr__(self) -> str:
        lines = "\n".join(f"  {line}" for line in self.model.describe().splitlines())
        activation = getattr(self.activation_fn, "__name__", type(self.activation_fn).__name__)
        return f"Reranker({self.name})\n{lines}\n  {activation}"

    def _check_setting(self, name: str, given: int | None, actual: int | None) -> None:
        if given not in (None, actual):
            raise InputError(
                f"{name}={given} was given, but the reranker {self.name} has {actual}, as its "
                "modules or its own settings say: it is set there."
            )


def _setting(name: str, size: Any, key: str) -> dict[str, int]:
    """An option under the name that the transformers library has for it; empty if not given."""
    return {} if size is None else {key: whole_number(name, size)}


def _load(
    model: str | Path | None, options: PretrainedOptions, cache: FeatureCache
) -> tuple[str, RerankerModel, dict[str, Any]]:
    """Load a checkpoint, or late interaction over the built-in default: name, model, settings.

    Raises:
        CheckpointError: There is no such model, or it does not score pairs.
    """
    if model == BUILT_IN_CROSS_ENCODER:
        graph, tokenizer = CROSS_ENCODER.find()
        limit = options.processor_kwargs.get("model_max_length")
        loaded = OnnxCrossEncoder(graph, tokenizer, limit)
        return BUILT_IN_CROSS_ENCODER, loaded, {"activation_fn": "torch.nn.Identity"}
    if model is None or is_built_in(model):
        built_in = load_built_in(None if model is None else str(model), options)
        return built_in.name, LateInteraction(built_in.chain), {}
    folder = find_model(model, options, organization="cross-encoder")
    config = read_json(folder / MODEL_CONFIG, default={})
    check_requirements(config, str(model))
    check_kind(folder)
    match read_json(folder / "modules.json", default=[]):
        case [{"type": LateInteraction.type_name}, *_]:
            loaded = LateInteraction.load(folder, options)
        case [{"type": OnnxCrossEncoder.type_name}, *_]:
            loaded = OnnxCrossEncoder.load(folder)
        case _:
            loaded = CrossEncoder.load(folder, options, cache)
    return str(model), loaded, config
