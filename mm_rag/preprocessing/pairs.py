"""A query and a document as chat messages."""

from __future__ import annotations

from typing import TypeAlias

from mm_rag.content import Chat, Content, Turn, parts_of

# A query and a document; or chat messages that contain both, as the model's template expects them.
Pair: TypeAlias = tuple[Content, Content]
PairOrChat: TypeAlias = Pair | Chat

QUERY, DOCUMENT = "query", "document"


def as_messages(pair: PairOrChat) -> Chat:
    """A message of the role "query" and one of the role "document"; chat messages as they are."""
    if isinstance(pair, Chat):
        return pair
    query, document = pair
    return Chat((Turn(QUERY, parts_of(query)), Turn(DOCUMENT, parts_of(document))))
