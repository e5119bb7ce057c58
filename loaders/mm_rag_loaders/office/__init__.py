"""Word, PowerPoint, OpenDocument and RTF files, with LibreOffice's pictures of their pages."""

from mm_rag_loaders.office.office_loader import OfficeLoader

__all__ = ["OfficeLoader"]
