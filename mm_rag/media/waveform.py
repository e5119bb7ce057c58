"""Waveforms: the mono samples of any recording, at the rate that a model wants."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mm_rag.content import Audio, Url
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.media.arrays import mono_samples
from mm_rag.media.audio import open_audio, resample
from mm_rag.media.fetch import local_file
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.media.span import check_span


def waveform(
    audio: Audio, rate: int, policy: MediaPolicy = DEFAULT_POLICY
) -> npt.NDArray[np.float32]:
    """The samples of a recording, or of the part that `audio` is.

    Args:
        audio: From any source.
        rate: Of what is returned, in Hz. Samples that are at this rate are not changed.
        policy: Limits on what is opened; what is over its `max_seconds` is left out.

    Returns:
        Mono samples, shape (n,), n > 0, all finite.

    Raises:
        UnreadableMedia: The recording is missing, damaged, or holds no samples.
        MediaTooLarge: It is over the policy's `max_bytes`.
        InputError: Start and end do not fit, the rate is none, or the source is none.
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
    """A sampling rate as a whole number, in Hz; None stays None.

    Raises:
        InputError: It is no positive whole number.
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
