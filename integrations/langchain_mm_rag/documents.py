"""Segments and Hits of mm_rag as LangChain Documents, and back.

A Document holds the words in `page_content` and refers to its media in `metadata`, under the names
of `Segment`'s fields: `source`, `modality`, `media`, `preview`, `mime_type`, `page`, `start`,
`end`, `title`, `sha256`; what a Segment lacks is left out. The Segment's id is in `Document.id`,
which LangChain's indexing API and some stores replace, and in the metadata as `id`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from langchain_core.documents import Document

from mm_rag.content import Content
from mm_rag.errors import InputError
from mm_rag.record import (
    Model,
    content_of_record,
    hit_to_metadata,
    segment_to_document_metadata,
)
from mm_rag.segment import Hit, Segment


def segment_to_document(segment: Segment) -> Document:
    """A Segment as a Document."""
    metadata = dict(segment_to_document_metadata(segment))
    return Document(segment.text, id=segment.id, metadata=metadata)


def hit_to_document(hit: Hit) -> Document:
    """A Hit as a Document.

    Its metadata say more than a Segment's: `rank`, `score`, the raw score of each stage
    (`score_lexical`, `score_vector_words`, `score_rerank`, ...), `matched` (the words of the best
    passage) and `also` (other files with the same content, one per line).
    """
    metadata = dict(hit_to_metadata(hit))
    return Document(hit.segment.text, id=hit.segment.id, metadata=metadata)


def checked_documents(given: Any) -> list[Document]:
    """What should be Documents, and is.

    Raises:
        InputError: It cannot be gone through, or something in it is no Document.
    """
    if isinstance(given, Document) or not isinstance(given, Iterable):
        raise InputError(f"Documents are wanted, in a list; got a {type(given).__name__}.")
    documents = list(cast("Iterable[Any]", given))
    for document in documents:
        if not isinstance(document, Document):
            raise InputError(f"Documents are wanted; got a {type(document).__name__}.")
    return documents


def document_to_content(document: Document, model: Model) -> Content:
    """What a model is given of a Document: the media it refers to, or its words.

    Args:
        document: Any Document; one that refers to no media is its words.
        model: Who is to take it: an Encoder or a Reranker.
    """
    return content_of_record(document.page_content, document.metadata, model)
