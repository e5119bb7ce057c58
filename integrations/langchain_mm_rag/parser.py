"""MultimodalParser: blobs, on disk or in memory, become Documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from langchain_core.document_loaders import BaseBlobParser
from langchain_core.document_loaders.blob_loaders import Blob
from langchain_core.documents import Document

from langchain_mm_rag.documents import segment_to_document
from mm_rag.segment import Segment
from mm_rag_loaders import LoadOptions
from mm_rag_loaders.loading import load_bytes, load_or_raise

_OWN = frozenset(field.name for field in fields(Segment)) | {"id"}


class MultimodalParser(BaseBlobParser):
    """Parse PDFs, pictures, recordings and videos, one page, picture or clip at a time.

    A blob is what its bytes say it is, whatever its name. One in memory is kept among the assets
    (`LoadOptions.assets`), under the name of its sha256, so that its Documents refer to media that
    exist. `metadata["source"]` is the blob's source where it has one; the rest of its metadata are
    in every Document, but for names that mm_rag itself uses.

    Args:
        options: How blobs are read: password, limits, processes, where page pictures go. Every blob
            is read in a process of its own, which a damaged one cannot take the caller down with,
            and which takes a moment to start; `LoadOptions(workers=0)` reads in this process.

    Example:
        .. code-block:: python

            upload = Blob.from_data(data, mime_type="application/pdf", metadata={"source": "a.pdf"})
            MultimodalParser().parse(upload)
    """

    def __init__(self, *, options: LoadOptions | None = None) -> None:
        self.options = options

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield Documents as they are read.

        A blob that cannot be read is an error, as it is for LangChain's own parsers, since nobody
        else would tell; `MultimodalLoader` logs such files and goes on.

        Raises:
            InputError: There is no such file.
            UnreadableMedia: It is empty, damaged, locked, or of no kind that is read.
            SourceForbidden: The policy does not allow to open it.
            MediaTooLarge: It is over the policy's `max_bytes`.
        """
        more = {key: value for key, value in blob.metadata.items() if key not in _OWN}
        named = {"source": blob.source} if "source" in blob.metadata else {}
        for segment in self._segments(blob):
            document = segment_to_document(segment)
            document.metadata = {**more, **document.metadata, **named}
            yield document

    def _segments(self, blob: Blob) -> Iterator[Segment]:
        if blob.data is None:
            return load_or_raise(Path(str(blob.path)), self.options)
        return load_bytes(
            blob.as_bytes(), self.options, source=blob.source, mime_type=blob.mimetype
        )
