"""The folder of a FeatureCache: what was seen, a file each, shared by processes."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mm_rag.errors import InputError
from mm_rag.rerankers.seen_medium import SeenMedium, own_copy

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{32,128}")
_SUFFIX = ".safetensors"
_UNFINISHED = ".part"
_ABANDONED_AFTER = 3600.0  # seconds: nobody takes that long to write a page


class FeatureFiles:
    """The folder of a FeatureCache: a file for each key, the time of its last use in its date.

    The folder itself is the only record of what is there, so that processes can share it: a file
    appears whole, by renaming, and may be gone at any moment.

    Args:
        folder: Made where it is missing. Only files named by a key are touched in it.
        max_bytes: Most bytes of files; the longest unused ones make room.

    Raises:
        InputError: The folder cannot be made.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder.absolute(), max_bytes
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"The FeatureCache's folder {folder} cannot be made: {error}."
            ) from error
        self._remove_abandoned()
        self._make_room(0)

    @property
    def nbytes(self) -> int:
        """Bytes of files now, those of other processes included."""
        return sum(size for _, _, size in self._files())

    def read(self, key: str) -> SeenMedium | None:
        """What the key's file holds; None where there is none, or a damaged one."""
        path = self._path(key)
        try:
            seen = _load(path)
        except OSError:  # not there, or not readable now
            return None
        except (SafetensorError, InputError, ValueError, LookupError) as error:
            logger.warning("%s is damaged and was removed: %s", path, error)
            _remove(path)
            return None
        _touch(path)
        return seen

    def write(self, key: str, seen: SeenMedium) -> None:
        """Write the key's file, unless it is larger than all files may be or cannot be written."""
        if seen.nbytes > self._max_bytes:
            return
        try:
            self._write(key, seen)
        except (OSError, SafetensorError) as error:
            logger.warning("%s could not be written: %s", self._path(key), error)

    def write_missing(self, pages: Iterable[tuple[str, SeenMedium]]) -> None:
        """What fell out of RAM, where another's file has taken its place meanwhile."""
        for key, seen in pages:
            if not self._path(key).exists():
                self.write(key, seen)

    def clear(self) -> None:
        """Remove all files."""
        for _, path, _ in self._files():
            _remove(path)

    def _path(self, key: str) -> Path:
        return self._folder / (key + _SUFFIX)

    def _write(self, key: str, seen: SeenMedium) -> None:
        part = self._folder / f"{key}-{uuid4().hex}{_UNFINISHED}"
        try:
            save_file(_as_tensors(seen), part)
            _touch(part)
            self._make_room(part.stat().st_size)
            part.replace(self._path(key))
        finally:
            _remove(part)

    def _make_room(self, needed: int) -> None:
        files = sorted(self._files())
        total = sum(size for _, _, size in files)
        for _, path, size in files:
            if total + needed <= self._max_bytes:
                return
            _remove(path)
            total -= size

    def _files(self) -> Iterator[tuple[int, Path, int]]:
        """When each file was used last, the file, and its bytes."""
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if _KEY.fullmatch(path.stem):
                with suppress(OSError):  # another process has just removed it
                    state = path.stat()
                    yield state.st_mtime_ns, path, state.st_size

    def _remove_abandoned(self) -> None:
        """Remove what processes left that were killed while they wrote."""
        for path in self._folder.glob(f"*{_UNFINISHED}"):
            with suppress(OSError):
                old = time.time() - path.stat().st_mtime > _ABANDONED_AFTER
                if old and _KEY.fullmatch(path.name.partition("-")[0]):
                    _remove(path)


def check_key(key: str) -> None:
    """Refuse what could be a path, or the name of another's file.

    Raises:
        InputError: The key is not a hex digest.
    """
    if not _KEY.fullmatch(key):
        raise InputError(
            f"The key {key!r} is not a hex digest. Pass hashlib.sha256(...).hexdigest() or such: "
            "32 to 128 of the characters 0-9 and a-f."
        )


def _as_tensors(seen: SeenMedium) -> dict[str, Tensor]:
    replacement = torch.tensor(list(seen.replacement.encode()), dtype=torch.uint8)
    levels = {f"level_{i}": level for i, level in enumerate(seen.levels)}
    return {"replacement": replacement, "grid": seen.grid, "features": seen.features, **levels}


def _load(path: Path) -> SeenMedium:
    with safe_open(path, framework="pt") as file:
        names: list[str] = list(file.keys())
        # Copies, as the tensors of an open file are views of the file.
        tensors: dict[str, Tensor] = {name: own_copy(file.get_tensor(name)) for name in names}
    levels = [tensors[f"level_{i}"] for i in range(len(tensors) - 3)]
    return SeenMedium(
        replacement=bytes(tensors["replacement"].tolist()).decode(),
        grid=tensors["grid"],
        features=tensors["features"],
        levels=tuple(levels),
    )


def _touch(path: Path) -> None:
    now = time.time_ns()  # the operating system's own "now" is the same for milliseconds
    with suppress(OSError):
        os.utime(path, ns=(now, now))


def _remove(path: Path) -> None:
    with suppress(OSError):  # gone already, or in use where files in use cannot be removed
        path.unlink(missing_ok=True)
