"""Segments and Hits of mm_rag as LlamaIndex has them, and back.

Readers give Documents, which splitters take; retrievers and tools give Nodes. Either holds the
words in `text_resource` and, in `image_resource`, the path of the picture that a chat model is to
see: the picture, the page, or the frame that stands for a clip. A whole recording or video is no
resource of the node for one clip of it: LlamaIndex would send all of it to the chat model. Its path
is in the metadata, under the names of `Segment`'s fields: `source`, `modality`, `media`, `preview`,
`mime_type`, `page`, `start`, `end`, `title`, `sha256`; and the Segment's `id`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

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
from mm_rag.errors import InputError
from mm_rag.inputs.files import base64_bytes, data_uri_bytes
from mm_rag.record import (
    Model,
    content_of_record,
    content_to_embed,
    hit_to_metadata,
    picture_of_record,
    segment_to_document_metadata,
)
from mm_rag.segment import Hit, Segment

_FOR_LLM = frozenset({"source", "title", "page", "start", "end"})
"""What a chat model is told of a node, so that it can cite it."""

_FOR_EMBEDDING = frozenset({"title"})
"""What is embedded with the words. Never nothing: LlamaIndex's indexes drop nodes without text."""

_OURS = frozenset({"modality", "source", "sha256"})
"""The metadata that every record of a Segment has, whoever wrote it."""


class FoundNode(NodeWithScore):
    """A NodeWithScore that has a text whatever its node is, as LlamaIndex's evaluators ask for.

    LlamaIndex's own has one for TextNodes only, and raises for others.
    """

    @property
    def text(self) -> str:
        """The node's words."""
        return self.get_content()

    def get_text(self) -> str:
        """The same."""
        return self.get_content()


class SegmentDocument(Document):
    """A Segment that splitters cut as text: a passage, or what is said in a recording."""

    @classmethod
    def class_name(cls) -> str:
        """A vector store reads it back as a Node: it would make a text of a Document."""
        return Node.class_name()


class PictureDocument(ImageDocument):
    """A Segment that shows a picture: a page, a photo, a clip by its frame.

    Splitters make TextNodes of Documents, but ImageNodes of an ImageDocument: they keep the path of
    the picture, and vector stores keep them.
    """

    @classmethod
    def class_name(cls) -> str:
        """A vector store reads it back as a Node: it would make a text of an ImageDocument."""
        return Node.class_name()


def segment_to_document(segment: Segment, extra: Mapping[str, Any] | None = None) -> Document:
    """A Segment as a Document, whose id is the Segment's.

    Args:
        segment: A page, passage, picture or clip.
        extra: More metadata; where a name is taken, the Segment's value stays.
    """
    metadata = {**(extra or {}), **segment_to_document_metadata(segment)}
    is_picture = segment.modality != "text" and picture_of_record(metadata) is not None
    kind = PictureDocument if is_picture else SegmentDocument
    return kind(id_=segment.id, **_resources(segment, metadata))


def segment_to_node(segment: Segment) -> Node:
    """A Segment as a node, whose id is the Segment's."""
    return _node(segment, segment_to_document_metadata(segment))


def hit_to_node(hit: Hit) -> NodeWithScore:
    """A Hit as a node with its score.

    Its metadata say more than a Segment's: `rank`, `score`, the raw score of each stage
    (`score_lexical`, `score_vector_words`, `score_rerank`, ...), `matched` (the words of the best
    passage) and `also` (other files with the same content, one per line).
    """
    return FoundNode(node=_node(hit.segment, hit_to_metadata(hit)), score=hit.score)


def node_to_content(node: BaseNode, model: Model) -> Content:
    """What a reranker is given of a node: the media it refers to, or its words.

    Args:
        node: Any node, also one that a vector store read from a record of mm_rag or LangChain.
        model: The reranker.

    Raises:
        InputError: It is no node.
        UnreadableMedia: The bytes of its picture are no base64.
    """
    return _content(node, model, content_of_record)


def node_to_embed(node: BaseNode, model: Model) -> Content:
    """What an encoder is given of a node: as `node_to_content`, but of a passage its words.

    Raises:
        InputError: It is no node.
        UnreadableMedia: The bytes of its picture are no base64.
    """
    return _content(node, model, content_to_embed)


def with_picture(node: BaseNode) -> BaseNode:
    """The node of a record of mm_rag as a Node with its words and its picture.

    Vector stores make texts of such records, and splitters nodes that are a picture or a text only.
    A picture that is no longer on this machine is left out: LlamaIndex fails on a node that names
    one. Nodes of others stay as they are.
    """
    if isinstance(node, IndexNode) or not node.metadata.keys() >= _OURS:
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
        **_told(node.metadata),
    )


def picture_resource(metadata: Mapping[str, Any]) -> MediaResource | None:
    """The picture that a record shows; None where there is none, or it is gone."""
    picture = picture_of_record(metadata)
    if picture is None or not picture.is_file():
        return None
    mime_type = metadata.get("mime_type") if str(picture) == metadata.get("media") else None
    return MediaResource(path=picture, mimetype=mime_type)


def _content(
    node: BaseNode, model: Model, of_record: Callable[[str, Mapping[str, Any], Model], Content]
) -> Content:
    if not isinstance(node, BaseNode):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"Nodes are taken; got a {type(node).__name__}.")
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    if node.metadata.keys() >= _OURS:
        return of_record(text, node.metadata, model)
    media = media_of_others(node, text or None)
    return next((medium for medium in media if model.supports(medium.modality)), Text(text))


def _node(segment: Segment, metadata: Mapping[str, Any]) -> Node:
    return Node(id_=segment.id, **_resources(segment, metadata))


def _resources(segment: Segment, metadata: Mapping[str, Any]) -> dict[str, Any]:
    title = segment.title or Path(segment.source).name
    return {
        "text_resource": MediaResource(text=segment.text),
        "image_resource": picture_resource(metadata),
        **_told({**metadata, "title": title}),
    }


def _told(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata, and who is told which of them."""
    return {
        "metadata": dict(metadata),
        "excluded_embed_metadata_keys": sorted(set(metadata) - _FOR_EMBEDDING),
        "excluded_llm_metadata_keys": sorted(set(metadata) - _FOR_LLM),
    }


def media_of_others(node: BaseNode, text: str | None) -> Iterator[Image | Video | Audio]:
    """The media that a node of LlamaIndex holds or refers to; nothing is opened or fetched."""
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
        place = _source(resource.path, resource.url, None) if resource else None
        if place is not None:
            yield kind(place, text=text)


def _source(path: Path | None, url: Any, data: str | bytes | None) -> Any:
    """A file, an address, or bytes, which LlamaIndex keeps as base64."""
    if path is not None:
        return path
    if url is not None:
        address = str(url)
        return data_uri_bytes(address) if address.startswith("data:") else Url(address)
    if not data:
        return None
    return base64_bytes(data if isinstance(data, str) else data.decode("latin-1"))
