"""The kinds of rerankers, and what makes them fast: shared prefixes and kept vision features."""

from __future__ import annotations

from mm_rag.rerankers.cross_encoder import CrossEncoder
from mm_rag.rerankers.feature_cache import FeatureCache
from mm_rag.rerankers.late_interaction import LateInteraction
from mm_rag.rerankers.scorer import Scorer

__all__ = ["CrossEncoder", "FeatureCache", "LateInteraction", "Scorer"]
