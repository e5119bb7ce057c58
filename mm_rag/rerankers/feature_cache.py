"""A bounded cache of what a vision tower saw: a page that is met again costs its text only."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from mm_rag._forking import ForkableLock
from mm_rag.errors import InputError
from mm_rag.rerankers.feature_files import FeatureFiles, check_key
from mm_rag.rerankers.seen_medium import SeenMedium


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
        self._files = None if folder is None else FeatureFiles(Path(folder), max_disk_bytes)
        self._kept: OrderedDict[str, SeenMedium] = OrderedDict()
        self._nbytes = 0
        self._lock = ForkableLock()  # held for what is in RAM only, never while a file is read

    def get(self, key: str) -> SeenMedium | None:
        """What was seen under `key`, on the CPU; None where it is not kept (any more).

        The tensors are the cache's own: move or copy them, never change them in place.

        Args:
            key: A hex digest of the medium and of the settings it was seen with.

        Raises:
            InputError: The key is none.
        """
        check_key(key)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        if self._files is None or not self._max_bytes:
            return None
        seen = self._files.read(key)
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
        check_key(key)
        if len(seen.features) < self._min_tokens or seen.nbytes > self._max_bytes:
            return
        copy = seen.copy()
        if self._files is not None:
            self._files.write(key, copy)
        self._keep(key, copy)

    def clear(self) -> None:
        """Forget everything, in RAM and in the folder."""
        with self._lock:
            self._kept.clear()
            self._nbytes = 0
        if self._files is not None:
            self._files.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of tensors in RAM now."""
        return self._nbytes

    @property
    def disk_bytes(self) -> int:
        """Bytes of files in the folder now, those of other processes included."""
        return 0 if self._files is None else self._files.nbytes

    def __len__(self) -> int:
        return len(self._kept)

    def __bool__(self) -> bool:
        return True  # an empty one is a cache, too

    def __repr__(self) -> str:
        pages = f"{len(self)} page" + "s" * (len(self) != 1)
        used, most = self._nbytes >> 20, self._max_bytes >> 20
        on_disk = "" if self._files is None else f", {self._files.nbytes >> 20} MB on disk"
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
        if self._files is not None:
            self._files.write_missing(fallen)
