"""The model: what a collection must hold, kept in dicts, where nothing can go wrong."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from mm_rag import Segment
from mm_rag_loaders import LoadOptions, load_file

Row: TypeAlias = tuple[str, str, int | None, float | None, int, str, str]
"""A Segment as far as it is compared: source, sha256, page, start, part, title, text."""


def row(segment: Segment) -> Row:
    """What is compared of a Segment."""
    place = (segment.page, segment.start, segment.part)
    return (segment.source, segment.sha256, *place, segment.title, segment.text)


@dataclass(frozen=True)
class Document:
    """A file with the word that no other content has.

    Attributes:
        text: All of it.
        word: In the text; empty where the text has no words.
    """

    text: str
    word: str


@dataclass
class Model:
    """What is on disk, and what the collection must therefore hold.

    Attributes:
        root: The folder that is synced.
        disk: The files by their path.
        held: The files as they were when they were last synced, with their Segments.
        added: The Segments that were added by themselves, by their id, with their word.
        gone: Words that some file or Segment had, and that may have none now.
    """

    root: Path
    disk: dict[Path, Document] = field(default_factory=dict[Path, Document])
    held: dict[Path, tuple[Document, tuple[Segment, ...]]] = field(
        default_factory=dict[Path, tuple[Document, tuple[Segment, ...]]]
    )
    added: dict[str, tuple[str, Segment]] = field(default_factory=dict[str, tuple[str, Segment]])
    gone: list[str] = field(default_factory=list[str])

    def synced(self, folder: Path, options: LoadOptions) -> None:
        """A folder was synced: what is held of it is what is on disk.

        Raises:
            AssertionError: The model and the disk differ: the model is wrong.
        """
        before = {path for path in self.held if path.is_relative_to(folder)}
        on_disk = {path: doc for path, doc in self.disk.items() if path.is_relative_to(folder)}
        for path in before - set(on_disk):
            del self.held[path]
        for path, document in on_disk.items():
            if path not in self.held or self.held[path][0] != document:
                assert path.read_text() == document.text, path
                self.held[path] = (document, load_file(path, options).segments)

    def difference(self, actual: Iterable[Segment]) -> str | None:
        """How what is in the collection differs from what must be; None where it does not.

        Of files with one content the collection holds one's Segments: anyone's will do.
        """
        by_content: dict[str, Counter[Row]] = defaultdict(Counter)
        for segment in actual:
            by_content[segment.sha256][row(segment)] += 1
        allowed = self._allowed()
        for sha256 in sorted(allowed.keys() | by_content.keys()):
            found, right = by_content[sha256], allowed.get(sha256, [Counter()])
            if found not in right:
                return f"of {sha256[:8]} it holds {_short(found)} instead of {_short(right[0])}"
        return None

    def words(self) -> dict[str, set[str]]:
        """The words that must be found, each with the sources where it may be."""
        found: dict[str, set[str]] = defaultdict(set)
        for path, (document, _) in self.held.items():
            if document.word:
                found[document.word].add(str(path))
        for word, segment in self.added.values():
            found[word].add(segment.source)
        return dict(found)

    def unchanged_words(self) -> list[str]:
        """The words of files that are on disk as they are held."""
        still = (path for path, document in self.disk.items() if self._is_held(path, document))
        return sorted({self.disk[path].word for path in still} - {""})

    def _is_held(self, path: Path, document: Document) -> bool:
        return path in self.held and self.held[path][0] == document

    def _allowed(self) -> Mapping[str, list[Counter[Row]]]:
        allowed: dict[str, list[Counter[Row]]] = defaultdict(list)
        for segments in self._wholes():
            allowed[segments[0].sha256].append(Counter(map(row, segments)))
        return allowed

    def _wholes(self) -> Iterator[tuple[Segment, ...]]:
        yield from (segments for _, segments in self.held.values() if segments)
        by_content: dict[str, list[Segment]] = defaultdict(list)
        for _, segment in self.added.values():
            by_content[segment.sha256].append(segment)
        yield from map(tuple, by_content.values())


def loose_segment(number: int, text: str) -> Segment:
    """A passage that belongs to no file; of one number there is one at a time."""
    sha256 = hashlib.sha256(f"loose {number}".encode()).hexdigest()
    return Segment(modality="text", source=f"/nowhere/{number}.txt", sha256=sha256, text=text)


def _short(rows: Counter[Row]) -> str:
    return str([(one[0], one[4], one[5], one[6][:40], count) for one, count in rows.items()])
