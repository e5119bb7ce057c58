"""Open files as the MediaPolicy allows: by location, type and size.

A path may lead to another file a moment after it was checked. Therefore a file is opened once, the
opened file is checked, and all libraries read it: `OpenedFile`.
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

# Opening a pipe would block until something writes to it, and a link may have replaced the file
# since its path was resolved.
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
_TRIES = 5  # to open a file that is replaced at the same time, as editors do when they save it
_BUFFER = 64 * 1024  # bytes
_FOLDERS_OF_HANDLES = ("/proc/self/fd", "/dev/fd")


class OpenedFile(Closing):
    """A regular file that is opened once, and read whatever its path leads to later.

    It may have any number of readers, each with its own position. It is closed when neither this
    object nor any reader is open.

    Attributes:
        path: The path as it was named, for messages, the suffix, and files beside it.
    """

    def __init__(self, path: Path, handle: _Handle) -> None:
        self.path = path
        self._handle: _Handle | None = handle

    @property
    def status(self) -> os.stat_result:
        """The `stat` of the opened file."""
        return os.fstat(self._open.number)

    @property
    def size(self) -> int:
        """In bytes."""
        return self.status.st_size

    def reader(self) -> BufferedReader:
        """A new reader, at the first byte."""
        return BufferedReader(_Reader(self.path, self._open), _BUFFER)

    def shared(self) -> OpenedFile:
        """Another object for the same open file, to be closed separately."""
        return OpenedFile(self.path, self._open)

    def handle_path(self) -> str | None:
        """A path to the opened file, for libraries that only take paths.

        It is valid until this object is closed. None on systems without such paths.
        """
        status = os.fstat(self._open.number)
        for folder in _FOLDERS_OF_HANDLES:
            place = f"{folder}/{self._open.number}"
            with suppress(OSError):
                if os.path.samestat(os.stat(place), status):  # noqa: PTH116 - not a file's own path
                    return place
        return None

    def close(self) -> None:
        """Close the file, unless readers are open."""
        self._handle = None

    @property
    def _open(self) -> _Handle:
        if self._handle is None:
            raise ValueError(f"{self.path} was closed.")
        return self._handle


FileSource: TypeAlias = Path | OpenedFile
"""A file by its path, or an opened one."""


class _Handle:
    """A file descriptor that is closed when it is garbage-collected.

    If it were closed explicitly, its number could belong to another file when a reader uses it.
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
    """Resolve all links of a path, and check that it lies in the policy's `roots`.

    It may lead elsewhere a moment later: `opened` checks the file once it is open.

    Raises:
        SourceForbidden: It lies outside of `roots`.
        UnreadableMedia: It cannot be resolved.
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
    """Check that a path, with all links resolved, is allowed by the policy at this moment.

    Raises:
        SourceForbidden: It lies outside of the policy's `roots`, or a link leads out of `within`.
        UnreadableMedia: It cannot be resolved.
    """
    _followed(path, policy, within)


def real_file(path: Path, policy: MediaPolicy) -> Path:
    """Resolve a path like `real_path`, and check that the file is neither empty nor too large.

    Raises:
        SourceForbidden: It lies outside of the policy's `roots`.
        UnreadableMedia: It is missing or empty, or not a regular file.
        MediaTooLarge: It is over the policy's `max_bytes`.
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
        source: The file. An opened one is shared, and not checked again.
        policy: Limits on opening.
        within: The folder in which the file was found, which no link may leave unless the policy
            has `follow_links`; None if the caller named the file.

    Raises:
        SourceForbidden: It lies outside of the policy's `roots`, or a link leads out of `within`.
        UnreadableMedia: It is missing, not a regular file, or may not be read.
    """
    if isinstance(source, OpenedFile):
        return source.shared()
    for _ in range(_TRIES):
        real, folder = _followed(source, policy, within)
        try:
            # Before opening it: opening a device may have effects.
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
    """Open a file like `opened`, and check that it is neither empty nor over `max_bytes`.

    Raises:
        SourceForbidden: As for `opened`.
        UnreadableMedia: As for `opened`, or it is empty.
        MediaTooLarge: It is over the policy's `max_bytes`.
    """
    if isinstance(source, Path):
        real_file(source, policy)  # a file that is too large is not even opened
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
    """A reader of a regular file in the policy's `roots`, of any size. Raises as `opened`."""
    with opened(source, policy, within=within) as file:
        return file.reader()


def open_bounded(
    source: FileSource, policy: MediaPolicy = DEFAULT_POLICY, *, within: Path | None = None
) -> BufferedReader:
    """A reader of a file like `open_file`, which is not over `max_bytes`.

    Raises:
        SourceForbidden: As for `opened`.
        UnreadableMedia: As for `opened`.
        MediaTooLarge: It is over the policy's `max_bytes`.
    """
    with opened(source, policy, within=within) as file:
        check_bytes(file.size, file.path.name, policy)
        return file.reader()


def check_bytes(size: int, name: str, policy: MediaPolicy) -> None:
    """Check that a size in bytes is not over the policy's `max_bytes`.

    Raises:
        MediaTooLarge: It is.
    """
    if size > policy.max_bytes:
        raise MediaTooLarge(
            f"{name} has {size:,} bytes; MediaPolicy.max_bytes allows {policy.max_bytes:,}."
        )


def _followed(path: Path, policy: MediaPolicy, within: Path | None) -> tuple[Path, Path | None]:
    """The resolved path, and the outermost folder in which it must lie."""
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
    """Whether this file is at a path in a folder, with no link on the way from the folder to it."""
    try:
        if os.open not in os.supports_dir_fd:  # Windows, where open files cannot be moved
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
