"""Search the text of sections for a regular expression, within limits of time and memory."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import regex

from mm_rag.agent_tools.sections import Section, line_pieces, shortened
from mm_rag.errors import InputError

_MAX_SECONDS = 10.0
_CONTEXT = 120  # characters shown before and after a match
_MAX_PATTERN = 300  # characters

# Characters and groups of a pattern after its repetition counts are expanded. regex allocates up
# to 1 KB for each, and for patterns such as "(){2000}" takes time that grows with the square.
_MAX_EXPANDED = 2000
_REPEAT = re.compile(r"\{\s*(\d*)\s*(?:,\s*\d*\s*)?\}")
_RECURSION = re.compile(r"\(\?(?:R|&|P>|[+-]?\d)")  # takes all the memory there is
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_SIMPLE_SET = re.compile(r"\[\^?+[^\[\]]+\]")
_SIMPLE_GROUP = re.compile(r"\((?!\?)|\(\?(?:[:=!>|]|i[):]|<[=!]|P?<\w+>)")

_ANY_OF = re.compile(r"\[[^\]\[\\]+\]|\\[dDwWsSbB.]")  # one of several characters
_OPTIONAL = re.compile(r"[|()?*{}\[\]\\]")  # what stands beside it may be absent from a match
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ]")


def required_words(pattern: str) -> str:
    """The longest ASCII text that every match of a pattern contains; empty if hard to tell."""
    simple = _ANY_OF.sub(".", pattern)
    if _OPTIONAL.search(simple):
        return ""
    return max(map(str.strip, _NOT_PLAIN.split(simple)), key=len)


def matching_lines(sections: Iterable[Section], pattern: str) -> Iterator[str]:
    """Yield matching lines as `path:line: text`.

    Args:
        sections: Sections to search.
        pattern: A regular expression, matched without regard to case.

    Raises:
        InputError: The pattern is invalid, or takes too long or too much memory.
    """
    compiled, deadline = _compile(pattern), time.monotonic() + _MAX_SECONDS
    for section in sections:
        yield from _matches(compiled, section, deadline)


def _compile(pattern: str) -> Any:
    if not pattern or len(pattern) > _MAX_PATTERN:
        raise InputError(
            f"A pattern has 1 to {_MAX_PATTERN} characters; this one has {len(pattern)}."
        )
    if _RECURSION.search(pattern) or _expanded_length(pattern) > _MAX_EXPANDED:
        raise InputError(
            f"{pattern!r} would take too much memory: it is recursive, or its repetition counts, "
            f"such as {{9}}, expand to more than {_MAX_EXPANDED:,} characters. Use smaller counts, "
            "or * or +."
        )
    try:
        # Without cache_pattern=False, regex would keep hundreds of patterns.
        return regex.compile(pattern, regex.IGNORECASE, cache_pattern=False)
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        raise InputError(
            f"{pattern!r} is no regular expression: {error}. Put a backslash before characters "
            "such as ( [ + ? that are meant literally."
        ) from error


def _expanded_length(pattern: str) -> int:
    """Upper bound of the characters and groups of a pattern after its counts are expanded.

    Only the minimum of a count is expanded, the 3 of `{3,9}`; it multiplies the item before it.
    Where that item is hard to determine (nested sets, comments, conditions), every count is taken
    to multiply the whole pattern.
    """
    plain = _SIMPLE_SET.sub("x", _ESCAPE.sub("x", pattern))
    groups = len(_SIMPLE_GROUP.findall(plain))
    if "[" in plain or groups != plain.count("(") or groups != plain.count(")"):
        return len(pattern) * math.prod(_minimum(count) for count in _REPEAT.finditer(pattern))
    sums, last, at = [0], 0, 0
    while at < len(plain):
        if count := _REPEAT.match(plain, at):
            sums[-1] += last * (_minimum(count) - 1)
            last *= _minimum(count)
        elif plain[at] == "(":
            sums.append(1)
        elif plain[at] == ")" and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        else:
            last = 1
            sums[-1] += last
        at = count.end() if count else at + 1
    return sum(sums)


def _minimum(count: re.Match[str]) -> int:
    return max(1, int(count[1][:9] or 0))


def _matches(compiled: Any, section: Section, deadline: float) -> Iterator[str]:
    lines = section.text.splitlines()
    number, counted = 1, 0
    for at, line in enumerate(lines):
        for start, end, piece in _first_in_each_piece(compiled, line, deadline):
            # Count the pieces of earlier lines only now: most lines do not match.
            number += sum(len(list(line_pieces(before))) for before in lines[counted:at])
            counted = at
            yield f"{shortened(section.path)}:{number + piece}: {_excerpt(line, start, end)}"


def _first_in_each_piece(
    compiled: Any, line: str, deadline: float
) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and piece number of the first match in each piece of a line."""
    last = -1
    left = deadline - time.monotonic()
    try:
        if left <= 0:
            raise TimeoutError
        for match in compiled.finditer(line, timeout=left):
            piece = max(0, sum(start <= match.start() for start, _ in line_pieces(line)) - 1)
            if piece > last:
                last = piece
                yield match.start(), match.end(), piece
    except TimeoutError as error:
        raise InputError(
            f"Searching took longer than {_MAX_SECONDS:.0f} seconds. Use a simpler pattern, or "
            "name a folder or file to look in."
        ) from error


def _excerpt(line: str, start: int, end: int) -> str:
    first, last = max(0, start - _CONTEXT), min(len(line), end + _CONTEXT)
    before, after = "..." if first else "", "..." if last < len(line) else ""
    return f"{before}{line[first:last].strip()}{after}"
