"""Conversion between mm_rag's Segments and Hits and LangChain's Documents and content blocks.

A Document holds the text in `page_content` and refers to its media in `metadata`, under the names
of `Segment`'s fields: `source`, `modality`, `media`, `preview`, `mime_type`, `page`, `start`,
`end`, `title`, `sha256`; fields that are None are left out. The Segment's id is `Document.id`,
which LangChain's indexing API and some stores replace, and `metadata["id"]`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from langchain_core.documents import Document
from langchain_core.messages.content import ContentBlock, ImageContentBlock, TextContentBlock

from mm_rag.content import Content
from mm_rag.errors import InputError
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content import Block, Budget, Item, Words, blocks_of
from mm_rag.record import (
    Model,
    content_of_record,
    hit_to_metadata,
    label_of_record,
    segment_to_document_metadata,
)
from mm_rag.segment import Hit, Segment


def segment_to_document(segment: Segment) -> Document:
    """Convert a Segment to a Document."""
    metadata = dict(segment_to_document_metadata(segment))
    return Document(segment.text, id=segment.id, metadata=metadata)


def hit_to_document(hit: Hit) -> Document:
    """Convert a Hit to a Document.

    Beside the Segment's metadata it has `rank`, `score` (the probability of being relevant), the
    raw score of each stage (`score_lexical`, `score_vector_words`, `score_rerank`, ...), what each
    signal adds to the log-odds (`evidence_meaning`, ...), `matched` (text of the best passage) and
    `also` (other files with the same content, one per line).
    """
    metadata = dict(hit_to_metadata(hit))
    return Document(hit.segment.text, id=hit.segment.id, metadata=metadata)


def checked_documents(given: Any) -> list[Document]:
    """Return a list of Documents, after validating that all items are Documents.

    Raises:
        InputError: It is not iterable, or an item is not a Document.
    """
    if isinstance(given, Document) or not isinstance(given, Iterable):
        raise InputError(f"Expected a list of Documents; got a {type(given).__name__}.")
    documents = list(cast("Iterable[Any]", given))
    for document in documents:
        if not isinstance(document, Document):
            raise InputError(f"Expected Documents; got a {type(document).__name__}.")
    return documents


def document_to_content(document: Document, model: Model) -> Content:
    """Convert a Document to the input of a model: the media it refers to, or its text.

    Args:
        document: Any Document; one without media is its text.
        model: The Encoder or Reranker.
    """
    return content_of_record(document.page_content, document.metadata, model)


def documents_to_blocks(
    documents: Iterable[Document],
    budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
) -> list[ContentBlock]:
    """Convert Documents to the text and pictures of a chat message, as standard content blocks.

    Each Document becomes a text block, with its origin and its text, and its pictures: the picture,
    the page, or a few frames of a clip. A recording becomes its transcript. A picture or video that
    is missing, damaged or forbidden is replaced by text that says so. See
    `mm_rag.prompt_content.blocks_of` for how the budget is divided.

    Args:
        documents: Results of a retriever, the best match first.
        budget: Bounds for all blocks together; a number is a number of tokens.
        policy: Whether and how pictures and videos may be opened. Set its `roots` if the Documents
            come from a store to which others can write.

    Raises:
        InputError: An item is not a Document, or the budget is invalid.

    Example:
        .. code-block:: python

            question = {"type": "text", "text": "Which quarter was best?"}
            HumanMessage(content_blocks=[*documents_to_blocks(documents), question])
    """
    given = enumerate(checked_documents(documents), start=1)
    items = [_item(number, document) for number, document in given]
    return [content_block(block) for block in blocks_of(items, budget, policy=policy)]


def _item(number: int, document: Document) -> Item:
    label = f"[{number}] {label_of_record(document.metadata)}".strip()
    return Item(label=label, text=document.page_content, metadata=document.metadata)


def content_block(block: Block) -> ContentBlock:
    """Convert a block to LangChain's standard form."""
    if isinstance(block, Words):
        return TextContentBlock(type="text", text=block.text)
    return ImageContentBlock(type="image", base64=block.base64, mime_type=block.mime_type)
