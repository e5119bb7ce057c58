"""Run a model over many inputs: route them, sort by length, batch by tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mm_rag.content import Content, Text, content_key, modality_name
from mm_rag.errors import (
    CheckpointError,
    InputError,
    NotFinite,
    UnsupportedModality,
    at_position,
)
from mm_rag.modules.chain import Chain
from mm_rag.modules.module import Routed
from mm_rag.preprocessing.features import Features

# Tokens per batch, including padding and the patches of media. On a CPU small batches are faster
# because they fit its caches: 1k took 1.7-1.9 times less time than batches of 32 inputs of mixed
# lengths, and 2k took 7-14% more than 1k.
_CPU_TOKENS = 1024
_ACCELERATOR_TOKENS = 65_536


@dataclass(frozen=True, kw_only=True)
class TokenVectors:
    """The vectors of one input's tokens, without special tokens.

    Attributes:
        vectors: Shape (tokens, dim), float32, each of length 1.
        token_ids: Shape (tokens,), int64.
    """

    vectors: npt.NDArray[np.float32]
    token_ids: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check that the shapes match."""
        if self.vectors.shape[:1] != self.token_ids.shape:
            raise ValueError(f"{self.vectors.shape = } does not fit {self.token_ids.shape = }")


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How inputs are run.

    Attributes:
        prompt: Goes before every input; empty for none.
        task: Such as `"query"`, for models with routes or lengths by task.
        batch_size: Inputs per batch at most; long inputs make smaller batches.
        arguments: For the modules that declare them in `forward_kwargs`.
    """

    prompt: str = ""
    task: str | None = None
    batch_size: int = 32
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


def sentence_vectors(
    chain: Chain,
    contents: Sequence[Content],
    options: BatchOptions,
    *,
    on_batch: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """Make one vector per input; equal inputs are run once.

    Args:
        chain: The model.
        contents: Inputs of modalities that it supports.
        options: How they are run.
        on_batch: Called after each batch with the number of inputs that it completed.

    Returns:
        Shape (contents, dimension), float32, on the model's device.

    Raises:
        CheckpointError: The model makes no such vectors.
        InputError: The routes of the inputs give vectors of different dimensions.
    """
    positions: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position, content in enumerate(contents):
        positions[content_key(content)].append(position)
    targets = list(positions.values())  # of each unique input, its positions among all
    unique = [contents[same[0]] for same in targets]
    vectors: Tensor | None = None
    try:
        for batch, features in run_batches(chain, unique, options):
            made = _sentence_embedding(features)
            if vectors is None:
                vectors = made.new_empty(len(contents), made.shape[1])
            if made.shape[1] != vectors.shape[1]:
                raise InputError(
                    f"The model's routes give these inputs vectors of {vectors.shape[1]} and of "
                    f"{made.shape[1]} dimensions, which do not fit into one array: encode them "
                    "apart."
                )
            for row, index in enumerate(batch):
                vectors[targets[index]] = made[row]
            on_batch(sum(len(targets[index]) for index in batch))
    except InputError as error:
        if error.position is not None:
            error.position = targets[error.position][0]
        raise
    if vectors is None:
        return torch.empty(0, chain.dimension or 0, device=chain.device)
    return vectors


def token_vectors(
    chain: Chain, contents: Sequence[Content], *, prompt: str = "", batch_size: int = 32
) -> list[TokenVectors]:
    """Make the token vectors of every input, for late interaction.

    Raises:
        UnsupportedModality: The model makes no token vectors for an input.
    """
    made: dict[int, TokenVectors] = {}
    options = BatchOptions(prompt=prompt, batch_size=batch_size)
    for batch, features in run_batches(chain, contents, options):
        if "token_embeddings" not in features or "content_mask" not in features:
            name = modality_name(contents[batch[0]])
            raise UnsupportedModality(f"This model makes no vectors of single tokens for {name}.")
        vectors = F.normalize(features["token_embeddings"].float(), dim=-1).cpu().numpy()
        ids = features["input_ids"].cpu().numpy()
        keep = features["content_mask"].cpu().numpy()
        for row, position in enumerate(batch):
            made[position] = TokenVectors(
                vectors=vectors[row, keep[row]], token_ids=ids[row, keep[row]]
            )
    return [made[position] for position in range(len(contents))]


def run_batches(
    chain: Chain, contents: Sequence[Content], options: BatchOptions
) -> Iterator[tuple[list[int], Features]]:
    """Run `chain` over contents of modalities that it supports.

    Yields:
        The positions of a batch's inputs, and the features that the chain made of them.
    """
    routed: list[Routed] = []
    for position, content in enumerate(contents):
        with at_position(position):
            routed.append(chain.route(content, options.task))
    with chain.lock:
        lengths = _lengths(routed)
    keys = [one.batch_key for one in routed]
    budget = token_budget(chain.device)
    for batch in plan(lengths, keys, batch_size=options.batch_size, tokens=budget):
        with chain.lock, torch.inference_mode():
            features = _preprocessed({position: routed[position] for position in batch}, options)
            features.to(chain.device)
            for module in routed[batch[0]].steps:
                features = module.run(features, options.arguments)
        yield batch, features


def _lengths(routed: Sequence[Routed]) -> list[int]:
    """Tokens of each input, as the modules that take them count."""
    lengths = [1] * len(routed)
    if len(routed) > 1:  # a single input is a batch, however long it is
        for module in {id(one.preprocessor): one.preprocessor for one in routed}.values():
            own = [position for position, one in enumerate(routed) if one.preprocessor is module]
            counted = module.lengths([routed[position].content for position in own])
            for position, length in zip(own, counted, strict=True):
                lengths[position] = length
    return lengths


def token_budget(device: torch.device) -> int:
    """Tokens per batch at most, including padding."""
    return _CPU_TOKENS if device.type == "cpu" else _ACCELERATOR_TOKENS


def plan(
    lengths: Sequence[int], keys: Sequence[Hashable], *, batch_size: int, tokens: int
) -> list[list[int]]:
    """Split positions into batches of one key each, the longest first.

    Args:
        lengths: Tokens of each input.
        keys: Inputs with different keys are never in one batch.
        batch_size: Inputs per batch at most.
        tokens: Tokens per batch at most, including padding; a single input may be longer.

    Raises:
        InputError: `batch_size` is below 1.
    """
    if batch_size < 1:
        raise InputError(f"A batch holds at least one input; got {batch_size = }.")
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        groups[keys[position]].append(position)
    batches: list[list[int]] = []
    for group in groups.values():
        batch: list[int] = []
        for position in group:
            full = batch and (len(batch) + 1) * max(1, lengths[batch[0]]) > tokens
            if full or len(batch) == batch_size:
                batches.append(batch)
                batch = []
            batch.append(position)
        batches.append(batch)
    return batches


def _preprocessed(batch: Mapping[int, Routed], options: BatchOptions) -> Features:
    """The tensors of a batch by position; an error names the position of the input it is about."""
    module = next(iter(batch.values())).preprocessor
    contents = [routed.content for routed in batch.values()]
    try:
        features = module.preprocess(contents, prompt=options.prompt)
    except InputError as error:
        if len(batch) == 1:
            [error.position] = batch
            raise
        # Preprocess each alone, to find the input at fault.
        for position, routed in batch.items():
            with at_position(position):
                module.preprocess([routed.content], prompt=options.prompt)
        raise  # each input alone is accepted
    features.task = options.task
    texts = [content.text if isinstance(content, Text) else None for content in contents]
    features.empty = [
        row for row, text in enumerate(texts) if text is not None and not text.strip()
    ]
    return features


def _sentence_embedding(features: Features) -> Tensor:
    if "sentence_embedding" not in features:
        raise CheckpointError(
            f"The model makes {', '.join(features)}, and no vectors of whole inputs: it lacks a "
            "Pooling module."
        )
    return features["sentence_embedding"].float()


def check_finite(made: Tensor | npt.NDArray[Any], model: nn.Module, name: str, what: str) -> None:
    """Check that a model's results contain neither NaN nor infinity.

    Args:
        made: Shape (inputs, ...).
        model: The model that made them.
        name: Its name, for the message.
        what: What one result is, for the message: "vector" or "score".

    Raises:
        NotFinite: A number is NaN or infinite; the position is the first such input's.
    """
    finite = made.isfinite() if isinstance(made, Tensor) else np.isfinite(made)
    if bool(finite.all()):
        return
    if any(weight.dtype == torch.float16 for weight in model.parameters()):
        hint = (
            "Its weights are float16, which overflows beyond 65,504: load it with "
            "dtype='bfloat16' or dtype='float32'."
        )
    else:
        hint = "Are its weights damaged?"
    error = NotFinite(
        f"The model {name} makes NaN or infinity of this input instead of a {what}. {hint}"
    )
    rows = np.asarray(finite.cpu() if isinstance(finite, Tensor) else finite)
    error.position = int(np.argmin(rows.reshape(len(rows), -1).all(axis=1)))
    raise error
