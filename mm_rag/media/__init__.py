"""Opening pictures, recordings and videos safely: bounded, and with errors that say what is wrong."""

from __future__ import annotations

from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

__all__ = ["DEFAULT_POLICY", "MediaPolicy"]
