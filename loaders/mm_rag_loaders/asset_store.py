"""AssetStore: page screenshots, key frames and word boxes in files named after their content."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from mm_rag.boxes import WordBox, boxes_to_json
from mm_rag.errors import StorageError
from mm_rag.media.image import shrunk_to

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

# A page of 1.3 megapixels takes 206 kB and 4 ms, with a PSNR of 40.6 dB: the mean of 25 pages of
# papers, slides and forms. WebP takes half the space and 5 to 8 times as long.
_QUALITY = 85
_HALF_COLOUR = 1  # chroma subsampling 4:2:2, in Pillow's numbering
_MAX_SIDE = 65_500  # pixels, a limit of JPEG
_NAME = re.compile(r"[0-9a-f]{64}(\.[A-Za-z0-9]+)?")
_PARTIAL = ".part"


@dataclass(frozen=True)
class AssetStore:
    """A folder of files that segments refer to. Equal content is stored once.

    Attributes:
        root: The folder, made absolute; it is created with the first file.
        by_file: Whether the assets of each source file lie in a folder of their own,
            `root / sha256` of the file, which may be deleted separately.
    """

    root: Path
    by_file: bool = False

    def __post_init__(self) -> None:
        """Make the root absolute: segments name their assets by absolute paths."""
        object.__setattr__(self, "root", Path(self.root).absolute())

    @classmethod
    def default(cls) -> AssetStore:
        """A folder in the user's cache, for loaders that are used without a collection."""
        return cls(Path(platformdirs.user_cache_dir("mm_rag")) / "assets")

    def of_file(self, sha256: str) -> AssetStore:
        """The store for the assets of one source file: this one, or a folder in it."""
        return AssetStore(self.root / sha256) if self.by_file else self

    @property
    def picture_mime(self) -> str:
        """MIME type of the pictures that `write` stores."""
        return "image/jpeg"

    def write(self, picture: PILImage) -> Path:
        """Store a picture of any mode as JPEG, without transparency, and return its path."""
        rgb = _within_sides(picture if picture.mode == "RGB" else picture.convert("RGB"))
        buffer = io.BytesIO()
        rgb.save(buffer, "JPEG", quality=_QUALITY, subsampling=_HALF_COLOUR)
        return self.keep(buffer.getvalue(), ".jpg")

    def write_boxes(self, words: Iterable[WordBox]) -> Path:
        """Store the boxes of words on a picture and return the path of the JSON file."""
        return self.keep(boxes_to_json(words), ".json")

    def keep(self, data: bytes, suffix: str) -> Path:
        """Store bytes in a file named after their sha256, and return its path.

        The file is written under another name and then renamed, so that it is never seen partially
        written.

        Raises:
            StorageError: The disk is full, or the folder not writable.
        """
        return self._kept(io.BytesIO(data), suffix)

    def keep_file(self, path: Path, suffix: str) -> Path:
        """Store a copy of a file of any size, as `keep` does."""
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

    def written(self) -> Iterator[Path]:
        """Files of this store, and partial ones of a killed process. Other files are left out."""
        for path in self.root.glob("[0-9a-f][0-9a-f]/*"):
            ours = _NAME.fullmatch(path.name) and path.name.startswith(path.parent.name)
            if path.is_file() and (ours or path.suffix == _PARTIAL):
                yield path


def is_damaged(path: Path) -> bool:
    """Whether the content of a file of a store does not match its name; False for a partial one."""
    if path.suffix == _PARTIAL:
        return False
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != path.name[:64]
    except OSError:
        return True


def _within_sides(picture: PILImage) -> PILImage:
    """The picture, shrunk if a side is too long for JPEG, as that of a scanned roll of paper."""
    width, height = picture.size
    scale = _MAX_SIDE / max(width, height)
    return picture if scale >= 1 else shrunk_to(picture, width * height * scale**2)


def _write_atomically(path: Path, data: io.BytesIO | io.BufferedReader) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=_PARTIAL)
    try:
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(data, file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
