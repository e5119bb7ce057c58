"""The modules that models are built of; their checkpoints are those of sentence-transformers."""

from __future__ import annotations

from mm_rag.modules.chain import Chain
from mm_rag.modules.dense import Dense
from mm_rag.modules.late_interaction import LateInteraction
from mm_rag.modules.module import Features, InputModule, LoadOptions, Module
from mm_rag.modules.normalize import Normalize
from mm_rag.modules.pooling import Pooling
from mm_rag.modules.readers import ReadAudio, Reader, ReadImage, ReadVideo
from mm_rag.modules.registry import register
from mm_rag.modules.router import Router
from mm_rag.modules.scorer import PairClassifier, Scorer
from mm_rag.modules.transformer import Transformer

__all__ = [
    "Chain",
    "Dense",
    "Features",
    "InputModule",
    "LateInteraction",
    "LoadOptions",
    "Module",
    "Normalize",
    "PairClassifier",
    "Pooling",
    "ReadAudio",
    "ReadImage",
    "ReadVideo",
    "Reader",
    "Router",
    "Scorer",
    "Transformer",
]

register(
    Dense,
    Normalize,
    Pooling,
    ReadAudio,
    ReadImage,
    ReadVideo,
    Router,
    Transformer,
)
