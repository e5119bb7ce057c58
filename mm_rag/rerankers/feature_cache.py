"""A bounded cache of vision features: a page that is scored again costs only its text.

`FeatureCache` keeps the latest used pages in RAM and, with a folder, in `FeatureFiles` on disk.
"""

from __future__ import annotations

import logging
import os
import re
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

from mm_rag._forking import ForkableLock
from mm_rag.errors import InputError

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{32,128}")
_SUFFIX = ".safetensors"
_UNFINISHED = ".part"
_ABANDONED_AFTER = 3600.0  # seconds; no process takes that long to write a page


@dataclass(frozen=True, kw_only=True, eq=False)
class VisionFeatures:
    """What a vision tower and its projector computed for one picture or video.

    Attributes:
        placeholder: The text whose tokens the features replace.
        grid: Shape (1, 3): patches in time, height and width.
        features: Shape (tokens, dim).
        deepstack: DeepStack's features for further layers, each of shape (tokens, dim); empty for
            models without DeepStack.

    Raises:
        InputError: The shapes do not fit each other.
    """

    placeholder: str
    grid: Tensor
    features: Tensor
    deepstack: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.features.ndim != 2 or self.grid.shape != (1, 3):
            raise InputError(
                "VisionFeatures have features of shape (tokens, dim) and a grid of shape (1, 3), "
                f"not {self.features.shape = } and {self.grid.shape = }."
            )
        if any(level.shape != self.features.shape for level in self.deepstack):
            shapes = [tuple(level.shape) for level in self.deepstack]
            raise InputError(
                "Each level of deepstack has the shape of the features, "
                f"{tuple(self.features.shape)}: {shapes}."
            )

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors."""
        return sum(tensor.nbytes for tensor in (self.grid, self.features, *self.deepstack))

    def copy(self) -> VisionFeatures:
        """A copy on the CPU, in the same dtype."""
        return VisionFeatures(
            placeholder=self.placeholder,
            grid=_copied(self.grid),
            features=_copied(self.features),
            deepstack=tuple(_copied(level) for level in self.deepstack),
        )

    def __repr__(self) -> str:
        shape, dtype = tuple(self.features.shape), self.features.dtype
        return f"VisionFeatures(features={shape} {dtype}, deepstack={len(self.deepstack)})"


class FeatureCache:
    """A cache of vision features of pages, least recently used first out; thread-safe.

    Memory: a page takes tokens x dim x (1 + DeepStack levels) x element size bytes. A page of 1280
    tokens in Qwen3-VL-2B (dim 2048, 3 levels) is 21 MB in bfloat16 and 42 MB in float32, so the
    default 512 MiB hold 25 or 12 of them.

    With a folder, every page is written there as well, and later processes find it. Several
    processes may share the folder. A damaged file is removed and counts as absent. A page that
    cannot be written, for example to a full disk, is kept in RAM only.

    Args:
        max_bytes: Maximum bytes of tensors in RAM; 0 turns the cache off.
        folder: Where pages are also kept, a file each; created if missing. Only files named by a
            key are touched.
        max_disk_bytes: Maximum bytes of files in the folder, including those of earlier runs; the
            least recently used ones are removed.
        min_tokens: Media of fewer tokens are not kept, because they are cheap to compute again.

    Raises:
        InputError: A size is negative, or the folder cannot be created.
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
        self._files = None if folder is None else FeatureFiles(Path(folder), max_disk_bytes)
        self._kept: OrderedDict[str, VisionFeatures] = OrderedDict()
        self._nbytes = 0
        self._lock = ForkableLock()  # guards RAM only; not held while a file is read

    def get(self, key: str) -> VisionFeatures | None:
        """The features kept under `key`, on the CPU; None if there are none.

        The tensors belong to the cache: move or copy them, but do not change them in place.

        Args:
            key: A hex digest of the medium and of everything its features depend on.

        Raises:
            InputError: The key is not a hex digest.
        """
        _check_key(key)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        if self._files is None or not self._max_bytes:
            return None
        features = self._files.read(key)
        if features is not None and features.nbytes <= self._max_bytes:
            self._keep(key, features)
        return features

    def put(self, key: str, features: VisionFeatures) -> None:
        """Keep a copy of the features on the CPU, in the same dtype.

        Features of fewer than `min_tokens` tokens or more than `max_bytes` bytes are not kept.

        Args:
            key: A hex digest of the medium and of everything its features depend on.
            features: What the vision tower computed.

        Raises:
            InputError: The key is not a hex digest.
        """
        _check_key(key)
        if len(features.features) < self._min_tokens or features.nbytes > self._max_bytes:
            return
        copy = features.copy()
        if self._files is not None:
            self._files.write(key, copy)
        self._keep(key, copy)

    def _keep(self, key: str, features: VisionFeatures) -> None:
        with self._lock:
            if (old := self._kept.pop(key, None)) is not None:
                self._nbytes -= old.nbytes
            self._kept[key] = features
            self._nbytes += features.nbytes
            evicted: list[tuple[str, VisionFeatures]] = []
            while self._nbytes > self._max_bytes:
                evicted.append(self._kept.popitem(last=False))
                self._nbytes -= evicted[-1][1].nbytes
        if self._files is not None:
            self._files.write_missing(evicted)

    def clear(self) -> None:
        """Remove everything from RAM and from the folder."""
        with self._lock:
            self._kept.clear()
            self._nbytes = 0
        if self._files is not None:
            self._files.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of tensors in RAM."""
        return self._nbytes

    @property
    def disk_bytes(self) -> int:
        """Bytes of files in the folder, including those of other processes."""
        return 0 if self._files is None else self._files.nbytes

    def __len__(self) -> int:
        return len(self._kept)

    def __bool__(self) -> bool:
        return True  # an empty cache is still a cache

    def __repr__(self) -> str:
        pages = f"{len(self)} page" + "s" * (len(self) != 1)
        used, most = self._nbytes >> 20, self._max_bytes >> 20
        on_disk = "" if self._files is None else f", {self._files.nbytes >> 20} MB on disk"
        return f"FeatureCache({pages}, {used} of {most} MB in RAM{on_disk})"


class FeatureFiles:
    """The folder of a FeatureCache: one file per key, whose date is the time of its last use.

    The folder is the only record of its contents, so processes can share it: a file appears
    complete, by renaming, and may disappear at any moment.

    Args:
        folder: Created if missing. Only files named by a key are touched.
        max_bytes: Maximum bytes of files; the least recently used ones are removed.

    Raises:
        InputError: The folder cannot be created.
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
        """Bytes of files, including those of other processes."""
        return sum(size for _, _, size in self._files())

    def read(self, key: str) -> VisionFeatures | None:
        """Read the file of a key; None if it is missing or damaged. A damaged one is removed."""
        path = self._path(key)
        try:
            features = _load(path)
        except (OSError, RuntimeError):  # missing, or removed by another process meanwhile
            return None
        except (SafetensorError, InputError, ValueError, LookupError) as error:
            logger.warning("%s is damaged and was removed: %s", path, error)
            _remove(path)
            return None
        _touch(path)
        return features

    def write(self, key: str, features: VisionFeatures) -> None:
        """Write the file of a key; log a warning if that fails, skip it if it is too large."""
        if features.nbytes > self._max_bytes:
            return
        part = self._folder / f"{key}-{uuid4().hex}{_UNFINISHED}"
        try:
            save_file(_as_tensors(features), part)
            _touch(part)
            self._make_room(part.stat().st_size)
            part.replace(self._path(key))
        except (OSError, SafetensorError) as error:
            logger.warning("%s could not be written: %s", self._path(key), error)
        finally:
            _remove(part)

    def write_missing(self, pages: Iterable[tuple[str, VisionFeatures]]) -> None:
        """Write pages evicted from RAM whose files were removed meanwhile."""
        for key, features in pages:
            if not self._path(key).exists():
                self.write(key, features)

    def clear(self) -> None:
        """Remove all files."""
        for _, path, _ in self._files():
            _remove(path)

    def _path(self, key: str) -> Path:
        return self._folder / (key + _SUFFIX)

    def _make_room(self, needed: int) -> None:
        files = sorted(self._files())
        total = sum(size for _, _, size in files)
        for _, path, size in files:
            if total + needed <= self._max_bytes:
                return
            _remove(path)
            total -= size

    def _files(self) -> Iterator[tuple[int, Path, int]]:
        """Time of last use in ns, path and bytes of each file."""
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if _KEY.fullmatch(path.stem):
                with suppress(OSError):  # another process has just removed it
                    state = path.stat()
                    yield state.st_mtime_ns, path, state.st_size

    def _remove_abandoned(self) -> None:
        """Remove unfinished files of processes that were killed."""
        for path in self._folder.glob(f"*{_UNFINISHED}"):
            with suppress(OSError):
                old = time.time() - path.stat().st_mtime > _ABANDONED_AFTER
                if old and _KEY.fullmatch(path.name.partition("-")[0]):
                    _remove(path)


