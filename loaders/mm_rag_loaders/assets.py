"""AssetStore: page screenshots, key frames and word boxes as files named after their content."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from mm_rag.boxes import WordBox, boxes_to_json
from mm_rag.errors import StorageError

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


PICTURE_MIME = "image/jpeg"
_HALF_COLOUR = 1  # 4:2:2, as Pillow numbers it


@dataclass(frozen=True)
class AssetStore:
    """A folder of files that Segments refer to. Writing the same thing twice gives the same file.

    Attributes:
        root: The folder; it is made when the first file is written.
    """

    root: Path

    @classmethod
    def default(cls) -> AssetStore:
        """The user's cache folder: for loaders that no collection has given a place."""
        return cls(Path(platformdirs.user_cache_dir("mm_rag")) / "assets")

    def write(self, picture: PILImage, *, quality: int = 85) -> Path:
        """Store a picture as JPEG, with half its colours across, and return its path.

        Of a page at a vision model's size that takes 5 ms, and 7 with all its colours; WebP, half
        as large, takes 30 to 60.
        """
        buffer = io.BytesIO()
        rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
        rgb.save(buffer, "JPEG", quality=quality, subsampling=_HALF_COLOUR)
        return self.keep(buffer.getvalue(), ".jpg")

    def write_boxes(self, words: Iterable[WordBox]) -> Path:
        """Store where words are on a picture and return the path of the file."""
        return self.keep(boxes_to_json(words), ".json")

    def keep(self, data: bytes, suffix: str) -> Path:
        """Store bytes and return their path.

        The name is their sha256; a reader never sees half a file, because it is written elsewhere
        and renamed into place.

        Raises:
            StorageError: There is no room, or the folder may not be written to.
        """
        return self._kept(io.BytesIO(data), suffix)

    def keep_file(self, path: Path, suffix: str) -> Path:
        """Store a copy of a file, of any size, and return its path; as `keep` otherwise."""
        with path.open("rb") as file:
            return self._kept(file, suffix)

    def _kept(self, data: io.BytesIO | io.BufferedReader, suffix: str) -> Path:
        name = hashlib.file_digest(data, "sha256").hexdigest()
        path = self.root / name[:2] / f"{name}{suffix}"
        if not path.exists():
            data.seek(0)
            try:
                _write_atomically(path, data)
            except OSError as error:
                raise StorageError(
                    f"Nothing can be written to {self.root}: {error.strerror}. Make room there, or "
                    "name another folder: LoadOptions(assets=AssetStore(...)), or that of the "
                    "collection."
                ) from error
        return path


def _write_atomically(path: Path, data: io.BytesIO | io.BufferedReader) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(data, file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
