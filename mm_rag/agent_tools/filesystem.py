"""A collection as a read-only file system: folders, files, and sections (pages, pictures, clips).

The root is the deepest folder that all files share, so an agent learns nothing about the machine:
`/home/ada/papers/2024/a.pdf` becomes `/2024/a.pdf`, and its third page `/2024/a.pdf/page-3`. A URL
is a file, too: `/https:/example.org/a.pdf`. A file with files in it is also a folder:
`/mail.eml/invoice.pdf/page-3`. Every path is a single line that can be typed, and no
two files have the same path.

Chat models misspell paths: they copy a whole line of a result, write `page 3` for `page-3`, or use
the path on disk that their user gave them. A spelling that can only mean one thing is accepted.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import unquote

from mm_rag._printing import one_line
from mm_rag.agent_tools.sections import (
    CLOCK_TIME,
    PAGE_NUMBER,
    Section,
    section_name,
    section_named,
    sections_of,
    shortened,
)
from mm_rag.collection import Collection
from mm_rag.errors import InputError
from mm_rag.segment import Segment
from mm_rag.words import normalized

_Key: TypeAlias = "tuple[str, str | None]"  # a source, and a file in it
_NONE: Mapping[_Key, str] = MappingProxyType({})

_MAX_SUGGESTIONS = 3  # paths in an error message
_FILES_PER_READ = 200

_IRREGULAR = re.compile(r"[<>]|  |/ | /| $|//|/\.\.?(?:/|$)|/$")

_RESULT_NUMBER = re.compile(r"^\[\d+\]\s*")  # before the path in a search result
_AFTER_PATH = re.compile(r"(?:\s{2,}\(.*|:\d+(?::.*)?)$", re.DOTALL)  # in lines of ls and grep
_QUOTES = " \t\r\n\"'`*<>\u201c\u201d\u2018\u2019"
_SECTION_SUFFIX = re.compile(
    rf"[\s,;:#(/@]+(?P<name>{PAGE_NUMBER}|{CLOCK_TIME}(?:\s*[-\u2013]\s*{CLOCK_TIME})?)\)?$",
    re.IGNORECASE,
)
_MAX_PATH = 4_000  # characters that are read of a path
_MAX_SECTION_SUFFIX = 80  # characters

_MAX_COMPARED = 300  # characters of a name in a similarity search
_MAX_CANDIDATES = 30  # names that are compared character by character, which is slow


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of the tree.

    Attributes:
        path: Path in the tree.
        source: `Segment.source` of its Segments.
        member: `Segment.member` of its Segments.
        pages: Number of pages; 0 for files without pages.
        clips: Number of clips; 0 for files without a time axis.
        last_clip: Start of the last clip in seconds; None for files without a time axis.
        modalities: Modalities of its Segments, separated by commas.
        is_plain: Whether page numbers name its sections uniquely, or it is a single section.
        same_as: Path of the indexed file with the same content; None if this is the indexed one.
    """

    path: str
    source: str
    member: str | None
    pages: int
    clips: int
    last_clip: float | None
    modalities: str
    is_plain: bool
    same_as: str | None


