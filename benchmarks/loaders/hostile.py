"""What becomes of files that are damaged, or made to do damage."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loaders.opened import OpenWatch
from mm_rag.media import MediaPolicy
from mm_rag_loaders import AssetStore, LoadedFile, LoadOptions, Source, load_files

LIMIT_SECONDS = 60.0
_ENDS = {"the process that read it": "worker died", "it took longer than": "worker stopped"}


@dataclass(frozen=True)
class Ordeal:
    """What became of files.

    Attributes:
        files: That were given.
        outcomes: How many there were of each outcome.
        longest: The longest time from one outcome to the next, in seconds.
        seconds: That all of them took.
        opened: Files outside of the roots that were opened.
        stopped: What was said of files whose worker died or was stopped.
    """

    files: int
    outcomes: Counter[str]
    longest: float
    seconds: float
    opened: tuple[str, ...]
    stopped: tuple[str, ...]


def ordeal(paths: list[Path], roots: tuple[Path, ...], forbidden: Path, assets: Path) -> Ordeal:
    """Load every file by worker processes, with small limits.

    Args:
        paths: What is loaded.
        roots: Of the policy.
        forbidden: A folder outside of them, which is watched.
        assets: Where pictures are written.
    """
    policy = MediaPolicy(
        roots=roots,
        max_load_seconds=LIMIT_SECONDS,
        max_memory=2 * 1024**3,
        max_pages=20,
        max_seconds=120,
    )
    options = LoadOptions(policy=policy, workers=2, assets=AssetStore(assets))
    outcomes: Counter[str] = Counter()
    longest, began = 0.0, time.monotonic()
    stopped: list[str] = []
    with OpenWatch(forbidden) as watch:
        last = began
        for loaded in load_files([Source(path) for path in paths], options):
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            state = _state(loaded)
            if state in _ENDS.values():
                stopped.append(f"{Path(loaded.source).name}: {loaded.reason}")
            outcomes[state] += 1
            _tell(f"{outcomes.total()}/{len(paths)} {Path(loaded.source).name}: {state}")
        seen = watch.names()
    seconds = time.monotonic() - began
    return Ordeal(len(paths), outcomes, longest, seconds, tuple(seen), tuple(stopped))


def _state(loaded: LoadedFile) -> str:
    for beginning, state in _ENDS.items():
        if loaded.reason.startswith(beginning):
            return state
    return "loaded, with notes" if loaded.notes and loaded.segments else loaded.state


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line[:78]}", end="", file=sys.stderr)
