"""Opening files as the MediaPolicy has it: where they lie, what they are, how large they are.

A path may lead elsewhere a moment after it was checked. So a file is opened once, the opened file
is checked, and all libraries read that one: `OpenedFile`.
"""

from __future__ import annotations

import os
import stat
import threading
import weakref
from contextlib import suppress
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mm_rag._closing import Closing
from mm_rag.errors import MediaTooLarge, SourceForbidden, UnreadableMedia
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# A pipe would wait for whoever writes to it, and a link may have taken the place of a file since
# its path was followed.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)
_FOLDER_FLAGS = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)
_TRIES = 5  # to open a file that is replaced again and again, as editors do when they save it
_BUFFER = 64 * 1024  # bytes
_FOLDERS_OF_HANDLES = ("/proc/self/fd", "/dev/fd")


class OpenedFile(Closing):
    """A regular file that was opened once, and is read whatever its path leads to later.

    Any number of readers may read it at once, each from its own place in it. It is let go of when
    neither this nor any of them is open.

    Attributes:
        path: As it was named: for messages, for its suffix, and for what lies beside it.
    """

    def __init__(self, path: Path, handle: _Handle) -> None:
        self.path = path
        self._handle: _Handle | None = handle

    @property
    def size(self) -> int:
        """In bytes."""
        return os.fstat(self._open.number).st_size

    def reader(self) -> BufferedReader:
        """A reader of its own, from the first byte on."""
        return BufferedReader(_Reader(self.path, self._open), _BUFFER)

    def shared(self) -> OpenedFile:
        """The same file, to be closed on its own."""
        return OpenedFile(self.path, self._open)

    def place(self) -> str | None:
        """A path that leads to the opened file, for libraries that take nothing else.

        It does so until this is closed. None where the system has no such paths.
        """
        status = os.fstat(self._open.number)
        for folder in _FOLDERS_OF_HANDLES:
            place = f"{folder}/{self._open.number}"
            with suppress(OSError):
                if os.path.samestat(os.stat(place), status):  # noqa: PTH116 - it is no path of a file
                    return place
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._handle = None

    @property
    def _open(self) -> _Handle:
        if self._handle is None:
            raise ValueError(f"{self.path} was closed.")
        return self._handle


FileSource: TypeAlias = Path | OpenedFile
"""A file by its path, or one that is open already."""


class _Handle:
    """A number of an open file, which is closed when nothing refers to it any more.

    Closed by hand, it could be another file's by the time that a reader uses it.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.Lock()
        weakref.finalize(self, os.close, number)


class _Reader(RawIOBase):
    def __init__(self, path: Path, handle: _Handle) -> None:
        self.name = str(path)
        self._handle: _Handle | None = handle
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._open.number

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        end = os.fstat(self._open.number).st_size if whence == os.SEEK_END else 0
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: end}[whence]
        if at < 0:
            raise ValueError(f"There is no place {at} in {self.name}.")
        self._at = at
        return at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = _read_at(self._open, len(view), self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._handle = None
        super().close()

    @property
    def _open(self) -> _Handle:
        if self._handle is None:
            raise ValueError(f"{self.name} was closed.")
        return self._handle


def _read_at(handle: _Handle, size: int, at: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(handle.number, size, at)
    with handle.lock:
        os.lseek(handle.number, at, os.SEEK_SET)
        return os.read(handle.number, size)


def real_path(path: Path, policy: MediaPolicy) -> Path:
    """A path with all its links followed, which lies in the policy's `roots`.

    It may lead elsewhere a moment later: what is read is checked once it is open, by `opened`.

    Raises:
        SourceForbidden: It lies elsewhere.
        UnreadableMedia: It cannot be followed.
    """
    try:
        real = path.resolve()
        roots = None if policy.roots is None else [root.resolve() for root in policy.roots]
    except (OSError, RuntimeError, ValueError) as error:
        raise UnreadableMedia(f"{str(path)!r} is no path that can be followed.") from error
    if roots is not None and not any(real.is_relative_to(root) for root in roots):
        raise SourceForbidden(
            f"{path} is not opened: it lies, or a link in it leads, outside of the folders of "
            "MediaPolicy.roots. Add its folder there if it may be read."
        )
    return real


def check_path(path: Path, policy: MediaPolicy, *, within: Path | None = None) -> None:
    """See that a path, with all its links followed, lies where the policy allows it now.

    Raises:
        SourceForbidden: It lies outside of the policy's `roots`, or a link leads out of `within`.
        UnreadableMedia: It cannot be followed.
    """
    _followed(path, policy, within)


def real_file(path: Path, policy: MediaPolicy) -> Path:
    """As `real_path`, of a file that is neither empty nor over the policy's `max_bytes`.

    Raises:
        SourceForbidden: It lies outside of the policy's `roots`.
        UnreadableMedia: It is missing or empty, or no regular file.
        MediaTooLarge: It is over `max_bytes`.
    """
    real = real_path(path, policy)
    try:
        status = real.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    _check_regular(path, status)
    _check_size(status.st_size, path, policy)
    return real


def opened(
    source: FileSource, policy: MediaPolicy = DEFAULT_POLICY, *, within: Path | None = None
) -> OpenedFile:
    """Open a regular file in the policy's `roots`, of any size.

    Args:
        source: The file. One that is open already is shared, and not checked again.
        policy: What may be opened.
        within: The folder that it was found in, where the caller did not name it: no link leads out
            of it, unless the policy says `follow_links`.

    Raises:
        SourceForbidden: It lies outside of the policy's `roots`, or a link leads out of `within`.
        UnreadableMedia: It is missing, no regular file, or may not be read.
    """
    if isinstance(source, OpenedFile):
        return source.shared()
    for _ in range(_TRIES):
        real, folder = _followed(source, policy, within)
        try:
            # What opening a device does, only it knows.
            _check_regular(source, real.stat())
            handle = _Handle(os.open(str(real), _FLAGS))
        except OSError as error:
            raise _unreadable(source, error) from error
        status = os.fstat(handle.number)
        _check_regular(source, status)
        if folder is None or _is_at(real, folder, status):
            return OpenedFile(source, handle)
    raise SourceForbidden(
        f"{source} is not opened: a link in its path, or the file, is changed again and again. "
        "Load it when nothing changes it."
    )


def opened_whole(
    source: FileSource, policy: MediaPolicy = DEFAULT_POLICY, *, within: Path | None = None
) -> OpenedFile:
    """As `opened`, of a file that is neither empty nor over the policy's `max_bytes`.

    Raises:
        SourceForbidden: As for `opened`.
        UnreadableMedia: As for `opened`, or it is empty.
        MediaTooLarge: It is over `max_bytes`.
    """
    if isinstance(source, Path):
        real_file(source, policy)  # what is too large need not be opened
    file = opened(source, policy, within=within)
    try:
        _check_size(file.size, file.path, policy)
    except (UnreadableMedia, MediaTooLarge):
        file.close()
        raise
    return file


def open_file(
    source: FileSource, policy: MediaPolicy = DEFAULT_POLICY, *, within: Path | None = None
) -> BufferedReader:
    """A reader of a regular file in the policy's `roots`, of any size; errors as for `opened`."""
    with opened(source, policy, within=within) as file:
        return file.reader()


