"""Load damaged files, files that name what they must not read, and files made to do damage."""

from __future__ import annotations

import ctypes
import os
import random
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mm_rag.media import MediaPolicy
from mm_rag_loaders import AssetStore, LoadedFile, LoadOptions, Source, load_files

LIMIT_SECONDS = 60.0
_ENDS = {"the process that read it": "worker died", "it took longer than": "worker stopped"}


@dataclass(frozen=True)
class Ordeal:
    """The outcomes of a set of files.

    Attributes:
        files: Number of files given.
        outcomes: Number of files by outcome.
        longest: The longest time from one outcome to the next, in seconds.
        seconds: Total time.
        opened: Files outside the roots that were opened.
        stopped: Reasons of files whose worker died or was stopped.
    """

    files: int
    outcomes: Counter[str]
    longest: float
    seconds: float
    opened: tuple[str, ...]
    stopped: tuple[str, ...]


def ordeal(paths: list[Path], roots: tuple[Path, ...], forbidden: Path, assets: Path) -> Ordeal:
    """Load every file in worker processes, with small limits.

    Args:
        paths: Files to load.
        roots: `MediaPolicy.roots`.
        forbidden: A folder outside the roots, which is watched.
        assets: Folder for pictures.
    """
    policy = MediaPolicy(
        roots=roots,
        max_load_seconds=LIMIT_SECONDS,
        max_memory=2 * 1024**3,
        max_pages=20,
        max_seconds=120,
    )
    options = LoadOptions(policy=policy, workers=2, assets=AssetStore(assets))
    outcomes: Counter[str] = Counter()
    longest, began = 0.0, time.monotonic()
    stopped: list[str] = []
    with OpenWatch(forbidden) as watch:
        last = began
        for loaded in load_files([Source(path) for path in paths], options):
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            state = _state(loaded)
            if state in _ENDS.values():
                stopped.append(f"{Path(loaded.source).name}: {loaded.reason}")
            outcomes[state] += 1
            _tell(f"{outcomes.total()}/{len(paths)} {Path(loaded.source).name}: {state}")
        seen = watch.names()
    seconds = time.monotonic() - began
    return Ordeal(len(paths), outcomes, longest, seconds, tuple(seen), tuple(stopped))


def _state(loaded: LoadedFile) -> str:
    for beginning, state in _ENDS.items():
        if loaded.reason.startswith(beginning):
            return state
    return "loaded, with notes" if loaded.notes and loaded.segments else loaded.state


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line[:78]}", end="", file=sys.stderr)


_MOST_BYTES = 400_000
_FOLDERS = ("pdf", "images", "audio", "video")
_CANARY_LINKS = {
    "list.mp4": "ffconcat version 1.0\nfile '{path}'\n",
    "stream.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
    "field.rtf": r"{{\rtf1 a{{\field{{\*\fldinst {{ INCLUDEPICTURE "
    + r'"{url}" \\d }}}}{{\fldrslt x}}}}\par}}',
    "drawing.svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>',
    "form.pdf": "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/GoToR/F({path})>>>>"
    "endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R"
    "/MediaBox[0 0 99 99]/Contents 4 0 R>>endobj\n4 0 obj<</Length 0/F({path})>>stream\n\n"
    "endstream endobj\ntrailer<</Root 1 0 R>>\n",
}


def write_mutants(corpus: Path, folder: Path, count: int, seed: int = 1) -> list[Path]:
    """Write `count` damaged copies of a corpus's small files; a seed always gives the same ones."""
    dice = random.Random(seed)
    originals = sorted(
        path
        for name in _FOLDERS
        for path in (corpus / name).rglob("*")
        if path.is_file() and 0 < path.stat().st_size <= _MOST_BYTES
    )
    written: list[Path] = []
    for number in range(count):
        original = originals[number % len(originals)]
        path = folder / f"{number:03}-{original.name}"
        path.write_bytes(mutated(original.read_bytes(), dice))
        written.append(path)
    return written


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Damage bytes in one of five ways."""
    first, second = sorted(dice.randrange(len(data) + 1) for _ in "12")
    match dice.randrange(5):
        case 0:
            return _flipped(data, dice, dice.randint(1, 8))
        case 1:
            return _flipped(data, dice, max(1, len(data) // 100))
        case 2:
            return data[: max(1, first)]
        case 3:
            return data[:first] + data[second:] or b"\0"
        case _:
            middle = (first + second) // 2
            return data[:first] + data[middle:second] + data[first:middle] + data[second:]


def _flipped(data: bytes, dice: random.Random, count: int) -> bytes:
    damaged = bytearray(data)
    for _ in range(count):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def write_lures(folder: Path, canary: Path) -> Iterator[Path]:
    """Write files that refer to the canary, each as its format allows, and a link to it."""
    for name, text in _CANARY_LINKS.items():
        path = folder / name
        path.write_text(text.format(path=canary, url=canary.as_uri()))
        yield path
    link = folder / "link.pdf"
    link.symlink_to(canary)
    yield link


_OPENED = 0x20
_NOT_WAITING = os.O_NONBLOCK
_EVENT = struct.Struct("iIII")


class OpenWatch:
    """Watches with inotify which files of a folder are opened, by any process. On Linux only.

    Raises:
        OSError: inotify is missing or its limits are reached.
    """

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._told: int = libc.inotify_init1(_NOT_WAITING)
        watch: int = libc.inotify_add_watch(self._told, os.fsencode(folder), _OPENED)
        if self._told < 0 or watch < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._told)

    def names(self) -> list[str]:
        """Names of the files that were opened since the last call."""
        names: list[str] = []
        while True:
            try:
                data = os.read(self._told, 65_536)
            except BlockingIOError:
                return names
            place = 0
            while place < len(data):
                *_, length = _EVENT.unpack_from(data, place)
                place += _EVENT.size
                names.append(data[place : place + length].rstrip(b"\0").decode())
                place += length
