"""Stamps: whether a file is as it was, told without reading it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

_SAME_MOMENT_NS = 2_000_000_000
"""The coarsest clock of a common file system: FAT counts in steps of 2 seconds."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a file system says of a file, as numbers that SQLite takes.

    Attributes:
        size: In bytes.
        mtime_ns: When its content was changed, which programs may set as they like.
        ctime_ns: When its content, name or rights were changed, which only the system sets; on
            Windows when it was made. 0 where a later change could bear the same times.
        inode: Its number: a file that takes another one's place has another number.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file, which is then read.

        A file that was changed a moment ago may be changed again within the same step of the clock.
        Its stamp is like no other, so that the next sync reads it.
        """
        times = (status.st_mtime_ns, status.st_ctime_ns)
        is_fresh = any(abs(time.time_ns() - one) < _SAME_MOMENT_NS for one in times)
        return cls(
            size=_in_64_bits(status.st_size),
            mtime_ns=_in_64_bits(status.st_mtime_ns),
            ctime_ns=0 if is_fresh else _in_64_bits(status.st_ctime_ns),
            inode=_in_64_bits(status.st_ino),
        )

    def is_as(self, other: Stamp) -> bool:
        """Whether the file is surely the same as when the other stamp was taken."""
        return self == other and self.ctime_ns != 0


def _in_64_bits(number: int) -> int:
    """A number of any size as SQLite's integers are, with a sign; different ones stay different.

    Some file systems have times after 2262, in nanoseconds more than 63 bits, and inode numbers of
    64 bits without a sign.
    """
    return (number + 2**63) % 2**64 - 2**63
