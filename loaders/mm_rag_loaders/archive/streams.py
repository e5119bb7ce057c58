"""Decompress gzip, bzip2, xz and Zstandard as a stream that is read forwards, with flat memory."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from mm_rag._optional import require
from mm_rag_loaders.archive.packed import ALWAYS_UNPACKED, MOST_RATIO, Bomb

GZIP, BZIP2, XZ, LZMA, ZSTD = (
    b"\x1f\x8b\x08",
    b"BZh",
    b"\xfd7zXZ\0",
    b"\x5d\0\0",
    b"\x28\xb5\x2f\xfd",
)
_READ = 64 * 1024  # compressed bytes at a time
_MOST_MEMORY = 512 * 1024**2  # of a decompressor; `xz -9` takes 65 MB
# TAR reads the bytes of a file in pieces, and only the headers of a file at once.
_MOST_AT_ONCE = 64 * 1024**2


class Decompressed(io.RawIOBase):
    """The bytes of a compressed stream; several streams after each other are one.

    It goes forwards only. `packed` is the number of compressed bytes read so far.
    """

    def __init__(self, file: BinaryIO, make: Callable[[], Any]) -> None:
        self._file, self._make = file, make
        self._stream = make()
        self._input = b""
        self._at, self.packed = 0, 0
        self._has_begun = False

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True, for `tarfile`, which only goes forwards."""
        return True

    def tell(self) -> int:
        """Number of bytes read so far."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Skip to a later place.

        Raises:
            ValueError: It is an earlier one.
        """
        if whence != io.SEEK_SET or offset < self._at:
            raise ValueError("a compressed stream goes forwards only")
        while self._at < offset and self.read(min(offset - self._at, _READ * 16)):
            pass
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; fewer only at the end.

        Raises:
            OSError: It is damaged, or more is read at once than any header has.
            EOFError: It ends too early.
        """
        if not 0 <= size <= _MOST_AT_ONCE:
            raise OSError(f"a header of {size:,} bytes")
        found: list[bytes] = []
        missing = size
        while missing > 0 and (data := self._some(missing)):
            found.append(data)
            missing -= len(data)
        self._at += size - missing
        if self._at > max(ALWAYS_UNPACKED, MOST_RATIO * self.packed):
            raise Bomb(f"over {MOST_RATIO} times as large when unpacked")
        return b"".join(found)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _some(self, most: int) -> bytes:
        """Some bytes, at most so many; empty at the end."""
        while True:
            if self._stream.eof:
                rest: bytes = self._stream.unused_data or self.refilled()
                rest = rest.lstrip(b"\0")  # tapes are padded
                if not rest:
                    return b""
                self._stream, self._input, self._has_begun = self._make(), rest, False
            if not self._input and self._stream.needs_input:
                self._input = self.refilled()
                if not self._input:
                    # zlib may hold back the last bytes although it wants no more.
                    if held := self._stream.decompress(b"", most):
                        return held
                    if self._has_begun:
                        raise EOFError("it ends too early")
                    return b""
            self._has_begun = True
            data = self._stream.decompress(self._input, most)
            self._input = b""
            if data:
                return data

    def refilled(self) -> bytes:
        """The next compressed bytes; empty at the end."""
        data = self._file.read(_READ)
        self.packed += len(data)
        return data


class _Gzip:
    """zlib's decompressor of gzip with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, most)


def decompressed(file: BinaryIO, head: bytes) -> Decompressed | None:
    """The decompressed stream of a file; None if it is not compressed.

    Args:
        file: The file, at its first byte.
        head: Its first bytes.

    Raises:
        MissingExtra: It is Zstandard and its library is not installed.
    """
    if head.startswith(GZIP):
        return Decompressed(file, _Gzip)
    if head.startswith(BZIP2):
        return Decompressed(file, bz2.BZ2Decompressor)
    if head.startswith((XZ, LZMA)):
        return Decompressed(file, lambda: lzma.LZMADecompressor(memlimit=_MOST_MEMORY))
    if head.startswith(ZSTD):
        library = require("zstandard", extra="documents", feature="Reading Zstandard archives")
        return _Zstandard(file, library)
    return None


class _Zstandard(Decompressed):
    """The bytes of a Zstandard stream, which may give gigabytes for a few bytes: in pieces."""

    def __init__(self, file: BinaryIO, library: Any) -> None:
        super().__init__(file, _Gzip)
        decompressor = library.ZstdDecompressor(max_window_size=_MOST_MEMORY // 4)
        self._reader = decompressor.stream_reader(
            _Counted(self), read_size=_READ, read_across_frames=True, closefd=False
        )
        self._error = library.ZstdError

    def _some(self, most: int) -> bytes:
        try:
            return self._reader.read(min(most, _READ * 16))
        except self._error as error:
            raise OSError(str(error)) from error


class _Counted:
    """The compressed bytes of a stream."""

    def __init__(self, stream: Decompressed) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Read some; size is only a wish."""
        return self._stream.refilled()
