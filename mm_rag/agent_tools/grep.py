"""Grep: lines that match a pattern, in pages, pictures and transcripts."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import regex

from mm_rag.agent_tools.place import Place, pieces, shortened
from mm_rag.errors import InputError

_SECONDS = 10.0
_AROUND = 120  # characters shown before and after a match
_LONGEST = 300  # characters of a pattern

# Characters and groups that a pattern may have once its counts are carried out: regex takes up to
# 1 KB for each, and for patterns such as "(){2000}" time that grows with the square.
_MOST_SIGNS = 2000
_TIMES = re.compile(r"\{\s*(\d*)\s*(?:,\s*\d*\s*)?\}")
_CALL = re.compile(r"\(\?(?:R|&|P>|[+-]?\d)")  # of the pattern in itself: takes all memory there is
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_PLAIN_SET = re.compile(r"\[\^?+[^\[\]]+\]")
_PLAIN_GROUP = re.compile(r"\((?!\?)|\(\?(?:[:=!>|]|i[):]|<[=!]|P?<\w+>)")

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
        InputError: It is no regular expression, or takes too long or too much memory.
    """
    compiled, deadline = _compiled(pattern), time.monotonic() + _SECONDS
    for place in places:
        yield from _matches(compiled, place, deadline)


def _compiled(pattern: str) -> Any:
    if not pattern or len(pattern) > _LONGEST:
        raise InputError(f"A pattern has 1 to {_LONGEST} characters; this one has {len(pattern)}.")
    if _CALL.search(pattern) or _signs(pattern) > _MOST_SIGNS:
        raise InputError(
            f"{pattern!r} would take too much memory: it calls itself, or its counts, such as "
            f"{{9}}, come to more than {_MOST_SIGNS:,} characters. Use smaller counts, or * or +."
        )
    try:
        # Else regex would keep hundreds of patterns.
        return regex.compile(pattern, regex.IGNORECASE, cache_pattern=False)
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        raise InputError(
            f"{pattern!r} is no regular expression: {error}. Put a backslash before signs such as "
            "( [ + ? that are meant literally."
        ) from error


def _signs(pattern: str) -> int:
    """How many characters and groups a pattern has at most, once its counts are carried out.

    Only the least of a count, the 3 of `{3,9}`, is carried out; it multiplies what stands before
    it. Where that is not easily told (sets in sets, comments, conditions), each is taken to
    multiply the whole pattern.
    """
    plain = _PLAIN_SET.sub("x", _ESCAPED.sub("x", pattern))
    groups = len(_PLAIN_GROUP.findall(plain))
    if "[" in plain or groups != plain.count("(") or groups != plain.count(")"):
        return len(pattern) * math.prod(_least(times) for times in _TIMES.finditer(pattern))
    sums, last, at = [0], 0, 0
    while at < len(plain):
        if times := _TIMES.match(plain, at):
            sums[-1] += last * (_least(times) - 1)
            last *= _least(times)
        elif plain[at] == "(":
            sums.append(1)
        elif plain[at] == ")" and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        else:
            last = 1
            sums[-1] += last
        at = times.end() if times else at + 1
    return sum(sums)


def _least(times: re.Match[str]) -> int:
    return max(1, int(times[1][:9] or 0))


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
