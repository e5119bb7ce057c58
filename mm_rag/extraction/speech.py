"""Speech recognition offline: the default, and PocketSphinx with the English model in its wheel."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mm_rag._forking import ForkableLock
from mm_rag._optional import require
from mm_rag.errors import CheckpointError, MissingExtra
from mm_rag.extraction.transcript import Transcriber, Transcript, Word
from mm_rag.extraction.whisper_base import WhisperBaseTranscriber
from mm_rag.media.audio import SPEECH_RATE

if TYPE_CHECKING:
    from pocketsphinx import Decoder

__all__ = [
    "PocketSphinxTranscriber",
    "Transcriber",
    "Transcript",
    "WhisperBaseTranscriber",
    "Word",
    "built_in_transcriber",
    "default_transcriber",
    "has_voice",
    "hears_english_only",
]

logger = logging.getLogger(__name__)

_FRAME = 0.03  # seconds per frame of the voice detector
_FRAME_SAMPLES = round(_FRAME * SPEECH_RATE)
_LEAST_SPEECH = 0.2  # seconds of voice below which there is no speech
_LEAST_CONFIDENCE = 0.02  # below it nearly all words are wrong; right ones in old films have 0.05
_SLOWEST_SPEECH = 1.25  # words per second of voice; slow speeches have two
_LEAST_PHRASE = 4  # adjacent words, which music rarely produces
_PHRASE_GAP = 0.3  # seconds
_VARIANT = re.compile(r"\(\d+\)$")
_MOST_STATES = 5000  # searched per frame; six times as many take twice as long without more words
_LOWEST = 80.0  # Hz; rumble below it distorts the level and the noise estimate
_LOUDNESS = 0.1  # root mean square that samples are brought to
_MOST_GAIN = 30.0

_VOICE_FRAME = round(0.03 * SPEECH_RATE)  # samples
_LEAST_VOICE = 0.2  # seconds
_QUIETEST = -55.0  # dB of full scale; a whisper into a bad microphone has more
_SWING = 6.0  # dB; noise, hums and tones stay level, syllables do not
_LOWEST_VOICE, _HIGHEST_VOICE = 200.0, 4000.0  # Hz; where voices are


class PocketSphinxTranscriber:
    """PocketSphinx with its bundled US English model, for one thread at a time.

    Clear speech comes out almost word for word, old or noisy recordings in part. Words that are
    recognised in noise, music or silence are filtered out.

    Raises:
        MissingExtra: The package is not installed.
    """

    prefix: ClassVar[str] = "pocketsphinx "

    def __init__(self) -> None:
        self._module = require("pocketsphinx", extra="offline", feature="Reading speech")
        self._lock = ForkableLock()
        self._made: Decoder | None = None

    @property
    def name(self) -> str:
        """Such as `"pocketsphinx 5.0.4 en-us"`."""
        return f"{self.prefix}{version('pocketsphinx')} en-us"

    def __reduce__(self) -> tuple[type[PocketSphinxTranscriber], tuple[()]]:
        """Pickle without the model, which is loaded again in the other process."""
        return PocketSphinxTranscriber, ()

    def transcribe(self, samples: npt.NDArray[np.float32]) -> Transcript:
        """Transcribe mono samples of 16 kHz in [-1, 1], shape (n,)."""
        voiced = self._voiced(samples)
        if voiced.sum() * _FRAME < _LEAST_SPEECH:
            return Transcript()
        with self._lock:
            found = list(self._words(_to_pcm(_levelled(_without_rumble(samples)))))
        words = [word for word in found if word.confidence >= _LEAST_CONFIDENCE]
        return Transcript(tuple(_plausible(words, float(voiced.sum()) * _FRAME)))

    def _words(self, pcm: bytes) -> Iterator[Word]:
        decoder = self._decoder()
        # Resets the noise estimate of the front end: otherwise the words would depend on earlier
        # utterances.
        decoder.reinit_feat()
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        for segment in decoder.seg() or ():
            if segment.word[0] in "<[+":
                continue
            yield Word(
                text=_VARIANT.sub("", segment.word),
                start=segment.start_frame / 100,
                end=(segment.end_frame + 1) / 100,
                confidence=min(1.0, float(segment.prob)),
            )

    def _decoder(self) -> Any:
        if self._made is None:
            self._made = self._module.Decoder(
                samprate=float(SPEECH_RATE), loglevel="FATAL", cmn="batch", maxhmmpf=_MOST_STATES
            )
        return self._made

    def _voiced(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        vad = self._module.Vad(mode=2, sample_rate=SPEECH_RATE, frame_length=_FRAME)
        pcm = _to_pcm(samples)
        step = 2 * _FRAME_SAMPLES
        whole = range(0, len(pcm) - step + 1, step)
        return np.array([vad.is_speech(pcm[at : at + step]) for at in whole], bool)


@cache
def default_transcriber() -> Transcriber:
    """The default transcriber of this process: whisper-base, or else PocketSphinx.

    A warning says why it is PocketSphinx, once a process.

    Raises:
        MissingExtra: Neither is installed.
    """
    try:
        return WhisperBaseTranscriber()
    except (MissingExtra, CheckpointError) as error:
        smaller = PocketSphinxTranscriber()
        logger.warning("PocketSphinx recognises speech, in English only and roughly: %s", error)
        return smaller


def built_in_transcriber(name: str) -> Transcriber | None:
    """The transcriber with such a name, of this or another version; None if it is not built in.

    Raises:
        MissingExtra: It is not installed.
        CheckpointError: Its weights are damaged.
    """
    for kind in (WhisperBaseTranscriber, PocketSphinxTranscriber):
        if name.startswith(kind.prefix):
            return kind()
    return None


def hears_english_only(transcriber: Transcriber | None) -> bool:
    """Whether a transcriber, or the default, knows no other language than English."""
    try:
        return isinstance(transcriber or default_transcriber(), PocketSphinxTranscriber)
    except MissingExtra:
        return False  # its absence is reported where it is needed


def _plausible(words: list[Word], voiced_seconds: float) -> list[Word]:
    """All words if they are as dense as in speech, otherwise only phrases of several words.

    The recogniser finds single words in noise and music.
    """
    if len(words) >= _SLOWEST_SPEECH * voiced_seconds:
        return words
    return [word for phrase in _phrases(words) if len(phrase) >= _LEAST_PHRASE for word in phrase]


def _phrases(words: list[Word]) -> list[list[Word]]:
    phrases: list[list[Word]] = []
    for word in words:
        if phrases and word.start - phrases[-1][-1].end < _PHRASE_GAP:
            phrases[-1].append(word)
        else:
            phrases.append([word])
    return phrases


def _without_rumble(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / SPEECH_RATE)
    spectrum *= np.clip(hertz / _LOWEST, 0, 1) ** 2
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def _levelled(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    loudness = float(np.sqrt(np.mean(np.square(samples)))) + 1e-9
    return samples * np.float32(min(_LOUDNESS / loudness, _MOST_GAIN))


def _to_pcm(samples: npt.NDArray[np.float32]) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def has_voice(samples: npt.NDArray[np.float32]) -> bool:
    """Whether mono samples at 16 kHz, shape (n,), may contain speech.

    For models that make words out of silence.
    """
    count = len(samples) // _VOICE_FRAME
    if not count:
        return False
    frames = samples[: count * _VOICE_FRAME].reshape(count, _VOICE_FRAME)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(_VOICE_FRAME), axis=1))
    hertz = np.fft.rfftfreq(_VOICE_FRAME, 1 / SPEECH_RATE)
    power = np.square(spectrum[:, (hertz >= _LOWEST_VOICE) & (hertz <= _HIGHEST_VOICE)]).sum(axis=1)
    # Smoothed over a syllable, because levels of noise vary from frame to frame.
    power = np.convolve(power, np.full(5, 0.2), "same") if count >= 5 else power
    levels = 10 * np.log10(power / (_VOICE_FRAME / 4) ** 2 + 1e-12)
    floor = max(_QUIETEST, float(np.percentile(levels[2:-2] if count > 9 else levels, 5)) + _SWING)
    return float((levels > floor).sum()) * _VOICE_FRAME / SPEECH_RATE >= _LEAST_VOICE
