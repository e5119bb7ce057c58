"""Tree: the sources of a collection as the files of a file system of their own.

The folder that all files have in common is its root, so an agent is told nothing of the machine
around it: `/home/ada/papers/2024/a.pdf` is `/2024/a.pdf`. An address is a file, too:
`/https:/example.org/a.pdf`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mm_rag.collection.ledger import Outline


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of the tree.

    Attributes:
        path: Where it is in the tree.
        outline: What the collection has of it.
        same_as: The path of the file that stands for it, as its content is the same.
    """

    path: str
    outline: Outline
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

    def __init__(self, outlines: Iterable[Outline], copies: Mapping[str, str]) -> None:
        by_source = {outline.source: outline for outline in outlines}
        self._root = _common_folder([*by_source, *copies])
        files = [File(path=self.path_of(name), outline=each) for name, each in by_source.items()]
        files += [
            File(path=self.path_of(copy), outline=by_source[same], same_as=self.path_of(same))
            for copy, same in copies.items()
            if same in by_source
        ]
        self.files: dict[str, File] = {
            file.path: file for file in sorted(files, key=lambda file: file.path)
        }

    def path_of(self, source: str) -> str:
        """Where a source is in the tree."""
        name = _slashes(source)
        if "://" in name:
            return "/" + name.replace("://", ":/", 1).rstrip("/")
        return posixpath.normpath("/" + name[len(self._root) :].lstrip("/"))

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
        """Whether files lie in it; the root is one even if there are none."""
        return path == "/" or (path not in self.files and bool(self.below(path)))

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
