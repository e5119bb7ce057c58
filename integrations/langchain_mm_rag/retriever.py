"""MultimodalRetriever: a collection as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, run_in_executor
from pydantic import Field, PrivateAttr

from langchain_mm_rag.documents import hit_to_document
from mm_rag.collection import Collection
from mm_rag.content import Modality


class MultimodalRetriever(BaseRetriever):
    """Find the pages, pictures and clips of a collection that answer a query.

    A query is a user's words, or a picture or recording: `Image(Path("photo.jpg"))`, or both in a
    dict such as `{"text": "the same in blue", "image": "chair.jpg"}`.

    Every setting can be given anew with a call, sync and async alike: `invoke("...", k=3)`.

    Attributes:
        collection: A `Collection`, or the folder of one made with the embedded default model.
        k: How many Documents, at most.
        modalities: Only Segments of these; None for all.
        where: Only Segments whose metadata match this Chroma filter, such as `{"page": 3}`.
        rerank: Whether the collection's reranker scores the best candidates again.

    Example:
        .. code-block:: python

            retriever = MultimodalRetriever(collection="my-collection", k=3)
            retriever.invoke("Which quarter had the highest revenue?")
    """

    collection: Collection | str | Path
    k: int = Field(default=5, ge=1)
    modalities: Sequence[Modality] | None = None
    where: Mapping[str, Any] | None = None
    rerank: bool = True
    _opened: Collection = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Open the collection where only its folder was given."""
        given = self.collection
        self._opened = given if isinstance(given, Collection) else Collection(given, create=False)

    # The base class says that a query is a str; these two say that it may be more.
    def invoke(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Find Documents.

        Args:
            input: A str, any Content of mm_rag, a Path, a PIL image, or a dict of these.
            config: LangChain's.
            **kwargs: `k`, `modalities`, `where`, `rerank`, for this call only.

        Raises:
            InputError: The query is no input, or the filter is none.
        """
        return super().invoke(cast("str", input), config, **kwargs)

    async def ainvoke(
        self,
        input: Any,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The same as `invoke`, in a thread beside the event loop."""
        return await super().ainvoke(cast("str", input), config, **kwargs)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        modalities: Sequence[Modality] | None = None,
        where: Mapping[str, Any] | None = None,
        rerank: bool | None = None,
    ) -> list[Document]:
        hits = self._opened.search(
            query,
            self.k if k is None else k,
            modalities=self.modalities if modalities is None else modalities,
            where=self.where if where is None else where,
            rerank=self.rerank if rerank is None else rerank,
        )
        return [hit_to_document(hit) for hit in self._opened.shown(hits)]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        modalities: Sequence[Modality] | None = None,
        where: Mapping[str, Any] | None = None,
        rerank: bool | None = None,
    ) -> list[Document]:
        return await run_in_executor(
            None,
            self._get_relevant_documents,
            query,
            run_manager=run_manager.get_sync(),
            k=k,
            modalities=modalities,
            where=where,
            rerank=rerank,
        )
