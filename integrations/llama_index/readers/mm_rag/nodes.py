"""Segments, Hits and queries of mm_rag as LlamaIndex has them, and back.

A node holds the words in `text_resource` and, in `image_resource`, the path of the picture that a
chat model is to see: the picture, the page, or the frame that stands for a clip. A whole recording
or video is no resource of the node for one clip of it: LlamaIndex would send all of it to the chat
model. Its path is in the metadata, under the names of `Segment`'s fields: `source`, `modality`,
`media`, `preview`, `mime_type`, `page`, `start`, `end`, `title`, `sha256`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama_index.core.schema import (
    BaseNode,
    ImageNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeWithScore,
    QueryBundle,
)

from mm_rag.content import Content, Image, Mixed, Text
from mm_rag.record import (
    Model,
    content_of_record,
    hit_to_metadata,
    picture_of_record,
    segment_to_metadata,
    taken_by,
)
from mm_rag.segment import Hit, Segment

_FOR_LLM = frozenset({"source", "title", "page", "start", "end"})
"""What a chat model is told of a node, so that it can cite it."""

_FOR_EMBEDDING = frozenset({"title"})
"""What is embedded with the words. Never nothing: LlamaIndex's indexes drop nodes without text."""


def segment_to_node(segment: Segment, extra: Mapping[str, Any] | None = None) -> Node:
    """A Segment as a node, whose id is the Segment's.

    Args:
        segment: A page, picture or clip.
        extra: More metadata; where a name is taken, the Segment's value stays.
    """
    return _node(segment, {**(extra or {}), **segment_to_metadata(segment)})


def hit_to_node(hit: Hit) -> NodeWithScore:
    """A Hit as a node with its score.

    Its metadata say more than a Segment's: `rank`, `score`, the raw score of each stage
    (`score_lexical`, `score_vector_words`, `score_rerank`, ...), `matched` (the words of the best
    passage) and `also` (other files with the same content, one per line).
    """
    return NodeWithScore(node=_node(hit.segment, hit_to_metadata(hit)), score=hit.score)


def node_to_content(node: BaseNode, model: Model) -> Content:
    """What a model is given of a node: the media it refers to, or its words.

    Args:
        node: Any node; one that refers to no media on this machine is its words.
        model: Who is to take it: an Encoder or a Reranker.
    """
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    picture = _picture_path(node)
    if "modality" in node.metadata or picture is None:
        return content_of_record(text, node.metadata, model)
    return taken_by(model, Image(picture, text=text or None))


def query_to_content(query: QueryBundle) -> Content:
    """What a model is given of a query: its words, its picture, or both."""
    if query.image_path is None:
        return Text(query.query_str)
    picture = Image(Path(query.image_path))
    return Mixed((Text(query.query_str), picture)) if query.query_str.strip() else picture


def _node(segment: Segment, metadata: Mapping[str, Any]) -> Node:
    title = segment.title or Path(segment.source).name
    picture = picture_of_record(metadata)
    mime_type = segment.mime_type if picture and str(picture) == segment.media else None
    return Node(
        id_=segment.id,
        text_resource=MediaResource(text=segment.text),
        image_resource=MediaResource(path=picture, mimetype=mime_type) if picture else None,
        metadata={**metadata, "title": title},  # pyright: ignore[reportCallIssue]  # an alias
        excluded_embed_metadata_keys=sorted(set(metadata) - _FOR_EMBEDDING),
        excluded_llm_metadata_keys=sorted(set(metadata) - _FOR_LLM),
    )


def _picture_path(node: BaseNode) -> Path | None:
    if isinstance(node, ImageNode):
        return Path(node.image_path) if node.image_path else None
    resource = node.image_resource if isinstance(node, Node) else None
    return resource.path if resource else None
