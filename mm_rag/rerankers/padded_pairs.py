"""Pairs in padded batches: the way that every cross-encoder can go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mm_rag.content import Chat
from mm_rag.errors import InputError, at_position
from mm_rag.modules.chain import Chain
from mm_rag.modules.module import Features
from mm_rag.preprocessing.batching import plan, token_budget
from mm_rag.preprocessing.pairs import Asked, as_messages, shortened
from mm_rag.preprocessing.processor import Processing
from mm_rag.rerankers.prefix_sharing.pair_tokenizer import text_pair
from mm_rag.rerankers.scorer import ScoreOptions

# A document is cut by tokens of its own; the text around them may join with its new end.
_TRIES = 4


class PaddedPairs:
    """Score pairs in padded batches.

    Args:
        chain: The model.
        processing: Of its first module.
        on_cut: Called where a document lost its end.
    """

    def __init__(self, chain: Chain, processing: Processing, on_cut: Callable[[], None]) -> None:
        self._chain = chain
        self._processing = processing
        self._on_cut = on_cut

    def score(
        self, pairs: Mapping[int, Asked], options: ScoreOptions
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Score pairs.

        Yields:
            The positions of some pairs, and their scores, shape (pairs, labels).
        """
        places = [*pairs]
        with self._chain.lock:
            lengths = self._lengths(pairs, options.prompt)
        budget, size = token_budget(self._chain.device), options.batch_size
        for batch in plan(lengths, [0] * len(places), batch_size=size, tokens=budget):
            positions = [places[place] for place in batch]
            with self._chain.lock, torch.inference_mode():
                some = {position: pairs[position] for position in positions}
                features = self._features(some, options.prompt).to(self._chain.device)
                scores = self._chain(features)["scores"].float().cpu()
            # Outside: whoever takes them may never come back, and would keep the lock.
            yield positions, scores

    def _lengths(self, pairs: Mapping[int, Asked], prompt: str) -> list[int]:
        """Tokens of pairs after the cut; an estimate where there are media."""
        if self._processing.message_format:
            return self._processing.lengths([as_messages(asked) for asked in pairs.values()])
        texts = [text_pair(asked, prompt) for asked in pairs.values()]
        limit = self._processing.limit
        lengths = [len(row) for row in self._processing.pair_ids(texts)]
        for position, text, length in zip(pairs, texts, lengths, strict=True):
            if limit is not None and length > limit:
                with at_position(position):
                    self._processing.cut_pair(text)  # its query may be too long
                self._on_cut()
        return [min(length, limit or length) for length in lengths]

    def _features(self, pairs: Mapping[int, Asked], prompt: str) -> Features:
        if not self._processing.message_format:
            return self._processing.pairs([text_pair(asked, prompt) for asked in pairs.values()])
        chats = {position: as_messages(asked) for position, asked in pairs.items()}
        try:
            return self._fitting(chats, prompt)
        except InputError as error:
            if error.position is None:
                for position, chat in chats.items():
                    with at_position(position):
                        self._fitting({position: chat}, prompt)
            raise

    def _fitting(self, chats: Mapping[int, Chat], prompt: str) -> Features:
        """A batch of chat messages, whose documents are cut until they fit."""
        processing, chats = self._processing.uncut(), dict(chats)
        for _ in range(_TRIES):
            features = processing.batch([*chats.values()], kind="message", prompt=prompt)
            too_long = self._too_long(features)
            if not too_long:
                return features
            self._on_cut()
            for place in too_long:
                position = [*chats][place]
                with at_position(position):
                    chats[position] = self._shorter(chats[position], too_long[place])
        raise InputError(f"A document could not be cut to {self._processing.limit} tokens.")

    def _too_long(self, features: Features) -> dict[int, int]:
        """The rows that are longer than the model takes, and by how many tokens."""
        limit = self._processing.limit
        lengths: Sequence[int] = features["attention_mask"].sum(dim=1).tolist()
        return {
            place: length - limit
            for place, length in enumerate(lengths)
            if limit is not None and length > limit
        }

    def _shorter(self, chat: Chat, excess: int) -> Chat:
        tokenizer = self._processing.tokenizer
        shorter = shortened(chat, excess, tokenizer) if tokenizer else None
        if shorter is None:
            raise InputError(
                f"The query, the instruction and the pictures of a pair take over "
                f"{self._processing.limit} tokens, which is what the model takes. Give a shorter "
                "query, smaller pictures, or a larger max_seq_length."
            )
        return shorter
