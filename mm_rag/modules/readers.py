"""Readers: a picture, a recording or a video becomes the words in it.

They wrap the code that loaders read with (`mm_rag.reading`), so that a picture read by a loader and
a picture given straight to a model give the same vector.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from mm_rag.content import Audio, Content, Image, Modality, Text, Video
from mm_rag.errors import UnsupportedModality
from mm_rag.modules.module import Features, Module


class Reader(Module):
    """Turn one medium into Text, with words that were read before where it carries them.

    Attributes:
        modality: What it reads.
        version: Goes up when the same medium begins to give other words.
    """

    modality: ClassVar[Modality]
    version: ClassVar[int] = 1

    def read(self, content: Content) -> Text:
        """Read it, unless it carries its words.

        Raises:
            UnsupportedModality: It is another medium than this reader's.
            UnreadableMedia: The file is missing or damaged.
            MissingExtra: What reads this medium is not installed.
        """
        if isinstance(content, Image | Audio | Video) and content.modality == self.modality:
            return Text(self.read_medium(content) if content.text is None else content.text)
        kind = getattr(content, "modality", "several together")
        raise UnsupportedModality(f"{type(self).__name__} reads {self.modality}, not {kind}.")

    @abstractmethod
    def read_medium(self, content: Any) -> str:
        """The words in a medium that carries none."""

    def forward(self, features: Features) -> Features:
        """Nothing is left to do: reading happens before there are tensors."""
        return features

    def config(self) -> dict[str, Any]:
        """What the words depend on."""
        return {"version": self.version}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A reader has no settings; the version tells which one the checkpoint was made with."""
        return cls()


class ReadImage(Reader):
    """Read the words on a picture by OCR."""

    type_name = "mm_rag.modules.ReadImage"
    modality = "image"

    def read_medium(self, content: Image) -> str:
        """The words on the picture, line by line."""
        from mm_rag.media.image import open_image
        from mm_rag.reading import ocr

        return ocr.read_image(open_image(content.source)).text


class ReadAudio(Reader):
    """Read the speech in a recording."""

    type_name = "mm_rag.modules.ReadAudio"
    modality = "audio"

    def read_medium(self, content: Audio) -> str:
        """What is said between the start and the end of the part."""
        from mm_rag.reading import recording

        if isinstance(content.source, np.ndarray):
            rate = content.sampling_rate or 16_000
            first = round(content.start * rate)
            last = None if content.end is None else round(content.end * rate)
            return recording.read_audio_samples(content.source[first:last], rate)
        return recording.read_audio(content.source, content.start, content.end)


class ReadVideo(Reader):
    """Read the subtitles, the speech and the on-screen text of a video."""

    type_name = "mm_rag.modules.ReadVideo"
    modality = "video"

    def read_medium(self, content: Video) -> str:
        """The words between the start and the end of the part."""
        from mm_rag.reading import video

        return video.read_video(content.source, content.start, content.end)
