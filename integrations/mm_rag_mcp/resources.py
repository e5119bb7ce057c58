"""The pages, pictures and clips of a collection as MCP resources."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from mm_rag.errors import InputError

if TYPE_CHECKING:  # a server that opens its toolbox later needs no torch before
    from mm_rag.agent_tools import Toolbox
    from mm_rag.agent_tools.place import Place

_SCHEME = "mm-rag://"
_AT_ONCE = 100  # resources in one answer
_DESCRIBED = 120  # characters of a page's words


def list_resources(toolbox: Toolbox, cursor: str | None) -> dict[str, Any]:
    """Some of the pages, pictures and clips, in the order of their paths.

    Args:
        toolbox: Of the collection.
        cursor: Where to go on, as the answer before said; None for the beginning.

    Raises:
        InputError: The cursor is from elsewhere.
    """
    after = _position(cursor)
    found = list(islice(_places(toolbox, *after), _AT_ONCE + 1))
    listed: dict[str, Any] = {"resources": [_resource(place) for _, _, place in found[:_AT_ONCE]]}
    if len(found) > _AT_ONCE:
        path, number, _ = found[_AT_ONCE]
        listed["nextCursor"] = _cursor(path, number)
    return listed


def read_resource(toolbox: Toolbox, uri: str) -> dict[str, Any]:
    """A page, picture or clip: its words, and what there is to see, within the toolbox's budget.

    Raises:
        InputError: There is nothing of that name.
    """
    if not uri.startswith(_SCHEME):
        raise InputError(f"The resources of this server begin with {_SCHEME}; got {uri[:200]}.")
    result = toolbox.open_segment(unquote(uri.removeprefix(_SCHEME)))
    words = {"uri": uri, "mimeType": "text/plain", "text": result.text}
    pictures = [
        {"uri": uri, "mimeType": block.mime_type, "blob": block.base64} for block in result.pictures
    ]
    return {"contents": [words, *pictures]}


def _places(toolbox: Toolbox, first: str, skipped: int) -> Iterator[tuple[str, int, Place]]:
    """The places from a file on, each with its file and its number in that file."""
    from mm_rag.agent_tools.browser import Browser

    browser = Browser(toolbox.collection)
    for path, file in browser.tree.files.items():
        if path < first or file.same_as is not None:
            continue
        with suppress(InputError):  # it was taken out of the collection a moment ago
            places = enumerate(browser.places_of(file))
            for number, place in islice(places, skipped if path == first else 0, None):
                yield path, number, place


def _resource(place: Place) -> dict[str, Any]:
    words = " ".join(place.text[: 10 * _DESCRIBED].split())
    described = words if len(words) <= _DESCRIBED else f"{words[: _DESCRIBED - 3]}..."
    resource = {"uri": _SCHEME + quote(place.path), "name": place.path.lstrip("/")}
    return {**resource, "description": described} if described else resource


def _cursor(path: str, number: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([path, number]).encode()).decode()


def _position(cursor: str | None) -> tuple[str, int]:
    if cursor is None:
        return "", 0
    try:
        position: Any = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError):
        position = None
    match position:
        case [str() as path, int() as number] if number >= 0:
            return path, number
        case _:
            raise InputError("This cursor is not from this server: list the resources anew.")
