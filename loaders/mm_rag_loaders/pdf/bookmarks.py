"""Bookmarks of a PDF as headings, and its layers that are not shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mm_rag_loaders.pdf.objects import entry, items, key_of, kind_of, name, named, said, text

_MOST = 20_000
_MOST_DEPTH = 12
_MOST_LETTERS = 200  # of a title


class Bookmark(NamedTuple):
    """A bookmark.

    Attributes:
        page: Physical number of the page that it leads to.
        path: Its title, after those of the bookmarks above it: "Rules > Fees".
    """

    page: int
    path: str


def bookmarks_of(document: Any) -> list[Bookmark]:
    """The bookmarks of a `pikepdf.Pdf` that lead to a page, in the order of pages."""
    first = entry(document.Root, "/Outlines", "/First")
    if first is None:
        return []
    pages = {key_of(page.obj): number for number, page in enumerate(document.pages, start=1)}
    root = document.Root
    places = dict(named(entry(root, "/Names", "/Dests")))
    found: list[Bookmark] = []
    for source, path in _titles(first):
        place = entry(source, "/Dest") or entry(source, "/A", "/D")
        if kind_of(place) == "name":
            place = entry(root, "/Dests", str(place))
        elif kind_of(place) == "string":
            place = places.get(text(place))
        place = entry(place, "/D") or place
        number = pages.get(key_of(next(items(place), None)))
        if number and path:
            found.append(Bookmark(number, path))
    return sorted(found, key=lambda each: each.page)


def _titles(first: Any) -> Iterator[tuple[Any, str]]:
    """Each bookmark with its path, from top to bottom."""
    seen: set[tuple[int, int]] = set()
    todo: list[tuple[Any, tuple[str, ...]]] = [(first, ())]
    while todo and len(seen) < _MOST:
        source, above = todo.pop()
        key = key_of(source)
        if key is None or key in seen or kind_of(source) != "dictionary":
            continue
        seen.add(key)
        title = " ".join(said(source, "/Title").split())[:_MOST_LETTERS]
        path = (*above, title) if title else above
        yield source, " > ".join(path)
        if (following := entry(source, "/Next")) is not None:
            todo.append((following, above))
        if len(path) < _MOST_DEPTH and (inner := entry(source, "/First")) is not None:
            todo.append((inner, path))


def hidden_layers_of(document: Any) -> list[str]:
    """The names of the layers that viewers do not show when a `pikepdf.Pdf` is opened."""
    layers = entry(document.Root, "/OCProperties")
    shown = entry(layers, "/D")
    on, off = (
        {key_of(each) for each in items(entry(shown, key), _MOST)} for key in ("/ON", "/OFF")
    )
    is_off = name(shown, "/BaseState") == "OFF"
    hidden = [
        said(layer, "/Name")
        for layer in items(entry(layers, "/OCGs"), _MOST)
        if (key_of(layer) in off) or (is_off and key_of(layer) not in on)
    ]
    return list(dict.fromkeys(each for each in hidden if each))
