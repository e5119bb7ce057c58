"""Conversion between mm_rag's Segments and Hits and LlamaIndex's Documents, Nodes and blocks.

Readers return Documents, which splitters accept; retrievers and tools return Nodes. Both hold the
text in `text_resource` and in `image_resource` the path of the picture for the chat model: the
picture, the page, or a frame of a clip. A clip's whole recording or video is not a resource of the
node, because LlamaIndex would send all of it to the chat model. Its path is in the metadata, under
the names of `Segment`'s fields: `source`, `modality`, `media`, `preview`, `mime_type`, `page`,
`start`, `end`, `title`, `sha256`; and the Segment's `id`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeWithScore,
    TextNode,
)

from mm_rag.content import Audio, Content, Image, Text, Url, Video
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.inputs.files import base64_bytes, data_uri_bytes
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content import Block, Budget, Item, Words, blocks_of
from mm_rag.record import (
    Model,
    content_of_record,
    content_to_embed,
    hit_to_metadata,
    label_of_record,
    picture_of_record,
    segment_to_document_metadata,
)
from mm_rag.segment import Hit, Segment

logger = logging.getLogger(__name__)

_FOR_LLM = frozenset({"source", "title", "page", "start", "end"})
"""Metadata that a chat model sees, so that it can cite the node."""

_FOR_EMBEDDING = frozenset({"title"})
"""Metadata that is embedded with the text. LlamaIndex's indexes drop nodes with neither."""

_SEGMENT_KEYS = frozenset({"modality", "source", "sha256"})
"""Metadata keys by which records of Segments are recognised, whichever program wrote them."""


class FoundNode(NodeWithScore):
    """A NodeWithScore with text for every kind of node, as LlamaIndex's evaluators require.

    The base class raises an error unless the node is a TextNode.
    """

    @property
    def text(self) -> str:
        """Text of the node."""
        return self.get_content()

    def get_text(self) -> str:
        """Text of the node."""
        return self.get_content()


class SegmentDocument(Document):
    """A Segment that splitters divide as text: a passage or a transcript."""

    @classmethod
    def class_name(cls) -> str:
        """`Node`: a vector store that reads a `Document` back would make a TextNode."""
        return Node.class_name()


class PictureDocument(ImageDocument):
    """A Segment that shows a picture: a page, a photo, or a clip by one of its frames.

    Splitters make TextNodes of Documents, but ImageNodes of ImageDocuments, which keep the path of
    the picture, also in vector stores.
    """

    @classmethod
    def class_name(cls) -> str:
        """`Node`: a vector store that reads an `ImageDocument` back would make a TextNode."""
        return Node.class_name()


def segment_to_document(segment: Segment, extra: Mapping[str, Any] | None = None) -> Document:
    """Convert a Segment to a Document with the same id.

    Args:
        segment: A page, passage, picture or clip.
        extra: More metadata; the Segment's own values take precedence.
    """
    metadata = {**(extra or {}), **segment_to_document_metadata(segment)}
    is_picture = segment.modality != "text" and picture_of_record(metadata) is not None
    kind = PictureDocument if is_picture else SegmentDocument
    return kind(id_=segment.id, **_node_fields(segment, metadata))


def segment_to_node(segment: Segment) -> Node:
    """Convert a Segment to a Node with the same id."""
    return Node(id_=segment.id, **_node_fields(segment, segment_to_document_metadata(segment)))


def hit_to_node(hit: Hit) -> NodeWithScore:
    """Convert a Hit to a Node with its score.

    Beside the Segment's metadata it has `rank`, `score` (the probability of being relevant), the
    raw score of each stage (`score_lexical`, `score_vector_words`, `score_rerank`, ...), what each
    signal adds to the log-odds (`evidence_meaning`, ...), `matched` (text of the best passage) and
    `also` (other files with the same content, one per line).
    """
    node = Node(id_=hit.segment.id, **_node_fields(hit.segment, hit_to_metadata(hit)))
    return FoundNode(node=node, score=hit.score)


def _node_fields(segment: Segment, metadata: Mapping[str, Any]) -> dict[str, Any]:
    title = segment.title or segment.name
    return {
        "text_resource": MediaResource(text=segment.text),
        "image_resource": picture_resource(metadata),
        **_metadata_fields({**metadata, "title": title}),
    }


