"""Write files in files to temporary files, under safe names and within a limit of bytes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mm_rag._printing import one_line
from mm_rag._temporary import TemporaryFolder

CHUNK_BYTES = 1024**2

_MOST_NAME = 1_000  # characters of a path in a file
_MOST_FILE_NAME = 150  # bytes in UTF-8; file systems allow 255 for a name
_DRIVE = re.compile(r"^(?:[A-Za-z]:|\\\\[?.]\\)")
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*]')


class MemberNames:
    """Makes the names of the files in a file: relative, without `..`, and each only once."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """The name for a file, from what its container calls it.

        A name that is taken gets a number: `report (2).pdf`.
        """
        safe = safe_name(name)
        count = self._taken.get(safe, 0) + 1
        self._taken[safe] = count
        while count > 1:
            path = PurePosixPath(safe)
            numbered = str(path.with_name(f"{path.stem} ({count}){path.suffix}"))
            if numbered not in self._taken:
                self._taken[numbered] = 1
                return numbered
            count += 1
            self._taken[safe] = count
        return safe


def safe_name(name: str) -> str:
    """A relative path of printable characters, without `.` and `..`; "unnamed" if none is left."""
    shown = one_line(unicodedata.normalize("NFC", name), "_")
    parts = _DRIVE.sub("", shown).replace("\\", "/").split("/")
    kept = [part.strip() for part in parts if part.strip() not in ("", ".", "..")]
    path = "/".join(kept)
    if len(path) > _MOST_NAME:
        suffix = PurePosixPath(path).suffix[:20]
        path = path[: _MOST_NAME - len(suffix)].rstrip("/ ") + suffix
    return path or "unnamed"


@contextmanager
def scratch_folder() -> Generator[Scratch]:
    """A folder for one temporary file at a time, deleted afterwards."""
    with TemporaryFolder() as folder:
        yield Scratch(folder.path)


class Scratch:
    """A folder that holds the bytes of one file in a file at a time.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._last: Path | None = None

    def written(
        self, name: str, chunks: Iterable[bytes], most: int | None = None
    ) -> tuple[Path, bool]:
        """Write a file, and delete the one before.

        Args:
            name: Its name in the other file; the last part becomes the name of the file.
            chunks: Its bytes. What comes before an error is kept; the error is raised.
            most: Bytes that may be written; None for any number.

        Returns:
            The file, and whether it has more bytes than may be written.
        """
        # One folder for all: making and deleting one for each takes longer than everything else.
        if self._last:
            self._last.unlink(missing_ok=True)
        self._last = path = self.folder / _file_name(name)
        size = 0
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk if most is None else chunk[: max(0, most - size)])
                size += len(chunk)
                if most is not None and size > most:
                    return path, True
        return path, False


def _file_name(name: str) -> str:
    path = PurePosixPath(_FORBIDDEN.sub("_", PurePosixPath(name).name))
    suffix = path.suffix if len(path.suffix.encode()) <= 20 else ""
    stem = str(path)[: len(str(path)) - len(suffix)]
    while len(stem.encode()) > _MOST_FILE_NAME:
        stem = stem[:-1]
    return (stem + suffix).strip() or "unnamed"


def read_in_chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield what a `read` function gives, until it gives nothing."""
    while chunk := read(CHUNK_BYTES):
        yield chunk
