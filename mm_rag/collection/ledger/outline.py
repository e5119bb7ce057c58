"""Outline: what a collection has of a file, without reading it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What there is of a source.

    Attributes:
        source: Absolute path of the file, or its address.
        pages: How many pages; 0 where there are none.
        clips: How many clips of a recording or video; 0 where there is no time.
        modalities: Of its Segments, with commas between.
        last: Where the last clip begins, in seconds; None where there is no time.
    """

    source: str
    pages: int
    clips: int
    modalities: str
    last: float | None
