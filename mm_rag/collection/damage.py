"""Damage: find out whether files can be read, without opening them in this process.

A process that is killed while Chroma writes its index can leave files that crash every process that
opens them (chroma#7238), or an index that has lost its vectors (chroma#7090). Damaged files of
Chroma or tantivy can also keep a process busy for ever, or end it. So files that may have changed
since they were written are read by another process first (`damage_child`).
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from mm_rag.errors import CollectionError

logger = logging.getLogger(__name__)

_CHILD = Path(__file__).with_name("damage_child.py")
_SECONDS = 60.0
_BYTES_PER_SECOND = 1_000_000.0  # what the slowest machine reads
_CHUNK = 1 << 20
_DATABASE = ".sqlite3"
_SMALL = 4_000_000  # bytes; larger databases have no checksum, because each change reads all


class KnownFiles:
    """The files of a folder as they were when they were last written.

    Args:
        folder: The folder.
        state: The file with their sizes, times and checksums. One that cannot be read is ignored.
    """

    def __init__(self, folder: Path, state: Path) -> None:
        self._folder, self._state = folder, state

    def note(self) -> None:
        """Note the files as they are; only those that have changed are read."""
        before, now = self._noted(), dict[str, list[int | None]]()
        with suppress(OSError):  # then the next opening checks them
            for path in self._files():
                name, stat = _name(path, self._folder), path.stat()
                size_and_time = [stat.st_size, stat.st_mtime_ns]
                known = before.get(name)
                is_same = known is not None and known[:2] == size_and_time
                now[name] = known if is_same and known else [*size_and_time, _checksum(path)]
            data = json.dumps(now).encode()
            if not self._state.is_file() or self._state.read_bytes() != data:
                remove(self._state) if self._state.is_dir() else None
                self._state.write_bytes(data)

    def are_untouched(self) -> bool:
        """Whether all files are as noted; only those with another time are read."""
        noted = self._noted()
        try:
            there = {_name(path, self._folder): path for path in self._files()}
            return there.keys() == noted.keys() and all(
                _is_as_noted(path, noted[name]) for name, path in there.items()
            )
        except OSError:
            return False

    def are_sound(self) -> bool:
        """Whether no file has other bytes under the noted size and time; all are read."""
        noted = self._noted()
        try:
            return not any(
                _has_decayed(path, noted.get(_name(path, self._folder))) for path in self._files()
            )
        except OSError:
            return False

    def forget(self) -> None:
        """Forget what was noted."""
        remove(self._state)

    def _noted(self) -> dict[str, list[int | None]]:
        try:
            noted: Any = json.loads(self._state.read_bytes())
            return {
                str(name): [size, time, checksum] for name, (size, time, checksum) in noted.items()
            }
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}  # it is new, damaged, or an older version's

    def _files(self) -> Iterator[Path]:
        return (
            path
            for path in sorted(self._folder.rglob("*"))
            # SQLite makes and deletes its journals at any time.
            if path.is_file() and not path.name.endswith((".lock", "-wal", "-shm", "-journal"))
        )


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _is_as_noted(path: Path, noted: list[int | None]) -> bool:
    stat = path.stat()
    if [stat.st_size, stat.st_mtime_ns] == noted[:2]:
        return True
    return stat.st_size == noted[0] and noted[2] is not None and _checksum(path) == noted[2]


def _has_decayed(path: Path, noted: list[int | None] | None) -> bool:
    """Whether a file has other bytes than noted under the noted size and time."""
    stat = path.stat()
    if noted is None or noted[2] is None or [stat.st_size, stat.st_mtime_ns] != noted[:2]:
        return False  # it was written to since, for example by Chroma itself
    return _checksum(path) != noted[2]


def _checksum(path: Path) -> int | None:
    """CRC-32 of a file; None for a large database, which changes a little at a time."""
    if path.suffix == _DATABASE and path.stat().st_size > _SMALL:
        return None
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def is_whole(folder: Path, kind: Literal["chroma", "words"] = "chroma") -> bool:
    """Whether another process can read everything in a folder of Chroma or tantivy.

    Takes a second, and another for every 20,000 vectors.

    Raises:
        CollectionError: No process can be started.
    """
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    # By its path, not as a module: that would import torch.
    command = [sys.executable, "-P", str(_CHILD), kind, str(folder)]
    try:
        ended = subprocess.run(
            command, timeout=_SECONDS + size / _BYTES_PER_SECOND, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return False  # a damaged index can keep Chroma busy for ever
    except OSError as error:
        raise CollectionError(
            f"Cannot see whether {folder} is damaged: no process can be started ({error})."
        ) from error
    if ended.returncode:
        logger.info("%s cannot be read: %s", folder, ended.stderr[-500:].decode(errors="replace"))
    # Where the other process has not begun (a frozen program has no Python to start), there is no
    # sign of damage.
    return ended.returncode == 0 or b"reading" not in ended.stdout


def remove(path: Path) -> None:
    """Delete a file, or a folder in its place; errors are ignored."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def is_panic(error: BaseException) -> bool:
    """Whether Rust code panicked: its class cannot be imported, and is not an `Exception`."""
    return type(error).__module__ == "pyo3_runtime"
