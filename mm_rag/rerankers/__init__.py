"""Reranker models, and the cache of vision features that makes pages cheap to score again."""

from __future__ import annotations

from mm_rag.rerankers.cross_encoder import CrossEncoder
from mm_rag.rerankers.feature_cache import FeatureCache, VisionFeatures
from mm_rag.rerankers.late_interaction import LateInteraction
from mm_rag.rerankers.model import RerankerModel
from mm_rag.rerankers.onnx_cross_encoder import OnnxCrossEncoder

Scorer = RerankerModel  # its name in 0.1.0

__all__ = [
    "CrossEncoder",
    "FeatureCache",
    "LateInteraction",
    "OnnxCrossEncoder",
    "RerankerModel",
    "Scorer",
    "VisionFeatures",
]
