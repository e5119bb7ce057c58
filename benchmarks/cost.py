"""Measure what the built-in default costs, beside the former one: CPU seconds, waits, memory.

    python -m benchmarks.cost --corpus CORPUS            all parts
    python -m benchmarks.cost --corpus CORPUS --docs     the same, written to docs/benchmarks.md
    python -m benchmarks.cost --corpus CORPUS --quick    a quick check that it runs
    python -m benchmarks.cost --corpus CORPUS --only search

The former default is all-MiniLM-L6-v2 with PocketSphinx and late interaction alone. On Linux only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.costs import table
from benchmarks.costs.encoding import (
    Cost,
    Way,
    file_cost,
    passage_cost,
    reading,
    seconds_of,
    texts_of,
)
from benchmarks.costs.searching import fill, measure
from mm_rag import Encoder
from mm_rag.built_in import MINILM
from mm_rag.transcribers import PocketSphinxTranscriber


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of the benchmark.

    Attributes:
        passages: Passages that are encoded.
        files: Most files of each kind.
        rounds: Rounds of everything that is read or encoded.
        sizes: Segments of the collections that are searched.
        commands: Runs of `mm-rag search` for each collection.
        queries: Queries for each collection.
    """

    passages: int = 128
    files: int = 6
    rounds: int = 3
    sizes: tuple[int, ...] = (700, 50_000)
    commands: int = 3
    queries: int = 30


USUAL = Plan()
QUICK = Plan(passages=4, files=1, rounds=1, sizes=(20,), commands=1, queries=1)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    given = _parsed(arguments)
    if given.docs and (missing := table.PLACE.is_missing()):
        sys.exit(missing)
    plan = QUICK if given.quick else USUAL
    parts: dict[str, Callable[[Path], str]] = {
        "encoding": lambda folder: _encoding(given.corpus, plan, folder),
        "search": lambda folder: _search(given.corpus, plan, folder),
    }
    made: list[str] = []
    for name in [name for name in parts if given.only in (None, name)]:
        print(f"{name} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="mm-rag-bench-") as folder:
            made.append(parts[name](Path(folder)))
        print(made[-1], file=sys.stderr)
    print("\n".join(made))
    if given.docs:
        table.PLACE.write("\n".join(made))


def _encoding(corpus: Path, plan: Plan, folder: Path) -> str:
    """Cost of a passage, a page, a scan, a photo and a minute of sound."""
    ways = [
        Way(
            encoder=Encoder(MINILM),
            options=reading(
                folder / "before", transcriber=PocketSphinxTranscriber(), photo_labels=False
            ),
        ),
        Way(encoder=Encoder(), options=reading(folder / "after")),
    ]
    pages = _files(corpus, "pdf", ("usda_ag_energy.pdf", "amt_handbook_page.pdf"))[: plan.files]
    scans = _files(corpus, "pdf", ("linn_scan.pdf", "francais_scan.pdf"))[: plan.files]
    photos = sorted((corpus / "images").glob("*.jpg"))[: plan.files]
    sounds = _files(corpus, "audio", ("jfk_inaugural.flac", "austen_dashwood.wav"))[: plan.files]
    costs: list[Cost] = [passage_cost(ways, texts_of(corpus, plan.passages), plan.rounds)]
    for unit, files, count in (
        ("page of a PDF", pages, _pages(pages)),
        ("scanned page", scans, _pages(scans)),
        ("photo", photos, len(photos)),
        ("minute of sound", sounds, sum(map(seconds_of, sounds)) / 60),
    ):
        costs.append(file_cost(unit, ways, files, count, plan.rounds))
    return table.encoding_table(costs)


def _search(corpus: Path, plan: Plan, folder: Path) -> str:
    """Searches of collections of several sizes, with the former default and the default."""
    texts = texts_of(corpus, 2000)
    queries = [" ".join(text.split()[3:11]) for text in texts[:: len(texts) // plan.queries]]
    encoders = [Encoder(MINILM), Encoder()]
    places: list[tuple[Path, Encoder]] = []
    for size in plan.sizes:
        for encoder in encoders:
            place = folder / f"{encoder.name.replace('/', '-')}-{size}"
            fill(place, encoder, texts, size)
            places.append((place, encoder))
    return table.search_table(
        [encoder.name for _, encoder in places],
        measure(places, queries[: plan.queries], plan.commands),
    )


def _files(corpus: Path, folder: str, names: Sequence[str]) -> list[Path]:
    return [corpus / folder / name for name in names]


def _pages(files: Sequence[Path]) -> int:
    import pymupdf

    return sum(len(pymupdf.open(file)) for file in files)


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, help="folder with pdf/, images/, ...")
    parser.add_argument("--only", choices=("encoding", "search"), help="one part")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--docs", action="store_true", help="write them to docs/benchmarks.md")
    given = parser.parse_args(arguments)
    if given.docs and (given.quick or given.only):
        parser.error("--docs writes all tables: without --quick and --only")
    return given


if __name__ == "__main__":
    main()
