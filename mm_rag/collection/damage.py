"""Damage: whether Chroma's files can be read, found out by another process.

A process that is killed while Chroma writes its index can leave files that crash whoever opens them
(chroma#7238), without an exception, or an index that has lost its vectors (chroma#7090).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mm_rag.errors import CollectionError

_CHILD = Path(__file__).with_name("damage_child.py")
_SECONDS = 60.0
_BYTES_PER_SECOND = 1_000_000.0  # read by the slowest of machines


def is_whole(chroma: Path) -> bool:
    """Whether every vector in a folder of Chroma's can be read.

    Takes a second, and one more for each 20,000 vectors.

    Raises:
        CollectionError: No process can be started.
    """
    size = sum(path.stat().st_size for path in chroma.rglob("*") if path.is_file())
    # By its path, not as a module: that would import torch.
    command = [sys.executable, "-P", str(_CHILD), str(chroma)]
    try:
        ended = subprocess.run(
            command, timeout=_SECONDS + size / _BYTES_PER_SECOND, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return False  # a damaged index can keep Chroma busy for ever
    except OSError as error:
        raise CollectionError(
            f"Cannot see whether {chroma} is damaged: no process can be started ({error})."
        ) from error
    # Where the other process has not even begun (a frozen program has no Python to start), nothing
    # speaks for damage.
    return ended.returncode == 0 or b"reading" not in ended.stdout


def state_of(chroma: Path) -> str:
    """Sizes and times of the index files, which can crash who opens them."""
    stats = [(path, path.stat()) for path in sorted(chroma.glob("*/*"))]
    return "\n".join(
        f"{path.relative_to(chroma)} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats
    )
