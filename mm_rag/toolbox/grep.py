"""Grep: lines that match a pattern, in pages, pictures and transcripts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import regex

from mm_rag.errors import InputError
from mm_rag.toolbox.place import Place, pieces

_SECONDS = 10.0
_AROUND = 120  # characters shown before and after a match
_LONGEST = 300  # characters of a pattern


def plain_letters(pattern: str) -> str:
    """What every match of a pattern must have in it, as far as that is easily told; or nothing."""
    return pattern if pattern.isascii() and pattern.replace(" ", "").isalnum() else ""


def matching_lines(places: Iterable[Place], pattern: str) -> Iterator[str]:
    """The lines that match, as `path:line: text`.

    Args:
        places: Where to look.
        pattern: A regular expression; case makes no difference.

    Raises:
        InputError: It is no regular expression, or takes too long.
    """
    compiled, deadline = _compiled(pattern), time.monotonic() + _SECONDS
    for place in places:
        yield from _matches(compiled, place, deadline)


def _compiled(pattern: str) -> Any:
    if not pattern or len(pattern) > _LONGEST:
        raise InputError(f"A pattern has 1 to {_LONGEST} characters; this one has {len(pattern)}.")
    try:
        return regex.compile(pattern, regex.IGNORECASE)
    except (regex.error, RecursionError, OverflowError) as error:
        raise InputError(
            f"{pattern!r} is no regular expression: {error}. Put a backslash before signs such as "
            "( [ + ? that are meant literally."
        ) from error


def _matches(compiled: Any, place: Place, deadline: float) -> Iterator[str]:
    number = 1
    for line in place.text.splitlines():
        broken = list(pieces(line))
        for start, end, at in _found(compiled, line, broken, deadline):
            yield f"{place.path}:{number + at}: {_excerpt(line, start, end)}"
        number += len(broken)


def _found(
    compiled: Any, line: str, broken: list[tuple[int, int]], deadline: float
) -> Iterator[tuple[int, int, int]]:
    """The first match in each piece of a line: its start, its end, and which piece it is."""
    shown = -1
    left = deadline - time.monotonic()
    try:
        if left <= 0:
            raise TimeoutError
        for match in compiled.finditer(line, timeout=left):
            at = max(0, sum(start <= match.start() for start, _ in broken) - 1)
            if at > shown:
                shown = at
                yield match.start(), match.end(), at
    except TimeoutError as error:
        raise InputError(
            f"Searching took longer than {_SECONDS:.0f} seconds. Use a simpler pattern, or name a "
            "folder or file to look in."
        ) from error


def _excerpt(line: str, start: int, end: int) -> str:
    first, last = max(0, start - _AROUND), min(len(line), end + _AROUND)
    before, after = "..." if first else "", "..." if last < len(line) else ""
    return f"{before}{line[first:last].strip()}{after}"
