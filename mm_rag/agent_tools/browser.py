"""Browser: finds what a path means."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from mm_rag.agent_tools.near import nearest
from mm_rag.agent_tools.place import Place, name_of, places_of, shortened
from mm_rag.agent_tools.spelling import cleaned, place_meant, spellings, split
from mm_rag.agent_tools.tree import File, Tree
from mm_rag.collection import Collection
from mm_rag.errors import InputError
from mm_rag.segment import Segment

_NAMED = 3  # paths in an error
_AT_ONCE = 200  # files that are read together


class Browser:
    """A collection's tree, as it is at the moment.

    Args:
        collection: What is browsed.
    """

    def __init__(self, collection: Collection) -> None:
        self._contents = collection.contents
        self.tree = Tree(self._contents.source_stats(), self._contents.copies())
        self._read: dict[str, list[Place]] = {}

    def at(self, path: str) -> str:
        """The path of what is meant, as the tree has it: a folder, a file, a page or a clip.

        Raises:
            InputError: There is nothing of that name, or several things may be meant.
        """
        meant = spellings(path)
        meant += [inside for each in meant if (inside := self.tree.inside(each))]
        for found in (self._exactly, self._loosely):
            for spelling in meant:
                if there := found(spelling):
                    return there
        raise self._nothing_at(path, meant)

    def folder_or_file(self, path: str) -> list[File]:
        """The files that a path means: one, or those in a folder.

        Raises:
            InputError: There is nothing of that name.
        """
        at = self.at(path)
        if at in self.tree.files or self.tree.is_folder(at):
            return self.tree.below(at)
        return self.tree.below(posixpath.dirname(at))

    def places(self, path: str) -> list[Place]:
        """The pages or clips that a path means: all of a file, or one.

        Raises:
            InputError: It means a folder, or nothing.
        """
        at = self.at(path)
        if at in self.tree.files:
            return self.places_of(self.tree.files[at])
        if self.tree.is_folder(at):
            raise InputError(f"{at} is a folder. Name a file in it; ls lists them.")
        of_file = self.places_of(self.tree.files[posixpath.dirname(at)])
        return [place for place in of_file if place.path == at]

    def place(self, path: str) -> Place:
        """The one page, picture or clip that a path means.

        Raises:
            InputError: It means several, or nothing.
        """
        places = self.places(path)
        if len(places) > 1:
            raise InputError(
                f"{self.at(path)} has {len(places)} pages or clips: name one of them, from "
                f"{_span(places)}. ls lists them, cat reads them."
            )
        return places[0]

    def places_of(self, file: File) -> list[Place]:
        """The pages or clips of a file, in order.

        Raises:
            InputError: Somebody has just taken it out of the collection.
        """
        if file.path not in self._read:
            self._read[file.path] = places_of(
                file.path, self._contents.segments(file.outline.source)
            )
        if not self._read[file.path]:
            raise InputError(f"{file.path} was taken out of this collection a moment ago.")
        return self._read[file.path]

    def all_places(self, path: str, letters: str = "") -> Iterator[Place]:
        """Every page and clip in a folder, in a file, or just this one.

        Args:
            path: Of the folder, file, page or clip.
            letters: Files without these ASCII words, in any case, may be left out.

        Raises:
            InputError: There is nothing of that name.
        """
        at = self.at(path)
        if at not in self.tree.files and not self.tree.is_folder(at):
            yield from self.places(at)
            return
        files = {each.outline.source: each for each in reversed(self.tree.below(at))}
        files |= {each.outline.source: each for each in files.values() if each.same_as is None}
        names = sorted(files, key=lambda source: files[source].path)
        # One word only: several may stand in no passage together, and do where two are joined.
        word = max(letters.split(), key=len, default="")
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            segments = self._contents.segments_of(some, containing=word)
            for name in some:
                yield from places_of(files[name].path, segments.get(name, []))

    def path_of(self, segment: Segment) -> str:
        """Where a Segment's page or clip is in the tree."""
        path = self.tree.path_of(segment.source)
        file = self.tree.files.get(path)
        if file is None or file.outline.is_plain:
            return f"{path}/{name_of(segment)}".rstrip("/")
        # Two clips may begin within one second: only the whole file tells their names.
        for place in self.places_of(file):
            if place.segments[0].place == segment.place:
                return place.path
        return path

    def _exactly(self, path: str) -> str | None:
        if path in self.tree.files or self.tree.is_folder(path):
            return path
        for of_file, name in split(path):
            if of_file in self.tree.files:
                place = place_meant(self.places_of(self.tree.files[of_file]), name)
                if place is not None:
                    return place.path
        return None

    def _loosely(self, path: str) -> str | None:
        for like, name in ((path, ""), *split(path)):
            found = self.tree.like(like)
            if len(found) > 1:
                named = " or ".join(map(shortened, found[:_NAMED]))
                more = f", among {len(found)} of them" if len(found) > _NAMED else ""
                raise InputError(f"{shortened(path)} may be {named}{more}: write the whole path.")
            if found and not name:
                return found[0]
            if found and (there := self._exactly(f"{found[0]}/{name}")):
                return there
        return None

    def _nothing_at(self, path: str, meant: list[str]) -> InputError:
        for of_file, name in (pair for each in meant for pair in split(each)):
            if of_file in self.tree.files:
                return self._no_place(self.tree.files[of_file], name)
        near = nearest(meant[-1], [*self.tree.files, *self.tree.folders], _NAMED)
        hint = f" Did you mean {' or '.join(map(shortened, near))}?" if near else ""
        return InputError(
            f"There is nothing at {shortened(cleaned(path))} in this collection.{hint} "
            "ls('/') lists what there is; files outside of it cannot be opened."
        )

    def _no_place(self, file: File, name: str) -> InputError:
        places, there = self.places_of(file), shortened(file.path)
        if places[0].path == file.path:
            return InputError(f"{there} has no pages or clips: it is one whole, without {name}.")
        return InputError(
            f"There is no {shortened(name)} in {there}, which has {_span(places)}. "
            f"ls({there!r}) lists all."
        )


def _span(places: list[Place]) -> str:
    first, last = (posixpath.basename(place.path) for place in (places[0], places[-1]))
    return first if first == last else f"{first} to {last}"
