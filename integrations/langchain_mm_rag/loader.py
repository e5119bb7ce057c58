"""MultimodalLoader: files become Documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from langchain_mm_rag.documents import segment_to_document
from mm_rag_loaders import LoadOptions, load


class MultimodalLoader(BaseLoader):
    """Load PDFs, pictures, recordings and videos, one page, picture or clip at a time.

    Args:
        sources: Files, folders, patterns and addresses, as for `mm_rag_loaders.load`.
        options: How they are read: password, limits, processes, where page pictures go.

    Example:
        .. code-block:: python

            for document in MultimodalLoader("slides/").lazy_load():
                print(document.metadata["source"], document.metadata.get("page"))
    """

    def __init__(
        self, sources: str | Path | Sequence[str | Path], *, options: LoadOptions | None = None
    ) -> None:
        self.sources = sources
        self.options = options

    def lazy_load(self) -> Iterator[Document]:
        """Yield Documents as they are read. A file that cannot be read is logged and left out.

        Raises:
            InputError: There is no such file or folder.
        """
        return map(segment_to_document, load(self.sources, self.options))
