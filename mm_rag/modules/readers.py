"""Readers: a picture, a recording or a video becomes the words in it.

They wrap the code that loaders read with (`mm_rag.extraction`), so that a picture read by a loader
and a picture given straight to a model give the same vector.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

from mm_rag.content import Audio, Content, Image, Modality, Text, Url, Video
from mm_rag.errors import UnsupportedModality
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.modules.module import Features, LoadOptions, Module


class Reader(Module):
    """Turn one medium into Text, with words that were read before where it carries them.

    Args:
        policy: Limits on what is opened.

    Attributes:
        modality: What it reads.
        version: Goes up when the same medium begins to give other words.
    """

    modality: ClassVar[Modality]
    version: ClassVar[int] = 1

    def __init__(self, policy: MediaPolicy = DEFAULT_POLICY) -> None:
        super().__init__()
        self.policy = policy

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
    def load(cls, folder: Path, options: LoadOptions) -> Self:
        """Make one: the checkpoint only tells which version it was made with."""
        return cls(options.policy)


class ReadImage(Reader):
    """Read the words on a picture by OCR."""

    type_name = "mm_rag.modules.ReadImage"
    modality = "image"

    def read_medium(self, content: Image) -> str:
        """The words on the picture, line by line."""
        from mm_rag.extraction import ocr
        from mm_rag.media.image import open_image

        return ocr.read_image(open_image(content.source, self.policy), self.policy).text


class ReadAudio(Reader):
    """Read the speech in a recording."""

    type_name = "mm_rag.modules.ReadAudio"
    modality = "audio"

    def read_medium(self, content: Audio) -> str:
        """What is said between the start and the end of the part."""
        from mm_rag.extraction import recording
        from mm_rag.media.audio import SPEECH_RATE, waveform
        from mm_rag.media.fetch import local_file

        if isinstance(content.source, Path | Url | bytes):
            with local_file(content.source, self.policy) as (path, policy):
                return recording.read_audio(path, content.start, content.end, policy=policy)
        samples = waveform(content, SPEECH_RATE, self.policy)
        return recording.read_audio_samples(samples, SPEECH_RATE)


class ReadVideo(Reader):
    """Read the subtitles, the speech and the on-screen text of a video."""

    type_name = "mm_rag.modules.ReadVideo"
    modality = "video"

    def read_medium(self, content: Video) -> str:
        """The words between the start and the end of the part."""
        from mm_rag.extraction import video_reader
        from mm_rag.media.fetch import local_file

        if not isinstance(content.source, Path | Url | bytes):
            raise UnsupportedModality(
                "ReadVideo reads subtitles, speech and pictures of a file, its bytes or an "
                "address; frames in memory are without sound. Give the file, or the frames as "
                "images."
            )
        with local_file(content.source, self.policy) as (path, policy):
            return video_reader.read_video(path, content.start, content.end, policy=policy)
