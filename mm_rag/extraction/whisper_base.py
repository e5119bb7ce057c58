"""Speech recognition in 99 languages with whisper-base (https://arxiv.org/abs/2212.04356).

faster-whisper runs it, without torch. Whisper writes sentences for whatever it hears, so nothing
reaches it in which silero's voice detector finds no voice, and its own doubts decide afterwards.
"""

# ruff: noqa: RUF001 - punctuation of other scripts is meant

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from mm_rag._forking import ForkableLock, leak, renew_after_fork
from mm_rag._optional import require
from mm_rag.errors import CheckpointError
from mm_rag.extraction.transcript import Transcript, Word, are_unspaced
from mm_rag.media.audio import SPEECH_RATE
from mm_rag.packaged import WHISPER_BASE, PackagedFile, model_cache

Samples: TypeAlias = npt.NDArray[np.float32]
_Span: TypeAlias = dict[str, int]  # a stretch with a voice: `start` and `end` in samples

_MODEL_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
_PART = "part-"  # beginning of the names of files that are not complete
_COPIED = 1024**2  # bytes at a time
_WINDOW = 3000  # frames of 10 ms: what whisper hears at once
_REST = 100  # frames of silence after the speech. Whisper was trained on windows filled up to 30 s;
# of 218 words in 25 clips, 198 are right with 1 s after the speech, 200 with full windows, which
# take three to four times as long
_SHORTEST = 1000  # frames of a window: in shorter ones whisper loops, and doubts the language more
_BEAM = 1  # 197 of the 218 words right, 5 gives 198 in up to twice the time
_MOST_TOKENS = 224  # of a window, whisper's own limit; loops in noise reach it

# Chosen on half of 182 sounds (clean, noisy and telephone speech, music, effects; seven languages),
# with windows of 30 s and five beams. There no music or effect has words, 90 of 90 clean words are
# right, and 23 of 24 short telephone prompts in five languages; single words of small languages
# have none rather than wrong ones. On the other half: no music or effect, 21 of 24 words (a
# two-word clip is lost), 16 of 16 prompts.
_LEAST_VOICE = 0.25  # seconds
_MOST_REPETITION = 2.4  # letters per compressed byte; whisper's own limit
_FASTEST = 10.0  # words per second; a phrase that is said twice has its echo crammed in the rest
_FEW_WORDS = 4  # fewer may be a fast phrase
_SURE_OF_WORDS = -0.5  # mean log-probability of tokens; above it, there was speech
_LEAST_SURE = -1.1


class WhisperBaseTranscriber:
    """whisper-base, from the packages of `mm_rag.packaged`; one thread at a time.

    Sound in which no voice is found has no words, and what was hardly understood is left out.

    Raises:
        MissingExtra: A package is not installed, or in another version.
        CheckpointError: The weights in the packages are damaged, or cannot be put together.
    """

    prefix: ClassVar[str] = "whisper-base "

    def __init__(self) -> None:
        feature = "Reading speech in many languages"
        self._library = require("faster_whisper", extra="offline", feature=feature)
        self._folder = _model_folder()
        self._lock = ForkableLock()
        self._model: Any = None
        renew_after_fork(self)

    @property
    def name(self) -> str:
        """`"whisper-base v1"`; the number counts changes of this class by which words change."""
        return f"{self.prefix}v1"

    def __reduce__(self) -> tuple[type[WhisperBaseTranscriber], tuple[()]]:
        """Pickle without the model, which is loaded again in the other process."""
        return WhisperBaseTranscriber, ()

    def after_fork(self) -> None:
        """Load the model again in a forked child, which has none of its threads."""
        leak(self._model)
        self._model = None

    def transcribe(self, samples: Samples) -> Transcript:
        """Transcribe mono samples of 16 kHz in [-1, 1], shape (n,)."""
        with self._lock:
            spans = _spans_with_voice(samples)
            if not spans:
                return Transcript()
            return self._heard(samples, spans)

    def _heard(self, samples: Samples, spans: list[_Span]) -> Transcript:
        from faster_whisper.audio import pad_or_trim
        from faster_whisper.transcribe import restore_speech_timestamps
        from faster_whisper.vad import collect_chunks

        model = self._loaded()
        # Long silence tempts whisper to invent sentences, and costs time, so it is cut out.
        pieces, _ = collect_chunks(samples, spans)
        features = model.feature_extractor(np.concatenate(pieces))
        frames = min(features.shape[1] - 1, _WINDOW)
        # Computed once, for the language and for the words of the first window: it is most of the
        # work, and takes as long as the speech in it is.
        length = min(max(frames + _REST, _SHORTEST), _WINDOW)
        window = pad_or_trim(features[:, :frames], length)
        encoded = model.encode(window)
        token, sureness = model.model.detect_language(encoded)[0][0]
        language = token.strip("<|>")
        found = model.generate_segments(features, *_instructions(model, language), False, encoded)
        phrases = restore_speech_timestamps(found, spans, SPEECH_RATE)
        words = tuple(_words(phrases, math.log(sureness)))
        return Transcript(words, language if words else "")

    def _loaded(self) -> Any:
        if self._model is None:
            try:
                # With as many threads as OMP_NUM_THREADS says: worker processes share the cores.
                self._model = self._library.WhisperModel(
                    str(self._folder), device="cpu", compute_type="int8"
                )
            except (RuntimeError, ValueError) as error:
                raise CheckpointError(f"whisper-base cannot be loaded: {error}") from error
        return self._model


