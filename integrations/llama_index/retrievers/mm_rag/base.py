"""MultimodalRetriever: a collection as a LlamaIndex retriever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.readers.mm_rag.nodes import hit_to_node, query_to_content

from mm_rag.collection import Collection
from mm_rag.content import Modality


class MultimodalRetriever(BaseRetriever):
    """Find the pages, pictures and clips of a collection that answer a query.

    A query is a user's words, a picture (`QueryBundle("", image_path="photo.jpg")`), or both.

    Args:
        collection: A `Collection`, or the folder of one made with the embedded default model.
        similarity_top_k: How many nodes, at most.
        modalities: Only Segments of these; None for all.
        where: Only Segments whose metadata match this Chroma filter, such as `{"page": 3}`.
        rerank: Whether the collection's reranker scores the best candidates again.
        callback_manager: LlamaIndex's.
        verbose: As for every LlamaIndex retriever.

    Example:
        .. code-block:: python

            retriever = MultimodalRetriever("my-collection", similarity_top_k=3)
            RetrieverQueryEngine.from_args(retriever, llm=llm, multimodal=True)
    """

    def __init__(
        self,
        collection: Collection | str | Path,
        *,
        similarity_top_k: int = 5,
        modalities: Sequence[Modality] | None = None,
        where: Mapping[str, Any] | None = None,
        rerank: bool = True,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(callback_manager=callback_manager, verbose=verbose)
        is_open = isinstance(collection, Collection)
        self.collection = collection if is_open else Collection(collection, create=False)
        self.similarity_top_k = similarity_top_k
        self.modalities = modalities
        self.where = where
        self.rerank = rerank

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self.collection.search(
            query_to_content(query_bundle),
            self.similarity_top_k,
            modalities=self.modalities,
            where=self.where,
            rerank=self.rerank,
        )
        return [hit_to_node(hit) for hit in self.collection.shown(hits)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        # The base class would search on the event loop and hold everybody up.
        return await asyncio.to_thread(self._retrieve, query_bundle)
