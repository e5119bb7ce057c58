"""Rows: pairs as tokens, before they are batched or packed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mm_rag.content import Chat, Text, content_key, parts_of
from mm_rag.errors import InputError, UnsupportedModality, at_position
from mm_rag.preprocessing.chat_template import Rendering
from mm_rag.preprocessing.pairs import Asked, as_messages, document_texts, with_document_texts
from mm_rag.preprocessing.processor import Processing
from mm_rag.rerankers.seen_medium import SeenMedium
from mm_rag.rerankers.vision_features import Medium, Sight

See: TypeAlias = Callable[[Medium], SeenMedium]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A picture or video in a row.

    Attributes:
        key: Equal for the same medium in several rows.
        kind: `"image"` or `"video"`.
        seen: What the model sees of it.
        start: Its first token among the row's.
        end: The one after its last.
    """

    key: object
    kind: str
    seen: SeenMedium
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """A pair as tokens.

    Attributes:
        ids: The tokens' ids, special ones and placeholders included.
        media: The pictures and videos, in the order of their tokens.
        cut: Whether the document lost its end.
    """

    ids: list[int]
    media: tuple[Placed, ...] = ()
    cut: bool = False


class RowMaker(Protocol):
    """Makes rows out of pairs."""

    def __call__(self, pairs: Mapping[int, Asked], prompt: str, see: See) -> list[Row]:
        """Make a row of every pair.

        Args:
            pairs: By their position in the call, which errors name.
            prompt: The instruction; empty for none.
            see: What the model sees of a medium.

        Raises:
            InputError: A pair cannot be used: its query is too long, or a file is damaged.
        """
        ...


class PairRows:
    """Rows of a tokenizer that joins two texts itself."""

    def __init__(self, processing: Processing) -> None:
        self._processing = processing

    def __call__(self, pairs: Mapping[int, Asked], prompt: str, see: See) -> list[Row]:
        """As `RowMaker` says."""
        del see
        texts = [text_pair(asked, prompt) for asked in pairs.values()]
        limit = self._processing.limit
        rows: list[Row] = []
        whole = self._processing.pair_ids(texts)
        for position, text, ids in zip(pairs, texts, whole, strict=True):
            with at_position(position):
                if not ids:
                    raise InputError("The query and the document are both empty.")
                cut = limit is not None and len(ids) > limit
                ids = self._processing.cut_pair(text) if cut else ids
            rows.append(Row(ids=ids, cut=cut))
        return rows


