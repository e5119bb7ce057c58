"""Multimodal retrieval: pages, pictures, recordings and videos in one searchable collection.

Importing this package is cheap: torch, transformers and chromadb are imported by the classes that
need them, when those are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_rag._lazy import lazy_exports
from mm_rag.content import Audio, Chat, Content, Image, Mixed, Modality, Text, Turn, Url, Video
from mm_rag.segment import Hit, Segment

if TYPE_CHECKING:
    from mm_rag.collection import Collection
    from mm_rag.encoder import Encoder
    from mm_rag.highlight import highlighted
    from mm_rag.media import MediaPolicy
    from mm_rag.reranker import Reranker
    from mm_rag.rerankers import FeatureCache

__all__ = [
    "Audio",
    "Chat",
    "Collection",
    "Content",
    "Encoder",
    "FeatureCache",
    "Hit",
    "Image",
    "MediaPolicy",
    "Mixed",
    "Modality",
    "Reranker",
    "Segment",
    "Text",
    "Turn",
    "Url",
    "Video",
    "highlighted",
]

__version__ = "0.1.0"

_LAZY = {
    "Collection": "mm_rag.collection",
    "Encoder": "mm_rag.encoder",
    "FeatureCache": "mm_rag.rerankers",
    "MediaPolicy": "mm_rag.media",
    "Reranker": "mm_rag.reranker",
    "highlighted": "mm_rag.highlight",
}

__getattr__, __dir__ = lazy_exports(__name__, _LAZY)
