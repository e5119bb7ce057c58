"""Its name until the rerankers import it from mm_rag.checkpoints.config_files."""

from mm_rag.checkpoints.config_files import check_kind

__all__ = ["check_kind"]
