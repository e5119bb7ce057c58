"""MultimodalLoader and MultimodalParser: files and blobs become Documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from langchain_core.document_loaders import BaseBlobParser, BaseLoader
from langchain_core.document_loaders.blob_loaders import Blob
from langchain_core.documents import Document

from langchain_mm_rag.documents import segment_to_document
from mm_rag.segment import Segment
from mm_rag_loaders import LoadOptions, load, load_cached
from mm_rag_loaders.loading import load_bytes, load_or_raise

_RESERVED = frozenset(field.name for field in fields(Segment)) | {"id"}


class MultimodalLoader(BaseLoader):
    """Load PDFs, pictures, recordings and videos, one page, picture or clip at a time.

    Args:
        sources: Files, folders, patterns and URLs, as for `mm_rag_loaders.load`.
        options: How they are read: password, limits, processes, where page pictures go.
        cache_folder: Stores Documents and page pictures, so that unchanged files are not read
            again (`mm_rag_loaders.load_cached`). None: every file is read each time.

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
        """Yield Documents as files are read. Files that cannot be read are logged and skipped.

        Raises:
            InputError: A file or folder does not exist.
        """
        if self.cache_folder is None:
            segments = load(self.sources, self.options)
        else:
            segments = load_cached(self.sources, self.cache_folder, self.options)
        return map(segment_to_document, segments)


class MultimodalParser(BaseBlobParser):
    """Parse blobs with PDFs, pictures, recordings or videos, one page, picture or clip at a time.

    The type of a blob is determined from its bytes, not its name. A blob in memory is written to
    the assets (`LoadOptions.assets`) under its sha256, so that its Documents refer to existing
    media. `metadata["source"]` is the blob's source if it has one. The rest of the blob's metadata
    is added to every Document, except names that mm_rag itself uses.

    Args:
        options: How blobs are read: password, limits, processes, where page pictures go. Each blob
            is read in a process of its own, which protects the caller from crashes and takes a
            moment to start. `LoadOptions(workers=0)` reads in the calling process.

    Example:
        .. code-block:: python

            upload = Blob.from_data(data, mime_type="application/pdf", metadata={"source": "a.pdf"})
            MultimodalParser().parse(upload)
    """

    def __init__(self, *, options: LoadOptions | None = None) -> None:
        self.options = options

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield Documents as they are read.

        Unlike `MultimodalLoader`, which logs unreadable files and continues, this raises an error,
        as LangChain's own parsers do.

        Raises:
            InputError: The file does not exist.
            UnreadableMedia: It is empty, damaged, locked, or of an unsupported type.
            SourceForbidden: The policy does not allow opening it.
            MediaTooLarge: It exceeds the policy's `max_bytes`.
        """
        extra = {key: value for key, value in blob.metadata.items() if key not in _RESERVED}
        source = {"source": blob.source} if "source" in blob.metadata else {}
        for segment in self._segments(blob):
            document = segment_to_document(segment)
            document.metadata = {**extra, **document.metadata, **source}
            yield document

    def _segments(self, blob: Blob) -> Iterator[Segment]:
        if blob.data is None:
            return load_or_raise(Path(str(blob.path)), self.options)
        return load_bytes(
            blob.as_bytes(), self.options, source=blob.source, mime_type=blob.mimetype
        )
