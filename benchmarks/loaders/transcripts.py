"""Word recall and precision of the offline recogniser on the corpus's recordings."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mm_rag_loaders import AssetStore, LoadOptions, load_file

_TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor"}


@dataclass(frozen=True)
class Hearing:
    """Word counts of one recording.

    Attributes:
        file: Path in the corpus.
        said: Words in the reference.
        heard: Words in the transcript.
        shared: Words in both (multiset intersection).
    """

    file: str
    said: int
    heard: int
    shared: int

    @property
    def recall(self) -> float:
        """Share of the reference's words that were heard."""
        return self.shared / self.said

    @property
    def precision(self) -> float:
        """Share of the heard words that are in the reference."""
        return self.shared / self.heard if self.heard else 0.0


def hearings(corpus: Path, assets: Path) -> Iterator[Hearing]:
    """Transcribe every recording of a corpus that has a reference transcript."""
    manifest = json.loads((corpus / "MANIFEST.json").read_text(encoding="utf-8"))
    options = LoadOptions(workers=0, assets=AssetStore(assets))
    for entry in manifest["files"]:
        if not entry.get("transcript"):
            continue
        segments = load_file(corpus / entry["file"], options).segments
        text = " ".join(segment.text for segment in segments if segment.modality != "text")
        yield compared(entry["file"], entry["transcript"], text)


def compared(file: str, reference: str, text: str) -> Hearing:
    """Count the words of a reference and a transcript, and those in both."""
    said, heard = Counter(_words(reference)), Counter(_words(text))
    return Hearing(file, said.total(), heard.total(), (said & heard).total())


def _words(text: str) -> list[str]:
    words: list[str] = re.findall(r"[a-z0-9']+", text.lower())
    return [_TITLES.get(word, word) for word in words]
