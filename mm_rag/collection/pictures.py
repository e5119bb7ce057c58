"""Pictures: page screenshots and key frames; kept in the collection, or drawn when needed."""

from __future__ import annotations

import logging
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
from mm_rag.errors import CollectionError, InputError
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions, as_reference, redrawn
from mm_rag_loaders.assets import is_damaged

logger = logging.getLogger(__name__)

PictureMode: TypeAlias = Literal["jpeg", "webp", "reference"]
"""How page screenshots and key frames are kept. `reference`: not at all; they are drawn from their
sources when they are asked for."""

MODES: tuple[PictureMode, ...] = get_args(PictureMode)


class Pictures(Closing):
    """The pictures of a collection.

    Args:
        folder: Where they are kept.
        mode: How they are kept.
        max_bytes: Maximum size of a kept picture's file; None for no limit.

    Attributes:
        store: Where loaders write pictures.
        options: How sources are read when a picture is drawn again: as in the last sync.

    Raises:
        InputError: There is no such mode.
    """

    def __init__(self, folder: Path, mode: str, max_bytes: int | None) -> None:
        if mode not in MODES:
            raise InputError(f"assets must be one of {', '.join(MODES)}; got {mode!r}.")
        self.mode: PictureMode = mode
        self.options = LoadOptions()
        self._drawn = TemporaryFolder()
        if mode == "reference":
            # The model is given a picture even if it is not kept.
            self.store = AssetStore(self._drawn.path / "read", by_file=True)
        else:
            self.store = AssetStore(folder, picture_format=mode, max_picture_bytes=max_bytes)

    def close(self) -> None:
        """Delete the pictures that were drawn again."""
        self._drawn.close()

    def kept(self, segment: Segment) -> Segment:
        """The segment as the collection keeps it: without the picture if none are kept."""
        return as_reference(segment, self.store.root) if self.mode == "reference" else segment

    def done(self, sha256: str) -> None:
        """Delete what was drawn of a file, once it is completely encoded and if nothing is kept."""
        if self.mode == "reference":
            shutil.rmtree(self.store.root / sha256, ignore_errors=True)

    def drawn(self, segments: Sequence[Segment], *, strict: bool = True) -> list[Segment]:
        """The segments with their pictures, drawn again where they were not kept.

        Pictures of one file are drawn together, because an office file is converted for them.

        Args:
            segments: Of any files.
            strict: Whether a file that is gone or has changed is an error; its segments are
                returned unchanged otherwise, with a warning in the log.

        Raises:
            InputError: A file is gone or has changed, and `strict` is set.
        """
        options = replace(self.options, assets=AssetStore(self._drawn.path / "shown"))
        by_file: dict[tuple[str, str], list[Segment]] = defaultdict(list)
        for segment in segments:
            if _is_reference(segment):
                by_file[segment.source, segment.sha256].append(segment)
        drawn: dict[str, Segment] = {}
        for (source, _), of_file in by_file.items():
            try:
                drawn |= {segment.id: segment for segment in redrawn(of_file, options)}
            except InputError as error:
                if strict:
                    raise
                logger.warning("%s cannot be shown: %s", source, error)
        return [drawn.get(segment.id, segment) for segment in segments]


def _is_reference(segment: Segment) -> bool:
    """Whether its picture was not kept: that of a page or a clip, not of a photo."""
    if segment.preview is not None or segment.media is None:
        return False
    return segment.page is not None or segment.modality == "video"


def references(catalog: Catalog) -> dict[str, set[str]]:
    """Every file that a segment refers to, with the sha256 of the sources that need it."""
    referred: dict[str, set[str]] = defaultdict(set)
    for segment in catalog.all_segments():
        for path in (segment.media, segment.preview, segment.boxes):
            if path is not None:
                referred[path].add(segment.sha256)
    return referred


def orphans(storage: StorageLocation, catalog: Catalog) -> list[Path]:
    """Picture and word-box files that no collection in the folder refers to."""
    present = list(AssetStore(storage.assets).written())
    if not present:
        return []
    with ExitStack() as stack:
        catalogs = (Catalog(path, storage.folder) for path in storage.siblings())
        others = [stack.enter_context(closing(each)) for each in catalogs]
        referred = {path for each in (catalog, *others) for path in references(each)}
    return sorted(path for path in present if str(path) not in referred)


def damaged_pictures(storage: StorageLocation) -> list[Path]:
    """Picture and word-box files whose content is not that of their name, a hash."""
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
