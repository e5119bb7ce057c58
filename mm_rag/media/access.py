"""Opening files as the MediaPolicy has it: where they lie, what they are, how large they are."""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from mm_rag.errors import MediaTooLarge, SourceForbidden, UnreadableMedia
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

# A pipe would wait for whoever writes to it, and a link may have taken the place of a file since
# its path was followed.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)


def real_path(path: Path, policy: MediaPolicy) -> Path:
    """A path with all its links followed, which lies in the policy's `roots`.

    Whoever opens it opens this path, not the one that was given: a link may change.

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


def check_path(path: Path, policy: MediaPolicy) -> None:
    """See that a path, with all its links followed, lies in the policy's `roots`.

    Raises:
        SourceForbidden: It does not.
        UnreadableMedia: It cannot be followed.
    """
    real_path(path, policy)


def check_found(path: Path, folder: Path, policy: MediaPolicy) -> None:
    """See that a file found in a folder, and named by nobody, may be opened.

    Raises:
        SourceForbidden: It lies outside of the policy's `roots`, or a link leads out of the folder
            and the policy does not say `follow_links`.
        UnreadableMedia: It cannot be followed.
    """
    real = real_path(path, policy)
    if not policy.follow_links and not real.is_relative_to(folder.resolve()):
        raise SourceForbidden(
            f"{path} is not opened: a link in it leads out of {folder}, where it was found. "
            "MediaPolicy(follow_links=True) follows such links."
        )


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
    if status.st_size == 0:
        raise UnreadableMedia(f"{path.name} is empty (0 bytes).")
    check_bytes(status.st_size, path.name, policy)
    return real


def open_file(path: Path, policy: MediaPolicy = DEFAULT_POLICY) -> BufferedReader:
    """Open a regular file in the policy's `roots`, of any size.

    Raises:
        SourceForbidden: It lies outside of the policy's `roots`.
        UnreadableMedia: It is missing, no regular file, or may not be read.
    """
    real = real_path(path, policy)
    try:
        # What opening a device does, only it knows.
        _check_regular(path, real.stat())
        file = open(real, "rb", opener=_open)  # noqa: SIM115 - whoever asked for it closes it
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        _check_regular(path, os.fstat(file.fileno()))
    except UnreadableMedia:
        file.close()
        raise
    return file


def open_bounded(path: Path, policy: MediaPolicy = DEFAULT_POLICY) -> BufferedReader:
    """As `open_file`, of a file that is not over the policy's `max_bytes`.

    Raises:
        SourceForbidden: As for `open_file`.
        UnreadableMedia: As for `open_file`.
        MediaTooLarge: It is over `max_bytes`.
    """
    file = open_file(path, policy)
    try:
        check_bytes(os.fstat(file.fileno()).st_size, path.name, policy)
    except MediaTooLarge:
        file.close()
        raise
    return file


def check_bytes(size: int, name: str, policy: MediaPolicy) -> None:
    """See that so many bytes are not over the policy's `max_bytes`.

    Raises:
        MediaTooLarge: They are.
    """
    if size > policy.max_bytes:
        raise MediaTooLarge(
            f"{name} has {size:,} bytes; MediaPolicy.max_bytes allows {policy.max_bytes:,}."
        )


def _open(path: str, _: int) -> int:
    return os.open(path, _FLAGS)


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
