"""How much of what is said in the corpus's recordings is heard."""

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
    """What was heard of one recording.

    Attributes:
        file: Its path in the corpus.
        said: How many words the reference has.
        heard: How many the transcript has.
        shared: How many are in both, counted as often as in both.
    """

    file: str
    said: int
    heard: int
    shared: int

    @property
    def recall(self) -> float:
        """The share of what was said that was heard."""
        return self.shared / self.said

    @property
    def precision(self) -> float:
        """The share of what was heard that was said."""
        return self.shared / self.heard if self.heard else 0.0


def hearings(corpus: Path, assets: Path) -> Iterator[Hearing]:
    """Listen to every recording of a corpus that has a reference transcript."""
    manifest = json.loads((corpus / "MANIFEST.json").read_text(encoding="utf-8"))
    options = LoadOptions(workers=0, assets=AssetStore(assets))
    for entry in manifest["files"]:
        if not entry.get("transcript"):
            continue
        segments = load_file(corpus / entry["file"], options).segments
        text = " ".join(segment.text for segment in segments if segment.modality != "text")
        yield compared(entry["file"], entry["transcript"], text)


def compared(file: str, reference: str, text: str) -> Hearing:
    """Count the words of both, and those that they share."""
    said, heard = Counter(_words(reference)), Counter(_words(text))
    return Hearing(file, said.total(), heard.total(), (said & heard).total())


def _words(text: str) -> list[str]:
    words: list[str] = re.findall(r"[a-z0-9']+", text.lower())
    return [_TITLES.get(word, word) for word in words]
