"""Its name until the rerankers import it from mm_rag.modules.layers."""

from mm_rag.modules.layers import Dropout

__all__ = ["Dropout"]
