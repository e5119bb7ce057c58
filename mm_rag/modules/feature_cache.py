"""A bounded cache of what a vision tower saw: a page that is met again costs its text only."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mm_rag.errors import InputError

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{32,128}")
_SUFFIX = ".safetensors"
_UNFINISHED = ".part"
_ABANDONED_AFTER = 3600.0  # seconds: nobody takes that long to write a page


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenMedium:
    """One picture or video as a language model sees it.

    Attributes:
        replacement: The placeholder tokens that stand for it in the text.
        grid: Shape (1, 3): its patches in time, height and width.
        features: Shape (tokens, dim).
        levels: DeepStack's features for further layers, each of shape (tokens, dim); empty where
            the model has none.

    Raises:
        InputError: The shapes do not fit each other.
    """

    replacement: str
    grid: Tensor
    features: Tensor
    levels: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.grid.shape != (1, 3):
            raise InputError(
                "A SeenMedium has features of shape (tokens, dim) and a grid of shape (1, 3), not "
                f"{self.features.shape = } and {self.grid.shape = }."
            )
        if any(level.shape != self.features.shape for level in self.levels):
            shapes = [tuple(level.shape) for level in self.levels]
            raise InputError(
                f"Each level has the shape of the features, {tuple(self.features.shape)}: {shapes}."
            )

    @property
    def nbytes(self) -> int:
        """The bytes of its tensors."""
        return sum(tensor.nbytes for tensor in (self.grid, self.features, *self.levels))

    def __repr__(self) -> str:
        shape, dtype = tuple(self.features.shape), self.features.dtype
        return f"SeenMedium(features={shape} {dtype}, levels={len(self.levels)})"


class FeatureCache:
    """What a vision tower saw of pages, the latest used ones kept; safe to share by threads.

    Memory: a page takes tokens x dim x (1 + levels) x element size bytes. A page of 1280 tokens in
    Qwen3-VL-2B (dim 2048, 3 levels) is 21 MB in bfloat16 and 42 MB in float32, so that the default
    512 MiB hold 25 or 12 of them.

    With a folder, every page is written there as well, and found by later processes; several may
    share it. A file that is damaged counts as absent and is removed. A page that cannot be written
    (the disk is full, say) is kept in RAM only.

    Args:
        max_bytes: Most bytes of tensors in RAM; 0 turns the cache off.
        folder: Where pages are also kept, a file each; made where it is missing. Only files
            named by a key are touched in it.
        max_disk_bytes: Most bytes of files in the folder, those of earlier runs included; the
            longest unused ones make room.
        min_tokens: A medium of fewer tokens is not kept, as it is cheap to see again.

    Raises:
        InputError: A size is negative, or the folder cannot be made.
    """

    def __init__(
        self,
        max_bytes: int = 512 * 2**20,
        *,
        folder: str | Path | None = None,
        max_disk_bytes: int = 8 * 2**30,
        min_tokens: int = 256,
    ) -> None:
        sizes = {
            "max_bytes": max_bytes,
            "max_disk_bytes": max_disk_bytes,
            "min_tokens": min_tokens,
        }
        for name, size in sizes.items():
            if size < 0:
                raise InputError(f"{name} is {size}: a FeatureCache takes 0 or more.")
        self._max_bytes, self._min_tokens = max_bytes, min_tokens
        self._shelf = None if folder is None else _Shelf(Path(folder), max_disk_bytes)
        self._kept: OrderedDict[str, SeenMedium] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()  # held for what is in RAM only, never while a file is read

    def get(self, key: str) -> SeenMedium | None:
        """What was seen under `key`, on the CPU; None where it is not kept (any more).

        The tensors are the cache's own: move or copy them, never change them in place.

        Args:
            key: A hex digest of the medium and of the settings it was seen with.

        Raises:
            InputError: The key is none.
        """
        _check_key(key)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        if self._shelf is None or not self._max_bytes:
            return None
        seen = self._shelf.read(key)
        if seen is not None and seen.nbytes <= self._max_bytes:
            self._keep(key, seen)
        return seen

    def put(self, key: str, seen: SeenMedium) -> None:
        """Keep a copy of `seen`, on the CPU and in its own dtype.

        What has fewer than `min_tokens` tokens or more than `max_bytes` bytes is not kept.

        Args:
            key: A hex digest of the medium and of the settings it was seen with.
            seen: What the vision tower and its projector made of it.

        Raises:
            InputError: The key is not such a digest.
        """
        _check_key(key)
        if len(seen.features) < self._min_tokens or seen.nbytes > self._max_bytes:
            return
        copy = _copied(seen)
        if self._shelf is not None:
            self._shelf.write(key, copy)
        self._keep(key, copy)

    def clear(self) -> None:
        """Forget everything, in RAM and in the folder."""
        with self._lock:
            self._kept.clear()
            self._nbytes = 0
        if self._shelf is not None:
            self._shelf.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of tensors in RAM now."""
        return self._nbytes

    @property
    def disk_bytes(self) -> int:
        """Bytes of files in the folder now, those of other processes included."""
        return 0 if self._shelf is None else self._shelf.nbytes

    def __len__(self) -> int:
        return len(self._kept)

    def __bool__(self) -> bool:
        return True  # an empty one is a cache, too

    def __repr__(self) -> str:
        pages = f"{len(self)} page" + "s" * (len(self) != 1)
        used, most = self._nbytes >> 20, self._max_bytes >> 20
        on_disk = "" if self._shelf is None else f", {self._shelf.nbytes >> 20} MB on disk"
        return f"FeatureCache({pages}, {used} of {most} MB in RAM{on_disk})"

    def _keep(self, key: str, seen: SeenMedium) -> None:
        with self._lock:
            if (old := self._kept.pop(key, None)) is not None:
                self._nbytes -= old.nbytes
            self._kept[key] = seen
            self._nbytes += seen.nbytes
            fallen: list[tuple[str, SeenMedium]] = []
            while self._nbytes > self._max_bytes:
                fallen.append(self._kept.popitem(last=False))
                self._nbytes -= fallen[-1][1].nbytes
        if self._shelf is not None:
            self._shelf.write_missing(fallen)


