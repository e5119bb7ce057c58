"""Whether anything opens the files of a folder, whichever process it is. On Linux only."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Self

_OPENED = 0x20
_NOT_WAITING = os.O_NONBLOCK
_EVENT = struct.Struct("iIII")


class OpenWatch:
    """Counts how often a file in a folder is opened, by asking the kernel to tell.

    Raises:
        OSError: The system has no inotify, or no more of it.
    """

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._told: int = libc.inotify_init1(_NOT_WAITING)
        watch: int = libc.inotify_add_watch(self._told, os.fsencode(folder), _OPENED)
        if self._told < 0 or watch < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._told)

    def names(self) -> list[str]:
        """Of the files that were opened since this was last asked."""
        names: list[str] = []
        while True:
            try:
                data = os.read(self._told, 65_536)
            except BlockingIOError:
                return names
            place = 0
            while place < len(data):
                *_, length = _EVENT.unpack_from(data, place)
                place += _EVENT.size
                names.append(data[place : place + length].rstrip(b"\0").decode())
                place += length