def _metadata_fields(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata, and the keys that are hidden from embedding models and chat models."""
    return {
        "metadata": dict(metadata),
        "excluded_embed_metadata_keys": sorted(set(metadata) - _FOR_EMBEDDING),
        "excluded_llm_metadata_keys": sorted(set(metadata) - _FOR_LLM),
    }


def picture_resource(metadata: Mapping[str, Any]) -> MediaResource | None:
    """The picture of a record; None if it has none, or the file is missing."""
    picture = picture_of_record(metadata)
    if picture is None or not picture.is_file():
        return None
    mime_type = metadata.get("mime_type") if str(picture) == metadata.get("media") else None
    return MediaResource(path=picture, mimetype=mime_type)


def with_picture(node: BaseNode) -> BaseNode:
    """Return the node of a Segment as a Node with its text and its picture.

    Vector stores make TextNodes of such records, and splitters make nodes with either a picture or
    a text. A missing picture is left out, because LlamaIndex fails on a node that refers to one.
    Other nodes are returned unchanged.
    """
    if isinstance(node, IndexNode) or not node.metadata.keys() >= _SEGMENT_KEYS:
        return node
    resource = picture_resource(node.metadata)
    if isinstance(node, Node):
        unchanged = (resource is None) == (node.image_resource is None)
        return node if unchanged else node.model_copy(update={"image_resource": resource})
    if not isinstance(node, TextNode) or (resource is None and not isinstance(node, ImageNode)):
        return node
    return Node(
        id_=node.id_,
        embedding=node.embedding,
        relationships=node.relationships,
        text_resource=MediaResource(text=node.text),
        image_resource=resource,
        **_metadata_fields(node.metadata),
    )


def node_to_content(node: BaseNode, model: Model) -> Content:
    """Convert a node to the input of a reranker: the media it refers to, or its text.

    Args:
        node: Any node, also one that a vector store read from a record of mm_rag or LangChain.
        model: The reranker.

    Raises:
        InputError: It is not a node.
        UnreadableMedia: The bytes of its picture are not valid base64.
    """
    return _to_content(node, model, content_of_record)


def node_to_embed(node: BaseNode, model: Model) -> Content:
    """Convert a node to the input of an encoder: as `node_to_content`, but a passage is its text.

    Raises:
        InputError: It is not a node.
        UnreadableMedia: The bytes of its picture are not valid base64.
    """
    return _to_content(node, model, content_to_embed)


def _to_content(
    node: BaseNode, model: Model, of_record: Callable[[str, Mapping[str, Any], Model], Content]
) -> Content:
    if not isinstance(node, BaseNode):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"Expected nodes; got a {type(node).__name__}.")
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    if node.metadata.keys() >= _SEGMENT_KEYS:
        return of_record(text, node.metadata, model)
    media = _media_of_foreign_node(node, text or None)
    return next((medium for medium in media if model.supports(medium.modality)), Text(text))


def _media_of_foreign_node(node: BaseNode, text: str | None) -> Iterator[Image | Video | Audio]:
    """Yield the media of a node that was not made by mm_rag; opens and fetches nothing."""
    if isinstance(node, ImageNode):
        path = Path(node.image_path) if node.image_path else None
        source = _source(path, node.image_url, node.image)
        if source is not None:
            yield Image(source, text=text)
    if not isinstance(node, Node):
        return
    if (image := node.image_resource) is not None:
        source = _source(image.path, image.url, image.data)
        if source is not None:
            yield Image(source, text=text)
    for resource, kind in ((node.video_resource, Video), (node.audio_resource, Audio)):
        source = _source(resource.path, resource.url, None) if resource else None
        if source is not None:
            yield kind(source, text=text)


def _source(path: Path | None, url: Any, data: str | bytes | None) -> Any:
    """A path, a URL, or bytes, which LlamaIndex stores as base64."""
    if path is not None:
        return path
    if url is not None:
        address = str(url)
        return data_uri_bytes(address) if address.startswith("data:") else Url(address)
    if not data:
        return None
    return base64_bytes(data if isinstance(data, str) else data.decode("latin-1"))


def nodes_to_blocks(
    nodes: Iterable[BaseNode | NodeWithScore],
    budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
) -> list[TextBlock | ImageBlock]:
    """Convert nodes to the text and pictures of a chat message.

    Each node becomes a text block, with its origin and its text, and its pictures: the picture,
    the page, or a few frames of a clip. A recording becomes its transcript. A picture or video that
    is missing, damaged or forbidden is replaced by text that says so; one with a URL is not
    fetched. See `mm_rag.prompt_content.blocks_of` for how the budget is divided.

    Args:
        nodes: Results of a retriever, the best match first; also nodes of other readers.
        budget: Bounds for all blocks together; a number is a number of tokens.
        policy: Whether and how pictures and videos may be opened. Set its `roots` if the nodes come
            from a store to which others can write.

    Raises:
        InputError: An item is not a node, or the budget is invalid.

    Example:
        .. code-block:: python

            question = TextBlock(text="Which quarter was best?")
            ChatMessage(blocks=[*nodes_to_blocks(retriever.retrieve("quarters")), question])
    """
    items = [_item(number, node) for number, node in enumerate(nodes, start=1)]
    return [content_block(block) for block in blocks_of(items, budget, policy=policy)]


def _item(number: int, found: BaseNode | NodeWithScore) -> Item:
    node = found.node if isinstance(found, NodeWithScore) else found
    if not isinstance(node, BaseNode):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"Expected nodes; got a {type(node).__name__}.")
    # LlamaIndex's own readers name the file and page differently.
    origin = {"source": node.metadata.get("file_name", ""), "page": node.metadata.get("page_label")}
    return Item(
        label=f"[{number}] {label_of_record(origin | node.metadata)}".strip(),
        text=node.get_content(metadata_mode=MetadataMode.NONE),
        metadata=node.metadata,
        picture=_picture_of_foreign_node(node),
    )


def _picture_of_foreign_node(node: BaseNode) -> Path | bytes | None:
    """Path or bytes of a node's picture."""
    try:
        media = [each for each in _media_of_foreign_node(node, None) if isinstance(each, Image)]
    except UnreadableMedia as error:
        logger.warning("The picture of node %s is damaged: %s", node.node_id, error)
        return b""  # an unreadable picture, which is reported where it would be shown
    sources = (medium.source for medium in media)
    return next((source for source in sources if isinstance(source, Path | bytes)), None)


def content_block(block: Block) -> TextBlock | ImageBlock:
    """Convert a block to LlamaIndex's type."""
    if isinstance(block, Words):
        return TextBlock(text=block.text)
    return ImageBlock(image=block.data, image_mimetype=block.mime_type)
