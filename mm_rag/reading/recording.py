"""The words of a recording: what is said between two moments.

The audio loader and the encoder's audio route both call this, so a clip that was indexed and the
same clip given straight to `Encoder.encode` are read alike.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mm_rag._closing import Closing
from mm_rag.media.audio import SPEECH_RATE, AudioFile, open_audio, resample
from mm_rag.media.ffmpeg import probe
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.reading.pauses import clips, loudness
from mm_rag.reading.speech import Transcriber, default_transcriber
from mm_rag.reading.subtitles import Cue, cues_between, read_subtitles


class RecordingReader(Closing):
    """Reads spans of one recording, or of the sound of a video. Use it in a `with` block.

    Raises:
        UnreadableMedia: The file cannot be opened or has no sound.
    """

    def __init__(
        self,
        path: str | Path,
        policy: MediaPolicy = DEFAULT_POLICY,
        transcriber: Transcriber | None = None,
    ) -> None:
        self.audio: AudioFile = open_audio(path, policy)
        self._policy = policy
        self._transcriber = transcriber

    @cached_property
    def cues(self) -> list[Cue]:
        """The subtitles of the whole recording."""
        return read_subtitles(probe(self.audio.path, self._policy))

    def read(self, start: float = 0.0, end: float | None = None) -> str:
        """The words between `start` and `end`, in seconds: subtitles, or else recognised speech."""
        last = float("inf") if end is None or end >= self.audio.duration else end
        cues = cues_between(self.cues, start, last)
        if cues:
            return "\n".join(cue.text for cue in cues)
        return read_audio_samples(
            self.audio.samples(start, end), SPEECH_RATE, transcriber=self._transcriber
        )

    def close(self) -> None:
        """Let go of the file."""
        self.audio.close()


def read_audio(
    path: str | Path,
    start: float = 0.0,
    end: float | None = None,
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
) -> str:
    """The words of a recording between `start` and `end`, in seconds; empty where none are said.

    Raises:
        UnreadableMedia: The file cannot be decoded or has no sound.
        MediaTooLarge: It is over a limit of the policy.
        MissingExtra: PyAV or PocketSphinx is not installed.
    """
    with RecordingReader(path, policy) as reader:
        return reader.read(start, end)


def read_audio_samples(
    samples: npt.NDArray[np.float32], rate: int, *, transcriber: Transcriber | None = None
) -> str:
    """The words in mono samples.

    Long recordings are cut at pauses first, so that memory and the recogniser's search stay small.

    Args:
        samples: Shape (n,), float32 in [-1, 1].
        rate: Samples per second.
        transcriber: What recognises speech; by default PocketSphinx.
    """
    transcriber = transcriber or default_transcriber()
    heard = samples if rate == SPEECH_RATE else resample(samples, rate)
    spans = clips(loudness([heard]), len(heard) / SPEECH_RATE)
    parts = (heard[round(a * SPEECH_RATE) : round(b * SPEECH_RATE)] for a, b in spans)
    return " ".join(filter(None, (transcriber.transcribe(part).text for part in parts)))
