"""Its name until the rerankers import it from mm_rag.modules.fingerprint."""

from mm_rag.modules.fingerprint import fingerprint

__all__ = ["fingerprint"]
