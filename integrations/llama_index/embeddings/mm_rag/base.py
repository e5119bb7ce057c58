"""MultimodalEmbedding: an Encoder as LlamaIndex embeddings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.embeddings import MultiModalEmbedding
from llama_index.core.schema import ImageType

from mm_rag.content import Content, Image, Text
from mm_rag.encoder import Encoder
from mm_rag.errors import CheckpointError

EMBEDDED = "embedded"
"""The name of the default model, which needs neither network nor GPU."""


class MultimodalEmbedding(MultiModalEmbedding):
    """Embed texts and pictures into one space.

    Text is always text, also where it looks like the name of a file. Every setting that changes
    vectors is a field, and so is the model's fingerprint: LlamaIndex's ingestion cache never mixes
    the vectors of two models, and what was saved with `to_dict` or pickle comes back as the same
    model or not at all.

    Example:
        .. code-block:: python

            embedding = MultimodalEmbedding()
            embedding.get_query_embedding("revenue by quarter")
            embedding.get_image_embedding("chart.png")
    """

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
    fingerprint: str = Field(
        default="",
        description="Of the model; filled in. Where it is given, it must be the model's.",
    )
    encoder: Encoder | None = Field(
        default=None, exclude=True, repr=False, description="A ready-made one instead of a model."
    )
    _encoder: Encoder = PrivateAttr()

    @classmethod
    def class_name(cls) -> str:
        """The name that serialised components are known by."""
        return "MmRagMultimodalEmbedding"

    def model_post_init(self, context: Any, /) -> None:
        """Load the model.

        Raises:
            CheckpointError: It is not there, or not the one that was saved.
        """
        super().model_post_init(context)
        self._encoder = self.encoder or self._load()
        self.model_name = self._encoder.name
        saved, self.fingerprint = self.fingerprint, self._encoder.fingerprint
        if saved not in ("", self.fingerprint):
            raise CheckpointError(
                f"The model {self.model_name} is not the one that this embedding was saved with: "
                f"its fingerprint is {self.fingerprint}, not {saved}. Vectors of the two cannot be "
                "mixed: name the right model or revision, or embed everything anew."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings, not the weights, which are loaded anew."""
        return type(self).from_dict, (self.to_dict(),)

    def _load(self) -> Encoder:
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
        )

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._encoder.encode_query(Text(query)).tolist()

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._embed([Text(text) for text in texts])

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    def _get_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return self._get_image_embeddings([img_file_path])[0]

    def _get_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return self._embed([_image(picture) for picture in img_file_paths])

    async def _aget_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return await asyncio.to_thread(self._get_image_embedding, img_file_path)

    async def _aget_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return await asyncio.to_thread(self._get_image_embeddings, img_file_paths)

    def _embed(self, contents: Sequence[Content]) -> list[Embedding]:
        if not contents:
            return []
        return self._encoder.encode_document(contents, batch_size=self.embed_batch_size).tolist()


def _image(picture: ImageType) -> Image:
    return Image(picture.getvalue() if isinstance(picture, BytesIO) else Path(picture))
