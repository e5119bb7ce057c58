"""CrossEncoder: a model that reads query and document together."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from mm_rag.checkpoints.fingerprint import fingerprint
from mm_rag.content import Chat, content_key
from mm_rag.errors import CheckpointError
from mm_rag.modules.chain import Chain
from mm_rag.modules.transformer import Transformer
from mm_rag.preprocessing.chat_template import check_pairs
from mm_rag.preprocessing.pairs import Asked
from mm_rag.rerankers.feature_cache import FeatureCache
from mm_rag.rerankers.padded_pairs import PaddedPairs
from mm_rag.rerankers.prefix_sharing.pair_tokenizer import PairRows, RowMaker, TemplateRows
from mm_rag.rerankers.prefix_sharing.planner import SharedPrefix
from mm_rag.rerankers.scorer import ScoreOptions, Scorer
from mm_rag.rerankers.scoring_chain import labels_of
from mm_rag.rerankers.vision_features import Sight

logger = logging.getLogger(__name__)


class CrossEncoder(Scorer):
    """Score pairs with a chain that begins with a `Transformer` and makes `scores`.

    Args:
        chain: Such as a Transformer for sequence classification; one for text generation and
            LogitScore; one for feature extraction, Pooling and Dense.
        cache: Where what the model sees of pages is kept for the next query; an empty one, by
            default.

    Raises:
        CheckpointError: The chain makes no scores, or its chat template has no place for a query
            and a document.
    """

    judges = True

    def __init__(self, chain: Chain, cache: FeatureCache | None = None) -> None:
        super().__init__()
        cache = FeatureCache() if cache is None else cache
        transformer = chain.input
        if not isinstance(transformer, Transformer):
            raise CheckpointError(f"A {transformer.label} cannot read two inputs together.")
        self.chain = chain
        self.cache = cache
        self._config = transformer.model.config
        self.labels = labels_of(chain, transformer)
        self._warned = False
        self._processing = processing = transformer.processing
        sight = Sight(transformer, cache, lambda: self._fingerprint)
        self._keeps = bool(sight.modalities)
        rows: RowMaker = PairRows(processing)
        if processing.message_format:
            check_pairs(processing)
            rows = TemplateRows(processing, sight)
        self._shared = SharedPrefix(chain, transformer, rows, sight, self._warn)
        self._padded = PaddedPairs(chain, processing, self._warn)

    @property
    def max_length(self) -> int | None:
        """Tokens that a pair is cut at; None where it is not cut."""
        return self._processing.limit

    @max_length.setter
    def max_length(self, limit: int) -> None:
        self.chain.input.max_length = limit

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, of transformers."""
        return self._processing.tokenizer

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer from now on."""
        self.chain.input.replace_tokenizer(tokenizer)

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The lock of the chain."""
        return self.chain.lock

    @property
    def config(self) -> PretrainedConfig:
        """Of the transformers model."""
        return self._config

    @property
    def modalities(self) -> tuple[str, ...]:
        """What queries and documents can be; `"message"` for several together."""
        return self.chain.input.modalities if self._processing.message_format else ("text",)

    def supports(self, modality: str) -> bool:
        """Whether queries and documents can be of this modality, or this combination."""
        if not self._processing.message_format:
            return modality == "text"
        return self.chain.input.supports(modality)

    def score(self, pairs: Sequence[Asked], options: ScoreOptions) -> Tensor:
        """The chain's scores before any activation; equal pairs are scored once."""
        places: defaultdict[Hashable, list[int]] = defaultdict(list)
        for position, asked in enumerate(pairs):
            places[_key(asked)].append(position)
        first = {same[0]: self._as_text(pairs[same[0]]) for same in places.values()}
        others = {same[0]: same for same in places.values()}
        scores = torch.empty(len(pairs), self.labels)
        for positions, made in self._unique(first, options):
            for position, score in zip(positions, made, strict=True):
                scores[others[position]] = score
            options.on_batch(sum(len(others[position]) for position in positions))
        return scores

    def _unique(
        self, pairs: Mapping[int, Asked], options: ScoreOptions
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Scores of some pairs after the other: those that can share, then the others."""
        left = dict(pairs)
        if pairs and self._shared.works:
            some = {place: asked for place, asked in pairs.items() if self._shared.takes(asked)}
            for positions, made in self._shared.score(some, options):
                for position in positions:
                    del left[position]
                yield positions, made
        if left:
            yield from self._padded.score(left, options)

    def _as_text(self, asked: Asked) -> Asked:
        control = self._processing.control
        if isinstance(asked, Chat):
            return Chat(tuple(map(control.turn_as_text, asked.turns)))
        query, document = asked
        return control.as_content(query), control.as_content(document)

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.chain)

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: what was seen of pages stays here."""
        return type(self), (self.chain,)

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "Documents lose their end where a pair is longer than the %s tokens that the model "
                "takes (max_seq_length). This is said once.",
                self._processing.limit,
            )

    def save(self, folder: Path) -> None:
        """In the format of sentence-transformers' CrossEncoder, its settings aside."""
        self.chain.save(folder)

    def describe(self) -> str:
        """One line per module, and one for what is kept."""
        return "\n".join([self.chain.describe(), *([repr(self.cache)] if self._keeps else [])])


def _key(asked: Asked) -> Hashable:
    return content_key(asked) if isinstance(asked, Chat) else tuple(map(content_key, asked))
