"""A large collection: the time of a sync without changes, and of a search beside Chroma's own.

Texts are added by `sync`, the other modalities by `add`; the vectors are synthetic.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from PIL import Image

from benchmarks.collections.planted import Vectors, made_up, planted_encoder
from mm_rag import Collection, Encoder, Segment
from mm_rag.content import Modality
from mm_rag_loaders import LoadOptions
from tests.collection.model.stored import vectors_of

DIMENSION = 384
SHARES: dict[Modality, float] = {"text": 0.70, "image": 0.15, "audio": 0.10, "video": 0.05}
PASSAGE_WORDS = 12
K = 10
NEIGHBOURS = 50  # results of Chroma's own query
WARMING = 20  # queries that are not counted
_SYLLABLES = re.findall(r"\w+", "al ar ba con di en fa gen in ka lo men na pa re so ta ti ul ver")


@dataclass(frozen=True, kw_only=True)
class ScalePlan:
    """Sizes.

    Attributes:
        segments: Number of segments.
        files: Number of text files.
        queries: Queries asked in each way.
    """

    segments: int = 100_000
    files: int = 2_000
    queries: int = 300


@dataclass(frozen=True)
class Latencies:
    """Query times in seconds."""

    seconds: list[float] = field(default_factory=list[float])

    def percentile(self, percent: int) -> float:
        """A percentile of the times, in seconds."""
        return float(np.percentile(self.seconds, percent))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Query times of each way, interleaved in one process.

    Attributes:
        search: `Collection.search` without reranking and without the encoding.
        documents: Chroma's own query for 50 results with documents and metadata.
        distances: Chroma's own query for 50 ids and distances.
        stages: Times of each stage of the searches.
    """

    search: Latencies = field(default_factory=Latencies)
    documents: Latencies = field(default_factory=Latencies)
    distances: Latencies = field(default_factory=Latencies)
    stages: dict[str, Latencies] = field(default_factory=lambda: defaultdict(Latencies))


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Result.

    Attributes:
        segments: Number of segments by modality.
        files: Number of files in the folder.
        filling: Seconds of the first `sync` and `add`.
        idle: Seconds of a sync without changes.
        asked: Query times.
    """

    segments: dict[str, int]
    files: int
    filling: float
    idle: float
    asked: Asked


def measure_scale(folder: Path, plan: ScalePlan) -> Scale:
    """Fill a collection and query it."""
    encoder = planted_encoder(DIMENSION)
    options = LoadOptions(passage_words=PASSAGE_WORDS)
    files = _write_files(folder / "files", plan)
    with Collection(folder / "large", encoder=encoder) as collection:
        began = time.monotonic()
        collection.sync(files, options=options)
        _say(f"synced {len(collection):,} in {time.monotonic() - began:.0f} s")
        collection.add(_media(folder, plan))
        filling = time.monotonic() - began
        _say(f"filled with {len(collection):,} in {filling:.0f} s")
        began = time.monotonic()
        report = collection.sync(files, options=options)
        idle = time.monotonic() - began
        assert report.count("unchanged") == plan.files, "something was done after all"
        _say(f"nothing to do in {idle:.2f} s")
        asked = _ask(collection, encoder, plan)
        counts = dict(collection.segment_counts())
    return Scale(segments=counts, files=plan.files, filling=filling, idle=idle, asked=asked)


def _ask(collection: Collection, encoder: Encoder, plan: ScalePlan) -> Asked:
    """Query in all ways, interleaved, so that other load affects all of them equally."""
    asked = Asked()
    with vectors_of(collection.path) as vectors:
        for number, query in enumerate(_queries(plan)):
            vector = encoder.encode_query(query)
            began = time.perf_counter()
            found = collection.search(query, k=K, rerank=False, explain=True)
            searched = time.perf_counter()
            _plain(vectors, vector, ["documents", "metadatas", "distances"])
            with_documents = time.perf_counter()
            _plain(vectors, vector, ["distances"])
            ended = time.perf_counter()
            if number >= WARMING:
                asked.search.seconds.append(searched - began - found.seconds["encode"])
                asked.documents.seconds.append(with_documents - searched)
                asked.distances.seconds.append(ended - with_documents)
                for stage, seconds in found.seconds.items():
                    asked.stages[stage].seconds.append(seconds)
    return asked


def _plain(vectors: chromadb.Collection, vector: Vectors, include: list[Any]) -> None:
    vectors.query(query_embeddings=[vector], n_results=NEIGHBOURS, include=include)


def _write_files(folder: Path, plan: ScalePlan) -> Path:
    """Write text files with the planned number of passages in all."""
    folder.mkdir()
    dice, words = random.Random(1), _vocabulary()
    texts = round(plan.segments * SHARES["text"])
    for number in range(plan.files):
        passages = texts // plan.files + (number < texts % plan.files)
        sentences = (" ".join(dice.choices(words, k=PASSAGE_WORDS)) for _ in range(passages))
        (folder / f"{number:05}.txt").write_text(" ".join(sentences))
    return folder


def _media(folder: Path, plan: ScalePlan) -> Iterator[Segment]:
    """Yield pictures and clips with a few words each, all referring to one file."""
    dice, words = random.Random(2), _vocabulary()
    file = folder / "anything.png"
    Image.new("RGB", (8, 8)).save(file)
    for modality, share in SHARES.items():
        for number in range(round(plan.segments * share) if modality != "text" else 0):
            text = " ".join(dice.choices(words, k=PASSAGE_WORDS))
            yield made_up(f"{modality}-{number}", modality, text, file)


def _queries(plan: ScalePlan) -> Iterator[str]:
    dice, words = random.Random(3), _vocabulary()
    for _ in range(WARMING + plan.queries):
        yield " ".join(dice.choices(words, k=8))


def _vocabulary() -> list[str]:
    dice = random.Random(4)
    return sorted({"".join(dice.choices(_SYLLABLES, k=dice.randint(2, 4))) for _ in range(5000)})


def _say(line: str) -> None:
    print(line, file=sys.stderr)
