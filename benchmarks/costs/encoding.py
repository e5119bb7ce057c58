"""CPU seconds of reading and encoding: a passage, a page, a photo, a minute of sound."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import Run, interleaved
from mm_rag import Encoder
from mm_rag.media.ffmpeg import probe
from mm_rag_loaders import AssetStore, LoadOptions, load_file
from mm_rag_loaders.passages import passages


@dataclass(frozen=True, kw_only=True)
class Way:
    """A default: its text model, and how it reads media.

    Attributes:
        encoder: The text model, behind readers.
        options: How files are read.
    """

    encoder: Encoder
    options: LoadOptions


@dataclass(frozen=True, kw_only=True)
class Cost:
    """CPU seconds for one unit.

    Attributes:
        unit: Such as "passage".
        count: How many of them were measured.
        seconds: CPU seconds for one, of each way.
    """

    unit: str
    count: float
    seconds: list[float]


def texts_of(corpus: Path, most: int) -> list[str]:
    """Passages of the abstracts in a corpus's PubMedQA set."""
    path = corpus / "text_ir" / "pubmedqa" / "corpus.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(most), strict=False)]
    return [passage for text in texts for passage in passages(text)][:most]


def passage_cost(ways: Sequence[Way], texts: Sequence[str], rounds: int) -> Cost:
    """Encode passages."""
    return _cost(
        "passage of text", len(texts), [lambda way=way: _encode(way, texts) for way in ways], rounds
    )


def file_cost(
    unit: str, ways: Sequence[Way], files: Sequence[Path], count: float, rounds: int
) -> Cost:
    """Read files and encode their segments.

    Args:
        unit: What is counted.
        ways: The defaults.
        files: The files.
        count: Number of units in them.
        rounds: How often.
    """

    def read(way: Way) -> None:
        for file in files:
            segments = load_file(file, way.options).segments
            _encode(way, [segment.words for segment in segments])

    return _cost(unit, count, [lambda way=way: read(way) for way in ways], rounds)


def reading(folder: Path, **options: object) -> LoadOptions:
    """Options that read in this process, whose CPU time is measured."""
    return LoadOptions(workers=0, assets=AssetStore(folder), **options)  # pyright: ignore[reportArgumentType]


def seconds_of(file: Path) -> float:
    """Length of a recording."""
    return probe(file).duration or 0.0


def _encode(way: Way, texts: Sequence[str]) -> None:
    if texts:
        way.encoder.encode_document(list(texts))


def _cost(unit: str, count: float, runs: Sequence[Callable[[], None]], rounds: int) -> Cost:
    for run in runs:  # loads the models
        run()
    times = interleaved({str(at): Run(measured=run) for at, run in enumerate(runs)}, rounds=rounds)
    return Cost(unit=unit, count=count, seconds=[each.median / count for each in times.values()])
