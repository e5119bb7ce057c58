"""Documents as content blocks, so that a chat model sees the pages that were found."""

from __future__ import annotations

from collections.abc import Iterable

from langchain_core.documents import Document
from langchain_core.messages.content import ContentBlock, ImageContentBlock, TextContentBlock

from langchain_mm_rag.documents import checked_documents
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content import Block, Budget, Item, Words, blocks_of
from mm_rag.record import label_of_record


def documents_to_blocks(
    documents: Iterable[Document],
    budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
) -> list[ContentBlock]:
    """Text and pictures for a chat message, in LangChain's standard form.

    Each Document gives a text block, which says where it comes from and holds its words, and what
    there is to see: the picture, the page, or a few frames of a clip. A recording is what is said
    in it. A picture or video that is gone, damaged or forbidden becomes words that say so. See
    `mm_rag.prompt_content.blocks_of` for how the budget is divided.

    Args:
        documents: What a retriever found, best first.
        budget: What all blocks together may take; a number is one of tokens.
        policy: Whether and how pictures and videos may be opened. Set its `roots` where the
            Documents come from a store that others write to.

    Raises:
        InputError: They are no Documents, or the budget is none.

    Example:
        .. code-block:: python

            question = {"type": "text", "text": "Which quarter was best?"}
            HumanMessage(content_blocks=[*documents_to_blocks(documents), question])
    """
    given = enumerate(checked_documents(documents), start=1)
    items = [_item(number, document) for number, document in given]
    return [content_block(block) for block in blocks_of(items, budget, policy=policy)]


def content_block(block: Block) -> ContentBlock:
    """A block in LangChain's standard form."""
    if isinstance(block, Words):
        return TextContentBlock(type="text", text=block.text)
    return ImageContentBlock(type="image", base64=block.base64, mime_type=block.mime_type)


def _item(number: int, document: Document) -> Item:
    label = f"[{number}] {label_of_record(document.metadata)}".strip()
    return Item(label=label, text=document.page_content, metadata=document.metadata)
