"""Listing: what is in a collection, file by file, without reading any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from mm_rag.collection.catalog import Catalog, CatalogFile, FileState
from mm_rag.errors import InputError

SourceState: TypeAlias = FileState | Literal["added"]


@dataclass(frozen=True, kw_only=True)
class SourceRecord:
    """What a collection knows of one file or address.

    Attributes:
        source: Absolute path, or address.
        state: As of the last sync: `indexed`; `incomplete` (without what a missing reader would
            have read); `unread` (in, and read again by the next sync, as something of it is
            damaged); `duplicate` (another file has the same content); `unreadable`; `refused`;
            `unsupported`. `added` where its Segments were given to `Collection.add`.
        reason: What there is to say about it; empty when all is well.
        segments: How many Segments it gave, by modality.
        tags: What it was tagged with, sorted.
        indexed_at: When it was read; None where that is not known.
    """

    source: str
    state: SourceState
    reason: str = ""
    segments: Mapping[str, int] = field(default_factory=dict[str, int])
    tags: tuple[str, ...] = ()
    indexed_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; the time as in ISO 8601."""
        when = self.indexed_at.isoformat(timespec="seconds") if self.indexed_at else None
        return {**asdict(self), "tags": list(self.tags), "indexed_at": when}


@dataclass(frozen=True, kw_only=True)
class CollectionInfo:
    """What a collection is, in short.

    Attributes:
        place: Its folder.
        name: Its name there.
        vectors: Where Chroma keeps its vectors: a folder, or the address of a server with the name
            of the Chroma collection in parentheses.
        model: The encoder that made its vectors; None before the first.
        sources: How many files and addresses there are in each state.
        segments: How many Segments there are of each modality.
        tags: How many files and addresses have each tag.
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


def listed(catalog: Catalog) -> list[SourceRecord]:
    """Every file and address that a collection knows, in the order of their names."""
    files, counts = catalog.files(), catalog.counts_by_source()
    loose = counts.keys() - files.keys()
    tags = catalog.tags_by_source(loose)
    records = [_of_file(file, counts.get(path, {})) for path, file in files.items()]
    records += [
        SourceRecord(
            source=source, state="added", segments=counts[source], tags=tuple(sorted(tags[source]))
        )
        for source in loose
    ]
    return sorted(records, key=lambda record: record.source)


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


def summed_up(catalog: Catalog, place: str, name: str, vectors: str) -> CollectionInfo:
    """What a collection is, in short."""
    records = listed(catalog)
    tags = Counter(tag for record in records for tag in record.tags)
    return CollectionInfo(
        place=place,
        name=name,
        vectors=vectors,
        model=catalog.meta("model"),
        sources=dict(Counter(record.state for record in records)),
        segments=catalog.counts(),
        tags=dict(sorted(tags.items())),
    )


def named(
    catalog: Catalog, given: str | Path | Iterable[str | Path]
) -> tuple[set[str], Sequence[str]]:
    """The files that are meant, and the sources of the Segments that are.

    Raises:
        InputError: There are none.
    """
    paths, sources = set[str](), list[str]()
    # Not every caller has a type checker.
    is_one = isinstance(given, str | Path) or not isinstance(cast("Any", given), Iterable)
    for each in [given] if is_one else cast("Iterable[Any]", given):
        if not isinstance(each, str | Path) or not str(each):
            raise InputError(f"source is a file, an address or a folder; got {each!r:.100}.")
        for place in dict.fromkeys((str(each), str(Path(each).expanduser().absolute()))):
            files, segments = catalog.files_in(place), catalog.sources_in(place)
            paths.update(files)
            sources += segments
            if files or segments:
                break
        else:
            raise InputError(
                f"Nothing in the collection comes from {each}. source takes a file, an address, or "
                "a folder, as it was indexed; mm-rag list shows them."
            )
    return paths, list(dict.fromkeys(sources))
