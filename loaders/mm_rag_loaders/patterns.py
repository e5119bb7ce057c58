"""Patterns: the files that `"scans/**/*.pdf"` means.

Not pathlib's, which finds hidden files, nor those of the module `glob`, which follow links in
circles.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path


def files_matching(pattern: Path) -> tuple[Path, list[Path]]:
    """The folder in which a pattern looks, and the files that match, sorted.

    `**` stands for any folders, or at the end for all that is in them. Hidden files and folders
    have to be named, and links to folders are not followed by `**`.

    Args:
        pattern: Absolute.
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
        if rest and os.path.isdir(path):  # noqa: PTH112 - Path.is_dir fails where it may not look
            yield from _matching(path, rest)
        elif not rest and os.path.isfile(path):  # noqa: PTH113
            yield path


def _named(folder: Path, part: str) -> list[str]:
    if not glob.has_magic(part):
        return [part]
    shown = (name for name in _names(folder) if part.startswith(".") or not name.startswith("."))
    return fnmatch.filter(shown, part)


def _folders(folder: Path) -> Iterator[Path]:
    """A folder and all that are in it, without hidden ones and links."""
    waiting = [folder]  # no recursion: there are folders deeper than Python's stack
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
    except OSError:  # what may not be looked into has nothing in it that matches
        return []
