"""The modules that models are made of; their checkpoints are those of sentence-transformers."""

from __future__ import annotations

from mm_rag._lazy import lazy_exports
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.modules.chain import Chain
from mm_rag.modules.layers import (
    Dense,
    Dropout,
    LayerNorm,
    LogitScore,
    Normalize,
    Pooling,
    ZeroEmpty,
)
from mm_rag.modules.module import InputModule, Module, Routed
from mm_rag.modules.readers import ReadAudio, Reader, ReadImage, ReadVideo
from mm_rag.modules.registry import register, register_old
from mm_rag.modules.router import Router
from mm_rag.modules.static_embedding import StaticEmbedding
from mm_rag.modules.transformer import LegacyCLIP, Transformer
from mm_rag.preprocessing.features import Features

__all__ = [
    "Chain",
    "Dense",
    "Dropout",
    "Features",
    "InputModule",
    "LayerNorm",
    "LogitScore",
    "Module",
    "Normalize",
    "Pooling",
    "PretrainedOptions",
    "ReadAudio",
    "ReadImage",
    "ReadVideo",
    "Reader",
    "Routed",
    "Router",
    "StaticEmbedding",
    "Transformer",
    "ZeroEmpty",
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
    ZeroEmpty,
)
register_old("CLIPModel", LegacyCLIP())

LoadOptions = PretrainedOptions  # its name in 0.1.0

# These moved to `mm_rag.rerankers`, and can still be imported from here.
_RERANKERS = ("CrossEncoder", "FeatureCache", "LateInteraction", "Scorer")
__getattr__, __dir__ = lazy_exports(__name__, dict.fromkeys(_RERANKERS, "mm_rag.rerankers"))
