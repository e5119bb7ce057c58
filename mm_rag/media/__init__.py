"""Opening pictures, recordings and videos safely: bounded, with errors that say what is wrong."""

from __future__ import annotations

from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

__all__ = ["DEFAULT_POLICY", "MediaPolicy"]
