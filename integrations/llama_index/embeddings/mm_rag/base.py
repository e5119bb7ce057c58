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
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.embeddings.mm_rag.media import MediaEmbedding, checked_list
from llama_index.utils.mm_rag.nodes import node_to_embed
from pydantic.json_schema import SkipJsonSchema

from mm_rag._threads import run_in_thread
from mm_rag.built_in import FORMER_NAME, MINILM
from mm_rag.content import Content, Text
from mm_rag.encoder import Encoder
from mm_rag.errors import CheckpointError, at_position
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

DEFAULT = "default"
"""Stands for the built-in default, which needs neither network nor GPU; replaced by its name."""

_MADE_OF_MODULES = "custom"  # name of an Encoder without a checkpoint
_MAX_BATCH = 32  # inputs per forward pass


class MultimodalEmbedding(MediaEmbedding):
    """Embed texts, pictures, recordings and videos in one vector space.

    Text is always text, even if it looks like a file name. Every setting that affects vectors is a
    field, and so is the model's fingerprint: an embedding that was saved with `to_dict` or pickle
    loads the same model or raises an error, and caches never mix vectors of different models, or of
    queries and documents. The async methods run in threads.

    As a transformation, for example in an `IngestionPipeline`, it embeds the media of a node: its
    page, picture or clip if the model accepts it, otherwise its text. An index only requests
    vectors of text, but keeps those that nodes already have; so embed nodes first:

        VectorStoreIndex(embedding(nodes), embed_model=embedding)

    The cache of an `IngestionPipeline` distinguishes nodes by text and metadata only. Metadata of
    mm_rag's nodes include the sha256 of their file; for other nodes, such as an `ImageNode` with
    only a path, set `disable_cache=True`.

    Example:
        .. code-block:: python

            embedding = MultimodalEmbedding()
            embedding.get_query_embedding("revenue by quarter")
            embedding.get_image_embedding("chart.png")
            embedding.get_video_embedding("tour.mp4")
    """

    model_config = ConfigDict(extra="forbid")  # or `model=` would be silently ignored

    model_name: str = Field(
        default=DEFAULT, description="A folder, or the name of a model on the hub."
    )
    revision: str | None = Field(default=None, description="A branch, tag or commit of the model.")
    device: str | None = Field(default=None, description="Such as cuda; by default a GPU if any.")
    dtype: str | None = Field(default=None, description="Type of the weights, such as bfloat16.")
    trust_remote_code: bool = Field(
        default=False, description="Run Python code from the checkpoint."
    )
    model_kwargs: dict[str, Any] | None = Field(
        default=None, description="Arguments for from_pretrained of the transformers model."
    )
    processor_kwargs: dict[str, Any] | None = Field(
        default=None, description="Arguments for from_pretrained of its tokenizer or processor."
    )
    prompts: dict[str, str] | None = Field(
        default=None, description="Prompts by name: query, document."
    )
    truncate_dim: int | None = Field(default=None, description="Keep only the first dimensions.")
    # With LlamaIndex's default of 10 the encoder could not group texts of similar length.
    embed_batch_size: int = Field(
        default=256, gt=0, le=2048, description="Number of inputs passed to the encoder at once."
    )
    policy: MediaPolicy = Field(
        default=DEFAULT_POLICY, description="Whether and how media may be opened."
    )
    fingerprint: str = Field(
        default="",
        description="Fingerprint of the model; filled in. If it is given, the model must match.",
    )
    encoder: SkipJsonSchema[Encoder | None] = Field(
        default=None, exclude=True, repr=False, description="An Encoder to use instead of a model."
    )
    _encoder: Encoder = PrivateAttr()

    @classmethod
    def class_name(cls) -> str:
        """Name under which LlamaIndex serialises the component."""
        return "MmRagMultimodalEmbedding"

    def __repr__(self) -> str:
        """Model and embedding size."""
        dimension = self._encoder.dimension
        return f"{type(self).__name__}(model={self.model!r}, dimension={dimension})"

    @property
    def model(self) -> str:
        """Name or folder of the model: the same as `model_name`."""
        return self.model_name

    def model_post_init(self, context: Any, /) -> None:
        """Load the model.

        Raises:
            CheckpointError: The model does not exist, or is not the one that was saved.
        """
        super().model_post_init(context)
        self._encoder = encoder = self.encoder or self._load()
        # Record the settings of a given Encoder.
        self.model_name, self.policy = encoder.name, encoder.policy
        self.prompts, self.truncate_dim = dict(encoder.prompts), encoder.truncate_dim
        saved, self.fingerprint = self.fingerprint, encoder.fingerprint
        if saved not in ("", self.fingerprint):
            raise CheckpointError(
                f"The model {self.model_name} is not the one that this embedding was saved with: "
                f"its fingerprint is {self.fingerprint}, not {saved}. Their vectors cannot be "
                "mixed: name the right model or revision, or embed everything again."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings only; the weights are loaded again."""
        return type(self).from_dict, (self.to_dict(),)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the settings; share the weights."""
        return self.__copy__()

    def __call__(
        self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any
    ) -> Sequence[BaseNode]:
        """Set the embedding of each node, computed from its media or text.

        Args:
            nodes: Nodes of any type, of mm_rag or others.
            show_progress: Whether to show progress bars.
            **kwargs: Arguments that LlamaIndex passes to all transformations; ignored.

        Raises:
            UnreadableMedia: The file of a node is missing or damaged.
            InputError: An item is not a node.
        """
        contents = {at: node_to_embed(node, self._encoder) for at, node in enumerate(nodes)}
        media = {at: each for at, each in contents.items() if not isinstance(each, Text)}
        texts = {
            at: node.get_content(MetadataMode.EMBED)
            for at, node in enumerate(nodes)
            if at not in media
        }
        vectors = self.get_text_embedding_batch(list(texts.values()), show_progress)
        found = dict(zip(texts, vectors, strict=True)) | self._get_each(media, show_progress)
        for at, node in enumerate(nodes):
            node.embedding = found[at]
        return nodes

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Call the transformation in a thread."""
        return await run_in_thread(self.__call__, nodes, **kwargs)

    # The base class uses the same cache keys for queries and documents, and for all models. Its
    # methods are therefore called on a copy whose cache has a namespace.
    def get_query_embedding(self, query: str) -> Embedding:
        """Embed a text query."""
        base = super(MultimodalEmbedding, self._with_cache_of("query"))
        return base.get_query_embedding(Text(query).text)

    async def aget_query_embedding(self, query: str) -> Embedding:
        """Call `get_query_embedding` in a thread."""
        base = super(MultimodalEmbedding, self._with_cache_of("query"))
        return await base.aget_query_embedding(Text(query).text)

    def get_text_embedding(self, text: str) -> Embedding:
        """Embed a text as a document."""
        base = super(MultimodalEmbedding, self._with_cache_of("text"))
        return base.get_text_embedding(Text(text).text)

    async def aget_text_embedding(self, text: str) -> Embedding:
        """Call `get_text_embedding` in a thread."""
        base = super(MultimodalEmbedding, self._with_cache_of("text"))
        return await base.aget_text_embedding(Text(text).text)

    def get_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """Embed texts as documents, `embed_batch_size` at a time."""
        base = super(MultimodalEmbedding, self._with_cache_of("text"))
        return base.get_text_embedding_batch(_checked_texts(texts), show_progress, **kwargs)

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Embedding]:
        """Call `get_text_embedding_batch` in a thread."""
        base = super(MultimodalEmbedding, self._with_cache_of("text"))
        return await base.aget_text_embedding_batch(_checked_texts(texts), show_progress, **kwargs)

    def _with_cache_of(self, use: str) -> Self:
        if self.embeddings_cache is None:
            return self
        cache = _NamespacedCache(self.embeddings_cache, f"{use}-{self.fingerprint}")
        return self.model_copy(update={"embeddings_cache": cache})

    @field_serializer("policy")
    def _plain_policy(self, policy: MediaPolicy) -> dict[str, Any]:
        return TypeAdapter(MediaPolicy).dump_python(policy, mode="json")

    def _load(self) -> Encoder:
        if self.fingerprint and self.model_name == _MADE_OF_MODULES:
            raise CheckpointError(
                "This embedding was saved with an encoder that was made of modules and has no "
                "checkpoint. Save the encoder (Encoder.save) and pass its folder: "
                "MultimodalEmbedding(model_name=folder)."
            )
        names = {DEFAULT: None, FORMER_NAME: MINILM}
        return Encoder(
            names.get(self.model_name, self.model_name),
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
        return await run_in_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._embed([Text(text) for text in texts])

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return await run_in_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await run_in_thread(self._get_text_embeddings, texts)

    def _embed(self, contents: Sequence[Content]) -> list[Embedding]:
        if not contents:
            return []
        size = min(_MAX_BATCH, self.embed_batch_size)
        return self._encoder.encode_document(contents, batch_size=size).tolist()


class _NamespacedCache:
    """The methods of a cache that `BaseEmbedding` calls, within a collection of its own.

    Args:
        cache: The underlying cache.
        namespace: Suffix of the names of collections.
    """

    def __init__(self, cache: BaseKVStore, namespace: str) -> None:
        self._cache = cache
        self._namespace = namespace

    def get(self, key: str, collection: str) -> Any:
        return self._cache.get(key, collection=f"{collection}-{self._namespace}")

    async def aget(self, key: str, collection: str) -> Any:
        return await self._cache.aget(key, collection=f"{collection}-{self._namespace}")

    def put(self, key: str, val: dict[str, Any], collection: str) -> None:
        self._cache.put(key, val, collection=f"{collection}-{self._namespace}")

    async def aput(self, key: str, val: dict[str, Any], collection: str) -> None:
        await self._cache.aput(key, val, collection=f"{collection}-{self._namespace}")


def _checked_texts(texts: Any) -> list[str]:
    checked: list[str] = []
    for position, text in enumerate(checked_list(texts)):
        with at_position(position):
            checked.append(Text(text).text)
    return checked
