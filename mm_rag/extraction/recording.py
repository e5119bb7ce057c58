"""The words spoken in a recording, and the pauses at which it can be cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mm_rag._closing import Closing
from mm_rag.errors import InputError, MissingExtra
from mm_rag.extraction.speech import default_transcriber
from mm_rag.extraction.subtitles import Cue, Subtitles, all_subtitles, cues_between
from mm_rag.extraction.transcript import Transcriber, Transcript, joined
from mm_rag.media.access import FileSource
from mm_rag.media.audio import SPEECH_RATE, AudioFile, open_audio, resample
from mm_rag.media.ffmpeg import AudioTrack
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

# Seconds by which the times of a word in overlapping transcripts may differ. Such a word may appear
# twice, but is never lost.
_JITTER = 0.05

OnMissing: TypeAlias = Callable[[str, MissingExtra], None]

STEP = 0.03  # seconds per value of `loudness`
LONGEST_CLIP = 30.0  # seconds
OVERLAP = 1.0  # seconds that neighbouring clips share: long enough for nearly every word
_STEP_SAMPLES = round(STEP * SPEECH_RATE)
_PAUSE = 0.3  # seconds over which quiet counts as a pause


@dataclass(frozen=True, kw_only=True)
class SpokenText:
    """The words spoken in a span of a recording or video, and where they come from.

    Attributes:
        text: The words.
        subtitles: Whether they are subtitles.
        transcriber: Name of the transcriber that recognised them; empty if none did.
        language: ISO 639 code of most of what was recognised; empty if the transcriber does not
            tell.
    """

    text: str = ""
    subtitles: bool = False
    transcriber: str = ""
    language: str = ""


class RecordingReader(Closing):
    """Reads spans of one recording, or of the sound of a video. Use it in a `with` block.

    Args:
        path: The file.
        policy: Limits on what is opened.
        transcriber: Recognises speech; by default `default_transcriber()`.
        on_missing: Called with what is left out because a package is missing; by default the error
            is raised.
        track: One of the file's audio tracks; None for the one that a player would choose.

    Raises:
        UnreadableMedia: The file cannot be opened or has no sound.
    """

    def __init__(
        self,
        path: str | FileSource,
        policy: MediaPolicy = DEFAULT_POLICY,
        transcriber: Transcriber | None = None,
        on_missing: OnMissing | None = None,
        *,
        track: AudioTrack | None = None,
    ) -> None:
        self.audio: AudioFile = open_audio(path, policy, track=track)
        self._on_missing = on_missing
        self._policy = policy
        self._transcriber = transcriber

    @cached_property
    def subtitles(self) -> list[Subtitles]:
        """All subtitles of the recording, in different languages; those of `cues` first."""
        return all_subtitles(self.audio.probe, self._policy)

    @cached_property
    def cues(self) -> list[Cue]:
        """The subtitles of the whole recording in the preferred language."""
        return self.subtitles[0].cues if self.subtitles else []

    def read(self, start: float = 0.0, end: float | None = None) -> str:
        """The words between `start` and `end`, in seconds: subtitles, else recognised speech."""
        return self.speech(start, end).text

    def speech(
        self, start: float = 0.0, end: float | None = None, *, margin: float = 0.0
    ) -> SpokenText:
        """The words between `start` and `end`, as `read`, and where they come from.

        Args:
            start: In seconds.
            end: In seconds; None for the end of the recording.
            margin: Seconds before and after the span that are transcribed with it, so that words at
                its ends are complete. A word belongs to the span that contains its middle.
        """
        last = float("inf") if end is None or end >= self.audio.duration else end
        cues = cues_between(self.cues, start, last)
        if cues:
            return SpokenText(text="\n".join(cue.text for cue in cues), subtitles=True)
        return self.recognised(start, last, margin=margin)

    def recognised(self, start: float, end: float, *, margin: float = 0.0) -> SpokenText:
        """The speech between `start` and `end`, as `speech`, without subtitles."""
        last = min(end, self.audio.duration)
        try:
            return self._speech(start, last, margin)
        except MissingExtra as error:
            if self._on_missing is None:
                raise
            self._on_missing("the speech", error)
            return SpokenText()

    def close(self) -> None:
        """Close the file."""
        self.audio.close()

    def _speech(self, start: float, end: float, margin: float) -> SpokenText:
        transcriber = self._transcriber or default_transcriber()
        spans = self._spans(start, end, LONGEST_CLIP - 2 * margin)
        heard = [self._heard(transcriber, a, b, margin) for a, b in spans]
        text = joined(part.text for part in heard)
        if not text:
            return SpokenText()
        most = max(heard, key=lambda part: len(part.text))
        return SpokenText(text=text, transcriber=transcriber.name, language=most.language)

    def _heard(
        self, transcriber: Transcriber, start: float, end: float, margin: float
    ) -> Transcript:
        first = max(0.0, start - margin)
        last = min(end + margin, self.audio.duration)
        transcript = transcriber.transcribe(self.audio.samples(first, last))
        if not margin:
            return transcript
        until = end if last > end else float("inf")
        since = start - first - (_JITTER if first < start else 0.0)
        return transcript.between(since, until - first)

    def _spans(self, start: float, end: float, longest: float) -> list[tuple[float, float]]:
        """Cut a long span at pauses, holding one piece of its samples at a time."""
        if end - start <= longest:
            return [(start, end)]
        levels = loudness(self._pieces(start, end))
        return [(start + a, start + b) for a, b in clips(levels, end - start, longest)]

    def _pieces(self, start: float, end: float) -> Iterator[npt.NDArray[np.float32]]:
        for first in map(float, np.arange(start, end, LONGEST_CLIP)):
            last = min(first + LONGEST_CLIP, end)
            piece = self.audio.samples(first, last)
            # Silence replaces missing samples, so that later ones keep their time.
            whole = round((last - first) * SPEECH_RATE)
            yield np.pad(piece, (0, max(0, whole - len(piece))))


def read_audio(
    path: str | Path,
    start: float = 0.0,
    end: float | None = None,
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
) -> str:
    """The words of a recording between `start` and `end`, in seconds; empty if there are none.

    Raises:
        UnreadableMedia: The file cannot be decoded or has no sound.
        MediaTooLarge: It is over a limit of the policy.
        MissingExtra: PyAV or a speech recogniser is not installed.
    """
    with RecordingReader(path, policy) as reader:
        return reader.read(start, end)


def read_audio_samples(
    samples: npt.NDArray[np.float32], rate: int, *, transcriber: Transcriber | None = None
) -> str:
    """The words in mono samples, which are cut at pauses to bound memory and time.

    Args:
        samples: Shape (n,), float32 in [-1, 1].
        rate: Samples per second.
        transcriber: Recognises speech; by default `default_transcriber()`.

    Raises:
        InputError: The samples are not mono or not floating-point numbers, or the rate is not
            positive.
        MissingExtra: No speech recogniser is installed.
    """
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating) or rate <= 0:
        raise InputError(
            "Samples are mono, of shape (n,), floating-point numbers in [-1, 1], with rate > 0; "
            f"got {samples.shape = }, {samples.dtype = }, {rate = }."
        )
    transcriber = transcriber or default_transcriber()
    samples = samples.astype(np.float32, copy=False)
    samples = samples if rate == SPEECH_RATE else resample(samples, rate)
    spans = clips(loudness([samples]), len(samples) / SPEECH_RATE)
    parts = (samples[round(a * SPEECH_RATE) : round(b * SPEECH_RATE)] for a, b in spans)
    return joined(transcriber.transcribe(part).text for part in parts)


def loudness(blocks: Iterable[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Loudness of a recording in dB, one value per `STEP` seconds, shape (n,).

    Averaged over a third of a second, so that a gap within a word does not count as a pause.

    Args:
        blocks: Samples at 16 kHz, in pieces of any length.
    """
    pending, found = np.zeros(0, np.float32), [np.zeros(0, np.float32)]
    for block in blocks:
        pending = np.concatenate([pending, block])
        whole = len(pending) // _STEP_SAMPLES * _STEP_SAMPLES
        found.append(_decibels(pending[:whole]))
        pending = pending[whole:]
    if len(pending):
        found.append(_decibels(np.pad(pending, (0, _STEP_SAMPLES - len(pending)))))
    return _smoothed(np.concatenate(found))


