"""Disk space per page: vectors, catalog, lexical index and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.collections.planted import planted_encoder
from benchmarks.loaders.made_files import write_manual
from mm_rag import Collection, Segment
from mm_rag_loaders import AssetStore, LoadOptions, load_file


@dataclass(frozen=True, kw_only=True)
class StoragePlan:
    """Sizes.

    Attributes:
        pages: Pages of the manual that is read.
        copies: Copies of its segments, as if of so many manuals, so that constant overhead does not
            count.
        dimensions: Sizes of the vectors before and after truncation (None: not truncated).
    """

    pages: int = 60
    copies: int = 20
    dimensions: Sequence[tuple[int, int | None]] = (
        (384, None),
        (1024, None),
        (1024, 256),
        (2048, None),
        (2048, 256),
    )


@dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes per page of one collection.

    Attributes:
        dimension: Size of the model's vectors.
        kept: Size of the stored vectors.
        chroma: Bytes of Chroma (vectors, texts, metadata).
        catalog: Bytes of the catalog.
        words: Bytes of the lexical index.
    """

    dimension: int
    kept: int
    chroma: float
    catalog: float
    words: float


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Result.

    Attributes:
        pages: Pages in each collection.
        segments: Segments per page.
        rooms: Bytes per page for each size of vectors.
        pictures: Bytes per page of the page pictures.
        boxes: Bytes per page of the word boxes.
        original: Bytes per page of the PDF.
    """

    pages: int
    segments: float
    rooms: Sequence[Room]
    pictures: float
    boxes: float
    original: float


def measure_storage(folder: Path, plan: StoragePlan) -> Storage:
    """Read the manual once, and store it for each dimension."""
    manual = write_manual(folder / "manual.pdf", plan.pages, seed=5)
    assets = folder / "assets"
    segments = load_file(manual, LoadOptions(assets=AssetStore(assets))).segments
    boxes = _bytes(assets.rglob("*.json")) / plan.pages
    return Storage(
        pages=plan.pages * plan.copies,
        segments=len(segments) / plan.pages,
        rooms=[
            _room(folder / f"{dimension}-{cut}", segments, plan, dimension, cut)
            for dimension, cut in plan.dimensions
        ],
        pictures=_bytes(assets.rglob("*.jpg")) / plan.pages,
        boxes=boxes,
        original=manual.stat().st_size / plan.pages,
    )


def _room(
    path: Path, segments: Sequence[Segment], plan: StoragePlan, dimension: int, cut: int | None
) -> Room:
    encoder = planted_encoder(dimension, truncate_dim=cut)
    with Collection(path, encoder=encoder) as collection:
        for number in range(plan.copies):
            # Another SHA-256 makes it another file.
            collection.add(replace(one, sha256=f"{number:064x}") for one in segments)
    pages = plan.pages * plan.copies
    catalog = _bytes((path / "default").glob("ledger*")) / pages
    return Room(
        dimension=dimension,
        kept=cut or dimension,
        chroma=_bytes((path / "chroma").rglob("*")) / pages,
        catalog=catalog,
        words=_bytes((path / "default").rglob("*")) / pages - catalog,
    )


def _bytes(paths: Iterable[Path]) -> int:
    # Blocks on disk, not lengths: Chroma's index has holes in it.
    return sum(path.stat().st_blocks * 512 for path in paths if path.is_file())
