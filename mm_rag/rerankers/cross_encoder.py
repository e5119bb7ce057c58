"""CrossEncoder: a model that reads query and document together.

Pairs are scored in one of two ways: with a shared prefix, by `PrefixSharing`, where the model
supports that, and otherwise in padded batches, by `PaddedBatches`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from transformers import PretrainedConfig

from mm_rag.checkpoints.config_files import read_json
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.content import Chat
from mm_rag.errors import CheckpointError, InputError, at_position
from mm_rag.modules.batching import plan, token_budget
from mm_rag.modules.chain import Chain
from mm_rag.modules.layers import Dense, Dropout, LayerNorm, LogitScore, Normalize, Pooling
from mm_rag.modules.module import Module
from mm_rag.modules.transformer import Transformer
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.preprocessing.features import Features
from mm_rag.preprocessing.processor import Processor
from mm_rag.rerankers.feature_cache import FeatureCache
from mm_rag.rerankers.model import RerankerModel, ScoredBatch, ScoreOptions
from mm_rag.rerankers.pairs import (
    PreparedPair,
    pair_key,
    prepared,
    text_pair,
    truncated,
    with_filler_documents,
)
from mm_rag.rerankers.prefix_sharing.pair_tokenizer import ChatPairTokenizer, TextPairTokenizer
from mm_rag.rerankers.prefix_sharing.planner import PrefixSharing
from mm_rag.rerankers.prefix_sharing.vision_features import VisionTower

logger = logging.getLogger(__name__)

# The answers whose logits a plain language model is scored by, as in sentence-transformers.
_TRUE, _FALSE = "yes", "no"


class CrossEncoder(RerankerModel):
    """Scores pairs with a chain that begins with a `Transformer` and makes `scores`.

    Args:
        chain: For example a Transformer for sequence classification; one for text generation and
            LogitScore; one for feature extraction, Pooling and Dense.
        cache: Vision features of pages of earlier calls; an empty cache by default.

    Raises:
        CheckpointError: The chain makes no scores, or its chat template has no place for a query
            and a document.
    """

    is_cross_encoder = True

    def __init__(self, chain: Chain, cache: FeatureCache | None = None) -> None:
        super().__init__()
        first = chain.input
        if not isinstance(first, Transformer):
            raise CheckpointError(f"A {first.label} cannot read two inputs together.")
        transformer = first
        self.chain = chain
        self.cache = FeatureCache() if cache is None else cache
        self.labels = _labels(chain, transformer)
        self._config = transformer.model.config
        self._processor = processor = transformer.processor
        self._warned = False
        vision = VisionTower(chain, transformer, self.cache)
        self._caches_media = bool(vision.modalities)
        if processor.message_format:
            processor.chat_template.check_pairs()
            tokenizer = ChatPairTokenizer(processor, vision)
        else:
            tokenizer = TextPairTokenizer(processor)
        self._prefix_sharing = PrefixSharing(chain, transformer, tokenizer, vision)
        self._padded = PaddedBatches(chain, processor)

    @classmethod
    def load(
        cls, folder: Path, options: PretrainedOptions, cache: FeatureCache | None = None
    ) -> Self:
        """Load a checkpoint of sentence-transformers or transformers.

        Raises:
            CheckpointError: The folder holds no model, or none that scores pairs.
        """
        if read_json(folder / "modules.json", default=[]):
            return cls(Chain.load(folder, options), cache)
        architectures: Any = read_json(folder / "config.json").get("architectures") or [""]
        if str(architectures[0]).endswith("ForCausalLM"):
            return cls(Chain(_language_model(folder, options)), cache)
        classifier = Transformer.from_pretrained(folder, options, task="sequence-classification")
        return cls(Chain([classifier]), cache)

    def score(self, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Tensor:
        """Score pairs, before any activation; equal pairs are scored once.

        Returns:
            Shape (pairs, labels), float32, on the CPU.
        """
        duplicates: defaultdict[Hashable, list[int]] = defaultdict(list)
        for position, pair in enumerate(pairs):
            duplicates[pair_key(pair)].append(position)
        positions = {same[0]: same for same in duplicates.values()}
        unique = {first: prepared(pairs[first], self._processor) for first in positions}
        scores = torch.empty(len(pairs), self.labels)
        for batch in self._batches(unique, options):
            for first, score in zip(batch.positions, batch.scores, strict=True):
                scores[positions[first]] = score
            if batch.truncated:
                self._warn_of_truncation()
            options.on_batch(sum(len(positions[first]) for first in batch.positions))
        return scores

    def _batches(
        self, pairs: Mapping[int, PreparedPair], options: ScoreOptions
    ) -> Iterator[ScoredBatch]:
        """Score pairs with shared prefixes where that is possible, then the others padded."""
        left = dict(pairs)
        if pairs and self._prefix_sharing.is_supported():
            for batch in self._prefix_sharing.score(pairs, options):
                for position in batch.positions:
                    del left[position]
                yield batch
        if left:
            yield from self._padded.score(left, options)

    def _warn_of_truncation(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "Documents lose their end where a pair is longer than the %s tokens that the model "
                "takes (max_seq_length). This warning is logged once.",
                self._processor.limit,
            )

    @property
    def max_length(self) -> int | None:
        """Maximum number of tokens of a pair; None if pairs are not truncated."""
        return self._processor.limit

    @max_length.setter
    def max_length(self, limit: int) -> None:
        self.chain.input.max_length = limit

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, of transformers."""
        return self._processor.tokenizer

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer from now on."""
        self.chain.input.replace_tokenizer(tokenizer)

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The lock of the chain."""
        return self.chain.lock

    @property
    def config(self) -> PretrainedConfig:
        """Configuration of the transformers model."""
        return self._config

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of queries and documents; `"message"` for several together."""
        return self.chain.input.modalities if self._processor.message_format else ("text",)

    def supports(self, modality: str) -> bool:
        """Whether queries and documents can have this modality, or this combination."""
        if not self._processor.message_format:
            return modality == "text"
        return self.chain.input.supports(modality)

    def __reduce__(self) -> tuple[Any, ...]:
        """Support for other processes, which begin with an empty cache."""
        return type(self), (self.chain,)

    def save(self, folder: Path) -> None:
        """Write the chain in the format of sentence-transformers' CrossEncoder."""
        self.chain.save(folder)

    def describe(self) -> str:
        """One line per module, and one for the cache if it is used."""
        cache = [repr(self.cache)] if self._caches_media else []
        return "\n".join([self.chain.describe(), *cache])


