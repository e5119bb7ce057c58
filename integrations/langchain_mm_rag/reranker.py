"""MultimodalReranker: a Reranker as a LangChain document compressor, and as a Runnable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from langchain_mm_rag.documents import checked_documents, document_to_content
from mm_rag._off_loop import off_loop
from mm_rag.content import Content, Text
from mm_rag.errors import InputError, at_position
from mm_rag.inputs import as_content
from mm_rag.record import label_of_record
from mm_rag.reranker import Reranker


class RerankInput(TypedDict):
    """What a `MultimodalReranker` takes as a Runnable.

    Attributes:
        query: A user's words, or whatever else `MultimodalRetriever` takes.
        documents: Those of any retriever.
    """

    query: Any
    documents: Sequence[Document]


class MultimodalReranker(BaseDocumentCompressor, RunnableSerializable[RerankInput, list[Document]]):
    """Order Documents by how well they answer a query, and keep the best.

    A reranker that sees or hears is given the page, picture or clip that a Document refers to. The
    embedded default and text rerankers score words: those of the Document. The score is in
    `metadata["relevance_score"]` of new Documents.

    Attributes:
        model: A folder, or a model's name on the hub. None for the embedded default.
        top_n: How many to keep; None for all.
        reranker: A ready-made Reranker instead of `model`.

    Raises:
        CheckpointError: There is no such model, or it cannot rerank.
        ValidationError: `reranker` is another one than `model`.

    Example:
        .. code-block:: python

            from langchain_classic.retrievers import ContextualCompressionRetriever

            reranker = MultimodalReranker(top_n=3)
            ContextualCompressionRetriever(base_compressor=reranker, base_retriever=retriever)

            chain = {"query": RunnablePassthrough(), "documents": retriever} | reranker
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model: str | Path | None = None
    top_n: int | None = Field(default=None, ge=1)
    reranker: Reranker | None = Field(default=None, exclude=True, repr=False)

    def model_post_init(self, context: Any, /) -> None:
        """Load the model."""
        # Into the field, so that the copies that LangChain makes of it share the loaded one.
        self.reranker = self.reranker or Reranker(self.model)
        if self.model is not None and self.reranker.name != str(self.model):
            raise InputError(
                f"Give a MultimodalReranker a model or a reranker; got the model {self.model} and "
                f"the reranker {self.reranker.name}."
            )

    def invoke(
        self,
        input: RerankInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The `top_n` best Documents, best first, as copies with `relevance_score`.

        Args:
            input: A dict of the query and the documents, which are left as they are.
            config: LangChain's.
            **kwargs: None are taken.

        Raises:
            InputError: It is no such dict, or its query is no input or has no words.
            UnreadableMedia: The media that a Document refers to cannot be opened.
            UnsupportedModality: The model does not take a query of that kind.
        """
        return self._call_with_config(self._ranked, input, config, **kwargs)

    async def ainvoke(
        self,
        input: RerankInput,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The same as `invoke`, in a thread beside the event loop."""
        return await self._acall_with_config(self._aranked, input, config, **kwargs)

    def compress_documents(
        self, documents: Sequence[Document], query: Any, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """As `invoke`, of a `query` and `documents`; `callbacks` are told of it."""
        return self.invoke({"query": query, "documents": documents}, {"callbacks": callbacks})

    async def acompress_documents(
        self, documents: Sequence[Document], query: Any, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The same as `compress_documents`, in a thread beside the event loop."""
        return await self.ainvoke(
            {"query": query, "documents": documents}, {"callbacks": callbacks}
        )

    async def _aranked(self, given: RerankInput) -> list[Document]:
        return await off_loop(self._ranked, given)

    def _ranked(self, given: RerankInput) -> list[Document]:
        query, documents = _checked(given)
        if not documents:
            return []
        reranker = self.reranker
        assert reranker is not None  # since `model_post_init`
        contents: list[Content] = []
        try:
            for position, document in enumerate(documents):
                with at_position(position):
                    contents.append(document_to_content(document, reranker))
            ranked = reranker.rank(query, contents, top_k=self.top_n)
        except InputError as error:
            place = error.position if error.position is not None else _gone(contents)
            if place is None:
                raise
            raise _about(place, documents[place], error) from error
        return [_scored(documents[item["index"]], item["score"]) for item in ranked]


def _checked(given: Any) -> tuple[Content, Sequence[Document]]:
    if not isinstance(given, Mapping) or not {"query", "documents"} <= given.keys():
        raise InputError(
            "A MultimodalReranker takes {'query': ..., 'documents': [...]}; got a "
            f"{type(given).__name__}."
        )
    query, documents = given["query"], checked_documents(given["documents"])
    content = Text(query) if isinstance(query, str) else as_content(query)
    if isinstance(content, Text) and not content.text.strip():
        raise InputError("The query is empty: there is nothing to order Documents by.")
    return content, documents


def _gone(contents: Sequence[Content]) -> int | None:
    """The first whose file is no longer there: not every model says which it could not open."""
    sources = [getattr(content, "source", None) for content in contents]
    gone = (n for n, file in enumerate(sources) if isinstance(file, Path) and not file.is_file())
    return next(gone, None)


def _about(place: int, document: Document, error: InputError) -> InputError:
    """The error, which knows a Document by its number only, with what people know it by."""
    name = label_of_record(document.metadata) or document.id or document.page_content[:50]
    about = type(error)(
        f"the Document {name!r} cannot be reranked: {error.args[0]} Index its file again, or leave "
        "it out."
    )
    about.position = place
    return about


def _scored(document: Document, score: float) -> Document:
    metadata = {**document.metadata, "relevance_score": score}
    return document.model_copy(update={"metadata": metadata})
