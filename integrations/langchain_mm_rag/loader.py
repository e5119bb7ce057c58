"""MultimodalLoader: files become Documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from langchain_mm_rag.documents import segment_to_document
from mm_rag_loaders import LoadOptions, load, load_cached


class MultimodalLoader(BaseLoader):
    """Load PDFs, pictures, recordings and videos, one page, picture or clip at a time.

    Args:
        sources: Files, folders, patterns and addresses, as for `mm_rag_loaders.load`.
        options: How they are read: password, limits, processes, where page pictures go.
        cache_folder: Keeps what was read, and page pictures: files that did not change are not read
            again (`mm_rag_loaders.load_cached`). None: everything is read each time.

    Example:
        .. code-block:: python

            for document in MultimodalLoader("slides/").lazy_load():
                print(document.metadata["source"], document.metadata.get("page"))
    """

    def __init__(
        self,
        sources: str | Path | Sequence[str | Path],
        *,
        options: LoadOptions | None = None,
        cache_folder: str | Path | None = None,
    ) -> None:
        self.sources = sources
        self.options = options
        self.cache_folder = cache_folder

    def lazy_load(self) -> Iterator[Document]:
        """Yield Documents as they are read. A file that cannot be read is logged and left out.

        Raises:
            InputError: There is no such file or folder.
        """
        if self.cache_folder is None:
            segments = load(self.sources, self.options)
        else:
            segments = load_cached(self.sources, self.cache_folder, self.options)
        return map(segment_to_document, segments)
