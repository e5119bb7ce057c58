"""The results as Markdown, for the terminal and docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.collections.gap import GAP, GapPlan, Recalls
from benchmarks.collections.killed import Killed
from benchmarks.collections.ranking import Ranked
from benchmarks.collections.scale import NEIGHBOURS, Latencies, Scale
from benchmarks.collections.storage import Storage
from benchmarks.collections.writers import WRITERS, Together
from benchmarks.markdown import DOCS, Generated, as_table, where_measured
from tests.collection.model.driver import Outcome

PLACE = Generated(DOCS / "benchmarks.md", "collection", "make bench-collection CORPUS=folder")


def model_table(outcome: Outcome) -> str:
    """Table of the random operations."""
    heads = ["random operations", "seed", "syncs", "killed", "differences", "seconds"]
    differences = 0 if outcome.difference is None else 1
    numbers = [f"{outcome.operations:,}", outcome.seed, f"{outcome.syncs:,}", f"{outcome.kills:,}"]
    return as_table(heads, [[*map(str, numbers), str(differences), f"{outcome.seconds:.0f}"]])


def killed_table(killed: Killed) -> str:
    """Table of the killed ingest runs."""
    heads = [
        "killed",
        "ingest runs",
        "Segments each",
        "lost",
        "doubled",
        "strange",
        "other answers",
    ]
    row = [killed.kills, killed.runs, killed.segments, killed.lost, killed.doubled, killed.strange]
    answers = f"{killed.unlike} of {killed.searches}"
    return as_table(heads, [[*map(str, row), answers]])


def writers_table(together: Together) -> str:
    """Table of the concurrent writers."""
    heads = [f"written by {WRITERS} processes at once", "lost", "doubled", "seconds"]
    counts = [f"{together.written:,}", str(together.lost), str(together.doubled)]
    return as_table(heads, [[*counts, f"{together.seconds:.0f}"]])


def scale_table(scale: Scale) -> str:
    """Table of query times, beside Chroma's own."""
    asked = scale.asked
    ways = {
        "search over all modalities, without encoding and reranking": asked.search,
        f"Chroma alone, {NEIGHBOURS} with documents and metadata": asked.documents,
        f"Chroma alone, {NEIGHBOURS} distances": asked.distances,
    }
    rows = [[way, *_times(latencies, asked.search)] for way, latencies in ways.items()]
    stages = ", ".join(f"{name} {1e3 * of.percentile(50):.1f}" for name, of in asked.stages.items())
    counts = ", ".join(f"{count:,} {modality}" for modality, count in scale.segments.items())
    return as_table(["", "median", "p95", "the search is (p95)"], rows) + (
        f"\n{sum(scale.segments.values()):,} Segments ({counts}) of 384 dimensions, made in "
        f"{scale.filling:.0f} s; a sync with nothing to do over their {scale.files:,} files takes "
        f"{scale.idle:.1f} s. {len(asked.search.seconds)} queries of eight words, the three ways "
        f"in turns in one process. Median of the stages in ms: {stages}. {where_measured()}\n\n"
    )


def gap_table(recalls: Recalls, plan: GapPlan) -> str:
    """Table of the recalls with and without the gap."""
    rows = [
        ["`Collection.search`", recalls.without_gap, recalls.with_gap],
        ["the same, 5 pictures and 5 texts", "", recalls.with_quotas],
        ["one list by cosine", recalls.plain_without_gap, recalls.plain],
    ]
    cells = [[cell if isinstance(cell, str) else f"{cell:.3f}" for cell in row] for row in rows]
    return as_table(["recall@10 of the right picture", "no gap", "gap"], cells) + (
        f"\n{plan.questions} questions in words, each with one right picture and "
        f"{plan.distractors} texts that are nearly as near, among {plan.others:,} other pictures "
        f"and as many texts. The gap lowers all cosines of texts to pictures by {GAP}.\n\n"
    )


def storage_table(storage: Storage) -> str:
    """Table of the kB per page."""
    rows = [
        [
            f"{room.dimension}" + (f", cut to {room.kept}" * (room.kept < room.dimension)),
            *(f"{kind / 1e3:.1f}" for kind in (room.chroma, room.catalog, room.words)),
            f"{(room.chroma + room.catalog + room.words) / 1e3:.1f}",
        ]
        for room in storage.rooms
    ]
    return as_table(["dimensions", "Chroma", "catalog", "words", "together"], rows) + (
        f"\nkB per page on disk, over {storage.pages:,} pages of {storage.segments:.1f} Segments "
        f"each, before pictures: these take {storage.pictures / 1e3:.0f}, "
        f'none with `assets="reference"`, and '
        f"{storage.boxes / 1e3:.0f} where their words are. The PDF itself has "
        f"{storage.original / 1e3:.0f} a page.\n\n"
    )


def ranking_table(ranked: Mapping[str, Ranked]) -> str:
    """Table of nDCG@10 of each way on each set."""
    ways = list(next(iter(ranked.values())).ways)
    rows = [
        [
            name,
            f"{one.documents:,}",
            str(one.ways[ways[0]].overall.questions),
            *(f"{one.ways[way].overall.ndcg:.3f}" for way in ways),
        ]
        for name, one in ranked.items()
    ]
    return as_table(["nDCG@10", "documents", "questions", *ways], rows) + "\n"


def _times(latencies: Latencies, search: Latencies) -> list[str]:
    times = [f"{1e3 * latencies.percentile(percent):.1f} ms" for percent in (50, 95)]
    slower = search.percentile(95) / latencies.percentile(95)
    return [*times, "" if latencies is search else f"{slower:.1f}x"]
