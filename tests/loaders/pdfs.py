"""PDFs that loaders are given in tests."""

from __future__ import annotations

from pathlib import Path

import pymupdf

from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions, PDFLoader

PROSE = "The quick brown fox jumps over the lazy dog, again and again, until it is tired."


def saved(document: pymupdf.Document, folder: Path, name: str = "a_deck.pdf") -> Path:
    path = folder / name
    document.save(path)
    document.close()
    return path


def segments_of(document: pymupdf.Document, folder: Path, words: int = 150) -> list[Segment]:
    """What is found in it, in passages of so many words."""
    options = LoadOptions(assets=AssetStore(folder / "assets"), passage_words=words)
    return list(PDFLoader(options).load(saved(document, folder)))
