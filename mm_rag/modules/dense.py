"""Its name until the rerankers import it from mm_rag.modules.layers."""

from mm_rag.modules.layers import Dense, activation_by_name

__all__ = ["Dense", "activation_by_name"]
