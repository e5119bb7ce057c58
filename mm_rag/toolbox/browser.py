"""Browser: finds what a path means."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Iterator

from mm_rag.collection import Collection
from mm_rag.errors import InputError
from mm_rag.segment import Segment
from mm_rag.toolbox.place import Place, name_of, places_of
from mm_rag.toolbox.tree import File, Tree


class Browser:
    """A collection's tree, as it is at the moment.

    Args:
        collection: What is browsed.
    """

    def __init__(self, collection: Collection) -> None:
        self._contents = collection.contents
        self.tree = Tree(self._contents.outlines(), self._contents.copies())

    def folder_or_file(self, path: str) -> list[File]:
        """The files that a path means: one, or those in a folder.

        Raises:
            InputError: There is nothing of that name.
        """
        found = self.tree.below(cleaned(path))
        if found or cleaned(path) == "/":
            return found
        raise self._nothing_at(path)

    def places(self, path: str) -> list[Place]:
        """The pages or clips that a path means: all of a file, or one.

        Raises:
            InputError: It means a folder, or nothing.
        """
        path = cleaned(path)
        if path in self.tree.files:
            return self.places_of(self.tree.files[path])
        if self.tree.is_folder(path):
            raise InputError(f"{path} is a folder. Name a file in it; ls lists them.")
        parent = posixpath.dirname(path)
        if parent in self.tree.files:
            places = self.places_of(self.tree.files[parent])
            found = [place for place in places if place.path == path]
            if found:
                return found
            raise InputError(
                f"There is no {posixpath.basename(path)} in {parent}, which has "
                f"{_span(places)}. ls({parent!r}) lists all."
            )
        raise self._nothing_at(path)

    def place(self, path: str) -> Place:
        """The one page, picture or clip that a path means.

        Raises:
            InputError: It means several, or nothing.
        """
        places = self.places(path)
        if len(places) > 1:
            raise InputError(
                f"{cleaned(path)} has {len(places)} pages or clips: name one of them, from "
                f"{_span(places)}. ls lists them, cat reads them."
            )
        return places[0]

    def places_of(self, file: File) -> list[Place]:
        """The pages or clips of a file, in order."""
        return places_of(file.path, self._contents.segments(file.outline.source))

    def all_places(self, path: str, letters: str = "") -> Iterator[Place]:
        """Every page and clip in a folder, in a file, or just this one.

        Args:
            path: Of the folder, file, page or clip.
            letters: Files without these ASCII letters, in any case, may be left out.

        Raises:
            InputError: There is nothing of that name.
        """
        files = self.tree.below(cleaned(path))
        if not files and cleaned(path) != "/":
            yield from self.places(path)
        for file in files:
            source = file.outline.source
            if file.same_as is None and (
                not letters or self._contents.segments(source, containing=letters)
            ):
                yield from self.places_of(file)

    def path_of(self, segment: Segment) -> str:
        """Where a Segment's page or clip is in the tree."""
        path = self.tree.path_of(segment.source)
        if segment.start is None or path not in self.tree.files:
            return f"{path}/{name_of(segment)}".rstrip("/")
        # Two clips may begin within one second: only the whole file tells their names.
        for place in self.places_of(self.tree.files[path]):
            if place.segments[0].place == segment.place:
                return place.path
        return path

    def _nothing_at(self, path: str) -> InputError:
        known = {*self.tree.files, *map(posixpath.dirname, self.tree.files)}
        near = difflib.get_close_matches(cleaned(path), known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return InputError(
            f"There is nothing at {path} in this collection.{hint} "
            "ls('/') lists what there is; files outside of it cannot be opened."
        )


def cleaned(path: str) -> str:
    """A path as the tree has it: from the root, without `.`, `..` and doubled slashes."""
    return posixpath.normpath("/" + path.strip().lstrip("/"))


def _span(places: list[Place]) -> str:
    first, last = (posixpath.basename(place.path) for place in (places[0], places[-1]))
    return first if first == last else f"{first} to {last}"