def open_bounded(
    source: FileSource, policy: MediaPolicy = DEFAULT_POLICY, *, within: Path | None = None
) -> BufferedReader:
    """As `open_file`, of a file that is not over the policy's `max_bytes`.

    Raises:
        SourceForbidden: As for `opened`.
        UnreadableMedia: As for `opened`.
        MediaTooLarge: It is over `max_bytes`.
    """
    with opened(source, policy, within=within) as file:
        check_bytes(file.size, file.path.name, policy)
        return file.reader()


def check_bytes(size: int, name: str, policy: MediaPolicy) -> None:
    """See that so many bytes are not over the policy's `max_bytes`.

    Raises:
        MediaTooLarge: They are.
    """
    if size > policy.max_bytes:
        raise MediaTooLarge(
            f"{name} has {size:,} bytes; MediaPolicy.max_bytes allows {policy.max_bytes:,}."
        )


def _followed(path: Path, policy: MediaPolicy, within: Path | None) -> tuple[Path, Path | None]:
    """The path with its links followed, and the outermost folder that it has to lie in."""
    real = real_path(path, policy)
    folders = [root.resolve() for root in policy.roots or ()]
    if within is not None and not policy.follow_links:
        folder = within.resolve()
        if not real.is_relative_to(folder):
            raise SourceForbidden(
                f"{path} is not opened: a link in it leads out of {within}, where it was found. "
                "MediaPolicy(follow_links=True) follows such links."
            )
        folders.append(folder)
    around = [folder for folder in folders if real.is_relative_to(folder)]
    return real, min(around, key=lambda folder: len(folder.parts), default=None)


def _is_at(real: Path, folder: Path, status: os.stat_result) -> bool:
    """Whether this file lies at a path in a folder, and no link leads from the folder to it."""
    try:
        if os.open not in os.supports_dir_fd:  # Windows, where an opened file cannot be moved
            return real.resolve() == real and os.path.samestat(real.stat(), status)
        folder = folder.parent if folder == real else folder
        *inside, name = real.relative_to(folder).parts
        here = os.open(folder, _FOLDER_FLAGS)
        try:
            for part in inside:
                above, here = here, os.open(part, _FOLDER_FLAGS, dir_fd=here)
                os.close(above)
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
        finally:
            os.close(here)
    except (OSError, ValueError):
        return False
    return os.path.samestat(found, status)


def _check_size(size: int, path: Path, policy: MediaPolicy) -> None:
    if size == 0:
        raise UnreadableMedia(f"{path.name} is empty (0 bytes).")
    check_bytes(size, path.name, policy)


def _check_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    what = "a pipe, a socket or a device"
    if stat.S_ISDIR(status.st_mode):
        as_now = os.access in os.supports_effective_ids
        can_look = os.access(path, os.R_OK | os.X_OK, effective_ids=as_now)
        what = "a folder" if can_look else "a folder that may not be looked into"
    raise UnreadableMedia(f"There is no file {path}: it is {what}.")


def _unreadable(path: Path, error: OSError) -> UnreadableMedia:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UnreadableMedia(f"There is no file {path}.")
    return UnreadableMedia(f"{path.name} cannot be opened: {error.strerror}.")
