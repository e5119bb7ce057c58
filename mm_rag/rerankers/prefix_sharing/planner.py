"""Scoring pairs that begin alike: the shared prefix is computed once.

A language model that reads the template, the instruction and the query before the document computes
the same keys and values for them with every document. They are computed with the first documents
and kept for the others. Documents are packed behind them in one row, without padding, and attend to
the prefix and to themselves (`mm_rag.attention`). The features of a picture are computed once.

Stages: `groups_of` -> chunks of a group -> tokens of a chunk -> `packs_of` -> scores of a pack.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from mm_rag.attention import (
    PrefixTree,
    TreeAttentionUnsupported,
    max_path_length,
    supports_tree_attention,
    tree_attention,
)
from mm_rag.content import Chat, content_key
from mm_rag.errors import InputError, at_position
from mm_rag.modules.batching import token_budget
from mm_rag.modules.chain import Chain
from mm_rag.modules.transformer import Transformer
from mm_rag.rerankers.feature_cache import VisionFeatures
from mm_rag.rerankers.model import ScoredBatch, ScoreOptions
from mm_rag.rerankers.pairs import PreparedPair
from mm_rag.rerankers.prefix_sharing.last_token import (
    last_token,
    run_last_tokens,
    scores_last_token,
)
from mm_rag.rerankers.prefix_sharing.pair_tokenizer import PairTokenizer, TokenizedPair
from mm_rag.rerankers.prefix_sharing.vision_features import VisionTower, VisualMedium

logger = logging.getLogger(__name__)

# Documents that are tokenized at once: tokens of text are small, features of pictures are not.
_PAIRS = 256
_MEDIA = 16


@dataclass(frozen=True)
class QueryGroup:
    """Pairs that probably share a prefix.

    Attributes:
        pairs: By position in the call.
        shared: Keys of the media that are in all of them.
    """

    pairs: Mapping[int, PreparedPair]
    shared: frozenset[Hashable] = frozenset()

    def chunks(self) -> list[dict[int, PreparedPair]]:
        """The pairs in chunks that fit in memory."""
        chunks: list[dict[int, PreparedPair]] = []
        media = _MEDIA
        for position, pair in self.pairs.items():
            own = len([key for key, _ in pair.media if key not in self.shared])
            media += own
            if not chunks or media > _MEDIA or len(chunks[-1]) == _PAIRS:
                chunks.append({})
                media = own
            chunks[-1][position] = pair
        return chunks


def groups_of(pairs: Mapping[int, PreparedPair]) -> list[QueryGroup]:
    """One group per query that has several documents, and one for all other pairs."""
    by_query: defaultdict[Hashable, dict[int, PreparedPair]] = defaultdict(dict)
    for position, pair in pairs.items():
        key = content_key(Chat(pair.query)) if pair.query else None
        by_query[key][position] = pair
    groups: list[QueryGroup] = []
    single: dict[int, PreparedPair] = {}
    for same in by_query.values():
        if len(same) == 1:
            single |= same
        else:
            groups.append(QueryGroup(same, next(iter(same.values())).query_media))
    return [*groups, *([QueryGroup(single)] if single else [])]


class PrefixSharing:
    """Scores pairs with a language model, computing shared prefixes once.

    Args:
        chain: The model; its first module is `transformer`.
        transformer: A `Transformer`.
        tokenizer: Turns pairs into tokens.
        vision: The model's vision tower.
    """

    def __init__(
        self,
        chain: Chain,
        transformer: Transformer,
        tokenizer: PairTokenizer,
        vision: VisionTower,
    ) -> None:
        self._chain = chain
        self._transformer = transformer
        self._tokenizer = tokenizer
        self._vision = vision
        self._supported: bool | None = None  # not known yet

    def is_supported(self) -> bool:
        """Whether this model gives the same scores this way; tested on the first call."""
        if self._supported is None:
            tokenizer = self._transformer.processor.tokenizer
            if tokenizer is None or not tokenizer.is_fast or not scores_last_token(self._chain):
                self._supported = False
            else:
                with self._chain.lock, torch.inference_mode():
                    self._supported = supports_tree_attention(self._transformer.model)
        return self._supported

    def score(
        self, pairs: Mapping[int, PreparedPair], options: ScoreOptions
    ) -> Iterator[ScoredBatch]:
        """Score the pairs that can be scored this way.

        Pairs are left out if their media are of other modalities, if they are longer than an
        attention window, and after an unexpected error.
        """
        modalities = self._vision.modalities
        for group in groups_of({n: p for n, p in pairs.items() if p.modalities <= modalities}):
            try:
                yield from self._score_group(group, options)
            except (InputError, torch.OutOfMemoryError):
                raise  # padded batches would fail as well
            except Exception as error:  # noqa: BLE001 - calls parts of transformers that change
                self._disable(error)
                return

    def _disable(self, error: Exception) -> None:
        """Score all further pairs in padded batches.

        This class calls parts of transformers that change between releases, and that models with
        their own code have in another form.
        """
        self._supported = False
        logger.warning(
            "Shared prefixes are not computed once for %s, but for every pair: %s: %s",
            type(self._transformer.model).__name__,
            type(error).__name__,
            error,
        )

    def _score_group(self, group: QueryGroup, options: ScoreOptions) -> Iterator[ScoredBatch]:
        features: dict[Hashable, VisionFeatures] = {}
        tree: PrefixTree | None = None
        first_pair: list[TokenizedPair] = []
        chunks = group.chunks()
        for number, chunk in enumerate(chunks, 1):
            self._add_features(features, chunk)
            tokenized = self._tokenize(chunk, options.prompt, features)
            if not tokenized:
                continue
            first_pair = first_pair or [*tokenized.values()][:1]
            tree = self._common_prefix(tree, [*first_pair, *tokenized.values()])
            budget, most = token_budget(self._chain.device), options.batch_size
            packs = packs_of(tokenized, tree.length, tokens=budget, most=most)
            for done, pack in enumerate(packs, 1):
                more = done < len(packs) or number < len(chunks)
                pairs = [tokenized[position] for position in pack]
                try:
                    scores = self._run(pairs, tree, keep=more)
                except TreeAttentionUnsupported:
                    continue  # scored in padded batches
                yield ScoredBatch(pack, scores, truncated=any(pair.truncated for pair in pairs))
            # Only the media of the query are needed for the next chunk.
            for key in features.keys() - group.shared:
                del features[key]

    def _add_features(
        self, features: dict[Hashable, VisionFeatures], chunk: Mapping[int, PreparedPair]
    ) -> None:
        """Compute the vision features that a chunk needs, and add them by key."""
        for position, pair in chunk.items():
            with self._chain.lock, at_position(position):
                for key, medium in pair.media:
                    if key not in features and isinstance(medium, VisualMedium):
                        features[key] = self._vision.features(medium)

    def _tokenize(
        self,
        chunk: Mapping[int, PreparedPair],
        prompt: str,
        features: Mapping[Hashable, VisionFeatures],
    ) -> dict[int, TokenizedPair]:
        """Tokens by position, without pairs that are longer than an attention window."""
        with self._chain.lock:
            pairs = self._tokenizer.tokenize(chunk, prompt, features)
        longest = max_path_length(self._transformer.model)
        return {
            position: pair
            for position, pair in zip(chunk, pairs, strict=True)
            if longest is None or len(pair.ids) <= longest
        }

    def _common_prefix(self, tree: PrefixTree | None, pairs: Sequence[TokenizedPair]) -> PrefixTree:
        """The prefix of all pairs so far, which can only become shorter."""
        length = shared_length(pairs, [last_token(self._transformer, pair.ids) for pair in pairs])
        if tree is None:
            return PrefixTree(length)
        if length < tree.length:
            tree.crop(length)
        return tree

    def _run(self, pairs: Sequence[TokenizedPair], tree: PrefixTree, *, keep: bool) -> Tensor:
        """Scores of one pack, shape (pairs, labels), float32, on the CPU."""
        prefix, device = tree.length, self._chain.device
        # A pack is one row of tokens: the prefix, unless it is stored already (`lead` tokens), then
        # the rest of each pair. `ends`: positions behind the pairs; `last`: of the scored tokens.
        lead = 0 if tree.stored else prefix
        lengths = [len(pair.ids) - prefix for pair in pairs]
        ends = torch.tensor(lengths).cumsum(0) + lead
        from_end = [len(pair.ids) - last_token(self._transformer, pair.ids) for pair in pairs]
        inputs = self._inputs(pairs, lead, prefix)
        with self._chain.lock, torch.inference_mode():
            last = (ends - torch.tensor(from_end)).to(device)
            with tree_attention(self._transformer.model, tree, lengths, keep=keep):
                features = run_last_tokens(self._transformer, inputs, last)
            for module in [*self._chain][1:]:
                features = module(features)
            return features["scores"].float().cpu()

    def _inputs(self, pairs: Sequence[TokenizedPair], lead: int, prefix: int) -> dict[str, Any]:
        """Arguments of the model's `forward` for one row: `lead` tokens, the rest of each pair."""
        device = self._chain.device
        ids = [*pairs[0].ids[:lead], *(token for pair in pairs for token in pair.ids[prefix:])]
        places = [self._position_ids(pair) for pair in pairs]
        places = [places[0][..., :lead], *(place[..., prefix:] for place in places)]
        inputs: dict[str, Any] = {
            "input_ids": torch.tensor([ids], device=device),
            "position_ids": torch.cat(places, dim=-1).to(device),
            "use_cache": False,
        }
        media = [span for span in pairs[0].media if span.end <= lead]
        media += [span for pair in pairs for span in pair.media if span.start >= prefix]
        if media:
            features = [(span.modality, span.features) for span in media]
            inputs["mm_encoder_outputs"] = self._vision.as_model_inputs(features)
        return inputs

    def _position_ids(self, pair: TokenizedPair) -> Tensor:
        """Positions, shape (1, tokens), or (3, 1, tokens) for models with multimodal RoPE."""
        model: Any = self._transformer.model.base_model
        plain = torch.arange(len(pair.ids))[None]
        if not hasattr(model, "get_rope_index"):
            return plain
        if not pair.media:
            return plain.expand(3, 1, -1)
        grids = {
            f"{kind}_grid_thw": torch.cat(
                [span.features.grid for span in pair.media if span.modality == kind]
            )
            for kind in {span.modality for span in pair.media}
        }
        ids, kinds = self._transformer.processor.with_token_types(pair.ids)
        return model.get_rope_index(ids, kinds, **grids)[0]