class _Shelf:
    """The folder of a FeatureCache: a file for each key, the time of its last use in its date.

    The folder itself is the only record of what is there, so that processes can share it: a file
    appears whole, by renaming, and may be gone at any moment.
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
        return sum(size for _, _, size in self._files())

    def read(self, key: str) -> SeenMedium | None:
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


def _check_key(key: str) -> None:
    # A key is a file's name: only a digest can be no path, and no name of another's file.
    if not _KEY.fullmatch(key):
        raise InputError(
            f"The key {key!r} is not a hex digest. Pass hashlib.sha256(...).hexdigest() or such: "
            "32 to 128 of the characters 0-9 and a-f."
        )


def _copied(seen: SeenMedium) -> SeenMedium:
    return SeenMedium(
        replacement=seen.replacement,
        grid=_own(seen.grid),
        features=_own(seen.features),
        levels=tuple(_own(level) for level in seen.levels),
    )


def _own(tensor: Tensor) -> Tensor:
    """A copy on the CPU: a view would keep the features of its whole batch alive."""
    tensor = tensor.detach()
    own = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
    return own.copy_(tensor)


def _as_tensors(seen: SeenMedium) -> dict[str, Tensor]:
    replacement = torch.tensor(list(seen.replacement.encode()), dtype=torch.uint8)
    levels = {f"level_{i}": level for i, level in enumerate(seen.levels)}
    return {"replacement": replacement, "grid": seen.grid, "features": seen.features, **levels}


def _load(path: Path) -> SeenMedium:
    with safe_open(path, framework="pt") as file:
        names: list[str] = list(file.keys())
        # Copies, as the tensors of an open file are views of the file.
        tensors: dict[str, Tensor] = {name: _own(file.get_tensor(name)) for name in names}
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
