"""A fake model for all modalities whose vectors are derived from texts and file names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mm_rag import Encoder
from mm_rag.content import Content
from mm_rag.modules import Features, InputModule

DIMENSION = 8


class Glancing(InputModule):
    """Every text and file has its own direction, which also depends on the prompt."""

    type_name = "tests.Glancing"

    def __init__(self, *modalities: str) -> None:
        super().__init__()
        self._modalities = modalities or ("text", "image", "audio", "video")
        self.batches: list[Sequence[Content]] = []

    @property
    def modalities(self) -> tuple[str, ...]:
        return self._modalities

    @property
    def out_dim(self) -> int:
        return DIMENSION

    def config(self) -> dict[str, Any]:
        return {"modalities": list(self._modalities)}

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        self.batches.append(contents)
        vectors = np.stack([_direction(prompt, content) for content in contents])
        return Features({"sentence_embedding": torch.from_numpy(vectors)})

    def forward(self, features: Features) -> Features:
        return features


def glancing_encoder(*modalities: str) -> Encoder:
    """Queries and documents with the same text have different vectors."""
    prompts = {"query": "query: ", "document": "document: "}
    return Encoder(modules=[Glancing(*modalities)], prompts=prompts)


def _direction(prompt: str, content: Any) -> Any:
    seen = content.text if content.modality == "text" else content.source
    digest = hashlib.sha256(f"{prompt}|{content.modality}|{seen}".encode()).digest()
    return np.frombuffer(digest, dtype=np.uint8)[:DIMENSION].astype(np.float32) - 127.5
