"""Ingest runs that are killed repeatedly, compared with an undisturbed one."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mm_rag import Collection, Encoder
from mm_rag_loaders import LoadOptions
from tests.collection.conftest import BagOfWords
from tests.collection.model.expected import Row, row
from tests.collection.model.stored import lexical_documents, stored_segments
from tests.collection.model.victim import Errand, Hunter

_WORDS = [
    "ferry",
    "island",
    "bread",
    "valve",
    "pressure",
    "tide",
    "garden",
    "report",
    "harbour",
    "engine",
    "lamp",
    "river",
]


@dataclass(frozen=True, kw_only=True)
class KillPlan:
    """Sizes.

    Attributes:
        kills: Least number of kills in all.
        files: Files of one ingest run.
        passages: Passages of each file.
        each_run: Most kills of one ingest run before it may finish.
    """

    kills: int = 30
    files: int = 40
    passages: int = 20
    each_run: int = 5


@dataclass(frozen=True, kw_only=True)
class Killed:
    """Differences from the undisturbed collection, summed over all runs.

    Attributes:
        kills: Processes that were killed before they finished.
        runs: Ingest runs.
        segments: Segments that each collection must hold.
        lost: Missing segments.
        doubled: Segments held twice, among the vectors or in the lexical index.
        strange: Segments that should not be there.
        unlike: Searches whose hits or order differed.
        searches: Searches compared.
        unsound: Collections in which `verify` found a problem.
    """

    kills: int
    runs: int
    segments: int
    lost: int
    doubled: int
    strange: int
    unlike: int
    searches: int
    unsound: int


def measure_killed(folder: Path, plan: KillPlan, seed: int = 6) -> Killed:
    """Kill ingest runs until there were enough kills; finish each run in the end."""
    files = _write_files(folder / "files", plan)
    hunter = Hunter(random.Random(seed))
    began = time.monotonic()
    right = _Found.of(_index(folder / "undisturbed", files))
    within = time.monotonic() - began
    counts: Counter[str] = Counter()
    while hunter.kills < plan.kills:
        place = folder / "killed"
        errand = Errand(collection=place, folder=files)
        for _ in range(plan.each_run):
            if not hunter.hunt(errand, within):
                within *= 0.8  # it finished before it was killed
                break
        counts["runs"] += 1
        counts.update(_Found.of(_index(place, files)).compared_with(right))
        shutil.rmtree(place)
        print(f"{hunter.kills} kills, {dict(counts)}", file=sys.stderr)
    return Killed(
        kills=hunter.kills,
        segments=right.rows.total(),
        **{name: counts[name] for name in (*_COUNTED, "runs")},
    )


_COUNTED = ("lost", "doubled", "strange", "unlike", "searches", "unsound")


@dataclass(frozen=True)
class _Found:
    """Contents of a collection.

    Attributes:
        rows: Segments in the vector store.
        words: Number of documents in the lexical index.
        answers: For each question the ids of its hits, best first.
        sound: Whether `verify` found no problem.
    """

    rows: Counter[Row]
    words: int
    answers: Mapping[str, list[str]]
    sound: bool

    @classmethod
    def of(cls, path: Path) -> _Found:
        with Collection(path, encoder=_encoder()) as collection:
            dice = random.Random(1)
            questions = [" ".join(dice.choices(_WORDS, k=2)) + f" topic{n * 17}" for n in range(20)]
            answers = {asked: collection.search(asked, k=10) for asked in questions}
            return cls(
                Counter(map(row, stored_segments(path))),
                lexical_documents(path),
                {asked: [hit.segment.id for hit in hits] for asked, hits in answers.items()},
                collection.verify().ok,
            )

    def compared_with(self, right: _Found) -> dict[str, int]:
        """Count the differences from an undisturbed collection."""
        return {
            "lost": len(right.rows.keys() - self.rows.keys()) + max(0, right.words - self.words),
            "doubled": self.rows.total() - len(self.rows) + max(0, self.words - right.words),
            "strange": len(self.rows.keys() - right.rows.keys()),
            "unlike": sum(self.answers[asked] != right.answers[asked] for asked in right.answers),
            "searches": len(right.answers),
            "unsound": int(not self.sound),
        }


def _index(path: Path, files: Path) -> Path:
    with Collection(path, encoder=_encoder()) as collection:
        collection.sync(files, options=LoadOptions(workers=0))
    return path


def _encoder() -> Encoder:
    return Encoder(modules=[BagOfWords()])


def _write_files(folder: Path, plan: KillPlan) -> Path:
    """Write texts in which each passage (150 words) has a unique word."""
    folder.mkdir()
    dice = random.Random(2)
    for number in range(plan.files):
        topics = range(number * plan.passages, (number + 1) * plan.passages)
        passages = (f"topic{topic} " + " ".join(dice.choices(_WORDS, k=149)) for topic in topics)
        (folder / f"report-{number}.txt").write_text(" ".join(passages))
    return folder
