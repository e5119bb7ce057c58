"""Pairs of a query and a document: from what a caller gives to what a model is run on."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from mm_rag.content import (
    Audio,
    Chat,
    Image,
    Text,
    Turn,
    Video,
    content_key,
)
from mm_rag.errors import InputError, UnsupportedModality
from mm_rag.inputs.convert import as_content
from mm_rag.inputs.dicts import as_chat
from mm_rag.inputs.values import is_array, is_column, items_of
from mm_rag.media.policy import MediaPolicy
from mm_rag.preprocessing.chat_template import DOCUMENT, PairOrChat, as_messages
from mm_rag.preprocessing.processor import Processor

Medium: TypeAlias = Image | Audio | Video

# What a caller gives.


def as_list(values: Any, what: str) -> list[Any]:
    """The items of anything that holds several inputs.

    Args:
        values: A list, a generator, a column of a table.
        what: Name of the items, for the message.

    Raises:
        InputError: It is a single input, or has no items.
    """
    items = items_of(values)
    if items is None and is_array(values) and values.ndim:
        items = list(values)  # along the first axis
    if items is None:
        raise InputError(f"{what} come in a list; got a {type(values).__name__}.")
    return items


def list_pairs(pairs: Any) -> tuple[list[Any], bool]:
    """A list of pairs, and whether the caller gave a single pair or conversation instead.

    Raises:
        InputError: It is neither pairs nor a pair.
    """
    if isinstance(pairs, Chat) or _is_single_pair(pairs):
        return [pairs], True
    return as_list(pairs, "Pairs"), False


def as_pair(value: Any, *, media: Collection[str], policy: MediaPolicy) -> PairOrChat:
    """Convert one pair to Content.

    Args:
        value: Two values that `as_content` takes, or a list of chat messages.
        media: The modalities that a str may name.
        policy: Whether files and addresses of video frames may be opened.

    Raises:
        InputError: It is not a pair, or one side is of no kind that a model takes.
    """
    if isinstance(value, Chat):
        return value
    if isinstance(value, list) and _begins_with_message(cast("list[Any]", value)):
        return as_chat(cast("list[Any]", value), policy)
    sides = items_of(value) if _is_sequence(value) else None
    if sides is None or len(sides) != 2:
        size = "" if sides is None else f" of {len(sides)}"
        raise InputError(
            "A pair is a query and a document, or a list of chat messages; got a "
            f"{type(value).__name__}{size}."
        )
    query, document = (as_content(side, media=media, policy=policy) for side in sides)
    return query, document


def _is_single_pair(pairs: Any) -> bool:
    if not _is_sequence(pairs) or len(pairs) == 0:
        return False
    lists_chats = isinstance(pairs[0], Chat) and not isinstance(pairs, tuple)
    return not _is_sequence(pairs[0]) and not lists_chats


def _is_sequence(value: Any) -> bool:
    """Whether it can be a pair or a list of pairs; arrays of numbers are pictures or sound."""
    return isinstance(value, list | tuple) or is_column(value)


def _begins_with_message(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], Mapping) and "role" in values[0]


# What a cross-encoder is run on.


@dataclass(frozen=True, kw_only=True)
class PreparedPair:
    """A pair, made ready once for all later steps.

    Attributes:
        pair: The pair, in whose words no control tokens are written.
        chat: The same as chat messages.
        query: The messages without the document.
        media: All media in the messages, in order, each with its key.
    """

    pair: PairOrChat
    chat: Chat
    query: tuple[Turn, ...]
    media: tuple[tuple[Hashable, Medium], ...]

    @property
    def modalities(self) -> set[str]:
        """Modalities of all media in the messages."""
        return {medium.modality for _, medium in self.media}

    @property
    def query_media(self) -> frozenset[Hashable]:
        """Keys of the media in the query."""
        return frozenset(map(content_key, _media(self.query)))


def prepared(pair: PairOrChat, processor: Processor) -> PreparedPair:
    """Make a pair ready: remove control tokens, build chat messages, find its media."""
    control = processor.control
    if isinstance(pair, Chat):
        pair = Chat(tuple(map(control.turn_as_text, pair.turns)))
    else:
        pair = control.as_content(pair[0]), control.as_content(pair[1])
    chat = as_messages(pair)
    place = _document_turn(chat)
    return PreparedPair(
        pair=pair,
        chat=chat,
        query=chat.turns[:place] + chat.turns[place + 1 :],
        media=tuple((content_key(part), part) for part in _media(chat.turns)),
    )


def pair_key(pair: PairOrChat) -> Hashable:
    """Equal for pairs of equal content."""
    return content_key(pair) if isinstance(pair, Chat) else tuple(map(content_key, pair))


def _media(turns: Sequence[Turn]) -> list[Medium]:
    return [part for turn in turns for part in turn.parts if not isinstance(part, Text)]


def text_pair(pair: PairOrChat, prompt: str) -> tuple[str, str]:
    """A pair of two texts, the prompt in front of the query.

    Raises:
        UnsupportedModality: It is chat messages, or a side is not text.
    """
    if isinstance(pair, tuple):
        query, document = pair
        if isinstance(query, Text) and isinstance(document, Text):
            return prompt + query.text, document.text
    raise UnsupportedModality("This reranker takes pairs of texts.")


# Truncation of a document that is part of chat messages. Tokens are removed after the messages are
# tokenized, because a template may change a shorter text, for example strip its spaces.


def with_filler_documents(chat: Chat) -> list[Chat]:
    """The same messages with two other texts in the document, which begin and end differently."""
    return [_with_document_text(chat, filler) for filler in ("0", "1 2 3 4")]


def truncated(
    ids: Sequence[int], fillers: Sequence[Sequence[int]], processor: Processor, limit: int
) -> list[int]:
    """Positions of the tokens that are left when a document is truncated.

    The tokens that both fillers begin and end with surround the document. Between them, all tokens
    but control tokens, such as those of media, are words of the document.

    Args:
        ids: Tokens of chat messages, more than `limit`.
        fillers: Tokens of the same messages `with_filler_documents`.
        processor: The processor that made the tokens.
        limit: Number of tokens to keep.

    Raises:
        InputError: All tokens but the document's words are more than `limit`.
    """
    one, other = fillers
    before = _common_length(one, other)
    after = min(_common_length(one[::-1], other[::-1]), min(len(one), len(other)) - before)
    control = _control_ids(processor)
    words = [place for place in range(before, len(ids) - after) if ids[place] not in control]
    excess = len(ids) - limit
    if len(words) < excess:
        raise InputError(
            f"The model takes {limit} tokens; all but the document's words take "
            f"{len(ids) - len(words)}. Give a shorter query or instruction, smaller pictures, or a "
            "larger max_seq_length."
        )
    removed = frozenset(words[len(words) - excess :])
    return [place for place in range(len(ids)) if place not in removed]


def _control_ids(processor: Processor) -> set[int]:
    """Ids of control tokens, which the words of a document never contain."""
    tokenizer: Any = processor.tokenizer
    return {*tokenizer.convert_tokens_to_ids(list(processor.control.names))} - {
        tokenizer.unk_token_id
    }


def _common_length(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    most = min(len(one), len(other))
    return next((place for place, (ours, theirs) in pairs if ours != theirs), most)


def _with_document_text(chat: Chat, text: str) -> Chat:
    place = _document_turn(chat)
    parts = [Text(text) if isinstance(part, Text) else part for part in chat.turns[place].parts]
    turn = replace(chat.turns[place], parts=tuple(parts))
    return Chat((*chat.turns[:place], turn, *chat.turns[place + 1 :]))


def _document_turn(chat: Chat) -> int:
    """Position of the document among the messages; the last one if none has that role."""
    roles = [turn.role for turn in chat.turns]
    return roles.index(DOCUMENT) if DOCUMENT in roles else len(roles) - 1
