"""The messages of a mailbox file (mbox), one after the other, with flat memory.

A line that begins with `From ` separates messages if it has the time of delivery and a header
follows: texts have lines that begin so, too, and not every program marks them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MOST_MESSAGE_BYTES = 256 * 1024**2
"""Bytes of one message that are read: parsing it takes four times as much memory."""

_MOST_LINE = 1024**2  # bytes; a longer line is read in pieces
_SEPARATOR = re.compile(rb"From .*\d:\d\d|From $|From -\s", re.DOTALL)
_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:")
_MARKED_FROM = re.compile(rb">+From ")


@dataclass(frozen=True)
class RawMessage:
    """A message of a mailbox.

    Attributes:
        number: Its number, from 1.
        data: Its bytes; the first ones of a message that is too large.
        is_cut: Whether it is too large.
    """

    number: int
    data: bytes
    is_cut: bool


def messages(file: BinaryIO) -> Iterator[RawMessage]:
    """Yield the messages of a mailbox in order. Memory holds one of them."""
    held: list[bytes] = []
    size, number, after_blank, in_line = 0, 0, True, False
    separator = b""
    while line := file.readline(_MOST_LINE):
        if separator:
            if _HEADER.match(line) or not number:
                if number and held:
                    yield RawMessage(number, b"".join(held), size > MOST_MESSAGE_BYTES)
                held, size, number = [], 0, number + 1
            else:
                held.append(separator)
                size += len(separator)
            separator = b""
        is_start = not in_line
        in_line = not line.endswith(b"\n")
        if is_start and after_blank and line.startswith(b"From ") and _is_separator(line, number):
            separator, after_blank = line, False
            continue
        after_blank = is_start and not line.strip(b"\r\n")
        number = number or 1
        size += len(line)
        if size <= MOST_MESSAGE_BYTES:
            held.append(line[1:] if is_start and _MARKED_FROM.match(line) else line)
    if number and held:
        yield RawMessage(number, b"".join(held), size > MOST_MESSAGE_BYTES)


def _is_separator(line: bytes, number: int) -> bool:
    return number == 0 or _SEPARATOR.match(line) is not None