def _language_model(folder: Path, options: PretrainedOptions) -> list[Module]:
    """Modules of a plain language model, scored by the logits of "yes" and "no"."""
    transformer = Transformer.from_pretrained(folder, options, task="text-generation")
    words = transformer.vocabulary
    if missing := [word for word in (_TRUE, _FALSE) if word not in words]:
        raise CheckpointError(
            f"The tokenizer in {folder} has no token {' and no token '.join(map(repr, missing))}, "
            "by which a language model without modules.json scores. Say which tokens it was "
            "trained to give: Reranker(modules=[transformer, LogitScore(true_token_id, "
            "false_token_id)])."
        )
    return [transformer, LogitScore(words[_TRUE], words[_FALSE])]


def _labels(chain: Chain, transformer: Transformer) -> int:
    """Number of scores per pair.

    Raises:
        CheckpointError: The chain makes no scores, or a module lacks its input.
    """
    _check_features(chain, transformer)
    for module in reversed(list(chain)):
        match module:
            case Dense(module_output_name="scores"):
                return module.out_features
            case LogitScore():
                module.check(transformer.model.config.get_text_config().vocab_size)
                return 1
            case Transformer(output_name="scores"):
                return module.model.config.num_labels or 1
            case _:
                pass
    raise CheckpointError(
        f"This model makes no scores, so it cannot rerank: {', '.join(m.label for m in chain)}. "
        "Is it an encoder?"
    )


def _check_features(chain: Chain, transformer: Transformer) -> None:
    """Check that the features that each module reads are made by a module before it.

    Raises:
        CheckpointError: They are not.
    """
    made = {transformer.output_name}
    for module in [*chain][1:]:
        match module:
            case Pooling():
                reads, makes = "token_embeddings", "sentence_embedding"
            case Dense() | Normalize():
                reads, makes = module.module_input_name, module.module_output_name
            case LogitScore():
                reads, makes = module.module_input_name, "scores"
            case LayerNorm() | Dropout():
                reads = makes = "sentence_embedding"
            case _:
                return  # a user's module, whose output is unknown
        if reads not in made:
            raise CheckpointError(
                f"{module.label} reads {reads}, but what comes before it makes "
                f"{', '.join(sorted(made))}: {', '.join(one.label for one in chain)}."
            )
        made.add(makes)


