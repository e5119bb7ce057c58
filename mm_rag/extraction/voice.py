"""Whether anything is said at all: models that always answer make words out of silence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mm_rag.media.audio import SPEECH_RATE

_FRAME = round(0.03 * SPEECH_RATE)  # samples
_LEAST_VOICE = 0.2  # seconds
_QUIETEST = -55.0  # dB of full scale; a whisper into a bad microphone has more
_SWING = 6.0  # dB; noise, hums and tones stay level, syllables do not
_LOWEST, _HIGHEST = 200.0, 4000.0  # Hz; where voices are


def has_voice(samples: npt.NDArray[np.float32]) -> bool:
    """Whether mono samples of 16 kHz, shape (n,), may hold speech; in doubt they do."""
    count = len(samples) // _FRAME
    if not count:
        return False
    frames = samples[: count * _FRAME].reshape(count, _FRAME)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), axis=1))
    hertz = np.fft.rfftfreq(_FRAME, 1 / SPEECH_RATE)
    power = np.square(spectrum[:, (hertz >= _LOWEST) & (hertz <= _HIGHEST)]).sum(axis=1)
    # Smoothed over a syllable: the levels of noise jump from frame to frame.
    power = np.convolve(power, np.full(5, 0.2), "same") if count >= 5 else power
    levels = 10 * np.log10(power / (_FRAME / 4) ** 2 + 1e-12)
    floor = max(_QUIETEST, float(np.percentile(levels[2:-2] if count > 9 else levels, 5)) + _SWING)
    return float((levels > floor).sum()) * _FRAME / SPEECH_RATE >= _LEAST_VOICE
