"""The words of a video: its subtitles or speech, the text on its frames, and what it shows.

The video loader and the encoder's video route both use this, so that an indexed clip and the same
clip passed to `Encoder.encode` give the same words.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from PIL import Image

from mm_rag._closing import Closing
from mm_rag.errors import MissingExtra
from mm_rag.extraction.frame_sampling import (
    SAMPLE_EVERY,
    SampledFrame,
    distinct_lines,
    key_time,
    sample_frames,
    scene_change_between,
)
from mm_rag.extraction.picture_labels import label_line
from mm_rag.extraction.recording import OnMissing, RecordingReader, SpokenText
from mm_rag.extraction.subtitles import Cue, Subtitles, all_subtitles, cues_between
from mm_rag.extraction.transcript import Transcriber
from mm_rag.media.access import FileSource
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.media.video import VideoFile, open_video

logger = logging.getLogger(__name__)

_MOST_SAMPLES = 240  # of one span that is read at once; a longer one is sampled less often


class VideoReader(Closing):
    """Reads spans of one video. Use it in a `with` block.

    Args:
        path: The file.
        policy: Limits on what is opened.
        transcriber: Recognises speech; by default `default_transcriber()`.
        on_missing: Called with what is left out because a package is missing; by default the error
            is raised.

    Raises:
        UnreadableMedia: The file cannot be opened or has no moving pictures.
    """

    def __init__(
        self,
        path: str | FileSource,
        policy: MediaPolicy = DEFAULT_POLICY,
        transcriber: Transcriber | None = None,
        on_missing: OnMissing | None = None,
    ) -> None:
        self._on_missing = on_missing
        self._policy = policy
        self.sound: RecordingReader | None = None
        with ExitStack() as opened:
            self.video: VideoFile = opened.enter_context(open_video(path, policy))
            if self.video.has_audio:
                self.sound = opened.enter_context(
                    RecordingReader(self.video.probe.file, policy, transcriber, on_missing)
                )
            self.subtitles: list[Subtitles] = (
                self.sound.subtitles if self.sound else all_subtitles(self.video.probe, policy)
            )
            self.cues: list[Cue] = self.subtitles[0].cues if self.subtitles else []
            self._stack = opened.pop_all()

    def read(
        self, start: float = 0.0, end: float | None = None, *, with_labels: bool = False
    ) -> str:
        """The words between `start` and `end`, in seconds: first the speech, then text on frames.

        Labels of the key frame follow if asked for. What is not read within the policy's
        `max_load_seconds` is left out, with a warning.
        """
        deadline = time.monotonic() + self._policy.max_load_seconds
        end = self.video.duration if end is None else end
        step = max(SAMPLE_EVERY, (end - start) / _MOST_SAMPLES)
        speech = self.speech(start, end).text
        frames = list(self._until(deadline, self.sample_frames(start, end, step)))
        shown = distinct_lines(frame.lines for frame in frames)
        labels = ""
        if with_labels and frames:
            labels = self.labels(self.frame_at(key_time(frames, start, end)), shown)
        return "\n".join(filter(None, [speech, *shown, labels]))

    def labels(self, key_frame: Image.Image, shown: Sequence[str]) -> str:
        """Label what a frame shows: one line, empty if nothing is sure or there is much text.

        Args:
            key_frame: The frame.
            shown: The lines of text on the frames around it.
        """
        missing = partial(self._on_missing, "what photos show") if self._on_missing else None
        return label_line(key_frame, "\n".join(shown), missing)

    def _until(self, deadline: float, frames: Iterator[SampledFrame]) -> Iterator[SampledFrame]:
        for frame in frames:
            yield frame
            if time.monotonic() > deadline:
                logger.warning(
                    "Read what %s shows until %g s: reading takes longer than %g s "
                    "(MediaPolicy.max_load_seconds).",
                    *(self.video.path.name, frame.time, self._policy.max_load_seconds),
                )
                return

    def sample_frames(
        self, start: float, end: float, step: float = SAMPLE_EVERY
    ) -> Iterator[SampledFrame]:
        """Sample frames between `start` and `end`, all in seconds, and read the text on them."""
        times = [float(time) for time in np.arange(start, end, step)]
        return sample_frames(self.video, times, self._without_reader)

    def speech(self, start: float, end: float, *, margin: float = 0.0) -> SpokenText:
        """The speech between `start` and `end`, in seconds, as `RecordingReader.speech`."""
        if self.sound is not None:
            return self.sound.speech(start, end, margin=margin)
        end = float("inf") if end >= self.video.duration else end
        cues = cues_between(self.cues, start, end)
        return SpokenText(text="\n".join(cue.text for cue in cues), subtitles=bool(cues))

    def frame_at(self, time: float) -> Image.Image:
        """The frame at a time, in seconds. A running `sample_frames` is not disturbed.

        Raises:
            UnreadableMedia: No frame can be decoded there.
        """
        return self._stills.frame_at(time)

    def scene_change_between(self, start: float, end: float) -> float:
        """Time of the first frame of the scene that begins between two samples, in seconds.

        A running `sample_frames` is not disturbed.
        """
        return scene_change_between(self._stills, start, end)

    @property
    def damage(self) -> list[str]:
        """Damage found while decoding, in words."""
        return [*self.video.damage, *(self.sound.audio.damage if self.sound else ())]

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    @cached_property
    def _stills(self) -> VideoFile:
        return self._stack.enter_context(open_video(self.video.probe.file, self._policy))

    def _without_reader(self, error: MissingExtra) -> None:
        if self._on_missing is None:
            raise error
        self._on_missing("the text on the screen", error)


def read_video(
    path: str | Path,
    start: float = 0.0,
    end: float | None = None,
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
    with_labels: bool = False,
) -> str:
    """The words of a video between `start` and `end`, in seconds; empty if there are none.

    Labels of what its key frame shows follow if asked for.

    Raises:
        UnreadableMedia: The file cannot be decoded or has no moving pictures.
        MediaTooLarge: It is over a limit of the policy.
        MissingExtra: PyAV, a speech recogniser or the OCR engine is not installed.
    """
    with VideoReader(path, policy) as reader:
        return reader.read(start, end, with_labels=with_labels)
