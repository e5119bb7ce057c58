"""Models for tests: deterministic, without weights, and fast.

    from mm_rag import Collection
    from mm_rag.testing import FakeTranscriber, fake_encoder, fake_reranker

    collection = Collection(":memory:", encoder=fake_encoder(), reranker=fake_reranker())

Inputs that share words are similar. The words of a picture, a recording or a video are those in the
name of its file, so that `red-car.png` is found by "a red car"; no file is opened.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mm_rag.content import Content, Part, Text, parts_of
from mm_rag.encoder import Encoder
from mm_rag.extraction.speech import Transcript, Word
from mm_rag.modules import Features, InputModule
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.reranker import Reranker
from mm_rag.rerankers import RerankerModel
from mm_rag.rerankers.model import ScoreOptions

__all__ = [
    "FakeTranscriber",
    "WordDirections",
    "WordOverlap",
    "fake_encoder",
    "fake_reranker",
    "words_of",
]

ScorePair: TypeAlias = Callable[[Content, Content], float]


def fake_encoder(
    *,
    dimension: int = 64,
    modalities: Sequence[str] = ("text",),
    prompts: Mapping[str, str] | None = None,
) -> Encoder:
    """Make an encoder of which the similarity of two inputs grows with the words that they share.

    Args:
        dimension: Embedding size.
        modalities: Modalities that the encoder accepts, such as `("text", "image")`.
        prompts: Prompts by name; their words count as words of the input.
    """
    module = WordDirections(dimension, modalities=modalities)
    return Encoder(modules=[module], prompts=dict(prompts or {}))


def fake_reranker(
    score: ScorePair | None = None, *, modalities: Sequence[str] = ("text",)
) -> Reranker:
    """Make a cross-encoder that scores pairs with a function.

    Args:
        score: Scores a query and a document; higher is better. By default the share of the query's
            words that the document has, from 0 to 1.
        modalities: Modalities that queries and documents may have.
    """
    scorer = WordOverlap(score or _overlap, modalities=modalities)
    return Reranker(modules=[scorer], activation_fn=torch.nn.Identity())


@dataclass(frozen=True)
class FakeTranscriber:
    """Return the same words for every recording, spoken evenly over its duration.

    Attributes:
        text: The words.
        name: Identifies the transcriber in a collection, as the name of a real one does.
    """

    text: str = "hello"
    name: str = "fake"

    def transcribe(self, samples: npt.NDArray[np.float32]) -> Transcript:
        """Return the words with times in seconds; `samples` are mono at 16 kHz."""
        words = self.text.split()
        step = len(samples) / 16_000 / max(1, len(words))
        return Transcript(
            tuple(
                Word(text=word, start=i * step, end=(i + 1) * step, confidence=1.0)
                for i, word in enumerate(words)
            )
        )


class WordDirections(InputModule):
    """Embed an input as the normalised sum of one pseudo-random direction for each of its words.

    Args:
        dimension: Embedding size.
        modalities: Modalities that are accepted.
    """

    def __init__(self, dimension: int = 64, *, modalities: Sequence[str] = ("text",)) -> None:
        super().__init__()
        self._dimension, self._modalities = dimension, tuple(modalities)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The accepted modalities."""
        return self._modalities

    @property
    def out_dim(self) -> int:
        """The embedding size."""
        return self._dimension

    def config(self) -> dict[str, Any]:
        """Return the arguments, for `save` and for the fingerprint."""
        return {"dimension": self._dimension, "modalities": list(self._modalities)}

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Embed the contents; no file is opened."""
        prompted = prompt.lower().split()
        vectors = np.stack([self._embedding(prompted + words_of(each)) for each in contents])
        return Features({"sentence_embedding": torch.from_numpy(vectors)})

    def forward(self, features: Features) -> Features:
        """Return `features`, which already hold the embeddings."""
        return features

    def _embedding(self, words: list[str]) -> npt.NDArray[np.float32]:
        total = np.full(self._dimension, 1e-3, dtype=np.float32)  # an input without words
        for word in words:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            total += np.random.default_rng(seed).standard_normal(self._dimension, np.float32)
        return total / np.float32(np.linalg.norm(total))


class WordOverlap(RerankerModel):
    """Score pairs with a function of the query and the document.

    Args:
        score: The function; higher is better.
        modalities: Modalities that queries and documents may have.
    """

    is_cross_encoder = True

    def __init__(self, score: ScorePair, *, modalities: Sequence[str] = ("text",)) -> None:
        super().__init__()
        self._score, self._modalities = score, tuple(modalities)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The accepted modalities."""
        return self._modalities

    def score(self, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Tensor:
        """Score the pairs; shape (pairs, 1)."""
        return torch.tensor([[self._score(*_sides(pair))] for pair in pairs])

    def save(self, folder: Path) -> None:
        """Do nothing: there are no weights."""


def words_of(content: Content) -> list[str]:
    """Return the lower-case words of a content; of media, those in the name of the file."""
    return [word for part in parts_of(content) for word in _words_of_part(part)]


def _words_of_part(part: Part) -> list[str]:
    text = part.text or ""
    if not isinstance(part, Text) and isinstance(part.source, Path):
        text = f"{part.source.stem} {text}"
    return re.findall(r"[^\W_]+", text.lower())


def _sides(asked: PairOrChat) -> tuple[Content, Content]:
    assert isinstance(asked, tuple), "chats are refused before: their modality is not accepted"
    return asked


def _overlap(query: Content, document: Content) -> float:
    wanted = set(words_of(query))
    return len(wanted & set(words_of(document))) / max(1, len(wanted))
