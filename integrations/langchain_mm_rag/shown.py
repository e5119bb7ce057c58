"""A vector store that embeds what Documents show: their page, picture or clip.

LangChain's stores give embeddings the `page_content` of Documents and nothing else. Here that text
is a `ShownText`: the same words, beside which a `MultimodalEmbeddings` finds the metadata of their
Document. So what is opened is what a Document's metadata name, never what words say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from langchain_mm_rag.documents import checked_documents
from mm_rag.errors import InputError


class EmbedsShown(Embeddings):
    """Embeddings that know a ShownText."""


class ShownText(str):
    """The words of a Document, with its metadata; to everything but mm_rag, just the words."""

    metadata: Mapping[str, Any]

    def __new__(cls, document: Document) -> Self:
        """Of a Document."""
        text = super().__new__(cls, document.page_content)
        text.metadata = dict(document.metadata)
        return text


def shown_texts(documents: Iterable[Document]) -> list[ShownText]:
    """The words of Documents, which `MultimodalEmbeddings` embeds as what the Documents show.

    Raises:
        InputError: They are no Documents.
    """
    return [ShownText(document) for document in checked_documents(documents)]


class ShownStore(VectorStore):
    """Write Documents to a vector store by what they show.

    A page, photo or clip is embedded by its picture or sound, if the model takes that, and a
    passage by its words. Written to the store itself, or with its `from_documents`, Documents are
    embedded by their words only. Searches, and all else, may be asked of the store itself.

    Args:
        store: Any vector store with `MultimodalEmbeddings`.

    Raises:
        InputError: Its embeddings are others, such as a `CacheBackedEmbeddings`, which tells
            Documents apart by words alone.

    Example:
        .. code-block:: python

            store = Chroma("slides", MultimodalEmbeddings("Qwen/Qwen3-VL-Embedding-2B"))
            ShownStore(store).add_documents(MultimodalLoader("slides/").load())
            index(MultimodalLoader("slides/"), record_manager, ShownStore(store), cleanup="full")
            store.similarity_search("revenue by quarter")
    """

    def __init__(self, store: VectorStore) -> None:
        given = store.embeddings
        if given is not None and not isinstance(given, EmbedsShown):
            raise InputError(
                f"The store embeds with {type(given).__name__}, which sees words only: give it "
                "MultimodalEmbeddings."
            )
        self.store = store

    @property
    def embeddings(self) -> Embeddings | None:
        """Those of the store."""
        return self.store.embeddings

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add Documents; raises what `MultimodalEmbeddings.embed_shown` raises."""
        return self.store.add_documents(_shown(documents), **kwargs)

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """The same as `add_documents`."""
        return await self.store.aadd_documents(_shown(documents), **kwargs)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete from the store."""
        return self.store.delete(ids, **kwargs)

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """The same as `delete`."""
        return await self.store.adelete(ids, **kwargs)

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Get Documents from the store."""
        return self.store.get_by_ids(ids)

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Search the store."""
        return self.store.similarity_search(query, k, **kwargs)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Not there: a store is made first, and then given."""
        raise NotImplementedError("Make a vector store, and then ShownStore(store).")


def _shown(documents: Iterable[Document]) -> list[Document]:
    given = list(documents)
    return [
        document.model_copy(update={"page_content": text})
        for document, text in zip(given, shown_texts(given), strict=True)
    ]
