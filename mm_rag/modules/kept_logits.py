"""Its name until the rerankers import it from mm_rag.modules.transformer."""

from mm_rag.modules.transformer import keeps_logits

__all__ = ["keeps_logits"]
