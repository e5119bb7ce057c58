"""The words of a video: its subtitles or what is said, and the text on its frames.

The video loader and the encoder's video route both call this, so a clip that was indexed and the
same clip given straight to `Encoder.encode` are read alike.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from mm_rag._closing import Closing
from mm_rag.errors import MissingExtra
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.media.video import VideoFile, open_video
from mm_rag.reading.onscreen import ScreenText
from mm_rag.reading.recording import OnMissing, RecordingReader
from mm_rag.reading.speech import Transcriber
from mm_rag.reading.subtitles import Cue, cues_between, read_subtitles

_LOOK_EVERY = 1.0  # seconds between the frames that are looked at
_MOST_LOOKS = 120  # of one span; a longer one is looked at less often
_READ_EVERY = 2  # looks from one frame that is read to the next: what stays for 2 s is read


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
        path: str | Path,
        policy: MediaPolicy = DEFAULT_POLICY,
        transcriber: Transcriber | None = None,
        on_missing: OnMissing | None = None,
    ) -> None:
        self._on_missing = on_missing
        self.sound: RecordingReader | None = None
        with ExitStack() as opened:
            self.video: VideoFile = opened.enter_context(open_video(path, policy))
            if self.video.has_audio:
                self.sound = opened.enter_context(
                    RecordingReader(path, policy, transcriber, on_missing)
                )
            self.cues: list[Cue] = (
                self.sound.cues if self.sound else read_subtitles(self.video.probe, policy)
            )
            self._stack = opened.pop_all()

    def read(self, start: float = 0.0, end: float | None = None) -> str:
        """The words between `start` and `end`, in seconds: said ones first, then shown ones."""
        end = self.video.duration if end is None else end
        return "\n".join(filter(None, [self._said(start, end), *self._shown(start, end)]))

    @property
    def damage(self) -> list[str]:
        """What could not be decoded so far, in words."""
        return [*self.video.damage, *(self.sound.audio.damage if self.sound else ())]

    def close(self) -> None:
        """Let go of the file."""
        self._stack.close()

    def _said(self, start: float, end: float) -> str:
        if self.sound is not None:
            return self.sound.read(start, end)
        end = float("inf") if end >= self.video.duration else end
        return "\n".join(cue.text for cue in cues_between(self.cues, start, end))

    def _shown(self, start: float, end: float) -> list[str]:
        step = max(_LOOK_EVERY, (end - start) / _MOST_LOOKS)
        times = [float(time) for time in np.arange(start + min(step, end - start) / 2, end, step)]
        screen, earliest = ScreenText(), start
        try:
            for time, frame in zip(times, self.video.frames_at(times), strict=False):
                if time >= earliest and screen.is_news(frame):
                    screen.read(frame)
                    earliest = time + _READ_EVERY * step
        except MissingExtra as error:
            if self._on_missing is None:
                raise
            self._on_missing("the text on the screen", error)
        return screen.lines


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
