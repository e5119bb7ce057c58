"""Open recordings: mono samples of any span, at any rate, from any source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mm_rag._closing import Closing
from mm_rag._optional import require
from mm_rag.content import Audio, Url, check_span
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.media.access import FileSource
from mm_rag.media.arrays import mono_samples
from mm_rag.media.decoding import Backend, sample_decoder
from mm_rag.media.fetch import local_file
from mm_rag.media.ffmpeg import AudioTrack, Probe, probe
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

SPEECH_RATE = 16_000
_EDGE = 0.05  # seconds decoded around a span, so that its ends are resampled correctly
_PADDING = 1.0  # seconds by which a recording may be longer than its header says
_SLOWEST, _FASTEST = 100, 10_000_000  # Hz; FFmpeg's resampler runs out of memory on others
_STEP = 60.0  # seconds held at the file's own rate while streaming


class AudioFile(Closing):
    """An opened recording, or the sound of a video. Use it in a `with` block.

    Attributes:
        path: The file.
        probe: Its headers.
        full_duration: Duration according to the header, in seconds.
        duration: Duration that is read, in seconds: at most the policy's `max_seconds`.
        sample_rate: Sample rate of the file, in Hz.
        tags: Tags such as `title`, `artist` and `album`.
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
        """Damage found so far, in words."""
        return self._decoder.damage

    def samples(
        self, start: float = 0.0, end: float | None = None, rate: int = SPEECH_RATE
    ) -> npt.NDArray[np.float32]:
        """Decode a span.

        Args:
            start: In seconds.
            end: In seconds; None for the last sample, even if it is after the header's duration,
                within the limit of the policy.
            rate: Sample rate of the result, in Hz.

        Returns:
            Mono samples in [-1, 1], shape (n,); fewer at the end of the recording.

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
        """Decode the whole recording in blocks of `seconds`; the last block may be shorter.

        Silence replaces missing samples, so that block k starts at k * seconds.
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
        """Close the file."""
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
    """Changes the sample rate of a stream of mono samples."""

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
        """Samples that are complete after these ones, shape (m,)."""
        if self._same or not len(samples):
            return samples
        frame = self._av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = self._source_rate
        return self._joined(self._resampler.resample(frame))

    def flush(self) -> npt.NDArray[np.float32]:
        """The remaining samples, shape (m,)."""
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
        source_rate: Their sample rate, in Hz.
        rate: Sample rate of the result, in Hz.
    """
    return _resample_all(np.ascontiguousarray(samples, np.float32), source_rate, rate)


def open_audio(
    path: str | FileSource,
    policy: MediaPolicy = DEFAULT_POLICY,
    *,
    backend: Backend | None = None,
    track: AudioTrack | None = None,
) -> AudioFile:
    """Open a recording, or the sound of a video.

    Args:
        path: The file.
        policy: Limits on what is opened.
        track: One of its audio tracks, of a `Probe`; None for the one that a player would choose.
        backend: Decodes it; see `decoding_backend` for the default.

    Raises:
        UnreadableMedia: The file is missing, empty, damaged or without sound.
        MediaTooLarge: It is over the policy's `max_bytes`.
        MissingExtra: PyAV is not installed.
    """
    source = probe(path, policy)
    return AudioFile(replace(source, audio=track) if track else source, policy, backend)


def waveform(
    audio: Audio, rate: int, policy: MediaPolicy = DEFAULT_POLICY
) -> npt.NDArray[np.float32]:
    """The samples of a recording, or of a part of one, from any source.

    Args:
        audio: The recording, with start and end of the part.
        rate: Sample rate of the result, in Hz. Samples at this rate are not changed.
        policy: Limits on what is opened; samples beyond its `max_seconds` are left out.

    Returns:
        Mono samples, shape (n,), n > 0, all finite.

    Raises:
        UnreadableMedia: The recording is missing, damaged, or has no samples.
        MediaTooLarge: It is over the policy's `max_bytes`.
        InputError: Start and end, the rate or the source are invalid.
    """
    if rate <= 0:
        raise InputError(f"A recording needs a rate over 0; got {rate = }.")
    check_span("A recording", audio.start, audio.end)
    source: Any = audio.source
    match source:
        case Path() | Url() | bytes():
            samples, name = _of_file(audio, source, rate, policy)
        case _ if hasattr(source, "get_all_samples"):
            samples, name = _of_decoder(audio, source, rate, policy), "The recording"
        case _:
            own = whole_rate(audio.sampling_rate) or rate
            samples = _resampled(_part(mono_samples(source), own, audio, policy), own, rate)
            name = "The recording"
    return _checked(samples, name, audio)


def whole_rate(rate: Any) -> int | None:
    """Validate a sampling rate, in Hz; None stays None.

    Raises:
        InputError: It is not a positive whole number.
    """
    if rate is None:
        return None
    if not isinstance(rate, float | Integral) or not float(rate).is_integer() or float(rate) < 1:
        raise InputError(f"The sampling_rate of audio is in Hz, such as 16000; got {rate!r}.")
    return int(rate)


def _of_file(
    audio: Audio, source: Path | Url | bytes, rate: int, policy: MediaPolicy
) -> tuple[npt.NDArray[np.float32], str]:
    with local_file(source, policy) as (path, own), open_audio(path, own) as file:
        return file.samples(audio.start, audio.end, rate), path.name


def _of_decoder(
    audio: Audio, decoder: Any, rate: int, policy: MediaPolicy
) -> npt.NDArray[np.float32]:
    last = audio.start + policy.max_seconds
    end = last if audio.end is None else min(audio.end, last)
    begin = decoder.metadata.begin_stream_seconds or 0.0
    is_short = (decoder.metadata.duration_seconds or 0.0) <= policy.max_seconds
    try:
        if audio.start == 0 and audio.end is None and is_short:
            found = decoder.get_all_samples()
        else:
            found = decoder.get_samples_played_in_range(begin + audio.start, begin + end)
    except (RuntimeError, ValueError) as error:
        raise UnreadableMedia(f"The audio decoder cannot decode its recording: {error}") from error
    own = int(found.sample_rate)
    samples = found.data.mean(dim=0).numpy()[: round(policy.max_seconds * own)]
    return _resampled(samples, own, rate)


def _part(
    samples: npt.NDArray[np.float32], rate: int, audio: Audio, policy: MediaPolicy
) -> npt.NDArray[np.float32]:
    first = round(audio.start * rate)
    last = len(samples) if audio.end is None else round(audio.end * rate)
    return samples[first : min(last, first + round(policy.max_seconds * rate))]


def _resampled(samples: npt.NDArray[np.float32], own: int, rate: int) -> npt.NDArray[np.float32]:
    return samples if own == rate else resample(samples, own, rate)


def _checked(samples: npt.NDArray[np.float32], name: str, audio: Audio) -> npt.NDArray[np.float32]:
    if not len(samples):
        end = "the end" if audio.end is None else f"{audio.end:g} s"
        raise UnreadableMedia(f"{name} has no sound between {audio.start:g} s and {end}.")
    if not np.isfinite(samples).all():
        raise UnreadableMedia(f"{name} has samples that are not finite (NaN or infinite).")
    return samples
