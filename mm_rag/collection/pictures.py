"""Pictures: which of them are kept, and those that no Segment refers to any more."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from mm_rag._closing import Closing
from mm_rag._temporary import TemporaryFolder
from mm_rag.collection.catalog import Catalog
from mm_rag.collection.storage import StorageLocation
from mm_rag.errors import CollectionError
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions, as_reference, redrawn
from mm_rag_loaders.assets import is_damaged

PictureMode: TypeAlias = Literal["jpeg", "webp", "reference"]
"""How page screenshots and key frames are kept. `reference`: not at all; they are drawn from their
sources when they are asked for."""

MODES: tuple[PictureMode, ...] = get_args(PictureMode)


class Pictures(Closing):
    """What becomes of the pictures that loaders draw.

    Args:
        folder: The collection's.
        mode: How they are kept.
        max_bytes: Upper bound of a picture's file; None for none.
    """

    def __init__(self, folder: Path, mode: PictureMode, max_bytes: int | None) -> None:
        self.mode: PictureMode = mode
        self._drawn = TemporaryFolder()
        if mode == "reference":
            # The model is shown a picture even if nobody keeps it.
            self.store = AssetStore(self._drawn.path / "read", by_file=True)
        else:
            self.store = AssetStore(folder, picture_format=mode, max_picture_bytes=max_bytes)

    def close(self) -> None:
        """Delete what was drawn to be shown."""
        self._drawn.close()

    def kept(self, segment: Segment) -> Segment:
        """What is kept of a Segment that a model was shown."""
        return as_reference(segment, self.store.root) if self.mode == "reference" else segment

    def done(self, sha256: str) -> None:
        """A file is wholly encoded: what was drawn of it is not needed any more."""
        if self.mode == "reference":
            shutil.rmtree(self.store.root / sha256, ignore_errors=True)

    def shown(self, segments: Sequence[Segment], options: LoadOptions) -> list[Segment]:
        """The Segments with their pictures, drawn again where they were not kept.

        Raises:
            InputError: A source is gone, or another file by now.
        """
        assets = AssetStore(self._drawn.path / "shown")
        options = replace(options, assets=assets)
        by_file: dict[tuple[str, str], list[Segment]] = defaultdict(list)
        for segment in segments:
            if _is_reference(segment):
                by_file[segment.source, segment.sha256].append(segment)
        drawn = {
            segment.id: segment
            for together in by_file.values()
            for segment in redrawn(together, options)
        }
        return [drawn.get(segment.id, segment) for segment in segments]


def _is_reference(segment: Segment) -> bool:
    """Whether it has a picture that was not kept: of a page or a clip, not of a photo."""
    if segment.preview is not None or segment.media is None:
        return False
    return segment.page is not None or segment.modality == "video"


def references(catalog: Catalog) -> dict[str, set[str]]:
    """Every file that a Segment refers to, with the sha256 of the sources that need it."""
    referred: dict[str, set[str]] = defaultdict(set)
    for segment in catalog.all_segments():
        for path in (segment.media, segment.preview, segment.boxes):
            if path is not None:
                referred[path].add(segment.sha256)
    return referred


def orphans(storage: StorageLocation, catalog: Catalog) -> list[Path]:
    """Pictures and word boxes that no collection in the folder refers to."""
    present = list(AssetStore(storage.assets).written())
    if not present:
        return []
    with ExitStack() as stack:
        catalogs = (Catalog(path, storage.folder) for path in storage.siblings())
        others = [stack.enter_context(closing(each)) for each in catalogs]
        referred = {path for each in (catalog, *others) for path in references(each)}
    return sorted(path for path in present if str(path) not in referred)


def damaged_pictures(storage: StorageLocation) -> list[Path]:
    """Pictures and word boxes that are not what they are named after."""
    return sorted(path for path in AssetStore(storage.assets).written() if is_damaged(path))


def delete(paths: Iterable[Path]) -> None:
    """Delete files.

    Raises:
        CollectionError: One cannot be.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CollectionError(f"{path} cannot be deleted: {error.strerror}.") from error
