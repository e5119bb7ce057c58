"""Tables in Markdown, and where they were measured."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def as_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; every row has as many cells as there are heads."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def where_measured(*packages: str) -> str:
    """The processor, and the versions of packages."""
    versions = "".join(f"; {name} {version(name)}" for name in packages)
    return f"{_processor()}{versions}."


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
