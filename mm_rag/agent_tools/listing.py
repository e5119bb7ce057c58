"""Listing: folders, files, pages and clips, a line for each."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator

from mm_rag.agent_tools.place import Place, shortened
from mm_rag.agent_tools.tree import File, Tree
from mm_rag.content import Modality
from mm_rag.segment import place_in_words

_FIRST_WORDS = 80  # characters of a page's words in a list


def listed_folder(tree: Tree, path: str) -> Iterator[str]:
    """The folders and files right in a folder."""
    for folder, count in tree.folders_in(path).items():
        yield f"{shortened(folder)}/  ({_many(count, 'file')})"
    for file in tree.files_in(path):
        yield listed_file(file)


def listed_file(file: File) -> str:
    """A file, and what the collection has of it."""
    outline, path = file.outline, shortened(file.path)
    if file.same_as is not None:
        return f"{path}  (the same content as {shortened(file.same_as)})"
    if outline.pages:
        return f"{path}  ({_many(outline.pages, 'page')})"
    if outline.clips:
        begins = place_in_words(None, outline.last, None)
        return f"{path}  ({_many(outline.clips, 'clip')}, the last at {begins})"
    return f"{path}  ({outline.modalities})"


def listed_place(place: Place) -> str:
    """A page or clip, and how its words begin."""
    words = " ".join(place.text.split())
    short = words if len(words) <= _FIRST_WORDS else words[:_FIRST_WORDS].rstrip() + "..."
    return f"{shortened(place.path)}  ({place.shown.modality}) {short}".rstrip()


def is_like(file: File, pattern: str, modality: Modality | None) -> bool:
    """Whether a file's name matches a pattern with wildcards, and it has such Segments.

    Args:
        file: Of the tree.
        pattern: For the name; with a slash in it, for the whole path. Case makes no difference.
        modality: None for any.
    """
    if modality is not None and modality not in file.outline.modalities.split(","):
        return False
    name = file.path if "/" in pattern else posixpath.basename(file.path)
    return fnmatch.fnmatch(name.lower(), pattern.lower())


def _many(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"
