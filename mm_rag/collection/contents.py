"""Contents: what is in a collection, file by file, without searching."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from mm_rag.collection.catalog import Catalog, CatalogFile, SourceStats
from mm_rag.collection.session import Session
from mm_rag.errors import InputError
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.outcome import FileState


@dataclass(frozen=True, kw_only=True)
class SourceRecord:
    """What a collection knows of one file or address.

    Attributes:
        source: Absolute path, or address.
        state: Since the last sync: `indexed`; `incomplete` (a part of it needs a reader that is not
            installed); `unread` (indexed, but damaged, and read again by the next sync);
            `duplicate` (another file has the same content); `unreadable`; `refused`;
            `unsupported`. `added` if its segments were given to `Collection.add`.
        reason: Why it is in that state; empty for `indexed`.
        segments: Number of its segments by modality.
        tags: Its tags, sorted.
        indexed_at: When it was read; None if that is not known.
    """

    source: str
    state: FileState
    reason: str = ""
    segments: Mapping[str, int] = field(default_factory=dict[str, int])
    tags: tuple[str, ...] = ()
    indexed_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; the time in ISO 8601."""
        when = self.indexed_at.isoformat(timespec="seconds") if self.indexed_at else None
        return {**asdict(self), "tags": list(self.tags), "indexed_at": when}


@dataclass(frozen=True, kw_only=True)
class CollectionInfo:
    """A summary of a collection.

    Attributes:
        place: Its folder.
        name: Its name there.
        vectors: Where Chroma keeps its vectors: a folder, or the address of a server with the name
            of the Chroma collection in parentheses.
        model: The encoder that made its vectors; None before the first.
        sources: Number of files and addresses in each state.
        segments: Number of segments of each modality.
        tags: Number of files and addresses with each tag.
    """

    place: str
    name: str
    vectors: str
    model: str | None
    sources: Mapping[str, int]
    segments: Mapping[str, int]
    tags: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Contents:
    """What is in a collection now.

    Args:
        session: The open collection.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _catalog(self) -> Catalog:
        self._session.refresh()
        return self._session.catalog

    def sources(self) -> list[SourceRecord]:
        """Every file and address, in the order of their names."""
        catalog = self._catalog
        files, counts = catalog.files(), catalog.counts_by_source()
        added = counts.keys() - files.keys()
        tags = catalog.tags_by_source(added)
        records = [_of_file(file, counts.get(path, {})) for path, file in files.items()]
        for source in added:
            sorted_tags = tuple(sorted(tags[source]))
            records.append(
                SourceRecord(
                    source=source, state="added", segments=counts[source], tags=sorted_tags
                )
            )
        return sorted(records, key=lambda record: record.source)

    def info(self) -> CollectionInfo:
        """A summary."""
        records, storage = self.sources(), self._session.storage
        tags = Counter(tag for record in records for tag in record.tags)
        return CollectionInfo(
            place=storage.place,
            name=storage.name,
            vectors=storage.vectors,
            model=self._session.catalog.meta("model"),
            sources=dict(Counter(record.state for record in records)),
            segments=self._session.catalog.counts(),
            tags=dict(sorted(tags.items())),
        )

    def counts(self) -> dict[str, int]:
        """Number of segments of each modality."""
        return self._catalog.counts()

    def source_stats(self) -> list[SourceStats]:
        """Pages, clips and modalities of every source, and of every file in it, by name."""
        return self._catalog.source_stats()

    def copies(self) -> dict[str, str]:
        """By the path of a file with the content of another one, the source that stands for it."""
        return self._catalog.copies()

    def values(self, key: str) -> list[Scalar]:
        """The distinct values under a metadata key, such as `title`. Reads all segments."""
        return self._catalog.values(key)

    def segments(self, source: str | Path) -> list[Segment]:
        """The segments of a source, ordered by page or time.

        Args:
            source: `Segment.source` of the segments.
        """
        return self.segments_of([str(source)]).get(str(source), [])

    def segments_of_member(self, source: str, member: str | None) -> list[Segment]:
        """The segments of a file in a source, or of the source itself, by page or time.

        Args:
            source: `Segment.source` of the segments.
            member: `Segment.member` of the segments; None for those of the source itself.
        """
        return list(self._catalog.of_member(source, member))

    def segments_of(
        self, sources: Iterable[str], *, containing: str = ""
    ) -> dict[str, list[Segment]]:
        """The segments of several sources, by source, ordered by page or time.

        Args:
            sources: `Segment.source` of the segments.
            containing: Only sources that contain these ASCII letters, in any case.
        """
        catalog = self._catalog
        wanted = catalog.sources_with(containing, sources) if containing else sources
        found: dict[str, list[Segment]] = {}
        for segment in catalog.of_sources(wanted):
            found.setdefault(segment.source, []).append(segment)
        return found

    def __iter__(self) -> Iterator[Segment]:
        """Every segment, source by source."""
        for source in dict.fromkeys(stats.source for stats in self.source_stats()):
            yield from self.segments(source)

    def neighbours(self, segment: Segment, *, before: int, after: int) -> list[Segment]:
        """The segments before and after one in its file; see `Collection.neighbours`."""
        if before < 0 or after < 0:
            raise InputError(f"Neighbours are counted from 0; got {before = }, {after = }.")
        row = self._catalog.neighbours(segment)
        at = next((n for n, other in enumerate(row) if other.id == segment.id), None)
        if at is None:
            place = self._session.storage.place
            raise InputError(f"{segment.source} {segment.where} is not in {place}.")
        return row[max(0, at - before) : at] + row[at + 1 : at + 1 + after]

    def resolve(self, given: str | Path | Iterable[str | Path]) -> tuple[set[str], list[str]]:
        """The files, and the sources of segments, that some paths and addresses stand for.

        Args:
            given: Files, addresses or folders, as they were indexed; relative paths count from the
                working directory.

        Raises:
            InputError: One of them stands for nothing in the collection.
        """
        catalog, paths, sources = self._catalog, set[str](), list[str]()
        # Not every caller has a type checker.
        is_one = isinstance(given, str | Path) or not isinstance(cast("Any", given), Iterable)
        for each in [given] if is_one else cast("Iterable[Any]", given):
            if not isinstance(each, str | Path) or not str(each):
                raise InputError(
                    f"source must be a file, an address or a folder; got {each!r:.100}."
                )
            for place in dict.fromkeys((str(each), str(Path(each).expanduser().absolute()))):
                files, found = catalog.files_in(place), catalog.sources_in(place)
                paths.update(files)
                sources += found
                if files or found:
                    break
            else:
                raise InputError(
                    f"Nothing in the collection comes from {each}. source takes a file, an "
                    "address, or a folder, as it was indexed; mm-rag list shows them."
                )
        return paths, list(dict.fromkeys(sources))


def _of_file(file: CatalogFile, segments: Mapping[str, int]) -> SourceRecord:
    when = datetime.fromtimestamp(file.indexed_at, UTC) if file.indexed_at else None
    return SourceRecord(
        source=file.path,
        state=file.state,
        reason=file.reason,
        segments=segments,
        tags=tuple(file.tags.splitlines()),
        indexed_at=when,
    )
