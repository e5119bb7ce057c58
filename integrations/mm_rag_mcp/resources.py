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

if TYPE_CHECKING:  # importing them loads torch, which a server does only when a client asks
    from mm_rag.agent_tools import Toolbox
    from mm_rag.agent_tools.sections import Section

_SCHEME = "mm-rag://"
_PER_PAGE = 100  # resources in one response
_MAX_DESCRIPTION = 120  # characters


def list_resources(toolbox: Toolbox, cursor: str | None) -> dict[str, Any]:
    """List up to 100 pages, pictures and clips, in the order of their paths.

    Args:
        toolbox: The toolbox of the collection.
        cursor: `nextCursor` of the response before; None to start from the beginning.

    Raises:
        InputError: The cursor was not made by this server.
    """
    start = _decoded_cursor(cursor)
    found = list(islice(_sections(toolbox, *start), _PER_PAGE + 1))
    listed: dict[str, Any] = {
        "resources": [_resource(section) for *_, section in found[:_PER_PAGE]]
    }
    if len(found) > _PER_PAGE:
        path, number, _ = found[_PER_PAGE]
        listed["nextCursor"] = _cursor(path, number)
    return listed


def read_resource(toolbox: Toolbox, uri: str) -> dict[str, Any]:
    """Read a page, picture or clip: its text and pictures, within the toolbox's budget.

    Raises:
        InputError: There is no such resource.
    """
    if not uri.startswith(_SCHEME):
        raise InputError(f"The resources of this server begin with {_SCHEME}; got {uri[:200]}.")
    result = toolbox.open_segment(unquote(uri.removeprefix(_SCHEME)))
    words = {"uri": uri, "mimeType": "text/plain", "text": result.text}
    pictures = [
        {"uri": uri, "mimeType": block.mime_type, "blob": block.base64} for block in result.pictures
    ]
    return {"contents": [words, *pictures]}


def _sections(toolbox: Toolbox, first: str, skipped: int) -> Iterator[tuple[str, int, Section]]:
    """Yield file path, number in the file, and section, from a position on."""
    from mm_rag.agent_tools.filesystem import FileSystem

    files = FileSystem(toolbox.collection)
    for path, file in files.tree.files.items():
        if path < first or file.same_as is not None:
            continue
        with suppress(InputError):  # the file was removed in the meantime
            sections = enumerate(files.sections_of(file))
            for number, section in islice(sections, skipped if path == first else 0, None):
                yield path, number, section


def _resource(section: Section) -> dict[str, Any]:
    words = " ".join(section.text[: 10 * _MAX_DESCRIPTION].split())
    is_short = len(words) <= _MAX_DESCRIPTION
    description = words if is_short else f"{words[: _MAX_DESCRIPTION - 3]}..."
    resource = {"uri": _SCHEME + quote(section.path), "name": section.path.lstrip("/")}
    return {**resource, "description": description} if description else resource


def _cursor(path: str, number: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([path, number]).encode()).decode()


def _decoded_cursor(cursor: str | None) -> tuple[str, int]:
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
