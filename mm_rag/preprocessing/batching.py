"""Running a chain over many inputs: read once, sort by length, batch by tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from mm_rag.content import Content, content_key, modality_name
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality, at_position
from mm_rag.modules.chain import Chain
from mm_rag.modules.module import Features

# Tokens in a batch, padding and the patches of media included. Small batches win on a CPU, whose
# caches they fit: 1k took 1.7-1.9 times less time than batches of 32 inputs of mixed lengths, and
# 2k 7-14% more than 1k.
_CPU_TOKENS = 1024
_ACCELERATOR_TOKENS = 65_536


@dataclass(frozen=True, kw_only=True)
class TokenVectors:
    """The vectors of one input's tokens, without the special ones.

    Attributes:
        vectors: Shape (tokens, dim), float32, each of length 1.
        token_ids: Shape (tokens,), the tokenizer's ids.
    """

    vectors: npt.NDArray[np.float32]
    token_ids: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check that they belong together."""
        if self.vectors.shape[:1] != self.token_ids.shape:
            raise ValueError(f"{self.vectors.shape = } does not fit {self.token_ids.shape = }")


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How inputs are run.

    Attributes:
        prompt: Goes before every input.
        task: For models that tell tasks apart.
        batch_size: Inputs in a batch at most; there are fewer where they are long.
        arguments: For the modules that declare them.
    """

    prompt: str = ""
    task: str | None = None
    batch_size: int = 32
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


def run_batches(
    chain: Chain, contents: Sequence[Content], options: BatchOptions
) -> Iterator[tuple[list[int], Features]]:
    """Run `chain` over `contents`, which it takes.

    Yields:
        The positions of a batch's inputs, and the features that the chain made of them.
    """
    chain = chain.at(options.task)
    prepared: list[Content] = []
    for position, content in enumerate(contents):
        with at_position(position):
            prepared.append(chain.input.prepare(content))
    budget = token_budget(chain.device)
    with chain.lock:
        # One input alone is a batch, whatever its length.
        lengths = chain.input.lengths(prepared) if len(prepared) > 1 else [1] * len(prepared)
    keys = [chain.input.batch_key(content) for content in prepared]
    for batch in plan(lengths, keys, batch_size=options.batch_size, tokens=budget):
        with chain.lock, torch.inference_mode():
            inputs = {position: prepared[position] for position in batch}
            features = _preprocessed(chain, inputs, options.prompt).to(chain.device)
            features.task = options.task
            features = chain(features, options.arguments)
        yield batch, features


def _preprocessed(chain: Chain, inputs: Mapping[int, Content], prompt: str) -> Features:
    """A batch, or an error that names the position of the input that it is about."""
    try:
        return chain.input.preprocess(list(inputs.values()), prompt=prompt)
    except InputError as error:
        if len(inputs) == 1:
            [error.position] = inputs
            raise
        for position, content in inputs.items():
            with at_position(position):
                chain.input.preprocess([content], prompt=prompt)
        raise  # alone, each of them is taken


def sentence_vectors(
    chain: Chain,
    contents: Sequence[Content],
    options: BatchOptions,
    *,
    on_batch: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """One vector for every input; equal inputs are run once.

    Args:
        chain: The model.
        contents: Inputs, of modalities that it takes.
        options: How they are run.
        on_batch: Called after each batch with the number of inputs that are done by it.

    Returns:
        Shape (contents, dimension), float32, on the model's device.

    Raises:
        CheckpointError: The model makes no such vectors.
        InputError: The routes of the inputs give vectors of different dimensions.
    """
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position, content in enumerate(contents):
        places[content_key(content)].append(position)
    unique = [contents[positions[0]] for positions in places.values()]
    targets = list(places.values())
    vectors: Tensor | None = None
    for batch, features in _of_contents(targets, run_batches(chain, unique, options)):
        made = _sentence_embedding(features)
        if vectors is None:
            vectors = made.new_empty(len(contents), made.shape[1])
        if made.shape[1] != vectors.shape[1]:
            raise InputError(
                f"The model's routes give these inputs vectors of {vectors.shape[1]} and of "
                f"{made.shape[1]} dimensions, which do not fit into one array: encode them apart."
            )
        for row, position in enumerate(batch):
            vectors[targets[position]] = made[row]
        on_batch(sum(len(targets[position]) for position in batch))
    if vectors is None:
        return torch.empty(0, chain.dimension or 0, device=chain.device)
    return vectors


def _of_contents(
    targets: Sequence[Sequence[int]], batches: Iterator[tuple[list[int], Features]]
) -> Iterator[tuple[list[int], Features]]:
    """The same batches; errors name a position among all inputs, not among the unique ones."""
    try:
        yield from batches
    except InputError as error:
        if error.position is not None:
            error.position = targets[error.position][0]
        raise


def _sentence_embedding(features: Features) -> Tensor:
    if "sentence_embedding" not in features:
        raise CheckpointError(
            f"The model makes {', '.join(features)}, and no vectors of whole inputs: it lacks a "
            "Pooling module."
        )
    return features["sentence_embedding"].float()


def token_budget(device: torch.device) -> int:
    """Tokens in a batch at most, padding included."""
    return _CPU_TOKENS if device.type == "cpu" else _ACCELERATOR_TOKENS


def plan(
    lengths: Sequence[int], keys: Sequence[Hashable], *, batch_size: int, tokens: int
) -> list[list[int]]:
    """Split positions into batches of one key each, the longest first.

    Args:
        lengths: Tokens of each input.
        keys: Inputs of different keys cannot be together.
        batch_size: Inputs in a batch at most.
        tokens: Tokens in a batch at most, padding included; one input may be longer.

    Raises:
        InputError: A batch would hold nothing.
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


def token_vectors(
    chain: Chain, contents: Sequence[Content], *, prompt: str = "", batch_size: int = 32
) -> list[TokenVectors]:
    """The token vectors of every input, for late interaction.

    Raises:
        UnsupportedModality: The model makes one vector per input, and none per token.
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
