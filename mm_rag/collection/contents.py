"""Contents: what is in a collection, for those who browse instead of searching."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mm_rag.collection.catalog import SourceStats
from mm_rag.collection.session import Parts
from mm_rag.errors import InputError
from mm_rag.segment import Scalar, Segment


class Contents:
    """What is in a collection, as it is now.

    Args:
        parts: Of the collection.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def source_stats(self) -> list[SourceStats]:
        """What there is of every file and address, in the order of their names."""
        self._parts.refresh()
        return self._parts.catalog.source_stats()

    def copies(self) -> dict[str, str]:
        """By the path of a file with the content of another one, the source that stands for it."""
        self._parts.refresh()
        return self._parts.catalog.copies()

    def values(self, key: str) -> list[Scalar]:
        """The different values that Segments have in their metadata under a key, such as `title`.

        All Segments are looked through.
        """
        self._parts.refresh()
        return self._parts.catalog.values(key)

    def segments(self, source: str | Path) -> list[Segment]:
        """The Segments of a file, in the order of its pages and clips.

        Args:
            source: As `Segment.source` has it.
        """
        return self.segments_of([str(source)]).get(str(source), [])

    def segments_of(
        self, sources: Iterable[str], *, containing: str = ""
    ) -> dict[str, list[Segment]]:
        """By source, the Segments of files, in the order of their pages and clips.

        Args:
            sources: As `Segment.source` has them.
            containing: Only files that have these ASCII letters somewhere in them, in any case.
        """
        self._parts.refresh()
        catalog = self._parts.catalog
        wanted = catalog.sources_with(containing, sources) if containing else sources
        found: dict[str, list[Segment]] = {}
        for segment in catalog.of_sources(wanted):
            found.setdefault(segment.source, []).append(segment)
        return found

    def __iter__(self) -> Iterator[Segment]:
        """Every Segment, file by file."""
        for outline in self.source_stats():
            yield from self.segments(outline.source)

    def neighbours(self, segment: Segment, *, before: int, after: int) -> list[Segment]:
        """What comes before and after a page or clip in its file; see `Collection.neighbours`."""
        if before < 0 or after < 0:
            raise InputError(f"Neighbours are counted from 0; got {before = }, {after = }.")
        self._parts.refresh()
        row = self._parts.catalog.neighbours(segment)
        at = next((n for n, other in enumerate(row) if other.id == segment.id), None)
        if at is None:
            place = self._parts.storage.place
            raise InputError(f"{segment.source} {segment.where} is not in {place}.")
        return row[max(0, at - before) : at] + row[at + 1 : at + 1 + after]
