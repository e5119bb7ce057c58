"""Searching: a query as users give it -> content -> the engine, with the parts of a collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mm_rag.collection.checks import bounded_query, check_encoder, printable_words
from mm_rag.collection.search import (
    Explanation,
    Request,
    SearchEngine,
    Spaces,
    Stopwatch,
    query_words,
)
from mm_rag.collection.session import Parts
from mm_rag.content import Text, modality_name
from mm_rag.encoder import Encoder
from mm_rag.inputs import as_content
from mm_rag.reranker import Reranker
from mm_rag.segment import Segment


def explained(
    parts: Parts,
    query: Any,
    request: Request,
    *,
    encoder: Encoder,
    reranker: Reranker | None,
    shown: Callable[[Sequence[Segment]], list[Segment]],
) -> Explanation:
    """Search a collection.

    Args:
        parts: Of the collection.
        query: A str is a user's words; or whatever an Encoder takes.
        request: What is wanted.
        encoder: Whose vectors the collection holds.
        reranker: Scores the best candidates again; None for nobody.
        shown: Draws the pictures of Segments again, where they are not kept.

    Raises:
        InputError: The query is no input, or Chroma refuses the filter.
        CollectionError: The collection cannot be read.
    """
    content = bounded_query(
        as_content(Text(printable_words(query)) if isinstance(query, str) else query)
    )
    watch = Stopwatch()

    def spaces() -> Spaces:
        check_encoder(parts, encoder)  # it may have been encoded anew
        return parts.spaces(encoder)

    with watch.stage("total"):
        with watch.stage("encode"):
            content = encoder.read(content)
        is_words = isinstance(content, Text) or encoder.reads(modality_name(content))
        if is_words and not query_words(content).strip():
            # Nothing was said, and nothing could be read.
            return Explanation(hits=[], seconds=watch.seconds, listed={}, places=0)
        engine = SearchEngine(
            read=parts.read,
            catalog=parts.catalog,
            spaces=spaces,
            missed=parts.missed,
            encoder=encoder,
            reranker=reranker,
            shown=shown,
            watch=watch,
        )
        return engine.search(content, request)