class FileTree:
    """The files of a collection by path.

    Args:
        collection: The collection; read once.
    """

    def __init__(self, collection: Collection) -> None:
        contents = collection.contents
        stats = {(each.source, each.member): each for each in contents.source_stats()}
        sources = {source for source, _ in stats}
        copies = {
            copy: source
            for copy, source in contents.copies().items()
            if source in sources and copy not in sources
        }
        self._root = _common_folder([*sources, *copies])
        outer = _unique_paths({(name, None): self._wanted(name) for name in (*sources, *copies)})
        self._outer = {name: path for (name, _), path in outer.items()}
        copied = [
            (copy, member)
            for copy, source in copies.items()
            for at, member in stats
            if at == source
        ]
        self._paths = _unique_paths(
            {key: self._path_in(*key) for key in [*outer, *stats, *copied]}, taken=outer
        )
        self.files: dict[str, File] = {}
        for (name, member), path in sorted(self._paths.items(), key=lambda item: item[1]):
            source = copies.get(name, name)
            found = stats.get((source, member))
            if found is None:  # an archive, which has nothing but files
                continue
            self.files[path] = File(
                path=path,
                source=source,
                member=member,
                pages=found.pages,
                clips=found.clips,
                last_clip=found.last,
                modalities=found.modalities,
                is_plain=found.is_plain,
                same_as=self._paths[source, member] if name in copies else None,
            )

    def path_of(self, source: str, member: str | None = None) -> str:
        """Path of a source, or of a file in it, also of one that was added since."""
        return self._paths.get((source, member)) or self._path_in(source, member)

    def relative(self, path: str) -> str | None:
        """Path in the tree of a path on disk; None if it is not below the root."""
        root = "/" + self._root.strip("/") + "/"
        return path[len(root) - 1 :] if root != "//" and path.startswith(root) else None

    def is_folder(self, path: str) -> bool:
        """Whether there are files below a path; the root is always a folder.

        A URL may be a file and a folder: `/docs` beside `/docs/install.html`.
        """
        return path in self.folders

    @cached_property
    def folders(self) -> set[str]:
        """All folders."""
        found = {"/"}
        for folder in set(map(posixpath.dirname, self.files)):
            while folder not in found:
                found.add(folder)
                folder = posixpath.dirname(folder)
        return found

    def below(self, path: str) -> list[File]:
        """The file with this path, or all files below the folder, in order."""
        prefix = path.rstrip("/") + "/"
        return [
            file
            for file in self.files.values()
            if file.path == path or file.path.startswith(prefix)
        ]

    def filter_below(self, path: str) -> dict[str, Any] | None:
        """The metadata filter for the file, or all files below the folder, at a path.

        Returns:
            None if there are none.
        """
        parts: dict[str, list[str]] = {}
        whole: dict[str, None] = {}
        for file in self.below(path):
            outer = self._outer.get(file.source, file.path)
            if file.member is None or outer == path or outer.startswith(path.rstrip("/") + "/"):
                whole[file.source] = None
            else:
                parts.setdefault(file.source, []).append(file.member)
        found: list[dict[str, Any]] = [{"source": {"$in": list(whole)}}] if whole else []
        found += [
            {"$and": [{"source": source}, {"member": {"$in": members}}]}
            for source, members in parts.items()
            if source not in whole
        ]
        return {"$or": found} if len(found) > 1 else next(iter(found), None)

    def folders_in(self, path: str) -> dict[str, int]:
        """Immediate subfolders of a folder, with the number of files below each."""
        prefix = path.rstrip("/") + "/"
        folders: dict[str, int] = {}
        for file in self.below(path):
            first, slash, _ = file.path[len(prefix) :].partition("/")
            if slash and file.path != path:
                folders[prefix + first] = folders.get(prefix + first, 0) + 1
        return folders

    def files_in(self, path: str) -> list[File]:
        """Files immediately in a folder."""
        return [file for file in self.below(path) if posixpath.dirname(file.path) == path]

    def similar(self, path: str) -> list[str]:
        """Files and folders that a path may mean.

        Those that differ only in case; or else files whose path ends with it, such as `a.pdf` for
        `/2024/a.pdf`, or for a path with `...` those with the same beginning and end.
        """
        wanted = _folded(path)
        head, dots, tail = wanted.partition("...")
        if not wanted.strip("/."):
            return []
        known = {each: _folded(each) for each in dict.fromkeys([*self.files, *self.folders])}
        if same := [each for each, other in known.items() if other == wanted]:
            return same
        files = [(each, known[each]) for each in self.files]
        if dots:
            return [each for each, it in files if it.startswith(head) and it.endswith(tail)]
        return [each for each, it in files if it.endswith(wanted)]

    def _path_in(self, source: str, member: str | None) -> str:
        outer = self._outer.get(source) or self._wanted(source)
        return outer if member is None else _regular(f"{outer}/{member}")

    def _wanted(self, source: str) -> str:
        name = _with_slashes(source)
        if "://" in name:
            return _regular("/" + name.replace("://", ":/", 1))
        return _regular("/" + name[len(self._root) :].lstrip("/"))