def _check_key(key: str) -> None:
    """Reject keys that could be a path, or the name of an unrelated file.

    Raises:
        InputError: The key is not a hex digest.
    """
    if not _KEY.fullmatch(key):
        raise InputError(
            f"The key {key!r} is not a hex digest. Pass hashlib.sha256(...).hexdigest() or such: "
            "32 to 128 of the characters 0-9 and a-f."
        )


def _as_tensors(features: VisionFeatures) -> dict[str, Tensor]:
    """The tensors of a file; the placeholder is stored as its UTF-8 bytes."""
    replacement = torch.tensor(list(features.placeholder.encode()), dtype=torch.uint8)
    levels = {f"level_{i}": level for i, level in enumerate(features.deepstack)}
    return {
        "replacement": replacement,  # an earlier name of the placeholder, kept for existing files
        "grid": features.grid,
        "features": features.features,
        **levels,
    }


def _load(path: Path) -> VisionFeatures:
    with safe_open(path, framework="pt") as file:
        names: list[str] = list(file.keys())
        # Copies, because the tensors of an open file are views of the file.
        tensors: dict[str, Tensor] = {name: _copied(file.get_tensor(name)) for name in names}
    levels = [tensors[f"level_{i}"] for i in range(len(tensors) - 3)]
    return VisionFeatures(
        placeholder=bytes(tensors["replacement"].tolist()).decode(),
        grid=tensors["grid"],
        features=tensors["features"],
        deepstack=tuple(levels),
    )


def _copied(tensor: Tensor) -> Tensor:
    """A copy on the CPU; a view would keep the features of its whole batch in memory."""
    tensor = tensor.detach()
    own = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
    return own.copy_(tensor)


def _touch(path: Path) -> None:
    now = time.time_ns()  # the operating system's own "now" has a resolution of milliseconds
    with suppress(OSError):
        os.utime(path, ns=(now, now))


def _remove(path: Path) -> None:
    with suppress(OSError):  # already removed, or in use on systems that lock open files
        path.unlink(missing_ok=True)
