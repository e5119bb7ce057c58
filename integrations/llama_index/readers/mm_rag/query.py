"""Queries of LlamaIndex, which know words and one picture's path, and ours, which may be more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from llama_index.core.schema import QueryBundle

from mm_rag.content import Content, Mixed, Part, Text
from mm_rag.errors import InputError
from mm_rag.inputs import as_content
from mm_rag.inputs.dicts import as_part
from mm_rag.media.policy import DEFAULT_POLICY


@dataclass
class MultimodalQuery(QueryBundle):
    """A query with a picture, a recording or a video, alone or beside words.

    It goes wherever a QueryBundle does: `retriever.retrieve`, `RetrieverQueryEngine.query`,
    postprocessors.

    Attributes:
        query_str: A user's words, which the chat model of a query engine is asked, too.
        content: Whatever `mm_rag.inputs.as_content` takes: `Audio(Path("question.wav"))`, a PIL
            image, a Path, a dict such as `{"image": "chair.jpg"}`. A str is words.
    """

    query_str: str = ""
    content: Any = None


def as_bundle(query: Any) -> QueryBundle:
    """A query as retrievers pass it on; whatever is neither str nor QueryBundle is content."""
    if isinstance(query, QueryBundle):
        return query
    return QueryBundle(query) if isinstance(query, str) else MultimodalQuery(content=query)


def query_to_content(query: QueryBundle) -> Content:
    """What a model is given of a query: its words, its picture, its content, or all together.

    Raises:
        InputError: It is no QueryBundle, nothing is in it, or something that is no input.
        UnreadableMedia: There is no such picture.
    """
    if not isinstance(query, QueryBundle):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"A query is a QueryBundle; got a {type(query).__name__}.")
    words, parts = Text(query.query_str), list[Content]()
    if words.text.strip():
        parts.append(words)
    if query.image_path is not None:
        parts.append(as_part("image", query.image_path, DEFAULT_POLICY))
    given = query.content if isinstance(query, MultimodalQuery) else None
    if given is not None:
        content = Text(given) if isinstance(given, str) else as_content(given)
        parts += content.parts if isinstance(content, Mixed) else [content]
    if not parts:
        raise InputError(
            "The query is empty: give it words, image_path, or the content of a MultimodalQuery."
        )
    # A chat is an input of its own: Mixed refuses it.
    return parts[0] if len(parts) == 1 else Mixed(cast("tuple[Part, ...]", tuple(parts)))
