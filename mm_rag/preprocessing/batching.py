"""Its name until the rerankers import it from mm_rag.modules.batching."""

from mm_rag.modules.batching import TokenVectors, plan, token_budget, token_vectors

__all__ = ["TokenVectors", "plan", "token_budget", "token_vectors"]
