"""Many pairs with one query: what they share is computed once, the documents are packed behind it.

A language model that reads the template, the instruction and the query before the document makes
the same keys and values of them for every document. They are computed with the first documents and
kept for the others; the documents lie behind them in one row, without padding, and see the shared
beginning and themselves (`mm_rag.attention`). A picture is processed and looked at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from mm_rag.attention import PrefixTree, TreeRefused, attending, longest_path, takes_trees
from mm_rag.content import content_key, parts_of
from mm_rag.errors import InputError
from mm_rag.modules.chain import Chain
from mm_rag.modules.transformer import Transformer
from mm_rag.preprocessing.batching import token_budget
from mm_rag.preprocessing.pairs import Asked, as_messages
from mm_rag.rerankers.prefix_sharing.last_layer import last_layer_only_for
from mm_rag.rerankers.prefix_sharing.last_token import (
    last_token,
    reads_last_tokens,
    run_last_tokens,
)
from mm_rag.rerankers.prefix_sharing.packing import Group, groups_of, packs_of, shared_length
from mm_rag.rerankers.prefix_sharing.pair_tokenizer import Row, RowMaker
from mm_rag.rerankers.scorer import ScoreOptions
from mm_rag.rerankers.seen_medium import SeenMedium
from mm_rag.rerankers.vision_features import Medium, Sight

logger = logging.getLogger(__name__)


class SharedPrefix:
    """Score pairs with a language model, what they share once.

    Args:
        chain: The model, whose first module is a `Transformer`.
        transformer: That module.
        rows: Makes tokens out of pairs.
        sight: The model's eyes.
        on_cut: Called where a document lost its end.
    """

    def __init__(
        self,
        chain: Chain,
        transformer: Transformer,
        rows: RowMaker,
        sight: Sight,
        on_cut: Callable[[], None],
    ) -> None:
        self._chain = chain
        self._transformer = transformer
        self._rows = rows
        self._sight = sight
        self._on_cut = on_cut

    @cached_property
    def works(self) -> bool:
        """Whether this model gives the same scores this way; found out once, by trying."""
        tokenizer = self._transformer.processing.tokenizer
        if tokenizer is None or not tokenizer.is_fast or not reads_last_tokens(self._chain):
            return False
        with self._chain.lock, torch.inference_mode():
            return takes_trees(self._transformer.model)

    def takes(self, asked: Asked) -> bool:
        """Whether it can look at all that is in a pair."""
        kinds = {part.modality for part in parts_of(as_messages(asked))}
        return kinds <= {"text", *self._sight.modalities}

    def score(
        self, pairs: Mapping[int, Asked], options: ScoreOptions
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Score pairs that it `takes`.

        Yields:
            The positions of some pairs, and their scores, shape (pairs, labels). Those of which it
            could not give the same scores are left out: longer ones than a window of attention,
            and all that are left once the model fails this way.
        """
        for group in groups_of(pairs):
            try:
                yield from self._score_group(group, options)
            except (InputError, torch.OutOfMemoryError):
                raise  # the plain way would fail as well
            except Exception as error:  # noqa: BLE001 - what it calls changes between releases
                self._give_up(error)
                return

    def _give_up(self, error: Exception) -> None:
        """Take the plain way from now on.

        This one calls parts of transformers that releases change, and that models with code of
        their own have in another form.
        """
        self.works = False
        logger.warning(
            "What pairs share is not computed once for %s, but for every pair: %s: %s",
            type(self._transformer.model).__name__,
            type(error).__name__,
            error,
        )

    def _score_group(
        self, group: Group, options: ScoreOptions
    ) -> Iterator[tuple[list[int], Tensor]]:
        seen: dict[Hashable, SeenMedium] = {}
        tree: PrefixTree | None = None
        first: list[Row] = []
        chunks = group.chunks()
        for number, chunk in enumerate(chunks, 1):
            rows = self._fitting_rows(chunk, options.prompt, partial(self._see, seen))
            if not rows:
                continue
            first = first or [*rows.values()][:1]
            tree = self._grown(tree, [*first, *rows.values()])
            budget, most = token_budget(self._chain.device), options.batch_size
            packs = packs_of(rows, tree.prefix, tokens=budget, most=most)
            for done, pack in enumerate(packs, 1):
                more = done < len(packs) or number < len(chunks)
                try:
                    scores = self._run([rows[place] for place in pack], tree, keep=more)
                except TreeRefused:
                    continue  # left out: the plain way takes it
                yield pack, scores
            # Of what only documents show nothing stays but what the cache keeps.
            for key in seen.keys() - group.shared:
                del seen[key]

    def _see(self, seen: dict[Hashable, SeenMedium], medium: Medium) -> SeenMedium:
        key = content_key(medium)
        if key not in seen:
            seen[key] = self._sight.see(medium)
        return seen[key]

    def _fitting_rows(
        self, chunk: Mapping[int, Asked], prompt: str, see: Callable[[Medium], SeenMedium]
    ) -> dict[int, Row]:
        """Rows by position, without those that are longer than the attention reaches."""
        with self._chain.lock:
            rows = self._rows(chunk, prompt, see)
        if any(row.cut for row in rows):
            self._on_cut()
        longest = longest_path(self._transformer.model)
        return {
            position: row
            for position, row in zip(chunk, rows, strict=True)
            if longest is None or len(row.ids) <= longest
        }

    def _grown(self, tree: PrefixTree | None, rows: Sequence[Row]) -> PrefixTree:
        """The tree of all rows so far: what they share can only become less."""
        prefix = shared_length(rows, [last_token(self._transformer, row.ids) for row in rows])
        if tree is None:
            return PrefixTree(prefix)
        if prefix < tree.prefix:
            tree.crop(prefix)
        return tree

    def _run(self, rows: Sequence[Row], tree: PrefixTree, *, keep: bool) -> Tensor:
        """The scores of one pack, shape (rows, labels), float32, on the CPU."""
        prefix, device = tree.prefix, self._chain.device
        lead = 0 if tree.stored else prefix
        lengths = [len(row.ids) - prefix for row in rows]
        ends = torch.tensor(lengths).cumsum(0) + lead
        ahead = [len(row.ids) - last_token(self._transformer, row.ids) for row in rows]
        inputs = self._inputs(rows, lead, prefix)
        with self._chain.lock, torch.inference_mode():
            model, last = self._transformer.model, (ends - torch.tensor(ahead)).to(device)
            with attending(model, tree, lengths, keep=keep), last_layer_only_for(model, last):
                features = run_last_tokens(self._transformer, inputs, last)
            for module in [*self._chain][1:]:
                features = module(features)
            return features["scores"].float().cpu()

    def _inputs(self, rows: Sequence[Row], lead: int, prefix: int) -> dict[str, Any]:
        """The arguments of the model's `forward` for the first row's lead and all rows' rests."""
        device = self._chain.device
        ids = [*rows[0].ids[:lead], *(token for row in rows for token in row.ids[prefix:])]
        places = [self._positions(row) for row in rows]
        places = [places[0][..., :lead], *(place[..., prefix:] for place in places)]
        inputs: dict[str, Any] = {
            "input_ids": torch.tensor([ids], device=device),
            "position_ids": torch.cat(places, dim=-1).to(device),
            "use_cache": False,
        }
        media = [medium for medium in rows[0].media if medium.end <= lead]
        media += [medium for row in rows for medium in row.media if medium.start >= prefix]
        if media:
            seen = [(medium.kind, medium.seen) for medium in media]
            inputs["mm_encoder_outputs"] = self._sight.outputs(seen)
        return inputs

    def _positions(self, row: Row) -> Tensor:
        """Where a row's tokens stand, shape (1, tokens); (3, 1, tokens) for models with eyes."""
        model: Any = self._transformer.model.base_model
        plain = torch.arange(len(row.ids))[None]
        if not hasattr(model, "get_rope_index"):
            return plain
        if not row.media:
            return plain.expand(3, 1, -1)
        grids = {
            f"{kind}_grid_thw": torch.cat([one.seen.grid for one in row.media if one.kind == kind])
            for kind in {medium.kind for medium in row.media}
        }
        ids, kinds = self._transformer.processing.with_kinds(row.ids)
        return model.get_rope_index(ids, kinds, **grids)[0]
