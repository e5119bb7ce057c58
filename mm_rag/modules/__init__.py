"""The modules that models are built of; their checkpoints are those of sentence-transformers."""

from __future__ import annotations

from mm_rag.modules.chain import Chain
from mm_rag.modules.cross_encoder import CrossEncoder
from mm_rag.modules.dense import Dense
from mm_rag.modules.dropout import Dropout
from mm_rag.modules.feature_cache import FeatureCache
from mm_rag.modules.late_interaction import LateInteraction
from mm_rag.modules.layer_norm import LayerNorm
from mm_rag.modules.legacy_clip import LegacyCLIP
from mm_rag.modules.logit_score import LogitScore
from mm_rag.modules.module import Features, InputModule, LoadOptions, Module
from mm_rag.modules.normalize import Normalize
from mm_rag.modules.pooling import Pooling
from mm_rag.modules.readers import ReadAudio, Reader, ReadImage, ReadVideo
from mm_rag.modules.registry import register, register_old
from mm_rag.modules.router import Router
from mm_rag.modules.scorer import Scorer
from mm_rag.modules.static_embedding import StaticEmbedding
from mm_rag.modules.transformer import Transformer

__all__ = [
    "Chain",
    "CrossEncoder",
    "Dense",
    "Dropout",
    "FeatureCache",
    "Features",
    "InputModule",
    "LateInteraction",
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
    "Scorer",
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