class FileSystem:
    """Resolves paths and reads sections.

    Args:
        collection: The collection; its list of files is read once.
    """

    def __init__(self, collection: Collection) -> None:
        self.tree = FileTree(collection)
        self._contents = collection.contents
        self._read: dict[str, list[Section]] = {}

    def resolve(self, path: str) -> str:
        """Exact path of the folder, file or section that a path means.

        Raises:
            InputError: Nothing has this path, or it is ambiguous.
        """
        spellings = _spellings(path)
        spellings += [below for each in spellings if (below := self.tree.relative(each))]
        for find in (self._exact, self._similar):
            for spelling in spellings:
                if found := find(spelling):
                    return found
        raise self._not_found(path, spellings)

    def files(self, path: str) -> list[File]:
        """The file at a path, or all files below it.

        Raises:
            InputError: Nothing has this path, or it is ambiguous.
        """
        exact = self.resolve(path)
        if exact in self.tree.files or self.tree.is_folder(exact):
            return self.tree.below(exact)
        return self.tree.below(posixpath.dirname(exact))

    def sections(self, path: str) -> list[Section]:
        """All sections of the file at a path, or the one at the path.

        Raises:
            InputError: Nothing has this path, it is ambiguous, or it is a folder.
        """
        exact = self.resolve(path)
        if exact in self.tree.files:
            return self.sections_of(self.tree.files[exact])
        if self.tree.is_folder(exact):
            raise InputError(f"{exact} is a folder. Name a file in it; ls lists them.")
        of_file = self.sections_of(self.tree.files[posixpath.dirname(exact)])
        return [section for section in of_file if section.path == exact]

    def section(self, path: str) -> Section:
        """The single section at a path.

        Raises:
            InputError: Nothing has this path, it is ambiguous, or it has several sections.
        """
        sections = self.sections(path)
        if len(sections) > 1:
            raise InputError(
                f"{self.resolve(path)} has {len(sections)} pages or clips: name one of them, from "
                f"{_range(sections)}. ls lists them, cat reads them."
            )
        return sections[0]

    def sections_of(self, file: File) -> list[Section]:
        """The sections of a file, in order.

        Raises:
            InputError: The file was removed from the collection in the meantime.
        """
        if file.path not in self._read:
            self._read[file.path] = sections_of(
                file.path, self._contents.segments_of_member(file.source, file.member)
            )
        if not self._read[file.path]:
            raise InputError(f"{file.path} was removed from this collection a moment ago.")
        return self._read[file.path]

    def iter_sections(self, path: str, *, containing: str = "") -> Iterator[Section]:
        """Yield every section below a path; of files with the same content only those of one.

        Args:
            path: Path of a folder, file or section.
            containing: Files without these ASCII words, in any case, may be skipped.

        Raises:
            InputError: Nothing has this path, or it is ambiguous.
        """
        exact = self.resolve(path)
        if exact not in self.tree.files and not self.tree.is_folder(exact):
            yield from self.sections(exact)
            return
        found = self.tree.below(exact)
        files = {(each.source, each.member): each for each in reversed(found)}
        files |= {key: each for key, each in files.items() if each.same_as is None}
        by_source: dict[str, list[File]] = {}
        for each in sorted(files.values(), key=lambda file: file.path):
            by_source.setdefault(each.source, []).append(each)
        # The longest word only: where passages are joined, no single passage may hold them all.
        word = max(containing.split(), key=len, default="")
        sources = list(by_source)
        for start in range(0, len(sources), _FILES_PER_READ):
            batch = sources[start : start + _FILES_PER_READ]
            segments = self._contents.segments_of(batch, containing=word)
            for source in batch:
                by_member: dict[str | None, list[Segment]] = {}
                for segment in segments.get(source, []):
                    by_member.setdefault(segment.member, []).append(segment)
                for file in by_source[source]:
                    yield from sections_of(file.path, by_member.get(file.member, []))

    def path_of(self, segment: Segment) -> str:
        """Path of the section that a Segment belongs to."""
        path = self.tree.path_of(segment.source, segment.member)
        file = self.tree.files.get(path)
        if file is None or file.is_plain:
            return f"{path}/{section_name(segment)}".rstrip("/")
        # Two clips may start within one second: their names depend on the whole file.
        for section in self.sections_of(file):
            if section.main.place == segment.place:
                return section.path
        return path

    def _exact(self, path: str) -> str | None:
        if path in self.tree.files or self.tree.is_folder(path):
            return path
        for of_file, name in _splits(path):
            if of_file in self.tree.files:
                section = section_named(self.sections_of(self.tree.files[of_file]), name)
                if section is not None:
                    return section.path
        return None

    def _similar(self, path: str) -> str | None:
        for of_file, name in ((path, ""), *_splits(path)):
            found = self.tree.similar(of_file)
            if len(found) > 1:
                named = " or ".join(map(shortened, found[:_MAX_SUGGESTIONS]))
                more = f", among {len(found)} of them" if len(found) > _MAX_SUGGESTIONS else ""
                raise InputError(f"{shortened(path)} may be {named}{more}: write the whole path.")
            if found and not name:
                return found[0]
            if found and (exact := self._exact(f"{found[0]}/{name}")):
                return exact
        return None

    def _not_found(self, path: str, spellings: list[str]) -> InputError:
        for of_file, name in (pair for each in spellings for pair in _splits(each)):
            if of_file in self.tree.files:
                return self._no_section(self.tree.files[of_file], name)
        near = _most_similar(spellings[-1], [*self.tree.files, *self.tree.folders])
        hint = f" Did you mean {' or '.join(map(shortened, near))}?" if near else ""
        return InputError(
            f"There is nothing at {shortened(_absolute(path))} in this collection.{hint} "
            "ls('/') lists what there is; files outside of it cannot be opened."
        )

    def _no_section(self, file: File, name: str) -> InputError:
        sections, path = self.sections_of(file), shortened(file.path)
        if sections[0].path == file.path:
            return InputError(f"{path} has no pages or clips; name it without {name}.")
        return InputError(
            f"There is no {shortened(name)} in {path}, which has {_range(sections)}. "
            f"ls({path!r}) lists all."
        )


