"""Exclusion: patterns of files that a sync leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast
from unicodedata import normalize

from mm_rag.content import Url
from mm_rag.errors import InputError
from mm_rag_loaders import Source


class Exclusion:
    """Patterns of file and folder names, similar to those of rsync and .gitignore.

    A pattern without a slash is compared with the names of the file and of every folder between it
    and the synced folder: `"*.tmp"`, `"drafts"`. A pattern with a slash is compared with their
    paths, absolute or relative to the synced folder: `"drafts/*.pdf"`. `*` matches any characters,
    including slashes, `?` one character, `[ab]` one of these, `**/` any folders.

    Args:
        patterns: One or several patterns, or none.

    Raises:
        InputError: A pattern is empty or no str.
    """

    def __init__(self, patterns: str | Sequence[str]) -> None:
        given = [patterns] if isinstance(patterns, str) else list(cast("Sequence[Any]", patterns))
        for pattern in given:
            if not isinstance(pattern, str) or not pattern.strip("/ "):
                raise InputError(f"exclude takes patterns such as '*.tmp'; got {pattern!r:.100}.")
        self._patterns = [spelling for pattern in given for spelling in _spellings(pattern)]

    def covers(self, source: Source) -> bool:
        """Whether a file, or a folder that it lies in, matches a pattern."""
        path, root = source.location, source.within
        if not self._patterns or isinstance(path, Url):
            return False
        inside = path.relative_to(root) if root and root in path.parents else Path(path.name)
        names = [normalize("NFC", name) for name in inside.parts]
        paths = [*_with_folders(inside), *_with_folders(path)]
        return any(
            fnmatchcase(place, pattern)
            for pattern in self._patterns
            for place in (paths if "/" in pattern else names)
        )


def _spellings(pattern: str) -> Iterator[str]:
    """The normalised forms of a pattern: a path begins with a slash, a name has none."""
    bare = normalize("NFC", pattern).removeprefix("./").rstrip("/")
    if "/" not in bare:
        yield bare
        return
    path = f"/{bare.lstrip('/')}"
    yield path
    if "/**/" in path:
        yield path.replace("/**/", "/")


def _with_folders(path: Path) -> Iterator[str]:
    """A path and its parent folders, each with a leading slash."""
    for place in (path, *path.parents):
        if place.name:
            yield f"/{normalize('NFC', place.as_posix().lstrip('/'))}"