def shared_length(pairs: Sequence[TokenizedPair], lasts: Iterable[int]) -> int:
    """Number of leading tokens that all pairs share.

    Args:
        pairs: The pairs.
        lasts: For each pair, the position of a token that must not be part of the prefix.
    """
    length = min(
        *(_common_prefix_length(pairs[0], pair) for pair in pairs), *lasts, len(pairs[0].ids)
    )
    within = [span.start for span in pairs[0].media if span.start < length < span.end]
    return min([length, *within])


def _common_prefix_length(one: TokenizedPair, other: TokenizedPair) -> int:
    """Number of leading tokens that two pairs share.

    The placeholders of two pictures are the same tokens, so media are compared by key.
    """
    both = enumerate(zip(one.ids, other.ids, strict=False))
    most = min(len(one.ids), len(other.ids))
    length = next((place for place, (ours, theirs) in both if ours != theirs), most)
    for ours, theirs in zip_longest(one.media, other.media):
        if ours is None or theirs is None or ours.key != theirs.key:
            return min([length, *(span.start for span in (ours, theirs) if span)])
    return length


def packs_of(
    pairs: Mapping[int, TokenizedPair], prefix: int, *, tokens: int, most: int
) -> list[list[int]]:
    """Positions of the pairs of each pack, in order.

    Args:
        pairs: Pairs by position.
        prefix: Number of shared leading tokens, which do not count.
        tokens: Maximum number of tokens in a pack; a single pair may be longer.
        most: Maximum number of pairs in a pack.
    """
    packs: list[list[int]] = []
    filled = 0
    for position, pair in pairs.items():
        own = len(pair.ids) - prefix
        if not packs or filled + own > tokens or len(packs[-1]) == most:
            packs.append([])
            filled = 0
        packs[-1].append(position)
        filled += own
    return packs
