"""MultimodalEmbeddings: an Encoder as LangChain embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from langchain_core.documents import Document

from langchain_mm_rag.shown import EmbedsShown, ShownText, shown_texts
from mm_rag._off_loop import off_loop
from mm_rag.content import Content, Modality, Text
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError, at_position
from mm_rag.inputs import as_content
from mm_rag.inputs.dicts import as_part
from mm_rag.record import content_to_embed

Task: TypeAlias = Literal["query", "document"]


class MultimodalEmbeddings(EmbedsShown):
    """Embed texts, pictures, recordings and videos into one space.

    Text is always text, also where it looks like the name of a file: media have methods of their
    own, and a `ShownStore` has any vector store embed Documents by their page, picture or clip.
    `langchain_chroma.Chroma` finds `embed_image` and uses it for its `add_images` and
    `similarity_search_by_image`. The async methods work in threads beside the event loop.

    Args:
        model: A folder, or a model's name on the hub. None for the embedded default, which needs
            neither network nor GPU: it reads media and embeds the words.
        revision: A branch, tag or commit of the model.
        device: Such as `"cuda"`; the GPU when there is one, by default.
        dtype: Of the weights, such as `"bfloat16"`; what the checkpoint says, by default.
        trust_remote_code: Run Python code that lies in the checkpoint.
        model_kwargs: For the `from_pretrained` of the transformers model.
        processor_kwargs: For the `from_pretrained` of its tokenizer or processor.
        prompts: Instructions by name, over those of the checkpoint: `query`, `document`.
        truncate_dim: Keep only the first dimensions, for models trained for that.
        batch_size: Inputs in a batch at most.
        encoder: A ready-made Encoder instead of all of the above but `batch_size`.

    Raises:
        CheckpointError: There is no such model, or it is not understood.
        MissingExtra: The embedded default is not on this machine.

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
        revision: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        trust_remote_code: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        truncate_dim: int | None = None,
        batch_size: int = 32,
        encoder: Encoder | None = None,
    ) -> None:
        self.batch_size = batch_size
        self.encoder = encoder or Encoder(
            model,
            revision=revision,
            device=device,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            model_kwargs=model_kwargs,
            processor_kwargs=processor_kwargs,
            prompts=prompts,
            truncate_dim=truncate_dim,
        )

    def __repr__(self) -> str:
        """The model and the size of its vectors."""
        return f"{type(self).__name__}(model={self.model!r}, dimension={self.encoder.dimension})"

    @property
    def model(self) -> str:
        """The name of the model, or its folder."""
        return self.encoder.name

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts that are to be found; those of a `ShownStore` by what they show.

        Raises:
            InputError: It is no list, or something in it is no str.
            UnreadableMedia: The picture or clip of a shown Document is missing or damaged.
            SourceForbidden: The encoder's `MediaPolicy` does not allow to open it.
        """
        return self._embed(texts, self._shown, "document")

    def embed_shown(self, documents: Iterable[Document]) -> list[list[float]]:
        """Embed Documents by what they show: for stores that take vectors, such as FAISS.

        Raises:
            InputError: They are no Documents.
            UnreadableMedia: A picture or clip is missing or damaged.
            SourceForbidden: The encoder's `MediaPolicy` does not allow to open it.
        """
        return self._embed(shown_texts(documents), self._shown, "document")

    def embed_query(self, text: str) -> list[float]:
        """Embed the words of a question.

        Raises:
            InputError: It is no str.
        """
        return self.encoder.encode_query(Text(text)).tolist()

    def embed_image(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed pictures: files, `http(s)` addresses, and `data:image/...;base64,` URIs.

        Raises:
            UnreadableMedia: A file is missing or damaged.
            SourceForbidden: The encoder's `MediaPolicy` does not allow to open one.
            UnsupportedModality: The model takes no pictures.
            InputError: It is no list, or something in it is no picture.
        """
        return self._embed_media(uris, "image")

    def embed_audio(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed recordings: files and addresses; raises what `embed_image` raises."""
        return self._embed_media(uris, "audio")

    def embed_video(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed videos: files and addresses; raises what `embed_image` raises."""
        return self._embed_media(uris, "video")

    def embed_inputs(self, inputs: Sequence[Any], *, task: Task = "document") -> list[list[float]]:
        """Embed inputs of any modalities, in any order.

        Args:
            inputs: A list, each of it whatever `mm_rag.inputs.as_content` takes: Content, a Path, a
                PIL image, a dict such as `{"text": ..., "image": ...}`. A str is text.
            task: Whether they are what is searched with, or what is searched in.

        Raises:
            InputError: It is no list, or something in it is no input, or no such task.
            UnsupportedModality: The model does not take one of them.
            UnreadableMedia: A file is missing or damaged.
        """
        return self._embed(inputs, self._content, task)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """As `embed_documents`."""
        return await off_loop(self.embed_documents, texts)

    async def aembed_shown(self, documents: Iterable[Document]) -> list[list[float]]:
        """As `embed_shown`."""
        return await off_loop(self.embed_shown, documents)

    async def aembed_query(self, text: str) -> list[float]:
        """As `embed_query`."""
        return await off_loop(self.embed_query, text)

    async def aembed_image(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """As `embed_image`."""
        return await off_loop(self.embed_image, uris)

    async def aembed_audio(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """As `embed_audio`."""
        return await off_loop(self.embed_audio, uris)

    async def aembed_video(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """As `embed_video`."""
        return await off_loop(self.embed_video, uris)

    async def aembed_inputs(
        self, inputs: Sequence[Any], *, task: Task = "document"
    ) -> list[list[float]]:
        """As `embed_inputs`."""
        return await off_loop(self.embed_inputs, inputs, task=task)

    def _embed_media(self, uris: Any, modality: Modality) -> list[list[float]]:
        return self._embed(
            uris, lambda uri: as_part(modality, uri, self.encoder.policy), "document"
        )

    def _shown(self, text: str) -> Content:
        if isinstance(text, ShownText):
            return content_to_embed(str(text), text.metadata, self.encoder)
        return Text(text)

    def _content(self, value: Any) -> Content:
        is_words = isinstance(value, str)
        return Text(value) if is_words else as_content(value, policy=self.encoder.policy)

    def _embed(self, given: Any, convert: Callable[[Any], Content], task: Task) -> Any:
        encode = {"query": self.encoder.encode_query, "document": self.encoder.encode_document}
        if task not in encode:
            raise InputError(f"task is one of {', '.join(encode)}; got {task!r:.100}.")
        # Not every caller has a type checker, and a str would be taken for a list of letters.
        if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
            raise InputError(f"Embeddings are made of a list; got a {type(given).__name__}.")
        contents: list[Content] = []
        for position, value in enumerate(given):
            with at_position(position):
                contents.append(convert(value))
        return encode[task](contents, batch_size=self.batch_size).tolist() if contents else []
