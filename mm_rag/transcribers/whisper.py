"""WhisperTranscriber: speech recognition with Whisper or another model of transformers."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForSpeechSeq2Seq,
    AutoTokenizer,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES
from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

from mm_rag._forking import ForkableLock
from mm_rag.checkpoints.locate import find_model
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.checkpoints.pretrained import no_progress_bar
from mm_rag.checkpoints.transformer_config import restrict_config
from mm_rag.device import as_dtype, best_device
from mm_rag.errors import CheckpointError, InputError
from mm_rag.extraction.recording import clips, loudness
from mm_rag.extraction.speech import Transcript, Word, has_voice
from mm_rag.media.audio import SPEECH_RATE, resample

_STAMP = 0.02  # seconds: the unit of Whisper's time stamps
_WINDOW = 30.0  # seconds that Whisper transcribes at once
_SAMPLE = 64 * 1024  # bytes sampled from a file of weights, evenly spread
_SETTINGS = ("*.json", "*.txt", "*.model")
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")

# Errors of transformers on damaged files and invalid settings.
_FAULTS = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, RuntimeError),
    *(pickle.UnpicklingError, SafetensorError, StrictDataclassError),
)


class WhisperTranscriber:
    """A speech recognition model of transformers, such as `openai/whisper-base`.

    The weights are loaded at the first speech. Concurrent calls wait for each other. A pickled
    copy, as in worker processes, loads the weights itself.

    Args:
        model: A folder, or a model's name on the hub: anything that transformers'
            `AutoModelForSpeechSeq2Seq` loads.
        device: Where it runs; None for the accelerator, or else the CPU.
        dtype: The dtype of the weights, such as `"float16"`; None for the checkpoint's on an
            accelerator, and float32 on the CPU.
        language: The spoken language, such as `"de"`; None to detect it in every clip.
        revision: A branch, tag or commit of the model.
        cache_folder: Where downloaded models are stored; None for the hub's own cache.
        local_files_only: Download nothing.
        token: An access token for private models.

    Raises:
        CheckpointError: There is no such model, or it is incomplete or not for speech recognition.
        InputError: The model does not support the `language`.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        language: str | None = None,
        revision: str | None = None,
        cache_folder: str | Path | None = None,
        local_files_only: bool = False,
        token: str | None = None,
    ) -> None:
        hub = PretrainedOptions(
            revision=revision,
            cache_folder=cache_folder,
            local_files_only=local_files_only,
            token=token,
        )
        self._folder = find_model(model, hub, organization="openai").absolute()
        self._language = language
        self._device = None if device is None else torch.device(device)
        self._dtype = as_dtype(dtype)
        self._kind = _model_type(self._folder)
        self._check_language()
        shown = self._folder.name if Path(model).is_dir() else str(model)
        self.name: str = " ".join(filter(None, [shown, _fingerprint(self._folder), language]))
        """Such as `"openai/whisper-base 1f2e3d4c5b6a7988 de"`: model, its files, language."""
        self._forget()

    def transcribe(self, samples: npt.NDArray[np.float32]) -> Transcript:
        """Transcribe mono samples of 16 kHz in [-1, 1], shape (n,).

        Recordings over 30 s are split at pauses. Silence and constant noise have no words.

        Raises:
            CheckpointError: The weights cannot be loaded.
        """
        if len(samples) <= _WINDOW * SPEECH_RATE:
            return Transcript(tuple(self._heard(samples, 0.0)))
        spans = clips(loudness([samples]), len(samples) / SPEECH_RATE, _WINDOW)
        cut = ((a, samples[round(a * SPEECH_RATE) : round(b * SPEECH_RATE)]) for a, b in spans)
        return Transcript(tuple(word for start, part in cut for word in self._heard(part, start)))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the weights."""
        return {name: value for name, value in vars(self).items() if name not in _OF_THE_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def _forget(self) -> None:
        self._lock = ForkableLock()
        self._made: _Recogniser | None = None

    def _heard(self, samples: npt.NDArray[np.float32], start: float) -> Iterator[Word]:
        if not has_voice(samples):
            return
        with self._lock:
            if self._made is None:
                self._made = _load(self._folder, self._device or best_device(), self._dtype)
            tokens = self._made.listen(samples, self._settings())
            phrases = self._made.phrases(tokens, len(samples) / SPEECH_RATE)
        for phrase in phrases:
            yield from _spread(phrase.text, start + phrase.start, start + phrase.end)

    def _settings(self) -> dict[str, Any]:
        timed = {"return_timestamps": True} if self._is_whisper else {}
        return timed if self._language is None else {**timed, "language": self._language}

    @property
    def _is_whisper(self) -> bool:
        return self._kind == "whisper"

    def _check_language(self) -> None:
        if self._language is None:
            return
        if not self._is_whisper:
            raise InputError(
                f"Only Whisper models take a language; {self._folder.name} is of type {self._kind}."
            )
        known = _generation(self._folder).get("lang_to_id") or {}
        if not known:
            raise InputError(f"{self._folder.name} understands one language; leave it out.")
        wanted = self._language.lower()
        code = TO_LANGUAGE_CODE.get(wanted, wanted)
        if f"<|{code}|>" not in known:
            raise InputError(f"{self._folder.name} knows no language {self._language!r}.")


_OF_THE_PROCESS = frozenset({"_lock", "_made"})


@dataclass(frozen=True)
class _Phrase:
    text: str
    start: float
    end: float


@dataclass(frozen=True)
class _Recogniser:
    """A loaded model with its feature extractor and tokenizer."""

    model: Any
    tokenizer: Any
    extractor: Any

    @torch.inference_mode()
    def listen(self, samples: npt.NDArray[np.float32], settings: dict[str, Any]) -> list[int]:
        """Transcribe one window to tokens."""
        rate = int(self.extractor.sampling_rate)
        heard = samples if rate == SPEECH_RATE else resample(samples, SPEECH_RATE, rate)
        features = self.extractor(heard, sampling_rate=rate, return_tensors="pt")
        features = features.to(self.model.device, self.model.dtype)
        return self.model.generate(**features, **settings)[0].tolist()

    def phrases(self, tokens: list[int], seconds: float) -> list[_Phrase]:
        """Split tokens at time stamps into texts; one text for models without them."""
        untimed = getattr(self.model.generation_config, "no_timestamps_token_id", None)
        first_stamp = float("inf") if untimed is None else untimed + 1
        found: list[_Phrase] = []
        text, start = list[int](), 0.0
        for token in [*tokens, None]:
            if token is not None and token < first_stamp:
                text.append(token)
                continue
            time = seconds if token is None else min((token - first_stamp) * _STAMP, seconds)
            found.append(_Phrase(self._text(text), start, max(start, time)))
            text, start = [], max(start, time)
        return [phrase for phrase in found if phrase.text]

    def _text(self, tokens: list[int]) -> str:
        return " ".join(self.tokenizer.decode(tokens, skip_special_tokens=True).split())


def _load(folder: Path, device: torch.device, dtype: torch.dtype | None) -> _Recogniser:
    try:
        with no_progress_bar():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            restrict_config(config, {})
            model, loaded = AutoModelForSpeechSeq2Seq.from_pretrained(
                folder,
                config=config,
                trust_remote_code=False,
                dtype=dtype or (torch.float32 if device.type == "cpu" else "auto"),
                output_loading_info=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            extractor = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
    except _FAULTS as error:
        raise CheckpointError(
            f"Cannot load the model in {folder}: {str(error) or type(error).__name__}"
        ) from error
    if loaded["missing_keys"]:
        raise CheckpointError(
            f"The weights in {folder} are not all that the model has; missing: "
            f"{', '.join(sorted(loaded['missing_keys'])[:3])}."
        )
    return _Recogniser(model.eval().to(device), tokenizer, extractor)


def _model_type(folder: Path) -> str:
    """Check the configuration of a speech model, and return its type."""
    try:
        kind = str(AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type)
    except _FAULTS as error:
        raise CheckpointError(
            f"{folder} is no model that transformers understands: {error}"
        ) from error
    if kind not in MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES:
        raise CheckpointError(
            f"{folder} is a model of type {kind}, which turns no speech into text. Choose one such "
            "as openai/whisper-base."
        )
    if not any(True for pattern in _WEIGHTS for _ in folder.glob(pattern)):
        raise CheckpointError(f"{folder} has no weights. Was the download interrupted?")
    return kind


def _generation(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "generation_config.json").read_bytes())
    except (OSError, ValueError):
        return {}


def _fingerprint(folder: Path) -> str:
    """Hash the settings and a sample of the weights to 16 hex digits, in seconds for gigabytes."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _SETTINGS for path in folder.glob(pattern)}):
        digest.update(path.name.encode() + path.read_bytes())
    for path in sorted({path for pattern in _WEIGHTS for path in folder.glob(pattern)}):
        size = path.stat().st_size
        digest.update(f"{path.name}{size}".encode())
        with path.open("rb") as file:
            for at in range(0, size, max(_SAMPLE // 16, size // 16)):
                file.seek(at)
                digest.update(file.read(_SAMPLE // 16))
    return digest.hexdigest()[:16]


def _spread(text: str, start: float, end: float) -> Iterator[Word]:
    """Split a phrase into words, with times in proportion to their letters."""
    words = text.split()
    letters = sum(map(len, words))
    done = 0
    for word in words:
        begin = start + (end - start) * done / letters
        done += len(word)
        yield Word(
            text=word, start=begin, end=start + (end - start) * done / letters, confidence=1.0
        )
