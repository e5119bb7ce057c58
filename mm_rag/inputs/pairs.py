"""What `Reranker.predict` and `.rank` are given, as a list of pairs or of documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mm_rag.content import Audio, Chat, Content, Image, Mixed, Text, Video
from mm_rag.errors import InputError
from mm_rag.inputs.chat import as_chat
from mm_rag.media.policy import MediaPolicy

# One input each, although some of them could be gone through like a list.
_SINGLE = (str, bytes, bytearray, Mapping, Text, Image, Audio, Video, Mixed, Chat)


def listed(values: Any, what: str) -> list[Any]:
    """Whatever can be gone through, as a list.

    Args:
        values: A list, a generator, a column of a table.
        what: What they are, for the message.

    Raises:
        InputError: It is a single input, or nothing that has items.
    """
    try:
        items = None if isinstance(values, _SINGLE) else iter(values)
    except TypeError:
        items = None
    if items is None:
        raise InputError(f"{what} come in a list; got a {type(values).__name__}.")
    return list(items)


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
    if not _is_row(pair) or len(pair) != 2:
        size = f" of {len(pair)}" if _is_row(pair) else ""
        raise InputError(
            "A pair is a query and a document, or a list of chat messages; got a "
            f"{type(pair).__name__}{size}."
        )
    return pair[0], pair[1]


def modalities_in(content: Content) -> list[str]:
    """The modalities of all that chat messages show; none for other contents."""
    turns = content.turns if isinstance(content, Chat) else ()
    return [part.modality for turn in turns for part in turn.parts]


def _is_row(value: Any) -> bool:
    """Whether it has the form of a pair; numpy's arrays of numbers are pictures or sound."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return isinstance(value, list | tuple) or (kind in ("U", "O") and value.ndim > 0)


def _is_pair(pairs: Any) -> bool:
    if not _is_row(pairs) or len(pairs) == 0:
        return False
    listed_chats = isinstance(pairs[0], Chat) and not isinstance(pairs, tuple)
    return not _is_row(pairs[0]) and not listed_chats


def _begins_with_message(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], Mapping) and "role" in values[0]
