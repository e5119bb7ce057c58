"""Measure loading: memory over long files, pages per second, hostile files, transcripts.

    python -m benchmarks.loading --corpus CORPUS            all parts
    python -m benchmarks.loading                            memory and speed, which need no corpus
    python -m benchmarks.loading --corpus CORPUS --docs     the same, written to docs/benchmarks.md
    python -m benchmarks.loading --quick                    a quick check that it runs
    python -m benchmarks.loading --only speed               one part

The long files are synthetic and the same in every run. On Linux only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pymupdf

from benchmarks.loaders import table
from benchmarks.loaders.hostile import Ordeal, ordeal, write_lures, write_mutants
from benchmarks.loaders.made_files import RATE, write_manual, write_recording, write_video
from benchmarks.loaders.memory import Steadiness, read_steadily
from benchmarks.loaders.transcripts import hearings


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of the benchmark.

    Attributes:
        pages: Pages of the manual for the memory part.
        timed_pages: Pages of the manual for the speed part.
        rounds: Rounds of the speed part.
        recording: Seconds of sound.
        video: Seconds of video.
        mutants: Number of damaged files.
    """

    pages: int = 400
    timed_pages: int = 60
    rounds: int = 5
    recording: int = 3600
    video: int = 600
    mutants: int = 204


USUAL = Plan()
QUICK = Plan(pages=8, timed_pages=2, rounds=1, recording=24, video=4, mutants=5)


def main(arguments: list[str] | None = None) -> None:
    """Make the files, measure, and print the tables."""
    given = _parsed(arguments)
    pymupdf.TOOLS.mupdf_display_errors(False)
    plan = QUICK if given.quick else USUAL
    with tempfile.TemporaryDirectory(prefix="mm-rag-bench-") as folder:
        parts = _parts(plan, Path(folder), given.corpus)
        chosen = [name for name in parts if given.only in (None, name)]
        made = "".join(_told(name, parts[name]) for name in chosen)
    print(made)
    if given.docs:
        table.PLACE.write(made)


def _parts(plan: Plan, folder: Path, corpus: Path | None) -> dict[str, Callable[[], str]]:
    """A function for each part, which returns its table."""
    parts: dict[str, Callable[[], str]] = {
        "memory": lambda: _memory(plan, folder),
        "speed": lambda: _speed(plan, folder),
    }
    if corpus is not None:
        parts["hostile"] = lambda: _hostile(plan, folder, corpus)
        parts["transcripts"] = lambda: table.hearing_table(list(hearings(corpus, folder / "heard")))
    return parts


def _memory(plan: Plan, folder: Path) -> str:
    runs: dict[str, Steadiness] = {}

    def watch(name: str, short: Path, long: Path, length: int) -> None:
        runs[name] = read_steadily(short, long, length / 8, folder / long.suffix)
        above = ", ".join(f"{above:.0f}" for above in runs[name].above)
        print(f"{name}: {above} MB in {runs[name].seconds:.0f} s", file=sys.stderr)

    short = write_manual(folder / "short.pdf", 6, seed=2)
    long = write_manual(folder / "long.pdf", plan.pages)
    watch(f"PDF, {plan.pages} pages", short, long, plan.pages)
    short = write_recording(folder / "short.m4a", 10)
    long = write_recording(folder / "long.m4a", plan.recording)
    watch(f"recording, {plan.recording} s", short, long, plan.recording)
    short = write_video(folder / "short.mp4", 2)
    long = write_video(folder / "long.mp4", plan.video)
    watch(f"video, {plan.video} s", short, long, plan.video)
    page, second, frame = 1_310_720 * 3 / 1e6, RATE * 2 * 4 / 1e6, 1920 * 1080 * 3 / 1e6
    whole = plan.pages * page, plan.recording * second, plan.video * 24 * frame
    return table.memory_table(runs, dict(zip(runs, whole, strict=True)))


def _speed(plan: Plan, folder: Path) -> str:
    # Imported late: torch would count in the memory part.
    from benchmarks.loaders.speed import speeds

    manual = write_manual(folder / "timed.pdf", plan.timed_pages, seed=3)
    return table.speed_table(speeds(manual, folder / "timed", plan.rounds))


def _hostile(plan: Plan, folder: Path, corpus: Path) -> str:
    roots = corpus.absolute(), folder / "mutants", folder / "lures"
    forbidden = folder / "forbidden"
    for path in (*roots[1:], forbidden):
        path.mkdir()
    canary = write_manual(forbidden / "canary.pdf", 1)
    groups = {
        "hostile": sorted(path for path in (corpus / "hostile").iterdir() if path.is_file()),
        "mutants": write_mutants(corpus, roots[1], plan.mutants),
        "lures": list(write_lures(roots[2], canary)),
    }
    done: dict[str, Ordeal] = {
        name: ordeal([path.absolute() for path in paths], roots, forbidden, folder / "assets")
        for name, paths in groups.items()
    }
    return table.ordeal_table(done)


def _told(name: str, part: Callable[[], str]) -> str:
    print(f"{name} ...", file=sys.stderr)
    made = part()
    print(made, file=sys.stderr)
    return made


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, help="with MANIFEST.json, hostile/ and real files")
    parser.add_argument(
        "--only",
        choices=("memory", "speed", "hostile", "transcripts"),
        help="one part; the last two need a corpus",
    )
    parser.add_argument("--quick", action="store_true", help="small files, one round")
    parser.add_argument(
        "--docs", action="store_true", help=f"write them to {table.PLACE.page.name}"
    )
    given = parser.parse_args(arguments)
    if given.only in ("hostile", "transcripts") and given.corpus is None:
        parser.error(f"--only {given.only} needs --corpus")
    if given.docs and (missing := table.PLACE.is_missing()):
        parser.error(missing)
    if given.docs and (given.quick or given.only or given.corpus is None):
        parser.error("--docs writes all tables: with --corpus, without --quick and --only")
    return given


if __name__ == "__main__":
    main()
