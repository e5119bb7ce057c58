"""Sources: the files and addresses meant by a path, a folder, a pattern or a list."""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from mm_rag.content import AUDIO_SUFFIXES, VIDEO_SUFFIXES, Url
from mm_rag.errors import InputError
from mm_rag.media.addresses import shown
from mm_rag_loaders.file_stamp import ContentHash

Sources: TypeAlias = str | Path | Iterable[str | Path]
"""A file, a folder, a pattern such as `"scans/**/*.pdf"`, an address, or several of these."""

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/|https?:", re.IGNORECASE)
# A text that is not an existing path may be an address with a password in it.
_WITH_USER = re.compile(r"\s*(([^/\\]*:|[/\\]{2}).*@|data:)", re.DOTALL)
_SUBTITLES = frozenset([".ass", ".srt", ".ssa", ".sub", ".vtt"])
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""Errors of a broken link, or of a file that was deleted in the meantime."""

_WITH_SUBTITLES = AUDIO_SUFFIXES | VIDEO_SUFFIXES

# Words in the default file names of cameras, scanners, phones and programs.
_MEANINGLESS = frozenset(
    """
    aud audio capture clip copy doc document download dsc dscf dscn export file final image img
    item memo mov movie mvi new noname page pdf photo pic picture pxl rec record recording scan
    scanned screen screenshot shot slide temp tmp unnamed untitled vid video voice
    """.split()  # noqa: SIM905 - a list of fifty quoted words is harder to read
)
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Source:
    """A file or an address to load.

    Attributes:
        location: An absolute path, or an address.
        within: The folder in which the file was found, which no link may leave; None if the caller
            named the file itself.
        content: Its sha256, if it was computed before; used if the file has not changed since.
    """

    location: Path | Url
    within: Path | None = None
    content: ContentHash | None = None

    def __str__(self) -> str:
        """The path, or the address without password and query."""
        at = self.location
        return shown(at.address) if isinstance(at, Url) else str(at)

    @property
    def name(self) -> str:
        """The last part of the path or address."""
        return last_part(str(self))


def find_sources(sources: Sources) -> list[Source]:
    """Find files and addresses, each once, sorted within a folder or pattern. Nothing is opened.

    Folders and patterns leave out hidden files and folders, and subtitle files beside their video
    or recording, whose loader reads them. Links to folders are not followed, neither in folders nor
    by `**`, because they may form cycles.

    Args:
        sources: A file, a folder (with all its folders), a pattern such as `"scans/**/*.pdf"`, an
            address, or several of these.

    Raises:
        InputError: A path does not exist, a pattern matches nothing, or a source has a wrong type.
    """
    found: dict[Path | Url, Source] = {}
    for each in _several(sources):
        for source in _found(each):
            found.setdefault(source.location, source)
    return list(found.values())


def as_source(given: str | Path) -> Source:
    """The source of one path or address; no folder is searched and no pattern expanded."""
    if isinstance(given, str) and _ADDRESS.match(given):
        return Source(Url(given))
    # Not Path.expanduser: it fails for "~$notes.docx", the name of Word's lock files.
    return Source(Path(os.path.abspath(os.path.expanduser(given))))  # noqa: PTH111


def last_part(source: str) -> str:
    """The last part of a path or address."""
    path = re.split(r"[?#]", source)[0] if _ADDRESS.match(source) else source
    return Path(path).name or source


def _several(sources: Any) -> Iterator[str | Path]:
    # Callers may not use a type checker.
    is_one = isinstance(sources, str | Path) or not isinstance(sources, Iterable)
    for given in [sources] if is_one else cast("Iterable[Any]", sources):
        if not isinstance(given, str | Path) or given == "":
            raise InputError(f"A source is a path, a pattern or an address; got {given!r:.100}.")
        yield given


def _found(given: str | Path) -> Iterator[Source]:
    source = as_source(given)
    path = source.location
    if isinstance(path, Url):
        yield source
        return
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises without permission
        yield from (Source(inside, path) for inside in _without_sidecars(_walk(path)))
    elif _is_there(path):
        yield source
    elif glob.has_magic(str(path)):
        folder, found = files_matching(path)
        if not found:
            raise InputError(f"No file matches {path}.")
        yield from (Source(match, folder) for match in _without_sidecars(found))
    else:
        name = shown(str(given)) if _WITH_USER.match(str(given)) else given
        raise InputError(f"There is no file or folder {name}.")


def _is_there(path: Path) -> bool:
    """Whether the path exists, or may exist: then opening it will give the reason why it fails."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG  # mostly a pattern
    return True


