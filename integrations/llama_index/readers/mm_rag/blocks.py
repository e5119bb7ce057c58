"""Nodes as content blocks, so that a chat model sees the pages that were found."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore
from llama_index.readers.mm_rag.nodes import media_of_others

from mm_rag.content import Image
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content import Block, Budget, Item, Words, blocks_of
from mm_rag.record import label_of_record

logger = logging.getLogger(__name__)


def nodes_to_blocks(
    nodes: Iterable[BaseNode | NodeWithScore],
    budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
) -> list[TextBlock | ImageBlock]:
    """Text and pictures for a chat message.

    Each node gives a block of text, which says where it comes from and holds its words, and what
    there is to see: the picture, the page, or a few frames of a clip. A recording is what is said
    in it. A picture or video that is gone, damaged or forbidden becomes words that say so, and one
    at an address is not fetched. `mm_rag.prompt_content.blocks_of` says how the budget is divided.

    Args:
        nodes: What a retriever found, best first; those of other readers count, too.
        budget: What all blocks together may take; a number is one of tokens.
        policy: Whether and how pictures and videos may be opened. Set its `roots` where the nodes
            come from a store that others write to.

    Raises:
        InputError: Something is no node, or the budget is none.

    Example:
        .. code-block:: python

            question = TextBlock(text="Which quarter was best?")
            ChatMessage(blocks=[*nodes_to_blocks(retriever.retrieve("quarters")), question])
    """
    items = [_item(number, node) for number, node in enumerate(nodes, start=1)]
    return [content_block(block) for block in blocks_of(items, budget, policy=policy)]


def content_block(block: Block) -> TextBlock | ImageBlock:
    """A block as LlamaIndex has it."""
    if isinstance(block, Words):
        return TextBlock(text=block.text)
    return ImageBlock(image=block.data, image_mimetype=block.mime_type)


def _item(number: int, found: BaseNode | NodeWithScore) -> Item:
    node = found.node if isinstance(found, NodeWithScore) else found
    if not isinstance(node, BaseNode):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"Nodes are taken; got a {type(node).__name__}.")
    told = node.metadata
    # What LlamaIndex' own readers say of a file.
    place = {"source": told.get("file_name", ""), "page": told.get("page_label")} | told
    return Item(
        label=f"[{number}] {label_of_record(place)}".strip(),
        text=node.get_content(metadata_mode=MetadataMode.NONE),
        metadata=told,
        picture=_picture(node),
    )


def _picture(node: BaseNode) -> Path | bytes | None:
    """The picture of a node of others: a file, or its bytes."""
    try:
        media = [medium for medium in media_of_others(node, None) if isinstance(medium, Image)]
    except UnreadableMedia as error:
        logger.warning("The picture of node %s is damaged: %s", node.node_id, error)
        return b""  # that it cannot be shown is said where it would stand
    sources = (medium.source for medium in media)
    return next((source for source in sources if isinstance(source, Path | bytes)), None)
