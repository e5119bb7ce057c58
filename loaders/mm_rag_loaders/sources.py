"""Sources: the files and addresses that are meant by a path, a folder, a pattern or a list."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mm_rag.content import AUDIO_SUFFIXES, VIDEO_SUFFIXES, Url
from mm_rag.errors import InputError
from mm_rag.media.addresses import shown

Sources: TypeAlias = str | Path | Iterable[str | Path]
"""A file, a folder, a pattern such as `"scans/**/*.pdf"`, an address, or several of these."""

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")
_SUBTITLES = frozenset([".ass", ".srt", ".ssa", ".sub", ".vtt"])
_WITH_SUBTITLES = AUDIO_SUFFIXES | VIDEO_SUFFIXES


@dataclass(frozen=True)
class Source:
    """A file or an address to load.

    Attributes:
        place: An absolute path, or an address.
        within: The folder in which it was found, out of which no link may lead; None for what the
            caller named.
    """

    place: Path | Url
    within: Path | None = None

    def __str__(self) -> str:
        """As it is reported: of an address, without the password and the query in it."""
        return shown(self.place.address) if isinstance(self.place, Url) else str(self.place)

    @property
    def name(self) -> str:
        """The last part of it."""
        return last_part(str(self))


def find_sources(sources: Sources) -> list[Source]:
    """Find what is meant, sorted within a folder or pattern, each once. Nothing is opened.

    Hidden files and folders are left out of folders and patterns, and so are subtitle files that
    lie beside their video or recording, because its loader reads them.

    Args:
        sources: A file, a folder (with all its folders), a pattern such as `"scans/**/*.pdf"`, an
            address, or several of these.

    Raises:
        InputError: A path does not exist, or a pattern matches nothing.
    """
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    found: dict[Path | Url, Source] = {}
    for each in given:
        for source in _found(each):
            found.setdefault(source.place, source)
    return list(found.values())


def as_source(given: str | Path) -> Source:
    """One file or address, as the caller names it."""
    if isinstance(given, str) and _ADDRESS.match(given):
        return Source(Url(given))
    return Source(Path(os.path.abspath(Path(given).expanduser())))


def last_part(source: str) -> str:
    """The name at the end of a path or an address."""
    path = re.split(r"[?#]", source)[0] if _ADDRESS.match(source) else source
    return Path(path).name or source


def _found(given: str | Path) -> Iterator[Source]:
    source = as_source(given)
    if isinstance(source.place, Url):
        yield source
        return
    path = source.place
    if path.is_dir():
        yield from (Source(inside, path) for inside in _without_sidecars(_walk(path)))
    elif path.exists():
        yield source
    elif glob.has_magic(str(path)):
        yield from (Source(match, _fixed_part(path)) for match in _matches(path))
    else:
        raise InputError(f"There is no file or folder {given}.")


def _matches(pattern: Path) -> Iterator[Path]:
    # Not Path.glob: it finds hidden files.
    names = glob.glob(str(pattern), recursive=True)  # noqa: PTH207
    matches = sorted(map(Path, names))
    if not matches:
        raise InputError(f"Nothing matches {pattern}.")
    return _without_sidecars(path for path in matches if path.is_file())


def _fixed_part(pattern: Path) -> Path:
    """The folder in which a pattern looks."""
    return next(folder for folder in pattern.parents if not glob.has_magic(str(folder)))


def _walk(folder: Path) -> Iterator[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        yield folder  # whoever opens it will say why that is not possible
        return
    for path in inside:
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        elif path.is_file():
            yield path


def _without_sidecars(paths: Iterable[Path]) -> Iterator[Path]:
    found = list(paths)
    media = {path.with_suffix("") for path in found if path.suffix.lower() in _WITH_SUBTITLES}
    for path in found:
        # Beside "talk.mkv" both "talk.srt" and "talk.en.srt" are its subtitles.
        stems = {path.with_suffix(""), path.with_suffix("").with_suffix("")}
        if path.suffix.lower() not in _SUBTITLES or not stems & media:
            yield path
