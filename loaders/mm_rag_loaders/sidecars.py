"""Subtitle files that lie beside a recording or video, and belong to it."""

from __future__ import annotations

from pathlib import Path

from mm_rag.content import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from mm_rag.reading.subtitles import sidecars

_WITH_SIDECARS = AUDIO_SUFFIXES | VIDEO_SUFFIXES


def sidecars_stamp(path: Path) -> str:
    """Names, sizes and times of a file's subtitle files: it changes when one of them does."""
    if path.suffix.lower() not in _WITH_SIDECARS:
        return ""
    stats = [(sidecar.name, sidecar.stat()) for sidecar in sidecars(path)]
    return "|".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats)
