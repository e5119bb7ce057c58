"""MultimodalRetriever: a collection as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, Unpack, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from pydantic import ConfigDict, Field

from langchain_mm_rag.documents import hit_to_document
from mm_rag._closing import Closing
from mm_rag._threads import run_in_thread
from mm_rag.collection import Collection
from mm_rag.collection.search import SearchOptions
from mm_rag.content import Modality
from mm_rag.errors import InputError


class RetrieverOptions(SearchOptions, total=False):
    """Settings of a `MultimodalRetriever` that can be overridden per call."""

    k: int | None
    tagged: str | Sequence[str] | None


_SETTINGS = RetrieverOptions.__optional_keys__ - {"tags"}
"""Without `tags`, which LangChain uses for tracing."""


class MultimodalRetriever(Closing, BaseRetriever):
    """Find the pages, pictures and clips of a collection that answer a query.

    A query is a text, a picture or a recording (`Image(Path("photo.jpg"))`), or several together in
    a dict such as `{"text": "the same in blue", "image": "chair.jpg"}`.

    Every setting can be overridden per call, sync and async: `invoke("...", k=3)`; None resets it.
    See `Collection.search` for details.

    Attributes:
        collection: A `Collection`, or the folder of one made with the built-in default model. A
            folder is opened here, and closed by `close` or a `with` block.
        k: Maximum number of Documents. None: 5, or the sum of the quotas in `modalities`.
        modalities: Modalities of Segments to search; as a dict with a maximum number for each; None
            for all.
        where: Chroma filter on metadata, such as `{"author": "Ada"}`.
        source: A file or folder, or several, to search.
        page: Page number to search.
        time: Span in seconds; only clips that overlap with it are searched.
        rerank: Whether to rerank the best candidates; or the modalities to rerank; or `"alone"`,
            for the reranker's order.
        diversity: From 0 (most relevant) to 1 (most different from each other).
        threshold: Minimum `score` in the metadata, a probability from 0 to 1. At 0.5 an empty list
            means that nothing relevant was found.
        tagged: A tag, or several that must all be present: the `tags` of `Collection.search`.
            LangChain uses `tags` for tracing.

    Raises:
        CollectionError: The folder holds no collection.
        CollectionMismatch: The collection was made with another model; also raised by the first
            search.

    Example:
        .. code-block:: python

            retriever = MultimodalRetriever(collection="my-collection", k=3)
            retriever.invoke("Which quarter had the highest revenue?")
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    collection: Collection | str | Path
    k: Annotated[int, Field(ge=1)] | None = None
    modalities: Sequence[Modality] | Mapping[Modality, int] | None = None
    where: Mapping[str, Any] | None = None
    source: str | Path | Sequence[str | Path] | None = None
    page: int | None = None
    time: tuple[float, float] | None = None
    rerank: bool | Literal["alone"] | Sequence[Modality] = True
    diversity: float = Field(default=0.0, ge=0.0, le=1.0)
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    tagged: str | Sequence[str] | None = None

    def model_post_init(self, context: Any, /) -> None:
        """Open the collection where only its folder was given."""
        # In the field itself, so that copies made by LangChain share the open collection.
        if not isinstance(self.collection, Collection):
            self.collection = Collection(self.collection, create=False)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the settings; share the open collection."""
        return super().__deepcopy__({**(memo or {}), id(self.collection): self.collection})

    def close(self) -> None:
        """Close the collection."""
        self._opened.close()

    # Overridden for the wider type of queries; the base class only accepts str.
    def invoke(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Find Documents.

        Args:
            input: A str, any Content of mm_rag, a Path, a PIL image, or a dict of these.
            config: LangChain's configuration of the run.
            **kwargs: Settings for this call only.

        Raises:
            InputError: The query or a setting is invalid, or Chroma rejects the filter.
            CollectionError: The collection cannot be read.
        """
        return super().invoke(cast("str", input), config, **kwargs)

    async def ainvoke(
        self,
        input: Any,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Call `invoke` in a thread."""
        return await super().ainvoke(cast("str", input), config, **kwargs)

    @property
    def _opened(self) -> Collection:
        return cast("Collection", self.collection)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        **options: Unpack[RetrieverOptions],
    ) -> list[Document]:
        unknown = sorted(options.keys() - _SETTINGS)
        if unknown:
            raise InputError(
                f"A MultimodalRetriever has no setting {', '.join(unknown)}; it has "
                f"{', '.join(sorted(_SETTINGS))}."
            )
        given = cast("dict[str, Any]", options)
        settings = {name: getattr(self, name) for name in _SETTINGS} | given
        tags = settings.pop("tagged")
        hits = self._opened.search(query, **settings, tags=tags)
        return [hit_to_document(hit) for hit in self._opened.shown(hits, strict=False)]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **options: Unpack[RetrieverOptions],
    ) -> list[Document]:
        manager = run_manager.get_sync()
        return await run_in_thread(
            self._get_relevant_documents, query, run_manager=manager, **options
        )
