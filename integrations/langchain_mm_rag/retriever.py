"""MultimodalRetriever: a collection as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, Unpack, cast

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
from mm_rag._off_loop import off_loop
from mm_rag._result_pictures import with_pictures
from mm_rag.collection import Collection
from mm_rag.collection.search import SearchOptions
from mm_rag.content import Modality
from mm_rag.errors import InputError


class RetrieverOptions(SearchOptions, total=False):
    """What can be given with a call: the settings of a `MultimodalRetriever`."""

    k: int | None
    tagged: str | Sequence[str] | None


_SETTINGS = RetrieverOptions.__optional_keys__ - {"tags"}
"""LangChain has `tags` of its own, by which runs are traced."""


class MultimodalRetriever(Closing, BaseRetriever):
    """Find the pages, pictures and clips of a collection that answer a query.

    A query is a user's words, or a picture or recording: `Image(Path("photo.jpg"))`, or both in a
    dict such as `{"text": "the same in blue", "image": "chair.jpg"}`.

    Every setting can be given anew with a call, sync and async alike: `invoke("...", k=3)`; None
    lifts it. `Collection.search` says more about each of them.

    Attributes:
        collection: A `Collection`, or the folder of one made with the embedded default model, which
            is opened, and closed by `close` or a `with` block.
        k: How many Documents, at most. None: 5, or as many as the quotas of `modalities` come to.
        modalities: Only Segments of these; as a dict, at most so many of each; None for all.
        where: Only Segments whose metadata match this Chroma filter, such as `{"author": "Ada"}`.
        source: Only of this file, or of the files in this folder, or of several.
        page: Only from this page.
        time: Only clips that share some time with this span, in seconds.
        rerank: Whether the best candidates are scored again; or only places of some modalities.
        diversity: Between 0, for the best places, and 1, for places that are unlike each other.
        threshold: The least calibrated score (`score_calibrated` in the metadata) of a Document.
        tagged: Only what has this tag, or all of these: the `tags` of `Collection.search`. `tags`
            are LangChain's, for tracing.

    Raises:
        CollectionError: There is no collection in the folder.
        CollectionMismatch: It was made with another model; also when it is searched first.

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
    rerank: bool | Sequence[Modality] = True
    diversity: float = Field(default=0.0, ge=0.0, le=1.0)
    threshold: float | None = None
    tagged: str | Sequence[str] | None = None

    def model_post_init(self, context: Any, /) -> None:
        """Open the collection where only its folder was given."""
        # In the field itself, so that the copies that LangChain makes of it share the open one.
        if not isinstance(self.collection, Collection):
            self.collection = Collection(self.collection, create=False)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy of the settings over the same open collection."""
        return super().__deepcopy__({**(memo or {}), id(self.collection): self.collection})

    def close(self) -> None:
        """Let go of the collection's folder."""
        self._opened.close()

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
            **kwargs: Settings for this call only.

        Raises:
            InputError: The query is no input, Chroma refuses the filter, or there is no such
                setting.
            CollectionError: The collection cannot be read.
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
        return [hit_to_document(hit) for hit in with_pictures(self._opened, hits)]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **options: Unpack[RetrieverOptions],
    ) -> list[Document]:
        manager = run_manager.get_sync()
        return await off_loop(self._get_relevant_documents, query, run_manager=manager, **options)
