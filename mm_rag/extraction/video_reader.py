"""The words of a video: its subtitles or what is said, and the text on its frames.

The video loader and the encoder's video route both call this, so a clip that was indexed and the
same clip given straight to `Encoder.encode` are read alike.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from mm_rag._closing import Closing
from mm_rag.errors import MissingExtra
from mm_rag.extraction.frame_sampling import LOOK_EVERY, Look, change_between, distinct_lines, watch
from mm_rag.extraction.recording import OnMissing, RecordingReader, Spoken
from mm_rag.extraction.speech import Transcriber
from mm_rag.extraction.subtitles import Cue, cues_between, read_subtitles
from mm_rag.media.access import FileSource
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.media.video import VideoFile, open_video

logger = logging.getLogger(__name__)

_MOST_LOOKS = 240  # of one span that is read at once; a longer one is looked at less often


class VideoReader(Closing):
    """Reads spans of one video. Use it in a `with` block.

    Args:
        path: The file.
        policy: Limits on what is opened.
        transcriber: What recognises speech; by default PocketSphinx.
        on_missing: Told, instead of an exception, what is left out where a package is missing.

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
            self.cues: list[Cue] = (
                self.sound.cues if self.sound else read_subtitles(self.video.probe, policy)
            )
            self._stack = opened.pop_all()

    def read(self, start: float = 0.0, end: float | None = None) -> str:
        """The words between `start` and `end`, in seconds: said ones first, then shown ones.

        What is not read within the policy's `max_load_seconds` is left out, with a warning.
        """
        deadline = time.monotonic() + self._policy.max_load_seconds
        end = self.video.duration if end is None else end
        step = max(LOOK_EVERY, (end - start) / _MOST_LOOKS)
        said = self.said(start, end).text
        looks = self._until(deadline, self.watch(start, end, step))
        shown = distinct_lines(look.lines for look in looks)
        return "\n".join(filter(None, [said, *shown]))

    def _until(self, deadline: float, looks: Iterator[Look]) -> Iterator[Look]:
        for look in looks:
            yield look
            if time.monotonic() > deadline:
                logger.warning(
                    "Read what %s shows until %g s: reading takes longer than %g s "
                    "(MediaPolicy.max_load_seconds).",
                    *(self.video.path.name, look.time, self._policy.max_load_seconds),
                )
                return

    def watch(self, start: float, end: float, step: float = LOOK_EVERY) -> Iterator[Look]:
        """Look at the frames between `start` and `end`, all in seconds, reading what they show."""
        times = [float(time) for time in np.arange(start, end, step)]
        return watch(self.video, times, self._without_reader)

    def said(self, start: float, end: float, *, margin: float = 0.0) -> Spoken:
        """What is said between `start` and `end`, in seconds; `margin` as for a recording."""
        if self.sound is not None:
            return self.sound.hear(start, end, margin=margin)
        end = float("inf") if end >= self.video.duration else end
        cues = cues_between(self.cues, start, end)
        return Spoken(text="\n".join(cue.text for cue in cues), subtitles=bool(cues))

    def frame_at(self, time: float) -> Image.Image:
        """The frame at a time, in seconds; a `watch` that is under way is not disturbed.

        Raises:
            UnreadableMedia: No frame can be decoded there.
        """
        return self._stills.frame_at(time)

    def change_between(self, start: float, end: float) -> float:
        """When the first frame is shown of the scene that begins between two looks, in seconds.

        A `watch` that is under way is not disturbed.
        """
        return change_between(self._stills, start, end)

    @property
    def damage(self) -> list[str]:
        """What could not be decoded so far, in words."""
        return [*self.video.damage, *(self.sound.audio.damage if self.sound else ())]

    def close(self) -> None:
        """Let go of the file."""
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
) -> str:
    """The words of a video between `start` and `end`, in seconds; empty where there are none.

    Raises:
        UnreadableMedia: The file cannot be decoded or has no moving pictures.
        MediaTooLarge: It is over a limit of the policy.
        MissingExtra: PyAV, PocketSphinx or the OCR engine is not installed.
    """
    with VideoReader(path, policy) as reader:
        return reader.read(start, end)