def _spans_with_voice(samples: Samples) -> list[_Span]:
    """Find voices that last long enough; music resembles one for a moment."""
    if len(samples) < _LEAST_VOICE * SPEECH_RATE or not samples.any():
        return []
    from faster_whisper.vad import get_speech_timestamps

    return get_speech_timestamps(samples, min_speech_duration_ms=round(1000 * _LEAST_VOICE))


def _instructions(model: Any, language: str) -> tuple[Any, Any]:
    """The tokenizer and the options for one transcription."""
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens

    tokenizer = Tokenizer(
        model.hf_tokenizer, multilingual=True, task="transcribe", language=language
    )
    options = TranscriptionOptions(
        beam_size=_BEAM,
        best_of=1,
        patience=1.0,
        length_penalty=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        # Not more than one attempt: others would be random, and take ten times as long for noise.
        temperatures=[0.0],
        log_prob_threshold=None,
        no_speech_threshold=None,
        compression_ratio_threshold=None,
        condition_on_previous_text=False,  # an invention would be continued
        prompt_reset_on_temperature=0.5,
        initial_prompt=None,
        prefix=None,
        suppress_blank=True,
        suppress_tokens=get_suppressed_tokens(tokenizer, (-1,)),
        without_timestamps=False,
        max_initial_timestamp=1.0,
        word_timestamps=True,
        prepend_punctuations="\"'“¿([{-",
        append_punctuations="\"'.。,，!！?？:：”)]}、",
        multilingual=False,
        max_new_tokens=_MOST_TOKENS,
        clip_timestamps="0",
        hallucination_silence_threshold=None,
        hotwords=None,
    )
    return tokenizer, options


def _words(phrases: Iterable[Any], language_log_probability: float) -> Iterator[Word]:
    """The words of the phrases that were understood."""
    for phrase in phrases:
        if _is_understood(phrase, language_log_probability):
            yield from _whole_words(phrase.words)


def _whole_words(pieces: Iterable[Any]) -> Iterator[Word]:
    """Join pieces without a space between them, such as "cold" and "-hearted"."""
    held: Word | None = None
    for piece in pieces:
        if not (text := piece.word.strip()):
            continue
        word = Word(
            text=text,
            start=float(piece.start),
            end=float(piece.end),
            confidence=float(piece.probability),
        )
        if held is None:
            held = word
        elif piece.word[:1].isspace() or are_unspaced(held.text, text):
            yield held
            held = word
        else:
            sureness = min(held.confidence, word.confidence)
            held = replace(held, text=held.text + text, end=word.end, confidence=sureness)
    if held is not None:
        yield held


def _is_understood(phrase: Any, language_log_probability: float) -> bool:
    """Whether whisper's own figures speak for words: repetition, speed, and one probability.

    The probability is that of the tokens, of the language, and of there being speech at all; the
    latter says little after a pause, and is left out where the words are probable.
    """
    if phrase.compression_ratio > _MOST_REPETITION or _is_crammed(phrase.words):
        return False
    sureness = phrase.avg_logprob + language_log_probability
    if phrase.avg_logprob < _SURE_OF_WORDS:
        sureness += math.log(max(1e-9, 1 - phrase.no_speech_prob))
    return sureness >= _LEAST_SURE


def _is_crammed(words: Sequence[Any]) -> bool:
    if len(words) < _FEW_WORDS:
        return False
    return len(words) > _FASTEST * (words[-1].end - words[0].start)


def _model_folder() -> Path:
    """The folder of the whole model, which is put together once, in the user's cache.

    Its files are checked by sha256; a damaged one is made again.
    """
    folder = model_cache() / WHISPER_BASE.name
    wanted = dict(_contents())
    if all(_sha256(folder / name) == sha256 for name, (sha256, _) in wanted.items()):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # several worker processes may start at once
            for name, (sha256, parts) in wanted.items():
                if _sha256(folder / name) != sha256:
                    _remove_abandoned(folder)
                    _put_together(folder / name, [part.find() for part in parts])
    except OSError as error:
        raise CheckpointError(
            f"whisper-base cannot be put together in {folder}: {error.strerror}. Make room there, "
            "or name another cache folder in XDG_CACHE_HOME."
        ) from error
    return folder


def _remove_abandoned(folder: Path) -> None:
    """Delete what a process left that was killed while it put a file together."""
    for left in folder.glob(f"{_PART}*"):
        left.unlink(missing_ok=True)


def _contents() -> Iterator[tuple[str, tuple[str, Sequence[PackagedFile]]]]:
    """The files of the whole model: name, sha256, and what they are made of."""
    first, second, *settings = WHISPER_BASE.files
    yield "model.bin", (_MODEL_SHA256, [first, second])
    for file in settings:
        yield Path(file.path).name, (file.sha256, [file])


def _sha256(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def _put_together(path: Path, parts: Sequence[Path]) -> None:
    """Write a file from its parts, so that readers see all of it or nothing."""
    with NamedTemporaryFile(dir=path.parent, prefix=_PART, delete=False) as file:
        half = Path(file.name)
        try:
            for part in parts:
                with part.open("rb") as opened:
                    while data := opened.read(_COPIED):
                        file.write(data)
            file.close()
            half.replace(path)
        except BaseException:
            half.unlink(missing_ok=True)
            raise