class TemplateRows:
    """Rows of a chat template.

    Args:
        processing: Of a model with a template for queries and documents.
        sight: Its eyes.
    """

    def __init__(self, processing: Processing, sight: Sight) -> None:
        self._rendering = Rendering(processing)
        self._processing = processing
        self._holders = {kind: sight.placeholder(kind) for kind in sorted(sight.modalities)}
        names = [f"(?P<{kind}>{re.escape(name)})" for kind, (name, _) in self._holders.items()]
        self._pattern = re.compile("|".join(names) or r"(?!)")

    def __call__(self, pairs: Mapping[int, Asked], prompt: str, see: See) -> list[Row]:
        """As `RowMaker` says."""
        chats = [as_messages(asked) for asked in pairs.values()]
        seen: list[list[_Seen]] = []
        for position, chat in zip(pairs, chats, strict=True):
            with at_position(position):
                seen.append([(part, see(part)) for part in _media(chat)])
        texts = self._texts(chats, prompt, seen)
        whole = self._rendering.token_ids(texts)
        rows: list[Row] = []
        for number, position in enumerate(pairs):
            ids, media = whole[number], seen[number]
            with at_position(position):
                if excess := self._excess(ids):
                    ids = self._cut(chats[number], prompt, texts[number], ids, media, excess)
                placed = self._placed(ids, media)
            rows.append(Row(ids=ids, media=placed, cut=ids is not whole[number]))
        return rows

    @property
    def _limit(self) -> int | None:
        return self._processing.limit  # which a user may change

    def _excess(self, ids: Sequence[int]) -> int:
        return max(0, len(ids) - self._limit) if self._limit else 0

    def _texts(
        self, chats: Sequence[Chat], prompt: str, seen: Sequence[Sequence[_Seen]]
    ) -> list[str]:
        """What the model reads, each medium as many tokens long as the model sees of it."""
        rendered = self._rendering.texts(chats, prompt)
        return [self._filled(text, media) for text, media in zip(rendered, seen, strict=True)]

    def _filled(self, text: str, media: Sequence[_Seen]) -> str:
        left = {kind: _replacements(media, kind) for kind in self._holders}

        def fill(found: re.Match[str]) -> str:
            return next(left[str(found.lastgroup)], found.group())

        return self._pattern.sub(fill, text)

    def _placed(self, ids: Sequence[int], media: Sequence[_Seen]) -> tuple[Placed, ...]:
        """Where the tokens of each medium are: those of a kind follow each other."""
        placed: list[Placed] = []
        for kind, (_, holder) in self._holders.items():
            places = [place for place, token in enumerate(ids) if token == holder]
            for part, seen in media:
                if part.modality == kind:
                    own, places = places[: len(seen.features)], places[len(seen.features) :]
                    if len(own) != len(seen.features):
                        raise InputError(f"The model's chat template leaves out a {kind}.")
                    key = content_key(part)
                    start, end = own[0], own[-1] + 1
                    placed.append(Placed(key=key, kind=kind, seen=seen, start=start, end=end))
            if places:
                raise InputError(
                    f"There is the token {self._holders[kind][0]!r} in the text, but no {kind} to "
                    "it. Leave it out, or give the medium."
                )
        return tuple(sorted(placed, key=lambda one: one.start))

    def _cut(
        self,
        chat: Chat,
        prompt: str,
        text: str,
        ids: list[int],
        media: Sequence[_Seen],
        excess: int,
    ) -> list[int]:
        """The row without the last tokens of its document's words."""
        own, mark = document_texts(chat), _mark(text)
        marked = with_document_texts(chat, [mark] * len(own))
        [skeleton] = self._texts([marked], prompt, [media])
        spans = _spans(text, skeleton.split(mark), own)
        offsets = self._rendering.offsets(text)
        words = [
            place
            for place, (start, end) in enumerate(offsets)
            if start < end and any(first <= start and end <= last for first, last in spans)
        ]
        if len(words) < excess:
            raise InputError(
                f"The model takes {self._limit} tokens; all but the document's words "
                f"take {len(ids) - len(words)}. Give a shorter query or instruction, smaller "
                "pictures, or a larger max_seq_length."
            )
        gone = frozenset(words[len(words) - excess :])
        return [token for place, token in enumerate(ids) if place not in gone]


_Seen: TypeAlias = tuple[Medium, SeenMedium]


def text_pair(asked: Asked, prompt: str) -> tuple[str, str]:
    """A pair of two texts, the prompt before the first one.

    Raises:
        UnsupportedModality: It is none.
    """
    if isinstance(asked, tuple):
        query, document = asked
        if isinstance(query, Text) and isinstance(document, Text):
            return prompt + query.text, document.text
    raise UnsupportedModality("This reranker takes pairs of texts.")


def _media(chat: Chat) -> list[Medium]:
    return [part for part in parts_of(chat) if isinstance(part, Medium)]


def _replacements(media: Sequence[_Seen], kind: str) -> Iterator[str]:
    return iter([seen.replacement for part, seen in media if part.modality == kind])


def _mark(text: str) -> str:
    """What stands where a document's words stand, when it is looked for where they are put.

    It is of a block that Unicode leaves to private use, and nowhere in the text.
    """
    return next(mark for mark in map(chr, range(0xE000, 0xF8FF)) if mark not in text)


def _spans(text: str, skeleton: Sequence[str], words: Sequence[str]) -> list[tuple[int, int]]:
    """Where the words are in a text, of which the skeleton is all else; none if unclear."""
    before, *afters = skeleton
    if len(afters) != len(words) or not text.startswith(before):
        return []
    spans: list[tuple[int, int]] = []
    position = len(before)
    for word, after in zip(words, afters, strict=True):
        # Templates may take white space off the ends.
        shown = word if text.startswith(word + after, position) else word.strip()
        if not text.startswith(shown + after, position):
            return []
        spans.append((position, position + len(shown)))
        position += len(shown) + len(after)
    return spans
