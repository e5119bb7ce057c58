"""Readers: turn a picture, a recording or a video into the words in it.

They use the code of the loaders (`mm_rag.extraction`), so that a picture read by a loader and a
picture passed to a model have the same vector.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

from mm_rag.checkpoints.config_files import read_json
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.content import Audio, Content, Image, Modality, Text, Url, Video
from mm_rag.errors import UnsupportedModality
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.modules.module import Module
from mm_rag.preprocessing.features import Features


class Reader(Module):
    """Turn one medium into Text; words that it already carries are used without reading again.

    Args:
        policy: Which media may be opened, and their limits.

    Attributes:
        modality: The modality of the media.
        version: Incremented when the same medium gives other words than before.
    """

    modality: ClassVar[Modality]
    version: ClassVar[int] = 1

    def __init__(self, policy: MediaPolicy = DEFAULT_POLICY) -> None:
        super().__init__()
        self.policy = policy

    def read(self, content: Content) -> Text:
        """Return the words in a medium.

        Raises:
            UnsupportedModality: The medium is of another modality.
            UnreadableMedia: The file is missing or damaged.
            MissingExtra: A package that reads this medium is not installed.
        """
        if isinstance(content, Image | Audio | Video) and content.modality == self.modality:
            return Text(self.read_medium(content) if content.text is None else content.text)
        kind = getattr(content, "modality", "several together")
        raise UnsupportedModality(f"{type(self).__name__} reads {self.modality}, not {kind}.")

    @abstractmethod
    def read_medium(self, content: Any) -> str:
        """Extract the words of a medium."""

    def forward(self, features: Features) -> Features:
        """Return the features unchanged: media are read before there are tensors."""
        return features

    def config(self) -> dict[str, Any]:
        """The version, on which the words depend."""
        return {"version": self.version}

    @classmethod
    def load(cls, folder: Path, options: PretrainedOptions) -> Self:
        """Make a reader; the checkpoint only contains the version it was made with."""
        return cls(options.policy)


class _Labelling(Reader):
    """A reader that may also label what photos show.

    Args:
        policy: Which media may be opened, and their limits.
        photo_labels: Whether it labels them.

    Attributes:
        labels_version: Incremented when the same photo gets other labels than before.
    """

    labels_version: ClassVar[int] = 1

    def __init__(self, policy: MediaPolicy = DEFAULT_POLICY, *, photo_labels: bool = False) -> None:
        super().__init__(policy)
        self.photo_labels = photo_labels

    def config(self) -> dict[str, Any]:
        """The version, and that of the labels if there are any."""
        labels = {"photo_labels": self.labels_version} if self.photo_labels else {}
        return {**super().config(), **labels}

    @classmethod
    def load(cls, folder: Path, options: PretrainedOptions) -> Self:
        """Make a reader, which labels photos if the saved one did."""
        config: dict[str, Any] = read_json(folder / cls.config_file, default={})
        return cls(options.policy, photo_labels=bool(config.get("photo_labels")))


class ReadImage(_Labelling):
    """Read the words on a picture by OCR, and label what it shows if `photo_labels` is set."""

    type_name = "mm_rag.modules.ReadImage"
    modality = "image"

    def read_medium(self, content: Image) -> str:
        """Return the words on the picture, line by line, and the line of its labels."""
        from mm_rag.extraction import ocr
        from mm_rag.extraction.picture_labels import label_line
        from mm_rag.media.image import open_image

        picture = open_image(content.source, self.policy)
        text = ocr.read_image(picture, self.policy).text
        labels = label_line(picture, text) if self.photo_labels else ""
        return "\n\n".join(filter(None, [text, labels]))


class ReadAudio(Reader):
    """Read the speech in a recording."""

    type_name = "mm_rag.modules.ReadAudio"
    modality = "audio"

    def read_medium(self, content: Audio) -> str:
        """Return the speech between the start and the end of the part."""
        from mm_rag.extraction import recording
        from mm_rag.media.audio import SPEECH_RATE, waveform
        from mm_rag.media.fetch import local_file

        if isinstance(content.source, Path | Url | bytes):
            with local_file(content.source, self.policy) as (path, policy):
                return recording.read_audio(path, content.start, content.end, policy=policy)
        samples = waveform(content, SPEECH_RATE, self.policy)
        return recording.read_audio_samples(samples, SPEECH_RATE)


class ReadVideo(_Labelling):
    """Read the subtitles, the speech and the on-screen text of a video.

    What it shows is labelled if `photo_labels` is set.
    """

    type_name = "mm_rag.modules.ReadVideo"
    modality = "video"

    def read_medium(self, content: Video) -> str:
        """Return the words between the start and the end of the part."""
        from mm_rag.extraction import video_reader
        from mm_rag.media.fetch import local_file

        if not isinstance(content.source, Path | Url | bytes):
            raise UnsupportedModality(
                "ReadVideo reads subtitles, speech and pictures of a file, its bytes or an "
                "address; frames in memory are without sound. Give the file, or the frames as "
                "images."
            )
        with local_file(content.source, self.policy) as (path, policy):
            return video_reader.read_video(
                path,
                content.start,
                content.end,
                policy=policy,
                with_labels=self.photo_labels,
            )
