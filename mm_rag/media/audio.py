"""Opening recordings: mono samples of any span, at any rate, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mm_rag._closing import Closing
from mm_rag._optional import require
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.media.access import FileSource
from mm_rag.media.decoding import Backend, sample_decoder
from mm_rag.media.ffmpeg import Probe, probe
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

SPEECH_RATE = 16_000
_EDGE = 0.05  # seconds decoded around a span, so that its ends are resampled like its middle
_PADDING = 1.0  # seconds that encoders may add at the end and headers may leave out
_SLOWEST, _FASTEST = 100, 10_000_000  # Hz; FFmpeg's resampler runs out of memory on others
_STEP = 60.0  # seconds held at the file's own rate while streaming


class AudioFile(Closing):
    """An opened recording, or the sound of a video. Use it in a `with` block.

    Attributes:
        path: The file.
        probe: What its headers say.
        full_duration: In seconds, as its header says.
        duration: Of what is read, in seconds: no more than the policy's `max_seconds`.
        sample_rate: Its own, in Hz.
        tags: Such as `title`, `artist` and `album`.
    """

    def __init__(self, source: Probe, policy: MediaPolicy, backend: Backend | None) -> None:
        if source.audio is None:
            raise UnreadableMedia(f"{source.path.name} has no sound.")
        self.path: Path = source.path
        self.probe: Probe = source
        self.full_duration: float = source.duration
        self.duration: float = min(source.duration, policy.max_seconds)
        self.sample_rate: int = source.audio.sample_rate
        self.tags: Mapping[str, str] = source.tags
        self._zero = source.start
        self._decoder = sample_decoder(source, source.audio, backend)

    @property
    def damage(self) -> list[str]:
        """What could not be decoded so far, in words."""
        return self._decoder.damage

    def samples(
        self, start: float = 0.0, end: float | None = None, rate: int = SPEECH_RATE
    ) -> npt.NDArray[np.float32]:
        """Decode a span.

        Args:
            start: In seconds.
            end: In seconds; None for the last sample, even where that is later than the header's
                duration, but no later than the policy allows.
            rate: Samples per second of what is returned.

        Returns:
            Mono samples in [-1, 1], shape (n,); fewer than asked for where the recording ends.

        Raises:
            InputError: The span ends before it starts, or the rate is not positive.
        """
        known = self.duration if end is None else min(end, self.duration)
        rest = end is None and self.duration == self.full_duration
        if rate <= 0 or start < 0:
            raise InputError(f"A span needs start >= 0 and rate > 0; got {start = }, {rate = }.")
        if known <= start:
            return np.zeros(0, np.float32)
        before = min(start, _EDGE)
        native = self._read(start - before, known + (_PADDING if rest else _EDGE))
        resampled = _resample_all(native, self.sample_rate, rate)[round(before * rate) :]
        return resampled if rest else resampled[: round((known - start) * rate)]

    def blocks(
        self, seconds: float = 30.0, rate: int = SPEECH_RATE
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Decode the whole recording, `seconds` at a time; the last block is shorter.

        Silence stands for what is missing in the middle, so that block k starts at k * seconds.
        """
        size = round(seconds * rate)
        pending = np.zeros(0, np.float32)
        for piece in self._resampled(rate):
            pending = np.concatenate([pending, piece])
            while len(pending) >= size:
                yield pending[:size]
                pending = pending[size:]
        if len(pending):
            yield pending

    def close(self) -> None:
        """Let go of the file."""
        self._decoder.close()
        self.probe.file.close()

    def _read(self, start: float, end: float) -> npt.NDArray[np.float32]:
        return self._decoder.read(self._zero + start, self._zero + end)

    def _resampled(self, rate: int) -> Iterator[npt.NDArray[np.float32]]:
        resampler = _Resampler(self.sample_rate, rate)
        for piece in self._stream():
            yield resampler.push(piece)
        yield resampler.flush()

    def _stream(self) -> Iterator[npt.NDArray[np.float32]]:
        start, missing = 0.0, 0
        while start < self.duration:
            end = min(start + _STEP, self.duration)
            piece, whole = self._read(start, end), round((end - start) * self.sample_rate)
            if len(piece) and missing:
                yield np.zeros(missing, np.float32)
                missing = 0
            yield piece
            missing += whole - len(piece)
            start = end


class _Resampler:
    """Changes the rate of a stream of mono samples."""

    def __init__(self, source_rate: int, rate: int) -> None:
        self._av = require("av", extra="audio", feature="Reading recordings")
        self._source_rate = source_rate
        self._same = source_rate == rate
        if not self._same and not _SLOWEST <= source_rate <= _FASTEST:
            raise UnreadableMedia(
                f"A recording of {source_rate} Hz cannot be used: rates go from {_SLOWEST} to "
                f"{_FASTEST:,} Hz."
            )
        self._resampler: Any = self._av.AudioResampler(format="flt", layout="mono", rate=rate)

    def push(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What can be given out after these samples, shape (m,)."""
        if self._same or not len(samples):
            return samples
        frame = self._av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = self._source_rate
        return self._joined(self._resampler.resample(frame))

    def flush(self) -> npt.NDArray[np.float32]:
        """What was held back, shape (m,)."""
        if self._same:
            return np.zeros(0, np.float32)
        return self._joined(self._resampler.resample(None))

    def _joined(self, frames: list[Any]) -> npt.NDArray[np.float32]:
        arrays = [frame.to_ndarray()[0] for frame in frames]
        return np.concatenate([np.zeros(0, np.float32), *arrays])


def _resample_all(
    samples: npt.NDArray[np.float32], source_rate: int, rate: int
) -> npt.NDArray[np.float32]:
    resampler = _Resampler(source_rate, rate)
    return np.concatenate([resampler.push(samples), resampler.flush()])


def resample(
    samples: npt.NDArray[np.float32], source_rate: int, rate: int = SPEECH_RATE
) -> npt.NDArray[np.float32]:
    """Change the sample rate of mono samples.

    Args:
        samples: Shape (n,), float32.
        source_rate: Theirs, in Hz.
        rate: The one wanted, in Hz.
    """
    return _resample_all(np.ascontiguousarray(samples, np.float32), source_rate, rate)


def open_audio(
    path: str | FileSource,
    policy: MediaPolicy = DEFAULT_POLICY,
    *,
    backend: Backend | None = None,
) -> AudioFile:
    """Open a recording, or the sound of a video.

    Args:
        path: The file.
        policy: Limits on what is opened.
        backend: What decodes it; by default `decoding_backend()`.

    Raises:
        UnreadableMedia: The file is missing, empty, damaged or without sound.
        MediaTooLarge: It is over the policy's `max_bytes`.
        MissingExtra: PyAV is not installed.
    """
    return AudioFile(probe(path, policy), policy, backend)
