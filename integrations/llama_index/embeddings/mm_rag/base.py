"""MultimodalEmbedding: an Encoder as LlamaIndex embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.bridge.pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    field_serializer,
)
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.embeddings.mm_rag.media import MediaEmbedding, listed
from llama_index.embeddings.mm_rag.shelf import Shelf
from llama_index.readers.mm_rag.nodes import node_to_embed
from pydantic.json_schema import SkipJsonSchema

from mm_rag._off_loop import off_loop
from mm_rag.content import Content, Text
from mm_rag.encoder import Encoder
from mm_rag.errors import CheckpointError, at_position
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

EMBEDDED = "embedded"
"""The name of the default model, which needs neither network nor GPU."""

_MADE_OF_MODULES = "custom"
_AT_ONCE = 32  # inputs in a batch of the model, at most


class MultimodalEmbedding(MediaEmbedding):
    """Embed texts, pictures, recordings and videos into one space.

    Text is always text, also where it looks like the name of a file. Every setting that changes
    vectors is a field, and so is the model's fingerprint: what was saved with `to_dict` or pickle
    comes back as the same model or not at all, and no cache mixes the vectors of two models, or
    those of queries and documents. The async methods work in threads beside the event loop.

    As a transformation, as in an `IngestionPipeline`, it embeds what a node shows: its page,
    picture or clip where the model takes that, else its words. An index asks for the vectors of
    words only, but keeps those that nodes already have; embed nodes first:

        VectorStoreIndex(embedding(nodes), embed_model=embedding)

    The cache of an `IngestionPipeline` tells nodes apart by words and metadata alone. Nodes of
    mm_rag have the sha256 of their file there; for those of others, such as an `ImageNode` that
    names a path and nothing else, set `disable_cache=True`.

    Example:
        .. code-block:: python

            embedding = MultimodalEmbedding()
            embedding.get_query_embedding("revenue by quarter")
            embedding.get_image_embedding("chart.png")
            embedding.get_video_embedding("tour.mp4")
    """

    model_config = ConfigDict(extra="forbid")  # else `model=` would be the embedded default

    model_name: str = Field(default=EMBEDDED, description="A folder, or a model's name on the hub.")
    revision: str | None = Field(default=None, description="A branch, tag or commit of the model.")
    device: str | None = Field(default=None, description="Such as cuda; by default the GPU if any.")
    dtype: str | None = Field(default=None, description="Of the weights, such as bfloat16.")
    trust_remote_code: bool = Field(
        default=False, description="Run Python code that lies in the checkpoint."
    )
    model_kwargs: dict[str, Any] | None = Field(
        default=None, description="For the from_pretrained of the transformers model."
    )
    processor_kwargs: dict[str, Any] | None = Field(
        default=None, description="For the from_pretrained of its tokenizer or processor."
    )
    prompts: dict[str, str] | None = Field(
        default=None, description="Instructions by name: query, document."
    )
    truncate_dim: int | None = Field(default=None, description="Keep only the first dimensions.")
    # LlamaIndex's default of 10 keeps the encoder from putting texts of like length together.
    embed_batch_size: int = Field(
        default=256, gt=0, le=2048, description="How many inputs the encoder is given together."
    )
    policy: MediaPolicy = Field(
        default=DEFAULT_POLICY, description="What may be opened of the media it is given."
    )
    fingerprint: str = Field(
        default="",
        description="Of the model; filled in. Where it is given, it must be the model's.",
    )
    encoder: SkipJsonSchema[Encoder | None] = Field(
        default=None, exclude=True, repr=False, description="A ready-made one instead of a model."
    )
    _encoder: Encoder = PrivateAttr()

    @classmethod
    def class_name(cls) -> str:
        """The name that serialised components are known by."""
        return "MmRagMultimodalEmbedding"

    def __repr__(self) -> str:
        """The model and the size of its vectors."""
        dimension = self._encoder.dimension
        return f"{type(self).__name__}(model={self.model!r}, dimension={dimension})"

    @property
    def model(self) -> str:
        """The name of the model, or its folder: the same as `model_name`."""
        return self.model_name

    def model_post_init(self, context: Any, /) -> None:
        """Load the model.

        Raises:
            CheckpointError: It is not there, or not the one that was saved.
        """
        super().model_post_init(context)
        self._encoder = encoder = self.encoder or self._load()
        # A ready-made one comes back with the settings it has.
        self.model_name, self.policy = encoder.name, encoder.policy
        self.prompts, self.truncate_dim = dict(encoder.prompts), encoder.truncate_dim
        saved, self.fingerprint = self.fingerprint, encoder.fingerprint
        if saved not in ("", self.fingerprint):
            raise CheckpointError(
                f"The model {self.model_name} is not the one that this embedding was saved with: "
                f"its fingerprint is {self.fingerprint}, not {saved}. Vectors of the two cannot be "
                "mixed: name the right model or revision, or embed everything anew."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings, not the weights, which are loaded anew."""
        return type(self).from_dict, (self.to_dict(),)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy of the settings over the same weights."""
        return self.__copy__()

    def __call__(
        self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any
    ) -> Sequence[BaseNode]:
        """Give each node the vector of what it shows.

        Args:
            nodes: Of any kinds, of mm_rag or others.
            show_progress: Whether to draw progress bars.
            **kwargs: What LlamaIndex tells all transformations; not looked at.

        Raises:
            UnreadableMedia: The file of one of them is missing or damaged.
            InputError: One of them is no node.
        """
        contents = {at: node_to_embed(node, self._encoder) for at, node in enumerate(nodes)}
        media = {at: shown for at, shown in contents.items() if not isinstance(shown, Text)}
        words = {
            at: node.get_content(MetadataMode.EMBED)
            for at, node in enumerate(nodes)
            if at not in media
        }
        vectors = self.get_text_embedding_batch(list(words.values()), show_progress)
        found = dict(zip(words, vectors, strict=True)) | self._get_each(media, show_progress)
        for at, node in enumerate(nodes):
            node.embedding = found[at]
        return nodes

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """As the call."""
        return await off_loop(self.__call__, nodes, **kwargs)

    # The base class keeps queries and texts of any model under the same keys of its cache.
    def get_query_embedding(self, query: str) -> Embedding:
        """Embed the words of a question."""
        shelved = super(MultimodalEmbedding, self._shelved("query"))
        return shelved.get_query_embedding(Text(query).text)

    async def aget_query_embedding(self, query: str) -> Embedding:
        """As `get_query_embedding`."""
        shelved = super(MultimodalEmbedding, self._shelved("query"))
        return await shelved.aget_query_embedding(Text(query).text)

    def get_text_embedding(self, text: str) -> Embedding:
        """Embed a text that is to be found."""
        shelved = super(MultimodalEmbedding, self._shelved("text"))
        return shelved.get_text_embedding(Text(text).text)

    async def aget_text_embedding(self, text: str) -> Embedding:
        """As `get_text_embedding`."""
        shelved = super(MultimodalEmbedding, self._shelved("text"))
        return await shelved.aget_text_embedding(Text(text).text)

    def get_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """Embed texts that are to be found, `embed_batch_size` at a time."""
        shelved = super(MultimodalEmbedding, self._shelved("text"))
        return shelved.get_text_embedding_batch(_words(texts), show_progress, **kwargs)

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """As `get_text_embedding_batch`."""
        shelved = super(MultimodalEmbedding, self._shelved("text"))
        return await shelved.aget_text_embedding_batch(_words(texts), show_progress, **kwargs)

    def _shelved(self, use: str) -> Self:
        if self.embeddings_cache is None:
            return self
        shelf = Shelf(self.embeddings_cache, f"{use}-{self.fingerprint}")
        return self.model_copy(update={"embeddings_cache": shelf})

    @field_serializer("policy")
    def _plain_policy(self, policy: MediaPolicy) -> dict[str, Any]:
        return TypeAdapter(MediaPolicy).dump_python(policy, mode="json")

    def _load(self) -> Encoder:
        if self.fingerprint and self.model_name == _MADE_OF_MODULES:
            raise CheckpointError(
                "This embedding was saved with an encoder that was made of modules, of which there "
                "is no checkpoint. Save the encoder (Encoder.save) and give its folder: "
                "MultimodalEmbedding(model_name=folder)."
            )
        return Encoder(
            None if self.model_name == EMBEDDED else self.model_name,
            revision=self.revision,
            device=self.device,
            dtype=self.dtype,
            trust_remote_code=self.trust_remote_code,
            model_kwargs=self.model_kwargs,
            processor_kwargs=self.processor_kwargs,
            prompts=self.prompts,
            truncate_dim=self.truncate_dim,
            policy=self.policy,
        )

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._encoder.encode_query(Text(query)).tolist()

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return await off_loop(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._embed([Text(text) for text in texts])

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return await off_loop(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await off_loop(self._get_text_embeddings, texts)

    def _embed(self, contents: Sequence[Content]) -> list[Embedding]:
        if not contents:
            return []
        size = min(_AT_ONCE, self.embed_batch_size)
        return self._encoder.encode_document(contents, batch_size=size).tolist()


def _words(texts: Any) -> list[str]:
    words: list[str] = []
    for position, text in enumerate(listed(texts)):
        with at_position(position):
            words.append(Text(text).text)
    return words
