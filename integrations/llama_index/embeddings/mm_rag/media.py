"""Embedding methods for recordings and videos beside LlamaIndex's for pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.embeddings import MultiModalEmbedding
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from llama_index.core.schema import ImageType
from llama_index.core.utils import get_tqdm_iterable
from llama_index_instrumentation import get_dispatcher

from mm_rag._threads import run_in_thread
from mm_rag.content import Audio, Chat, Content, Image, Mixed, Modality, Text, Url, Video
from mm_rag.errors import InputError, at_position
from mm_rag.inputs.dicts import as_part
from mm_rag.media.policy import MediaPolicy

dispatcher = get_dispatcher(__name__)


class MediaEmbedding(MultiModalEmbedding):
    """Embed pictures, recordings and videos: files, URLs, and for pictures also bytes.

    All methods emit events, in which media are represented by their names. All raise
    UnreadableMedia for missing and damaged files, SourceForbidden for files that the policy does
    not allow, UnsupportedModality for media that the model does not accept, and InputError for
    invalid inputs.
    """

    policy: MediaPolicy

    @abstractmethod
    def _embed(self, contents: Sequence[Content]) -> list[Embedding]:
        """Embed one batch."""

    def get_image_embedding(self, img_file_path: ImageType | Path) -> Embedding:
        """Embed a picture."""
        return self._get_one("image", img_file_path)

    def get_image_embedding_batch(
        self, img_file_paths: Sequence[ImageType | Path], show_progress: bool = False
    ) -> list[Embedding]:
        """Embed pictures, `embed_batch_size` at a time."""
        return self._get_batch("image", img_file_paths, show_progress)

    async def aget_image_embedding(self, img_file_path: ImageType | Path) -> Embedding:
        """Call `get_image_embedding` in a thread."""
        return await run_in_thread(self._get_one, "image", img_file_path)

    async def aget_image_embedding_batch(
        self, img_file_paths: Sequence[ImageType | Path], show_progress: bool = False
    ) -> list[Embedding]:
        """Call `get_image_embedding_batch` in a thread."""
        return await run_in_thread(self._get_batch, "image", img_file_paths, show_progress)

    def get_audio_embedding(self, audio_file_path: str | Path) -> Embedding:
        """Embed a recording."""
        return self._get_one("audio", audio_file_path)

    def get_audio_embedding_batch(
        self, audio_file_paths: Sequence[str | Path], show_progress: bool = False
    ) -> list[Embedding]:
        """Embed recordings, `embed_batch_size` at a time."""
        return self._get_batch("audio", audio_file_paths, show_progress)

    async def aget_audio_embedding(self, audio_file_path: str | Path) -> Embedding:
        """Call `get_audio_embedding` in a thread."""
        return await run_in_thread(self._get_one, "audio", audio_file_path)

    async def aget_audio_embedding_batch(
        self, audio_file_paths: Sequence[str | Path], show_progress: bool = False
    ) -> list[Embedding]:
        """Call `get_audio_embedding_batch` in a thread."""
        return await run_in_thread(self._get_batch, "audio", audio_file_paths, show_progress)

    def get_video_embedding(self, video_file_path: str | Path) -> Embedding:
        """Embed a video."""
        return self._get_one("video", video_file_path)

    def get_video_embedding_batch(
        self, video_file_paths: Sequence[str | Path], show_progress: bool = False
    ) -> list[Embedding]:
        """Embed videos, `embed_batch_size` at a time."""
        return self._get_batch("video", video_file_paths, show_progress)

    async def aget_video_embedding(self, video_file_path: str | Path) -> Embedding:
        """Call `get_video_embedding` in a thread."""
        return await run_in_thread(self._get_one, "video", video_file_path)

    async def aget_video_embedding_batch(
        self, video_file_paths: Sequence[str | Path], show_progress: bool = False
    ) -> list[Embedding]:
        """Call `get_video_embedding_batch` in a thread."""
        return await run_in_thread(self._get_batch, "video", video_file_paths, show_progress)

    # Abstract in the base class, whose public methods call them; those are overridden above.
    def _get_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return self._embed([self._medium("image", img_file_path)])[0]

    async def _aget_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return await run_in_thread(self._get_image_embedding, img_file_path)

    def _get_one(self, modality: Modality, medium: Any) -> Embedding:
        return self._observed([self._medium(modality, medium)])[0]

    def _get_batch(self, modality: Modality, media: Any, show_progress: bool) -> list[Embedding]:
        contents: dict[int, Content] = {}
        for position, medium in enumerate(checked_list(media)):
            with at_position(position):
                contents[position] = self._medium(modality, medium)
        return list(self._get_each(contents, show_progress).values())

    def _get_each(
        self, contents: Mapping[int, Content], show_progress: bool = False
    ) -> dict[int, Embedding]:
        """Embed contents by position, in batches."""
        found: dict[int, Embedding] = {}
        positions, size = list(contents), self.embed_batch_size
        starts = range(0, len(positions), size)
        for start in get_tqdm_iterable(starts, show_progress, "Generating embeddings"):
            batch = positions[start : start + size]
            try:
                vectors = self._observed([contents[at] for at in batch])
            except InputError as error:
                error.position = None if error.position is None else batch[error.position]
                raise
            found |= zip(batch, vectors, strict=True)
        return found

    def _observed(self, contents: Sequence[Content]) -> list[Embedding]:
        model, chunks = self.to_payload(), [_label(content) for content in contents]
        dispatcher.event(EmbeddingStartEvent(model_dict=model))
        with self.callback_manager.event(
            CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: model}
        ) as event:
            vectors = self._embed(contents)
            event.on_end(payload={EventPayload.CHUNKS: chunks, EventPayload.EMBEDDINGS: vectors})
        dispatcher.event(EmbeddingEndEvent(chunks=chunks, embeddings=vectors))
        return vectors

    def _medium(self, modality: Modality, medium: Any) -> Content:
        value = medium.getvalue() if isinstance(medium, BytesIO) else medium
        return as_part(modality, value, self.policy)


def checked_list(given: Any) -> list[Any]:
    """Return a batch as a list; refuse a str, which would be taken for a list of characters."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InputError(f"A batch must be a list; got a {type(given).__name__}.")
    return list(given)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _label(content: Content) -> str:
    """Name of a content in events, without its bytes."""
    match content:
        case Mixed():
            return " + ".join(map(_label, content.parts))
        case Text():
            return content.text
        case Chat():
            return "<chat>"
        case Image(Path() as path) | Audio(Path() as path) | Video(Path() as path):
            return str(path)
        case Image(Url() as url) | Audio(Url() as url) | Video(Url() as url):
            return url.address
        case _:
            return f"<{content.modality} in memory>"
