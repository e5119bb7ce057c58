"""PDFs that loaders are given in tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pymupdf

from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions, PDFLoader, Source, SourceFile
from mm_rag_loaders.load_options import PDFBackend

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


BACKENDS: tuple[PDFBackend, ...] = get_args(PDFBackend)


@dataclass(frozen=True)
class Read:
    """A file as one library reads it."""

    segments: list[Segment]
    notes: list[str]

    @property
    def page(self) -> Segment:
        """The first page."""
        return next(segment for segment in self.segments if segment.modality == "image")

    @property
    def passages(self) -> list[Segment]:
        return [segment for segment in self.segments if segment.modality == "text"]

    @property
    def texts(self) -> list[str]:
        return [segment.text for segment in self.passages]


def read(document: pymupdf.Document | Path, folder: Path, backend: PDFBackend) -> Read:
    """Read a document with one library, with the notes that the loader makes."""
    path = document if isinstance(document, Path) else saved(document, folder)
    options = LoadOptions(assets=AssetStore(folder / "assets"), pdf_backend=backend)
    file = SourceFile.of(Source(path), options)
    segments = list(PDFLoader(options).segments(file))
    return Read(segments, [note.text for note in file.notes])
