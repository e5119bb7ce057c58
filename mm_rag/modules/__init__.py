"""The modules that models are built of; their checkpoints are those of sentence-transformers."""

from __future__ import annotations

from mm_rag._lazy import lazy_exports
from mm_rag.modules.chain import Chain
from mm_rag.modules.dense import Dense
from mm_rag.modules.dropout import Dropout
from mm_rag.modules.layer_norm import LayerNorm
from mm_rag.modules.legacy_clip import LegacyCLIP
from mm_rag.modules.logit_score import LogitScore
from mm_rag.modules.module import Features, InputModule, LoadOptions, Module
from mm_rag.modules.normalize import Normalize
from mm_rag.modules.pooling import Pooling
from mm_rag.modules.readers import ReadAudio, Reader, ReadImage, ReadVideo
from mm_rag.modules.registry import register, register_old
from mm_rag.modules.router import Router
from mm_rag.modules.static_embedding import StaticEmbedding
from mm_rag.modules.transformer import Transformer

__all__ = [
    "Chain",
    "Dense",
    "Dropout",
    "Features",
    "InputModule",
    "LayerNorm",
    "LoadOptions",
    "LogitScore",
    "Module",
    "Normalize",
    "Pooling",
    "ReadAudio",
    "ReadImage",
    "ReadVideo",
    "Reader",
    "Router",
    "StaticEmbedding",
    "Transformer",
    "register",
]

register(
    Dense,
    Dropout,
    LayerNorm,
    LogitScore,
    Normalize,
    Pooling,
    ReadAudio,
    ReadImage,
    ReadVideo,
    Router,
    StaticEmbedding,
    Transformer,
)
register_old("CLIPModel", LegacyCLIP())

# These were here before the folder `rerankers` was, and can still be imported from here.
_RERANKERS = ("CrossEncoder", "FeatureCache", "LateInteraction", "Scorer")
__getattr__, __dir__ = lazy_exports(__name__, dict.fromkeys(_RERANKERS, "mm_rag.rerankers"))
