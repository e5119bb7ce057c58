"""MultimodalEmbeddings: an Encoder as LangChain embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from mm_rag.content import Audio, Content, Image, Text, Video
from mm_rag.encoder import Encoder


class MultimodalEmbeddings(Embeddings):
    """Embed texts, pictures, recordings and videos into one space.

    Text is always text, also where it looks like the name of a file: media have methods of their
    own. `langchain_chroma.Chroma` finds `embed_image` and uses it for its `add_images` and
    `similarity_search_by_image`.

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

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts that are to be found."""
        return self._embed([Text(text) for text in texts])

    def embed_query(self, text: str) -> list[float]:
        """Embed the words of a question."""
        return self.encoder.encode_query(Text(text)).tolist()

    def embed_image(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed picture files.

        Raises:
            UnreadableMedia: A file is missing or damaged.
            UnsupportedModality: The model takes no pictures.
        """
        return self._embed([Image(Path(uri)) for uri in uris])

    def embed_audio(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed recordings; raises what `embed_image` raises."""
        return self._embed([Audio(Path(uri)) for uri in uris])

    def embed_video(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed videos; raises what `embed_image` raises."""
        return self._embed([Video(Path(uri)) for uri in uris])

    def _embed(self, contents: Sequence[Content]) -> list[list[float]]:
        if not contents:
            return []
        return self.encoder.encode_document(contents, batch_size=self.batch_size).tolist()