class PaddedBatches:
    """Scores pairs in padded batches, which works with every cross-encoder.

    Args:
        chain: The model.
        processor: Processor of its first module.
    """

    def __init__(self, chain: Chain, processor: Processor) -> None:
        self._chain = chain
        self._processor = processor

    def score(
        self, pairs: Mapping[int, PreparedPair], options: ScoreOptions
    ) -> Iterator[ScoredBatch]:
        """Score pairs, the longest first."""
        positions = [*pairs]
        with self._chain.lock:
            lengths, too_long = self._lengths(pairs, options.prompt)
        budget, size = token_budget(self._chain.device), options.batch_size
        for batch in plan(lengths, [0] * len(pairs), batch_size=size, tokens=budget):
            some = {positions[place]: pairs[positions[place]] for place in batch}
            with self._chain.lock, torch.inference_mode():
                features, shortened = self._features(some, options.prompt)
                scores = self._chain(features.to(self._chain.device))["scores"].float().cpu()
            # Outside of the lock, which an abandoned generator would keep.
            yield ScoredBatch([*some], scores, shortened or not too_long.isdisjoint(some))

    def _lengths(
        self, pairs: Mapping[int, PreparedPair], prompt: str
    ) -> tuple[list[int], frozenset[int]]:
        """Tokens of each pair, and which pairs of texts will be truncated.

        The lengths of media are estimates, so chat messages are truncated when they are batched.

        Raises:
            InputError: A query alone is too long.
        """
        if self._processor.message_format:
            return self._processor.lengths([pair.chat for pair in pairs.values()]), frozenset()
        texts = [text_pair(pair.pair, prompt) for pair in pairs.values()]
        limit, lengths = self._processor.limit, [*map(len, self._processor.pair_ids(texts))]
        if limit is None:
            return lengths, frozenset()
        too_long = [place for place, length in enumerate(lengths) if length > limit]
        positions = [*pairs]
        for place in too_long:
            with at_position(positions[place]):
                self._processor.truncated_pair_ids(texts[place])
        shortened = frozenset(positions[place] for place in too_long)
        return [min(length, limit) for length in lengths], shortened

    def _features(self, pairs: Mapping[int, PreparedPair], prompt: str) -> tuple[Features, bool]:
        """Tensors of a batch, and whether documents in chat messages were truncated."""
        if not self._processor.message_format:
            texts = [text_pair(pair.pair, prompt) for pair in pairs.values()]
            return self._processor.pair_batch(texts), False
        chats = {position: pair.chat for position, pair in pairs.items()}
        try:
            return self._chat_features(chats, prompt)
        except InputError as error:
            if error.position is None:  # find the pair that is at fault
                for position, chat in chats.items():
                    with at_position(position):
                        self._chat_features({position: chat}, prompt)
            raise

    def _chat_features(self, chats: Mapping[int, Chat], prompt: str) -> tuple[Features, bool]:
        """Tensors of chat messages, and whether documents were truncated."""
        uncut, limit = self._processor.without_truncation(), self._processor.limit
        features = uncut.batch([*chats.values()], kind="message", prompt=prompt)
        lengths = features["attention_mask"].sum(dim=1).tolist()
        if limit is None or max(lengths) <= limit:
            return features, False
        kept: list[Tensor] = []
        for columns, (position, chat) in zip(_columns(features), chats.items(), strict=True):
            ids = features["input_ids"][len(kept), columns].tolist()
            with at_position(position):
                if len(ids) > limit:
                    others = uncut.batch(with_filler_documents(chat), kind="message", prompt=prompt)
                    fillers = [
                        row[columns].tolist()
                        for row, columns in zip(others["input_ids"], _columns(others), strict=True)
                    ]
                    columns = columns[truncated(ids, fillers, self._processor, limit)]
            kept.append(columns)
        return self._with_columns(features, kept), True

    def _with_columns(self, features: Features, columns: Sequence[Tensor]) -> Features:
        """The features with some tokens of each row, padded anew."""
        tokenizer: Any = self._processor.tokenizer
        shape, length = features["attention_mask"].shape, max(map(len, columns))
        for name, tensor in features.items():
            if torch.is_tensor(tensor) and tensor.shape[:2] == shape:
                padding = tokenizer.pad_token_id if name == "input_ids" else 0
                made = tensor.new_full((len(columns), length, *tensor.shape[2:]), padding)
                for row, kept in enumerate(columns):
                    start = length - len(kept) if tokenizer.padding_side == "left" else 0
                    made[row, start : start + len(kept)] = tensor[row, kept]
                features[name] = made
        return features


def _columns(features: Features) -> list[Tensor]:
    """For each row, the columns that are not padding."""
    return [row.nonzero().flatten() for row in features["attention_mask"]]


def model_of(modules: Sequence[Module | RerankerModel], cache: FeatureCache) -> RerankerModel:
    """The model that modules form: a single RerankerModel, or a chain that makes scores.

    Raises:
        CheckpointError: They make no scores, or an item is not a module.
    """
    strange = [type(one).__name__ for one in modules if not isinstance(one, Module | RerankerModel)]  # pyright: ignore[reportUnnecessaryIsInstance]
    if strange:
        raise CheckpointError(f"A reranker is made of modules of mm_rag; {strange[0]} is not one.")
    whole = [one for one in modules if isinstance(one, RerankerModel)]
    if whole and len(modules) > 1:
        raise CheckpointError(f"{type(whole[0]).__name__} is a complete reranker: give it alone.")
    if whole:
        return whole[0]
    return CrossEncoder(Chain([one for one in modules if isinstance(one, Module)]), cache)
