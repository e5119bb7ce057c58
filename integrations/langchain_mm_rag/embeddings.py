"""MultimodalEmbeddings, and a vector store wrapper that embeds Documents by their media."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, Unpack

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from langchain_mm_rag.documents import checked_documents
from mm_rag._threads import run_in_thread
from mm_rag.content import Content, Modality, Text
from mm_rag.encoder import Encoder, EncoderKeywords
from mm_rag.errors import InputError, at_position
from mm_rag.inputs import as_content
from mm_rag.inputs.dicts import as_part
from mm_rag.record import content_to_embed

Task: TypeAlias = Literal["query", "document"]


class MultimodalEmbeddings(Embeddings):
    """Embed texts, pictures, recordings and videos in one vector space.

    Text is always text, even if it looks like a file name: media have methods of their own, and
    with a `ShownStore` any vector store embeds Documents by their page, picture or clip.
    `langchain_chroma.Chroma` uses `embed_image` for its `add_images` and
    `similarity_search_by_image`. The async methods run in threads.

    Args:
        model: A folder, or the name of a model on the Hugging Face hub. None: the built-in default,
            which needs neither network nor GPU; it embeds media by the text in them.
        batch_size: Maximum number of inputs per batch.
        encoder: An Encoder to use instead of `model` and `options`.
        **options: Options of `Encoder`, such as `device`, `prompts` and `truncate_dim`.

    Raises:
        CheckpointError: The model does not exist or is not supported.
        MissingExtra: The built-in default is not installed.

    Example:
        .. code-block:: python

            embeddings = MultimodalEmbeddings()
            embeddings.embed_query("revenue by quarter")
            embeddings.embed_image(["chart.png"])
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        batch_size: int = 32,
        encoder: Encoder | None = None,
        **options: Unpack[EncoderKeywords],
    ) -> None:
        self.batch_size = batch_size
        self.encoder = encoder or Encoder(model, **options)

    def __repr__(self) -> str:
        """Model and embedding size."""
        return f"{type(self).__name__}(model={self.model!r}, dimension={self.encoder.dimension})"

    @property
    def model(self) -> str:
        """Name or folder of the model."""
        return self.encoder.name

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts as documents; those that a `ShownStore` passes are embedded by their media.

        Raises:
            InputError: It is not a list, or an item is not a string.
            UnreadableMedia: The picture or clip of a Document is missing or damaged.
            SourceForbidden: The encoder's `MediaPolicy` does not allow opening it.
        """
        return self._embed(texts, self._document_content, "document")

    def embed_shown(self, documents: Iterable[Document]) -> list[list[float]]:
        """Embed Documents by their media, for stores that accept vectors, such as FAISS.

        Raises:
            InputError: An item is not a Document.
            UnreadableMedia: A picture or clip is missing or damaged.
            SourceForbidden: The encoder's `MediaPolicy` does not allow opening it.
        """
        return self._embed(_with_metadata(documents), self._document_content, "document")

    def embed_query(self, text: str) -> list[float]:
        """Embed a text query.

        Raises:
            InputError: It is not a string.
        """
        return self.encoder.encode_query(Text(text)).tolist()

    def embed_image(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed pictures: files, `http(s)` URLs, and `data:image/...;base64,` URIs.

        Raises:
            UnreadableMedia: A file is missing or damaged.
            SourceForbidden: The encoder's `MediaPolicy` does not allow opening one.
            UnsupportedModality: The model does not accept pictures.
            InputError: It is not a list, or an item is not a picture.
        """
        return self._embed_media(uris, "image")

    def embed_audio(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed recordings: files and URLs; raises the same errors as `embed_image`."""
        return self._embed_media(uris, "audio")

    def embed_video(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed videos: files and URLs; raises the same errors as `embed_image`."""
        return self._embed_media(uris, "video")

    def embed_inputs(self, inputs: Sequence[Any], *, task: Task = "document") -> list[list[float]]:
        """Embed inputs of mixed modalities.

        Args:
            inputs: Inputs as for `mm_rag.inputs.as_content`: Content, a Path, a PIL image, a dict
                such as `{"text": ..., "image": ...}`. A str is text.
            task: Whether the inputs are queries or documents.

        Raises:
            InputError: It is not a list, an item is not a valid input, or the task is unknown.
            UnsupportedModality: The model does not accept one of the inputs.
            UnreadableMedia: A file is missing or damaged.
        """
        return self._embed(inputs, self._content, task)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Call `embed_documents` in a thread."""
        return await run_in_thread(self.embed_documents, texts)

    async def aembed_shown(self, documents: Iterable[Document]) -> list[list[float]]:
        """Call `embed_shown` in a thread."""
        return await run_in_thread(self.embed_shown, documents)

    async def aembed_query(self, text: str) -> list[float]:
        """Call `embed_query` in a thread."""
        return await run_in_thread(self.embed_query, text)

    async def aembed_image(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Call `embed_image` in a thread."""
        return await run_in_thread(self.embed_image, uris)

    async def aembed_audio(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Call `embed_audio` in a thread."""
        return await run_in_thread(self.embed_audio, uris)

    async def aembed_video(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Call `embed_video` in a thread."""
        return await run_in_thread(self.embed_video, uris)

    async def aembed_inputs(
        self, inputs: Sequence[Any], *, task: Task = "document"
    ) -> list[list[float]]:
        """Call `embed_inputs` in a thread."""
        return await run_in_thread(self.embed_inputs, inputs, task=task)

    def _embed_media(self, uris: Any, modality: Modality) -> list[list[float]]:
        return self._embed(
            uris, lambda uri: as_part(modality, uri, self.encoder.policy), "document"
        )

    def _document_content(self, text: str) -> Content:
        if isinstance(text, _TextWithMetadata):
            return content_to_embed(str(text), text.metadata, self.encoder)
        return Text(text)

    def _content(self, value: Any) -> Content:
        is_text = isinstance(value, str)
        return Text(value) if is_text else as_content(value, policy=self.encoder.policy)

    def _embed(self, given: Any, convert: Callable[[Any], Content], task: Task) -> Any:
        encode = {"query": self.encoder.encode_query, "document": self.encoder.encode_document}
        if task not in encode:
            raise InputError(f"task must be one of {', '.join(encode)}; got {task!r:.100}.")
        # A str would be taken for a list of characters, and not every caller has a type checker.
        if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
            raise InputError(f"Inputs to embed must be in a list; got a {type(given).__name__}.")
        contents: list[Content] = []
        for position, value in enumerate(given):
            with at_position(position):
                contents.append(convert(value))
        return encode[task](contents, batch_size=self.batch_size).tolist() if contents else []


class ShownStore(VectorStore):
    """Write Documents to a vector store, embedded by their media.

    A page, picture or clip is embedded as such if the model accepts it, a passage by its text.
    Documents that are written to the store itself, or with its `from_documents`, are embedded by
    their text only. Use the store itself for searches and everything else.

    LangChain's stores pass only `page_content` to embeddings. This wrapper attaches the Document's
    metadata to that string, where `MultimodalEmbeddings` finds them. Files are therefore opened
    only if the metadata name them, never because a text does.

    Args:
        store: Any vector store with `MultimodalEmbeddings`.

    Raises:
        InputError: The store has other embeddings, such as a `CacheBackedEmbeddings`, whose keys
            are texts alone.

    Example:
        .. code-block:: python

            store = Chroma("slides", MultimodalEmbeddings("Qwen/Qwen3-VL-Embedding-2B"))
            ShownStore(store).add_documents(MultimodalLoader("slides/").load())
            index(MultimodalLoader("slides/"), record_manager, ShownStore(store), cleanup="full")
            store.similarity_search("revenue by quarter")
    """

    def __init__(self, store: VectorStore) -> None:
        given = store.embeddings
        if given is not None and not isinstance(given, MultimodalEmbeddings):
            raise InputError(
                f"The store embeds with {type(given).__name__}, which receives text only: give it "
                "MultimodalEmbeddings."
            )
        self.store = store

    @property
    def embeddings(self) -> Embeddings | None:
        """The embeddings of the store."""
        return self.store.embeddings

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add Documents; raises the same errors as `MultimodalEmbeddings.embed_shown`."""
        return self.store.add_documents(_attach_metadata(documents), **kwargs)

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Call the store's `aadd_documents`; see `add_documents`."""
        return await self.store.aadd_documents(_attach_metadata(documents), **kwargs)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete from the store."""
        return self.store.delete(ids, **kwargs)

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete from the store."""
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
        """Not supported: create a vector store and wrap it."""
        raise NotImplementedError("Make a vector store, and then ShownStore(store).")


class _TextWithMetadata(str):
    """The text of a Document that carries the Document's metadata; otherwise an ordinary str."""

    metadata: Mapping[str, Any]

    def __new__(cls, document: Document) -> Self:
        text = super().__new__(cls, document.page_content)
        text.metadata = dict(document.metadata)
        return text


def _with_metadata(documents: Iterable[Document]) -> list[_TextWithMetadata]:
    return [_TextWithMetadata(document) for document in checked_documents(documents)]


def _attach_metadata(documents: Iterable[Document]) -> list[Document]:
    given = list(documents)
    return [
        document.model_copy(update={"page_content": text})
        for document, text in zip(given, _with_metadata(given), strict=True)
    ]
