"""Queries: LlamaIndex's have text and the path of a picture, mm_rag's any media."""

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
    """A query with a picture, a recording or a video, alone or with text.

    Accepted wherever a QueryBundle is: `retriever.retrieve`, `RetrieverQueryEngine.query`,
    postprocessors.

    Attributes:
        query_str: Text, which a query engine also passes to its chat model.
        content: Any input of `mm_rag.inputs.as_content`: `Audio(Path("question.wav"))`, a PIL
            image, a Path, a dict such as `{"image": "chair.jpg"}`. A str is text.
    """

    query_str: str = ""
    content: Any = None


def as_bundle(query: Any) -> QueryBundle:
    """Convert a query to a QueryBundle; anything but a str or QueryBundle becomes its content."""
    if isinstance(query, QueryBundle):
        return query
    return QueryBundle(query) if isinstance(query, str) else MultimodalQuery(content=query)


def query_to_content(query: QueryBundle) -> Content:
    """Convert a QueryBundle to the input of a model: its text, picture and content together.

    Raises:
        InputError: It is not a QueryBundle, is empty, or has invalid content.
        UnreadableMedia: The picture does not exist.
    """
    if not isinstance(query, QueryBundle):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"A query must be a QueryBundle; got a {type(query).__name__}.")
    text, parts = Text(query.query_str), list[Content]()
    if text.text.strip():
        parts.append(text)
    if query.image_path is not None:
        parts.append(as_part("image", query.image_path, DEFAULT_POLICY))
    given = query.content if isinstance(query, MultimodalQuery) else None
    if given is not None:
        content = Text(given) if isinstance(given, str) else as_content(given)
        parts += content.parts if isinstance(content, Mixed) else [content]
    if not parts:
        raise InputError(
            "The query is empty: give it text, image_path, or the content of a MultimodalQuery."
        )
    # Mixed refuses a Chat, which cannot be combined with other parts.
    return parts[0] if len(parts) == 1 else Mixed(cast("tuple[Part, ...]", tuple(parts)))
