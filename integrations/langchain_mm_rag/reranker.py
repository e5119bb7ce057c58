"""MultimodalReranker: a Reranker as a LangChain document compressor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field, PrivateAttr

from langchain_mm_rag.documents import document_to_content
from mm_rag.content import Text
from mm_rag.inputs import as_content
from mm_rag.reranker import Reranker


class MultimodalReranker(BaseDocumentCompressor):
    """Order Documents by how well they answer a query, and keep the best.

    A reranker that sees or hears is given the page, picture or clip that a Document refers to. The
    embedded default and text rerankers score words: those of the Document. The score is in
    `metadata["relevance_score"]` of new Documents.

    Attributes:
        model: A folder, or a model's name on the hub. None for the embedded default.
        top_n: How many to keep; None for all.
        reranker: A ready-made Reranker instead of `model`.

    Example:
        .. code-block:: python

            from langchain_classic.retrievers import ContextualCompressionRetriever

            ContextualCompressionRetriever(
                base_compressor=MultimodalReranker(top_n=3), base_retriever=retriever
            )
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model: str | Path | None = None
    top_n: int | None = Field(default=None, ge=1)
    reranker: Reranker | None = Field(default=None, exclude=True, repr=False)
    _reranker: Reranker = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Load the model."""
        self._reranker = self.reranker or Reranker(self.model)

    def compress_documents(
        self, documents: Sequence[Document], query: Any, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The `top_n` best Documents, best first, as copies with `relevance_score`.

        Args:
            documents: Of any retriever; they are left as they are.
            query: A user's words. Whatever else `MultimodalRetriever` takes is taken, too.
            callbacks: Not used: no step of this could be traced.

        Raises:
            UnreadableMedia: The media that a Document refers to cannot be opened.
        """
        if not documents:
            return []
        asked = Text(query) if isinstance(query, str) else as_content(query)
        contents = [document_to_content(document, self._reranker) for document in documents]
        ranked = self._reranker.rank(asked, contents, top_k=self.top_n)
        return [_scored(documents[item["index"]], item["score"]) for item in ranked]


def _scored(document: Document, score: float) -> Document:
    metadata = {**document.metadata, "relevance_score": score}
    return document.model_copy(update={"metadata": metadata})
