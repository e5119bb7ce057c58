"""What `Reranker.predict` and `.rank` are given, as a list of pairs or of documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mm_rag.content import Chat, Content
from mm_rag.errors import InputError
from mm_rag.inputs.chat import as_chat
from mm_rag.inputs.listing import is_column, items_of
from mm_rag.inputs.values import is_array
from mm_rag.media.policy import MediaPolicy


def listed(values: Any, what: str) -> list[Any]:
    """Whatever holds several inputs, as a list.

    Args:
        values: A list, a generator, a column of a table.
        what: What they are, for the message.

    Raises:
        InputError: It is a single input, or nothing that has items.
    """
    items = items_of(values)
    if items is None and is_array(values) and values.ndim:
        items = list(values)  # along the first axis
    if items is None:
        raise InputError(f"{what} come in a list; got a {type(values).__name__}.")
    return items


def listed_pairs(pairs: Any) -> tuple[list[Any], bool]:
    """Pairs in a list, and whether it was one pair, or one conversation, and no list of them.

    Raises:
        InputError: It is neither.
    """
    if isinstance(pairs, Chat) or _is_pair(pairs):
        return [pairs], True
    return listed(pairs, "Pairs"), False


def sides_of(pair: Any, policy: MediaPolicy) -> Chat | tuple[Any, Any]:
    """A conversation, which holds both sides, or the two sides, of whatever kind they are.

    Raises:
        InputError: It is neither.
    """
    if isinstance(pair, Chat):
        return pair
    if isinstance(pair, list) and _begins_with_message(cast("list[Any]", pair)):
        return as_chat(cast("list[Any]", pair), policy)
    sides = items_of(pair) if _is_row(pair) else None
    if sides is None or len(sides) != 2:
        size = "" if sides is None else f" of {len(sides)}"
        raise InputError(
            "A pair is a query and a document, or a list of chat messages; got a "
            f"{type(pair).__name__}{size}."
        )
    return sides[0], sides[1]


def modalities_in(content: Content) -> list[str]:
    """The modalities of all that chat messages show; none for other contents."""
    turns = content.turns if isinstance(content, Chat) else ()
    return [part.modality for turn in turns for part in turn.parts]


def _is_row(value: Any) -> bool:
    """Whether it has the form of a pair; numpy's arrays of numbers are pictures or sound."""
    return isinstance(value, list | tuple) or is_column(value)


def _is_pair(pairs: Any) -> bool:
    if not _is_row(pairs) or len(pairs) == 0:
        return False
    listed_chats = isinstance(pairs[0], Chat) and not isinstance(pairs, tuple)
    return not _is_row(pairs[0]) and not listed_chats


def _begins_with_message(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], Mapping) and "role" in values[0]