def clips(
    levels: npt.NDArray[np.float32], duration: float, longest: float = LONGEST_CLIP
) -> Iterator[tuple[float, float]]:
    """Cut [0, duration) at pauses into adjacent clips of `longest / 3` to `longest` seconds."""
    bounds = [0.0]
    while (left := duration - bounds[-1]) > longest:
        latest = min(longest, left - longest / 3)  # the last clip is not too short either
        bounds.append(quietest(levels, bounds[-1] + longest / 3, bounds[-1] + latest))
    return pairwise([*bounds, duration])


def margin_of(longest: float) -> float:
    """Seconds by which a clip of up to `longest` seconds overlaps each of its neighbours."""
    return min(OVERLAP / 2, longest / 20)


def quietest(levels: npt.NDArray[np.float32], start: float, end: float) -> float:
    """Time of the quietest moment in [start, end], in seconds.

    The last one if there are several; `end` if there is no sound.
    """
    window = levels[math.ceil(start / STEP) : int(end / STEP)]
    if not len(window):
        return end
    last = len(window) - 1 - int(np.argmin(window[::-1]))
    return (math.ceil(start / STEP) + last + 0.5) * STEP


def _smoothed(levels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    width = round(_PAUSE / STEP)
    if len(levels) <= width:
        return levels
    padded = np.pad(levels, (width // 2, width - 1 - width // 2), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, width).mean(axis=1)


def _decibels(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    power = np.square(samples.reshape(-1, _STEP_SAMPLES)).mean(axis=1)
    return (10 * np.log10(power + 1e-9)).astype(np.float32)
