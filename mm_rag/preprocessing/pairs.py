"""Pairs: a query and a document as chat messages, and documents that are cut to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from transformers import PreTrainedTokenizerBase

from mm_rag.content import Chat, Content, Part, Text, Turn, parts_of

# A query and a document; or both in chat messages, the way the model's template wants them.
Pair: TypeAlias = tuple[Content, Content]
Asked: TypeAlias = Pair | Chat

QUERY, DOCUMENT = "query", "document"


def as_messages(asked: Asked) -> Chat:
    """A turn of the query and a turn of the document, which templates of rerankers know by name."""
    if isinstance(asked, Chat):
        return asked
    query, document = asked
    return Chat((Turn(QUERY, parts_of(query)), Turn(DOCUMENT, parts_of(document))))


def document_turn(chat: Chat) -> int:
    """The place of the document among the turns: the last one where none says that it is it."""
    roles = [turn.role for turn in chat.turns]
    return roles.index(DOCUMENT) if DOCUMENT in roles else len(roles) - 1


def question_of(chat: Chat) -> tuple[Turn, ...]:
    """All turns but the document's."""
    place = document_turn(chat)
    return chat.turns[:place] + chat.turns[place + 1 :]


def document_texts(chat: Chat) -> list[str]:
    """The texts of the document, in order."""
    parts = chat.turns[document_turn(chat)].parts
    return [part.text for part in parts if isinstance(part, Text)]


def with_document_texts(chat: Chat, texts: Sequence[str]) -> Chat:
    """The same chat, its document's texts replaced, its pictures left where they are."""
    place = document_turn(chat)
    left = iter(texts)
    parts: list[Part] = [
        Text(next(left)) if isinstance(part, Text) else part for part in chat.turns[place].parts
    ]
    turn = replace(chat.turns[place], parts=tuple(parts))
    return Chat((*chat.turns[:place], turn, *chat.turns[place + 1 :]))


def shortened(chat: Chat, excess: int, tokenizer: PreTrainedTokenizerBase) -> Chat | None:
    """The same chat without the last `excess` tokens of its document's texts.

    Returns:
        None where the document has no words left to lose.
    """
    texts = document_texts(chat)
    for position in reversed(range(len(texts))):
        if excess > 0 and texts[position]:
            texts[position], excess = _without_end(texts[position], excess, tokenizer)
    shorter = with_document_texts(chat, texts)
    return shorter if document_texts(shorter) != document_texts(chat) else None


def _without_end(text: str, excess: int, tokenizer: PreTrainedTokenizerBase) -> tuple[str, int]:
    """A text without its last tokens, and how many of the excess are still to go."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spans: Sequence[tuple[int, int]] = encoded["offset_mapping"]  # pyright: ignore[reportAssignmentType]
    kept = len(spans) - excess
    # Tokens may be parts of one character, which stays or goes as a whole.
    ends = (min(spans[count - 1][1], spans[count][0]) for count in range(kept, 0, -1))
    return text[: next((end for end in ends if end < len(text)), 0)], max(0, -kept)
