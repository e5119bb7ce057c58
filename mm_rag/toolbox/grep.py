"""Grep: lines that match a pattern, in pages, pictures and transcripts."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import regex

from mm_rag.errors import InputError
from mm_rag.toolbox.place import Place, pieces, shortened

_SECONDS = 10.0
_AROUND = 120  # characters shown before and after a match
_LONGEST = 300  # characters of a pattern

_MOST_TIMES = 1_000_000  # that a sign is asked for; regex takes some bytes for each
_TIMES = re.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")
_CALL = re.compile(r"\(\?(?:R|&|P>|[+-]?\d)")  # of the pattern in itself: takes all memory there is

_KINDS = re.compile(r"\[[^\]\[\\]+\]|\\[dDwWsSbB.]")  # one of several letters, or a place in a line
_CHOICE = re.compile(r"[|()?*{}\[\]\\]")  # what stands beside it may be missing
_OTHER = re.compile(r"[^A-Za-z0-9 ]")


def plain_letters(pattern: str) -> str:
    """What every match of a pattern must have in it, as far as that is easily told; or nothing."""
    known = _KINDS.sub(".", pattern)
    if _CHOICE.search(known):
        return ""
    return max(map(str.strip, _OTHER.split(known)), key=len)


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
    if _CALL.search(pattern) or _times(pattern) > _MOST_TIMES:
        raise InputError(
            f"{pattern!r} would take too much memory: it calls itself, or asks for something more "
            f"than {_MOST_TIMES:,} times. Use a simpler pattern."
        )
    try:
        return regex.compile(pattern, regex.IGNORECASE)
    except (regex.error, RecursionError, OverflowError) as error:
        raise InputError(
            f"{pattern!r} is no regular expression: {error}. Put a backslash before signs such as "
            "( [ + ? that are meant literally."
        ) from error


def _times(pattern: str) -> int:
    """How often something is asked for at most, if all counts stand in each other."""
    pairs = _TIMES.findall(pattern)
    return math.prod(max(1, *(int(count[:9] or 0) for count in pair)) for pair in pairs)


def _matches(compiled: Any, place: Place, deadline: float) -> Iterator[str]:
    lines = place.text.splitlines()
    number, counted = 1, 0
    for at, line in enumerate(lines):
        for start, end, piece in _found(compiled, line, deadline):
            # Most lines match nothing, and need not be broken to be counted.
            number += sum(len(list(pieces(before))) for before in lines[counted:at])
            counted = at
            yield f"{shortened(place.path)}:{number + piece}: {_excerpt(line, start, end)}"


def _found(compiled: Any, line: str, deadline: float) -> Iterator[tuple[int, int, int]]:
    """The first match in each piece of a line: its start, its end, and which piece it is."""
    shown = -1
    left = deadline - time.monotonic()
    try:
        if left <= 0:
            raise TimeoutError
        for match in compiled.finditer(line, timeout=left):
            at = max(0, sum(start <= match.start() for start, _ in pieces(line)) - 1)
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
