"""Pairs become tokens, before they are packed; documents that are too long are truncated."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mm_rag.content import Chat
from mm_rag.errors import InputError, at_position
from mm_rag.preprocessing.processor import Processor
from mm_rag.rerankers.feature_cache import VisionFeatures
from mm_rag.rerankers.pairs import PreparedPair, text_pair, truncated, with_filler_documents
from mm_rag.rerankers.prefix_sharing.vision_features import VisionTower

# Modality, key and features of a medium.
_ShownMedium: TypeAlias = tuple[str, Hashable, VisionFeatures]


@dataclass(frozen=True, kw_only=True)
class MediaSpan:
    """The tokens of a picture or video in a pair.

    Attributes:
        key: Equal for the same medium in several pairs.
        modality: `"image"` or `"video"`.
        features: Its vision features.
        start: Position of its first token.
        end: Position behind its last token.
    """

    key: Hashable
    modality: str
    features: VisionFeatures
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class TokenizedPair:
    """A pair as tokens.

    Attributes:
        ids: Token ids, including special tokens and placeholders.
        media: Spans of the pictures and videos, in order.
        truncated: Whether the document was truncated.
    """

    ids: list[int]
    media: tuple[MediaSpan, ...] = ()
    truncated: bool = False


class PairTokenizer(Protocol):
    """Turns pairs into tokens."""

    def tokenize(
        self,
        pairs: Mapping[int, PreparedPair],
        prompt: str,
        features: Mapping[Hashable, VisionFeatures],
    ) -> list[TokenizedPair]:
        """Tokenize pairs.

        Args:
            pairs: By position in the call; errors name the position.
            prompt: The instruction; empty for none.
            features: Vision features of all media in the pairs, by key.

        Raises:
            InputError: A query is too long, or a pair is empty.
        """
        ...


class TextPairTokenizer:
    """Tokens of models whose tokenizer joins two texts.

    Args:
        processor: Tokenizer of the model.
    """

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def tokenize(
        self,
        pairs: Mapping[int, PreparedPair],
        prompt: str,
        features: Mapping[Hashable, VisionFeatures],
    ) -> list[TokenizedPair]:
        """Tokenize pairs of texts; the prompt is put in front of the query."""
        del features
        texts = [text_pair(pair.pair, prompt) for pair in pairs.values()]
        limit = self._processor.limit
        made: list[TokenizedPair] = []
        whole = self._processor.pair_ids(texts)
        for position, text, ids in zip(pairs, texts, whole, strict=True):
            with at_position(position):
                if not ids:
                    raise InputError("The query and the document are both empty.")
                too_long = limit is not None and len(ids) > limit
                ids = self._processor.truncated_pair_ids(text) if too_long else ids
            made.append(TokenizedPair(ids=ids, truncated=too_long))
        return made


class ChatPairTokenizer:
    """Tokens of models with a chat template.

    Args:
        processor: Processor of a model whose template has a place for queries and documents.
        vision: The model's vision tower.
    """

    def __init__(self, processor: Processor, vision: VisionTower) -> None:
        self._processor = processor
        self._placeholders = {kind: vision.placeholder(kind) for kind in sorted(vision.modalities)}
        names = [f"(?P<{kind}>{re.escape(name)})" for kind, (name, _) in self._placeholders.items()]
        self._pattern = re.compile("|".join(names) or r"(?!)")

    def tokenize(
        self,
        pairs: Mapping[int, PreparedPair],
        prompt: str,
        features: Mapping[Hashable, VisionFeatures],
    ) -> list[TokenizedPair]:
        """Render pairs with the chat template, and tokenize the texts."""
        media = [[(m.modality, key, features[key]) for key, m in p.media] for p in pairs.values()]
        whole = self._token_ids([pair.chat for pair in pairs.values()], prompt, media)
        made: list[TokenizedPair] = []
        for (position, pair), ids, shown in zip(pairs.items(), whole, media, strict=True):
            with at_position(position):
                fitting = self._fitting(pair.chat, ids, prompt, shown)
                spans = self._media_spans(fitting, shown)
            # _fitting returns the same list if nothing was cut.
            made.append(TokenizedPair(ids=fitting, media=spans, truncated=fitting is not ids))
        return made

    def _token_ids(
        self, chats: Sequence[Chat], prompt: str, media: Sequence[Sequence[_ShownMedium]]
    ) -> list[list[int]]:
        texts = [
            self._with_placeholders(text, shown)
            for text, shown in zip(
                self._processor.chat_template.texts(chats, prompt), media, strict=True
            )
        ]
        return self._processor.chat_template.token_ids(texts)

    def _with_placeholders(self, text: str, media: Sequence[_ShownMedium]) -> str:
        """The text in which each medium takes as many tokens as it has features."""
        left = {kind: _placeholder_texts(media, kind) for kind in self._placeholders}

        def fill(found: re.Match[str]) -> str:
            return next(left[str(found.lastgroup)], found.group())

        return self._pattern.sub(fill, text)

    def _fitting(
        self, chat: Chat, ids: list[int], prompt: str, media: Sequence[_ShownMedium]
    ) -> list[int]:
        """The tokens of a pair, with a truncated document if there are too many."""
        limit = self._processor.limit
        if limit is None or len(ids) <= limit:
            return ids
        fillers = self._token_ids(with_filler_documents(chat), prompt, [media, media])
        return [ids[place] for place in truncated(ids, fillers, self._processor, limit)]

    def _media_spans(
        self, ids: Sequence[int], media: Sequence[_ShownMedium]
    ) -> tuple[MediaSpan, ...]:
        """Where the tokens of each medium are; media of one modality follow each other."""
        spans: list[MediaSpan] = []
        for kind, (name, token_id) in self._placeholders.items():
            places = [place for place, token in enumerate(ids) if token == token_id]
            for modality, key, features in media:
                if modality == kind:
                    count = len(features.features)
                    own, places = places[:count], places[count:]
                    if len(own) != count:
                        raise InputError(f"The model's chat template leaves out a {kind}.")
                    span = {"start": own[0], "end": own[-1] + 1}
                    spans.append(MediaSpan(key=key, modality=kind, features=features, **span))
            if places:
                raise InputError(
                    f"The text contains the token {name!r} without {kind} for it. Remove it, or "
                    "give the medium."
                )
        return tuple(sorted(spans, key=lambda span: span.start))


def _placeholder_texts(media: Sequence[_ShownMedium], modality: str) -> Iterator[str]:
    return iter([features.placeholder for kind, _, features in media if kind == modality])
