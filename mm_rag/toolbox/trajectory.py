"""Trajectory: what an agent thought, searched and found on its way to an answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Citation:
    """To be written."""


class Trajectory:
    """To be written."""
