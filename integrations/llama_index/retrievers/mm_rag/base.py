"""MultimodalRetriever: a collection as a LlamaIndex retriever."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack, cast

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores import MetadataFilters
from llama_index.readers.mm_rag.nodes import hit_to_node
from llama_index.readers.mm_rag.query import as_bundle, query_to_content
from llama_index.retrievers.mm_rag.filters import where_of

from mm_rag._closing import Closing
from mm_rag._off_loop import off_loop
from mm_rag._result_pictures import with_pictures
from mm_rag.collection import Collection
from mm_rag.collection.search import SearchOptions
from mm_rag.errors import InputError

_OPTIONS = SearchOptions.__optional_keys__


class MultimodalRetriever(Closing, BaseRetriever):
    """Find the pages, pictures and clips of a collection that answer a query.

    A query is a user's words, a picture (`QueryBundle("", image_path="photo.jpg")`), or both; or
    with `MultimodalQuery` a recording, a video, or a picture in memory. The collection encodes it
    itself: `embedding` and `custom_embedding_strs` of a QueryBundle are not looked at, and no
    QueryBundle is changed.

    Args:
        collection: A `Collection`, or the folder of one made with the embedded default model, which
            is opened, and closed by `close` or a `with` block.
        similarity_top_k: How many nodes, at most. None: 5, or as many as the quotas of `modalities`
            come to.
        filters: LlamaIndex's, over the metadata of Segments (`page`, `modality`, `title`, ... and
            your own); beside `where`, both hold. `TEXT_MATCH` and `TEXT_MATCH_INSENSITIVE` find a
            part of a value, `IS_EMPTY` what has none; for these all Segments are looked through.
        callback_manager: LlamaIndex's.
        verbose: As for every LlamaIndex retriever.
        **options: The settings of `Collection.search`, which says more about them: `modalities`,
            `where`, `source`, `page`, `time`, `rerank`, `diversity`, `threshold`, `tags`.

    Raises:
        InputError: There is no such setting, or Chroma has no such filter.
        CollectionError: There is no collection in the folder.
        CollectionMismatch: It was made with another model; when it is searched first.

    Example:
        .. code-block:: python

            retriever = MultimodalRetriever("my-collection", modalities={"image": 3, "text": 2})
            RetrieverQueryEngine.from_args(retriever, llm=llm, multimodal=True)
    """

    def __init__(
        self,
        collection: Collection | str | Path,
        *,
        similarity_top_k: int | None = None,
        filters: MetadataFilters | None = None,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
        **options: Unpack[SearchOptions],
    ) -> None:
        super().__init__(callback_manager=callback_manager, verbose=verbose)
        unknown = sorted(options.keys() - _OPTIONS)
        if unknown:
            raise InputError(
                f"A MultimodalRetriever has no setting {', '.join(unknown)}; it has "
                f"similarity_top_k, filters, {', '.join(sorted(_OPTIONS))}."
            )
        self.similarity_top_k = similarity_top_k
        self.options = options
        self.filters = filters
        is_open = isinstance(collection, Collection)
        self.collection = collection if is_open else Collection(collection, create=False)
        self._where()  # a filter that makes no sense is an error now

    def close(self) -> None:
        """Let go of the collection's folder."""
        self.collection.close()

    # The base class says that a query is a str or a QueryBundle; these two say that it may be more.
    def retrieve(self, str_or_query_bundle: Any) -> list[NodeWithScore]:
        """Find nodes.

        Args:
            str_or_query_bundle: A str, a QueryBundle, a MultimodalQuery, or whatever that takes as
                content: a Path, a PIL image, `Audio(...)`, a dict.

        Raises:
            InputError: The query is empty or no input, or Chroma refuses the filter.
            CollectionError: The collection cannot be read.
        """
        return super().retrieve(as_bundle(str_or_query_bundle))

    async def aretrieve(self, str_or_query_bundle: Any) -> list[NodeWithScore]:
        """The same as `retrieve`, in a thread beside the event loop."""
        return await super().aretrieve(as_bundle(str_or_query_bundle))

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        content = query_to_content(query_bundle)
        options = cast("SearchOptions", {**self.options, "where": self._where()})
        hits = self.collection.search(content, self.similarity_top_k, **options)
        return [hit_to_node(hit) for hit in with_pictures(self.collection, hits)]

    def _where(self) -> Mapping[str, Any] | None:
        """The filter of Chroma's, and LlamaIndex's as they are now: values may have been added."""
        where = self.options.get("where")
        if self.filters is None:
            return where
        filtered = where_of(self.filters, self.collection.contents.values)
        return {"$and": [where, filtered]} if where and filtered else where or filtered

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        # The base class would search on the event loop and hold everybody up.
        return await off_loop(self._retrieve, query_bundle)
