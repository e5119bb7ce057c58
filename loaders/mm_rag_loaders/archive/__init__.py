"""Archives: ZIP, TAR, and single files that are compressed."""

from mm_rag_loaders.archive.archive_loader import ArchiveLoader

__all__ = ["ArchiveLoader"]