def _walk(folder: Path) -> Iterator[Path]:
    """The files in a folder and its subfolders, sorted by name.

    Paths that cannot be inspected are included: opening them will give the reason.
    """
    waiting = [folder]  # no recursion: folders may be nested deeper than Python's stack
    while waiting:
        path = waiting.pop()
        if path is not folder:
            try:
                mode = path.stat().st_mode
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    yield path
                continue
            if stat.S_ISREG(mode):
                yield path
            if not stat.S_ISDIR(mode) or path.is_symlink():
                continue
        try:
            inside = sorted(path.iterdir(), reverse=True)
        except OSError:
            yield path
            continue
        waiting += (below for below in inside if not below.name.startswith("."))


def _without_sidecars(paths: Iterable[Path]) -> Iterator[Path]:
    found = list(paths)
    media = {path.with_suffix("") for path in found if path.suffix.lower() in _WITH_SUBTITLES}
    for path in found:
        # "talk.srt" and "talk.en.srt" are both subtitles of "talk.mkv".
        stems = {path.with_suffix(""), path.with_suffix("").with_suffix("")}
        if path.suffix.lower() not in _SUBTITLES or not stems & media:
            yield path


def files_matching(pattern: Path) -> tuple[Path, list[Path]]:
    """The folder that a pattern searches, and the files that match, sorted.

    `**` matches any folders, or at the end everything in them. Hidden files and folders must be
    named, and `**` does not follow links to folders. `Path.glob` would find hidden files, and the
    module `glob` follows links in cycles.

    Args:
        pattern: An absolute path with wildcards.
    """
    folder = next(above for above in pattern.parents if not glob.has_magic(str(above)))
    parts = pattern.relative_to(folder).parts
    if parts[-1] == "**":
        parts = (*parts, "*")
    return folder, sorted(set(_matching(folder, parts)))


def _matching(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    first, rest = parts[0], parts[1:]
    if first == "**":
        while rest[0] == "**":
            rest = rest[1:]
        for below in _folders(folder):
            yield from _matching(below, rest)
        return
    for name in _named(folder, first):
        path = folder / name
        if rest and os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises without permission
            yield from _matching(path, rest)
        elif not rest and os.path.isfile(path):  # noqa: PTH113
            yield path


def _named(folder: Path, part: str) -> list[str]:
    if not glob.has_magic(part):
        return [part]
    shown = (name for name in _names(folder) if part.startswith(".") or not name.startswith("."))
    return fnmatch.filter(shown, part)


def _folders(folder: Path) -> Iterator[Path]:
    """A folder and its subfolders, without hidden ones and links."""
    waiting = [folder]  # no recursion: folders may be nested deeper than Python's stack
    while waiting:
        here = waiting.pop()
        yield here
        for name in _names(here):
            below = here / name
            if not (name.startswith(".") or below.is_symlink()) and os.path.isdir(below):  # noqa: PTH112
                waiting.append(below)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:  # nothing matches in a folder that may not be listed
        return []


def title_from(source: str) -> str:
    """A title made from a path or address, for files that have none.

    `".../team_photo-2024.jpg"` gives `"team photo 2024"`; a meaningless name gives `""`.
    """
    return name_in_words(Path(last_part(source)).stem)


def name_in_words(stem: str) -> str:
    """`"team_photo-2024"` gives `"team photo 2024"`; `"IMG_20240102_1234"` gives `""`.

    A name is meaningless if it has more digits than letters, or consists of default words only.
    """
    words = _WORD.findall(stem.lower())
    if len(re.findall(r"\d", stem)) > sum(map(len, words)) or _MEANINGLESS.issuperset(words):
        return ""
    return " ".join(re.sub(r"[_\-\s]+", " ", stem).split())
