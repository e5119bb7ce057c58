"""MultimodalReranker: a Reranker as a LangChain document compressor and Runnable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic requires this one before Python 3.12

from langchain_mm_rag.documents import checked_documents, document_to_content
from mm_rag._threads import run_in_thread
from mm_rag.content import Content, Text
from mm_rag.errors import InputError, at_position
from mm_rag.inputs import as_content
from mm_rag.record import label_of_record
from mm_rag.reranker import Reranker


class RerankInput(TypedDict):
    """Input of a `MultimodalReranker` as a Runnable.

    Attributes:
        query: A text, or any other query that `MultimodalRetriever` accepts.
        documents: Documents of any retriever.
    """

    query: Any
    documents: Sequence[Document]


class MultimodalReranker(BaseDocumentCompressor, RunnableSerializable[RerankInput, list[Document]]):
    """Sort Documents by their relevance to a query, and keep the best.

    A multimodal reranker scores the page, picture or clip that a Document refers to; the embedded
    default and text rerankers score its text. The results are copies of the Documents with the
    score in `metadata["relevance_score"]`.

    Attributes:
        model: A folder, or the name of a model on the Hugging Face hub. None: the built-in default.
        top_n: Number of Documents to keep; None for all.
        reranker: A Reranker to use instead of `model`.

    Raises:
        CheckpointError: The model does not exist or is not a reranker.
        ValidationError: `reranker` and `model` name different models.

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
        # In the field itself, so that copies made by LangChain share the loaded model.
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
        """Return copies of the `top_n` best Documents, the best first, with `relevance_score`.

        Args:
            input: A dict with `query` and `documents`.
            config: LangChain's configuration of the run.
            **kwargs: Not supported.

        Raises:
            InputError: The input is not such a dict, or its query is invalid or empty.
            UnreadableMedia: The media of a Document cannot be opened.
            UnsupportedModality: The model does not accept the query's modality.
        """
        return self._call_with_config(self._rerank, input, config, **kwargs)

    async def ainvoke(
        self,
        input: RerankInput,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Call `invoke` in a thread."""
        return await self._acall_with_config(self._arerank, input, config, **kwargs)

    def compress_documents(
        self, documents: Sequence[Document], query: Any, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Call `invoke` with these arguments and callbacks."""
        return self.invoke({"query": query, "documents": documents}, {"callbacks": callbacks})

    async def acompress_documents(
        self, documents: Sequence[Document], query: Any, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Call `compress_documents` in a thread."""
        return await self.ainvoke(
            {"query": query, "documents": documents}, {"callbacks": callbacks}
        )

    async def _arerank(self, given: RerankInput) -> list[Document]:
        return await run_in_thread(self._rerank, given)

    def _rerank(self, given: RerankInput) -> list[Document]:
        query, documents = _checked(given)
        if not documents:
            return []
        reranker = self.reranker
        assert reranker is not None  # set by `model_post_init`
        contents: list[Content] = []
        try:
            for position, document in enumerate(documents):
                with at_position(position):
                    contents.append(document_to_content(document, reranker))
            ranked = reranker.rank(query, contents, top_k=self.top_n)
        except InputError as error:
            position = error.position if error.position is not None else _missing_file(contents)
            if position is None:
                raise
            raise _error_of_document(position, documents[position], error) from error
        return [_with_score(documents[item["index"]], item["score"]) for item in ranked]


def _checked(given: Any) -> tuple[Content, Sequence[Document]]:
    if not isinstance(given, Mapping) or not {"query", "documents"} <= given.keys():
        raise InputError(
            "A MultimodalReranker expects {'query': ..., 'documents': [...]}; got a "
            f"{type(given).__name__}."
        )
    query, documents = given["query"], checked_documents(given["documents"])
    content = Text(query) if isinstance(query, str) else as_content(query)
    if isinstance(content, Text) and not content.text.strip():
        raise InputError("The query is empty: Documents cannot be scored against it.")
    return content, documents


def _missing_file(contents: Sequence[Content]) -> int | None:
    """Position of the first missing file: not every model reports which one it failed to open."""
    sources = [getattr(content, "source", None) for content in contents]
    missing = (n for n, file in enumerate(sources) if isinstance(file, Path) and not file.is_file())
    return next(missing, None)


def _error_of_document(position: int, document: Document, error: InputError) -> InputError:
    """The same error, naming the Document instead of only its position."""
    name = label_of_record(document.metadata) or document.id or document.page_content[:50]
    named = type(error)(
        f"the Document {name!r} cannot be reranked: {error.args[0]} Index its file again, or leave "
        "it out."
    )
    named.position = position
    return named


def _with_score(document: Document, score: float) -> Document:
    metadata = {**document.metadata, "relevance_score": score}
    return document.model_copy(update={"metadata": metadata})
