"""The results as Markdown, for the terminal and docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.loaders.hostile import LIMIT_SECONDS, Ordeal
from benchmarks.loaders.memory import Steadiness
from benchmarks.loaders.transcripts import Hearing
from benchmarks.markdown import DOCS, Generated, as_table, where_measured

if TYPE_CHECKING:  # it imports torch
    from benchmarks.loaders.speed import Speed

PLACE = Generated(DOCS / "benchmarks.md", "loading", "make bench-load CORPUS=folder")


def memory_table(runs: dict[str, Steadiness], whole: dict[str, float]) -> str:
    """Table of the memory above the baseline at eighths of each file, and the peak.

    Args:
        runs: Measurements by name.
        whole: MB that each file would take if it were decoded as a whole.
    """
    heads = ["file", *(f"{part}/8" for part in range(1, 9)), "peak", "decoded whole", "seconds"]
    rows = [
        [
            name,
            *(f"{run.above[min(k, len(run.above) - 1)]:.0f}" for k in range(8)),
            f"{run.peak_above:.0f}",
            f"{whole[name]:,.0f}",
            f"{run.seconds:.0f}",
        ]
        for name, run in runs.items()
    ]
    baselines = ", ".join(
        f"{run.baseline.here:.0f} + {run.baseline.workers:.0f}" for run in runs.values()
    )
    return as_table(heads, rows) + (
        "\nResident MB above the baseline, at eighths of the file: this process and the worker "
        "that reads, together. The baseline is what both hold after a short file of the same kind "
        f"({baselines} MB). {where_measured()}\n\n"
    )


def speed_table(speeds: Sequence[Speed]) -> str:
    """Table of pages per second of each way, and the ratios."""
    ours, whole = speeds[0], speeds[1]
    rows = [
        [
            speed.way,
            f"{speed.pages_per_second:.1f}",
            str(speed.times),
            f"{speed.times.median / ours.times.median:.2f}x",
            f"{speed.times.median / whole.times.median:.2f}x",
        ]
        for speed in speeds
    ]
    heads = ["way", "pages/s", f"{ours.pages} pages take", "mm-rag alone is", "with processor"]
    rounds = len(ours.times.rounds)
    return as_table(heads, rows) + (
        f"\nProcessor time on one thread; medians of {rounds} rounds [shortest to longest], in "
        "turns in one process, on the same pages. mm-rag: text blocks in reading order, tables, "
        "word boxes, passages, and a JPEG on disk of at most 1,310,720 pixels. The processor is "
        "Qwen2VLImageProcessor with the same bound; after mm-rag it has nothing to resize. The "
        "usual way: PyMuPDF's `get_text()` and a pixmap of 150 dpi, kept in memory. "
        f"{where_measured('pymupdf', 'transformers', 'torch')}\n\n"
    )


def ordeal_table(ordeals: dict[str, Ordeal]) -> str:
    """Table of outcomes for each set of files."""
    names = sorted({outcome for done in ordeals.values() for outcome in done.outcomes})
    heads = ["files", "given", "outcomes", *names, "opened outside", "longest wait", "seconds"]
    rows = [
        [
            name,
            str(done.files),
            str(done.outcomes.total()),
            *(str(done.outcomes[outcome]) for outcome in names),
            str(len(done.opened)),
            f"{done.longest:.0f} s",
            f"{done.seconds:.0f}",
        ]
        for name, done in ordeals.items()
    ]
    ended = "".join(f"- {line}\n" for done in ordeals.values() for line in done.stopped)
    return (
        as_table(heads, rows)
        + (
            f"\nTwo worker processes; a file may take {LIMIT_SECONDS:.0f} s and 2 GiB. Outside of "
            "the roots lies a folder that the lures name and link to, and that the kernel watches "
            "for files being opened.\n\n"
        )
        + (f"Files whose worker died or was stopped:\n\n{ended}\n" if ended else "")
    )


def hearing_table(hearings: Sequence[Hearing]) -> str:
    """Table of word recall and precision for each recording, and their average."""
    rows = [
        [heard.file, str(heard.said), f"{heard.recall:.0%}", f"{heard.precision:.0%}"]
        for heard in hearings
    ]
    count = len(hearings)
    rows.append(
        [
            "average",
            str(sum(heard.said for heard in hearings)),
            f"{sum(heard.recall for heard in hearings) / count:.0%}",
            f"{sum(heard.precision for heard in hearings) / count:.0%}",
        ]
    )
    heads = ["recording", "words said", "of these heard", "of those heard, said"]
    return as_table(heads, rows) + f"\n{where_measured('pocketsphinx')}\n"
