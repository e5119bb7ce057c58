"""A small folder of every kind of file, and what a reranker was given of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mm_rag import Reranker
from tests.av_made import colours, make_video, make_wav, tone
from tests.media_made import make_pdf, make_picture


def make_mixed_folder(folder: Path) -> Path:
    """A PDF of two pages, a picture, a recording, a video and a note, all about a harbour."""
    folder.mkdir(parents=True)
    make_pdf(folder / "harbour.pdf", ["The harbour has red boats.", "The harbour has a crane."])
    make_picture(folder / "harbour sign.png", "Welcome to the harbour")
    make_wav(folder / "harbour horn.wav", tone(2))
    reds = colours("red", "green", "blue", "white", each=4, size=(64, 48))
    make_video(folder / "harbour film.mp4", reds, fps=4)
    (folder / "harbour note.txt").write_text("The harbour master has gone home.")
    return folder


class Given(list[Any]):
    """The documents that a reranker is given, from now on."""

    def __init__(self, reranker: Reranker, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        predict = reranker.predict

        def watched(pairs: Any, **options: Any) -> Any:
            self.extend(document for _, document in pairs)
            return predict(pairs, **options)

        monkeypatch.setattr(reranker, "predict", watched)

    @property
    def modalities(self) -> dict[str, int]:
        """How many there are of each."""
        return dict(Counter(document.modality for document in self))
