"""AssetStore: page screenshots and key frames as files named after their content."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


@dataclass(frozen=True)
class AssetStore:
    """A folder of pictures. Writing the same picture twice gives the same file.

    Attributes:
        root: The folder; it is made when the first picture is written.
    """

    root: Path

    @classmethod
    def default(cls) -> AssetStore:
        """The user's cache folder: for loaders that no collection has given a place."""
        return cls(Path(platformdirs.user_cache_dir("mm_rag")) / "assets")

    def write(self, picture: PILImage, *, quality: int = 80) -> Path:
        """Store a picture as WebP and return its path.

        The name is the sha256 of the file's bytes; a reader never sees half a file, because it is
        written elsewhere and renamed into place.
        """
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "WEBP", quality=quality, method=2)
        data = buffer.getvalue()
        name = hashlib.sha256(data).hexdigest()
        path = self.root / name[:2] / f"{name}.webp"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_atomically(path, data)
        return path


def _write_atomically(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
