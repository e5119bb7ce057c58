"""AssetStore: page screenshots, key frames and word boxes as files named after their content."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from mm_rag.boxes import WordBox, boxes_to_json
from mm_rag.errors import InputError, StorageError
from mm_rag_loaders.encoding import ENCODINGS, Encoding, PictureFormat, encoded

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

_NAME = re.compile(r"[0-9a-f]{64}(\.[A-Za-z0-9]+)?")
_HALF = ".part"


@dataclass(frozen=True)
class AssetStore:
    """A folder of files that Segments refer to. Writing the same thing twice gives the same file.

    Attributes:
        root: The folder, made absolute; it is made when the first file is written.
        picture_format: How pictures are written. WebP takes half the room and eight times as long,
            35 ms of a page instead of 4.
        max_picture_bytes: Upper bound of a picture's file; None for none. What is larger is written
            with less quality, then smaller, as far as it still shows something: the bound may be
            missed, and a picture is never left out.
        by_file: Whether what is written for a file lies apart from all else, in the folder
            `root / sha256` (that of the file), which may be deleted when it is no longer needed:
            where Segments become references (`as_reference`).

    Raises:
        InputError: The format is another one, or the bound not positive.
    """

    root: Path
    picture_format: PictureFormat = "jpeg"
    max_picture_bytes: int | None = None
    by_file: bool = False

    def __post_init__(self) -> None:
        # Segments name what they refer to by its absolute path.
        object.__setattr__(self, "root", Path(self.root).absolute())
        if self.picture_format not in ENCODINGS:
            known = " or ".join(repr(name) for name in ENCODINGS)
            raise InputError(
                f"AssetStore.picture_format is {known}; got {self.picture_format!r:.100}."
            )
        if self.max_picture_bytes is not None and not self.max_picture_bytes > 0:
            raise InputError(
                "AssetStore.max_picture_bytes is more than 0, or None for no bound; got "
                f"{self.max_picture_bytes}."
            )

    @classmethod
    def default(cls) -> AssetStore:
        """The user's cache folder: for loaders that no collection has given a place."""
        return cls(Path(platformdirs.user_cache_dir("mm_rag")) / "assets")

    @property
    def picture_mime(self) -> str:
        """The MIME type of what `write` writes."""
        return self._encoding.mime_type

    def of_file(self, sha256: str) -> AssetStore:
        """Where what is written for a file goes: this store, or else one below it."""
        if not self.by_file:
            return self
        return replace(self, root=self.root / sha256, by_file=False)

    def write(self, picture: PILImage) -> Path:
        """Store a picture and return its path."""
        data = encoded(picture, self._encoding, self.max_picture_bytes)
        return self.keep(data, self._encoding.suffix)

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

    def written(self) -> Iterator[Path]:
        """The files that lie here as this store names them, and halves that a kill has left.

        Whatever else is in the folder is somebody else's.
        """
        for path in self.root.glob("[0-9a-f][0-9a-f]/*"):
            ours = _NAME.fullmatch(path.name) and path.name.startswith(path.parent.name)
            if path.is_file() and (ours or path.suffix == _HALF):
                yield path

    @property
    def _encoding(self) -> Encoding:
        return ENCODINGS[self.picture_format]

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


def is_damaged(path: Path) -> bool:
    """Whether a file of a store is not what it is named after; False for a half-written one."""
    if path.suffix == _HALF:
        return False
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != path.name[:64]
    except OSError:
        return True


def _write_atomically(path: Path, data: io.BytesIO | io.BufferedReader) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=_HALF)
    try:
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(data, file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
