"""Damage: whether Chroma's files can be read, found out by another process.

A process that is killed while Chroma writes its index can leave files that crash whoever opens them
(chroma#7238), without an exception, or an index that has lost its vectors (chroma#7090).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SECONDS = 600.0
_CHILD = Path(__file__).with_name("damage_child.py")


def is_whole(chroma: Path) -> bool:
    """Whether every vector in a folder of Chroma's can be read.

    Takes a second, and one more for each 20,000 vectors.
    """
    # By its path, not as a module: that would import torch.
    command = [sys.executable, "-P", str(_CHILD), str(chroma)]
    try:
        ended = subprocess.run(command, timeout=_SECONDS, capture_output=True, check=False)
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0