def _common_folder(sources: Iterable[str]) -> str:
    folders = {posixpath.dirname(_with_slashes(each)) for each in sources if "://" not in each}
    if not folders:
        return ""
    shared: list[str] = []
    for column in zip(*(folder.split("/") for folder in folders), strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "/".join(shared)


def _with_slashes(source: str) -> str:
    return source if "://" in source else source.replace("\\", "/")


def _regular(path: str) -> str:
    """Make a path a single printable line without empty parts, `..`, and angle brackets."""
    if path.isprintable() and not _IRREGULAR.search(path):
        return path
    parts = (" ".join(re.sub("[<>]", "_", one_line(part, "_")).split()) for part in path.split("/"))
    return "/" + ("/".join(part for part in parts if part not in ("", ".", "..")) or "unnamed")


def _unique_paths(wanted: Mapping[_Key, str], taken: Mapping[_Key, str] = _NONE) -> dict[_Key, str]:
    """Path of each source; where several want the same, a number is added before the suffix.

    Args:
        wanted: The path that each should have.
        taken: Paths of sources that already have one.
    """
    used = set(taken.values())
    paths: dict[_Key, str] = dict(taken)
    missing = ((_named(key), path, key) for key, path in wanted.items() if key not in taken)
    for _, path, key in sorted(missing, key=lambda one: (one[0] != one[1], *one[:2])):
        number, unique, (stem, suffix) = 2, path, posixpath.splitext(path)
        while unique in used:
            number, unique = number + 1, f"{stem}~{number}{suffix}"
        used.add(unique)
        paths[key] = unique
    return paths


def _named(key: _Key) -> str:
    source, member = key
    return source if member is None else f"{source}/{member}"


def _spellings(path: str) -> list[str]:
    """Paths that a chat model may mean, the most literal first."""
    path = path[:_MAX_PATH]
    bare = _AFTER_PATH.sub("", _RESULT_NUMBER.sub("", path.strip(_QUOTES)))
    bare = bare.strip(_QUOTES).rstrip(".,;:")
    local = re.sub(r"^file:/+", "/", bare)
    decoded = unquote(local).replace("\\", "/")
    return list(dict.fromkeys(map(_absolute, (path, bare, local, decoded))))


def _absolute(path: str) -> str:
    """A path from the root, without `.`, `..` and doubled slashes."""
    return posixpath.normpath("/" + path.strip().lstrip("/"))


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Yield ways to split a path into a file and the name of a section in it."""
    yield posixpath.dirname(path), posixpath.basename(path)
    suffix = _SECTION_SUFFIX.search(path, max(1, len(path) - _MAX_SECTION_SUFFIX))
    if suffix:
        yield path[: suffix.start()], suffix["name"]


def _folded(path: str) -> str:
    """A key that is equal for paths which differ only in case or Unicode normalization."""
    return normalized("NFC", path).casefold()


def _most_similar(name: str, names: Iterable[str]) -> list[str]:
    """Up to three similar names, the most similar first."""
    wanted, bigrams = name[:_MAX_COMPARED], _bigrams(name[:_MAX_COMPARED])

    def overlap(other: str) -> float:
        theirs = _bigrams(other[-_MAX_COMPARED:])
        return len(bigrams & theirs) / (len(bigrams) + len(theirs))

    candidates = nlargest(_MAX_CANDIDATES, names, key=overlap)
    return difflib.get_close_matches(wanted, candidates, n=_MAX_SUGGESTIONS, cutoff=0.5)


def _bigrams(name: str) -> set[str]:
    name = f" {name.casefold()} "
    return {name[at : at + 2] for at in range(len(name) - 1)}


def _range(sections: list[Section]) -> str:
    first, last = (posixpath.basename(each.path) for each in (sections[0], sections[-1]))
    return first if first == last else f"{first} to {last}"
