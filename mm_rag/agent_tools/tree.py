"""Tree: the sources of a collection as the files of a file system of their own.

The folder that all files have in common is its root, so an agent is told nothing of the machine
around it: `/home/ada/papers/2024/a.pdf` is `/2024/a.pdf`. An address is a file, too:
`/https:/example.org/a.pdf`. Every path stands in one line and can be typed, whatever a source is
called, and no two are the same.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from mm_rag.agent_tools.spelling import folded
from mm_rag.collection.catalog import SourceStats

# What would break a line, turn it round, or stand for a fence.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069<>]")
_UNTIDY = re.compile(rf"{_UNSAFE.pattern}|[^\S ]|  |/ | /| $|//|/\.\.?(?:/|$)|/$")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of the tree.

    Attributes:
        path: Where it is in the tree.
        outline: What the collection has of it.
        same_as: The path of the file that stands for it, as its content is the same.
    """

    path: str
    outline: SourceStats
    same_as: str | None = None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return posixpath.basename(self.path)


class Tree:
    """The files of a collection, by path.

    Args:
        outlines: What there is of every source.
        copies: By the path of a file on disk, the source with the same content.
    """

    def __init__(self, outlines: Iterable[SourceStats], copies: Mapping[str, str]) -> None:
        by_source = {outline.source: outline for outline in outlines}
        copies = {copy: same for copy, same in copies.items() if same in by_source}
        self._root = _common_folder([*by_source, *copies])
        self._paths = _free_paths({name: self._wanted(name) for name in [*by_source, *copies]})
        files = [File(path=self._paths[name], outline=each) for name, each in by_source.items()]
        files += [
            File(path=self._paths[copy], outline=by_source[same], same_as=self._paths[same])
            for copy, same in copies.items()
            if copy not in by_source
        ]
        self.files: dict[str, File] = {
            file.path: file for file in sorted(files, key=lambda file: file.path)
        }

    def path_of(self, source: str) -> str:
        """Where a source is in the tree, or would be."""
        return self._paths.get(source) or self._wanted(source)

    def inside(self, path: str) -> str | None:
        """The path of what has this path on disk; None where that is not below the root."""
        root = "/" + self._root.strip("/") + "/"
        return path[len(root) - 1 :] if root != "//" and path.startswith(root) else None

    def sources_below(self, path: str) -> list[str]:
        """The sources of the files in a folder, each named once."""
        return list(dict.fromkeys(file.outline.source for file in self.below(path)))

    def below(self, path: str) -> list[File]:
        """The file of this path, or the files in the folder, however deep; in order."""
        prefix = path.rstrip("/") + "/"
        return [
            file
            for file in self.files.values()
            if file.path == path or file.path.startswith(prefix)
        ]

    def is_folder(self, path: str) -> bool:
        """Whether files lie in it; the root is one even if there are none.

        An address may be a file and a folder at once: `/docs` beside `/docs/install.html`.
        """
        return path in self.folders

    @cached_property
    def folders(self) -> set[str]:
        """Every folder."""
        found = {"/"}
        for folder in set(map(posixpath.dirname, self.files)):
            while folder not in found:
                found.add(folder)
                folder = posixpath.dirname(folder)
        return found

    def folders_in(self, path: str) -> dict[str, int]:
        """The folders right in a folder, with how many files each has, however deep."""
        prefix = path.rstrip("/") + "/"
        folders: dict[str, int] = {}
        for file in self.below(path):
            first, slash, _ = file.path[len(prefix) :].partition("/")
            if slash and file.path != path:
                folders[prefix + first] = folders.get(prefix + first, 0) + 1
        return folders

    def files_in(self, path: str) -> list[File]:
        """The files right in a folder."""
        return [file for file in self.below(path) if posixpath.dirname(file.path) == path]

    def like(self, path: str) -> list[str]:
        """The files and folders that a path may mean.

        Those of the same letters in another case; else files of which it is the end, such as
        `a.pdf` of `/2024/a.pdf`, or the beginning and the end, with `...` between.
        """
        wanted = folded(path)
        head, dots, tail = wanted.partition("...")
        if not wanted.strip("/."):
            return []
        known = {each: folded(each) for each in dict.fromkeys([*self.files, *self.folders])}
        if same := [each for each, other in known.items() if other == wanted]:
            return same
        files = [(each, known[each]) for each in self.files]
        if dots:
            return [each for each, it in files if it.startswith(head) and it.endswith(tail)]
        return [each for each, it in files if it.endswith(wanted)]

    def _wanted(self, source: str) -> str:
        name = _slashes(source)
        if "://" in name:
            return _tidy("/" + name.replace("://", ":/", 1))
        return _tidy("/" + name[len(self._root) :].lstrip("/"))


def _tidy(path: str) -> str:
    if not _UNTIDY.search(path):
        return path
    parts = (" ".join(_UNSAFE.sub("_", part).split()) for part in path.split("/"))
    return "/" + ("/".join(part for part in parts if part not in ("", ".", "..")) or "unnamed")


def _free_paths(wanted: Mapping[str, str]) -> dict[str, str]:
    """By source, its path, with a number where another source has the same."""
    taken: set[str] = set()
    paths: dict[str, str] = {}
    for source, path in sorted(wanted.items(), key=lambda item: (item[0] != item[1], item)):
        number, free, (stem, ending) = 2, path, posixpath.splitext(path)
        while free in taken:
            number, free = number + 1, f"{stem}~{number}{ending}"
        taken.add(free)
        paths[source] = free
    return paths


def _slashes(source: str) -> str:
    return source if "://" in source else source.replace("\\", "/")


def _common_folder(sources: Iterable[str]) -> str:
    folders = {posixpath.dirname(_slashes(source)) for source in sources if "://" not in source}
    if not folders:
        return ""
    parts = [folder.split("/") for folder in folders]
    shared: list[str] = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "/".join(shared)
