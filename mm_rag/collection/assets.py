"""Assets of a collection: page pictures and key frames, kept as files or drawn again when shown."""

from __future__ import annotations

import logging
import shutil
from abc import abstractmethod
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
from mm_rag_loaders.asset_store import is_damaged

logger = logging.getLogger(__name__)

PictureMode: TypeAlias = Literal["jpeg", "reference"]
"""Mode of keeping page screenshots and key frames: as JPEG files, or not at all. A picture that is
not kept is drawn from its source file when it is shown."""

MODES: tuple[PictureMode, ...] = get_args(PictureMode)


class CollectionAssets(Closing):
    """The pictures that loaders draw for a collection.

    Attributes:
        mode: Mode of keeping them.
        store: Store to which loaders write them.
        options: Options of the last sync, with which pictures are drawn again.
    """

    mode: PictureMode
    store: AssetStore

    def __init__(self) -> None:
        self.options = LoadOptions()
        self._temporary = TemporaryFolder()

    @abstractmethod
    def stored(self, segment: Segment) -> Segment:
        """The segment to be stored, after the model has encoded it with its picture."""

    @abstractmethod
    def release(self, sha256: str) -> None:
        """Delete temporary pictures of a source file whose segments are all encoded."""

    def drawn(self, segments: Sequence[Segment], *, strict: bool = True) -> list[Segment]:
        """The segments with their pictures, drawn again where they were not kept.

        Pictures of one file are drawn together, because an office file is converted for them. They
        last until this object is closed.

        Args:
            segments: Segments of any files.
            strict: Whether a missing or changed file is an error; otherwise its segments are
                returned unchanged, with a warning in the log.

        Raises:
            InputError: A file is missing or has changed, and `strict` is set.
        """
        options = replace(self.options, assets=AssetStore(self._temporary.path / "shown"))
        by_file: dict[tuple[str, str], list[Segment]] = defaultdict(list)
        for segment in segments:
            if _lacks_picture(segment):
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

    def close(self) -> None:
        """Delete temporary pictures."""
        self._temporary.close()


class KeptAssets(CollectionAssets):
    """Pictures are JPEG files in the folder of the collection.

    Args:
        folder: The folder.
    """

    mode: PictureMode = "jpeg"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.store = AssetStore(folder)

    def stored(self, segment: Segment) -> Segment:
        """The segment as it is."""
        return segment

    def release(self, sha256: str) -> None:
        """Nothing is temporary."""


class RedrawnAssets(CollectionAssets):
    """Pictures are drawn for the model, then deleted, and drawn again when they are shown."""

    mode: PictureMode = "reference"

    def __init__(self) -> None:
        super().__init__()
        self.store = AssetStore(self._temporary.path / "read", by_file=True)

    def stored(self, segment: Segment) -> Segment:
        """The segment with its source file in place of its picture."""
        return as_reference(segment, self.store.root)

    def release(self, sha256: str) -> None:
        """Delete the pictures of a source file."""
        shutil.rmtree(self.store.root / sha256, ignore_errors=True)


def open_assets(folder: Path, mode: PictureMode | None, last_mode: str | None) -> CollectionAssets:
    """The assets of a collection.

    Args:
        folder: Folder for kept pictures.
        mode: Mode of keeping them; None for that of the last sync.
        last_mode: Mode of the last sync; None before the first.

    Raises:
        InputError: There is no such mode.
    """
    if mode is not None and mode not in MODES:
        raise InputError(f"assets must be one of {', '.join(MODES)}; got {mode!r}.")
    return RedrawnAssets() if (mode or last_mode) == "reference" else KeptAssets(folder)


def _lacks_picture(segment: Segment) -> bool:
    """Whether the picture of a page or clip was not kept. A photo is its own picture."""
    if segment.preview is not None or segment.media is None:
        return False
    return segment.page is not None or segment.modality == "video"


def references(catalog: Catalog) -> dict[str, set[str]]:
    """Every file that a segment refers to, with the sha256 of the source files that need it."""
    referred: dict[str, set[str]] = defaultdict(set)
    for segment in catalog.all_segments():
        for path in (segment.media, segment.preview, segment.boxes):
            if path is not None:
                referred[path].add(segment.sha256)
    return referred


def orphans(storage: StorageLocation, catalog: Catalog) -> list[Path]:
    """Assets to which no collection in the folder refers."""
    present = list(AssetStore(storage.assets).written())
    if not present:
        return []
    with ExitStack() as stack:
        catalogs = (Catalog(path, storage.folder) for path in storage.siblings())
        others = [stack.enter_context(closing(each)) for each in catalogs]
        referred = {path for each in (catalog, *others) for path in references(each)}
    return sorted(path for path in present if str(path) not in referred)


def damaged_assets(storage: StorageLocation) -> list[Path]:
    """Assets whose content does not match their name, which is its sha256."""
    return sorted(path for path in AssetStore(storage.assets).written() if is_damaged(path))


def delete(paths: Iterable[Path]) -> None:
    """Delete files.

    Raises:
        CollectionError: A file cannot be deleted.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CollectionError(f"{path} cannot be deleted: {error.strerror}.") from error
