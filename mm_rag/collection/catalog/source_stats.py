"""SourceStats: what a collection has of a file, without reading it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SourceStats:
    """What there is of a source.

    Attributes:
        source: Absolute path of the file, or its address.
        pages: How many pages; 0 where there are none.
        pageless: How many Segments are of no page.
        clips: How many clips of a recording or video; 0 where there is no time.
        modalities: Of its Segments, with commas between.
        contents: How many contents; above 1 where Segments of an older one were kept by hand.
        last: Where the last clip begins, in seconds; None where there is no time.
    """

    source: str
    pages: int
    pageless: int
    clips: int
    modalities: str
    contents: int
    last: float | None

    @property
    def is_plain(self) -> bool:
        """Whether it is pages and nothing else, or one whole, and of one content."""
        return self.contents == 1 and not self.clips and (not self.pageless or not self.pages)
