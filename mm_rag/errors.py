"""Everything that goes wrong in mm_rag, split by whose fault it is.

MMRagError
├── InputError               what was given cannot be used (also a ValueError)
│   ├── UnreadableMedia      a file is missing, damaged, or not what it claims to be
│   │   └── PasswordNeeded   a file is locked
│   ├── MediaTooLarge        a file is over a limit of the MediaPolicy
│   ├── SourceForbidden      the MediaPolicy does not allow to open it, wherever it leads
│   ├── UnsupportedModality  the model does not take this kind of input
│   ├── NotFinite            the model makes NaN or infinity of an input
│   └── UnknownAttribute     an attribute that is assigned does not exist (also an AttributeError)
├── MissingExtra             an optional package is not installed (also an ImportError)
├── CheckpointError          a model's files are missing, incomplete or not understood
├── WorkerError              a process of an EncoderPool, or of a loader, did not start, or died
├── StorageError             what was found in files cannot be written: no room, or no right
└── CollectionError          a collection cannot be used
    ├── CollectionMismatch   it was made with another model or by a newer version
    ├── FilesMissing         a sync would remove most of a folder's files
    └── CollectionLocked     another process is writing to it
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from mm_rag._printing import visible

__all__ = [
    "CheckpointError",
    "CollectionError",
    "CollectionLocked",
    "CollectionMismatch",
    "FilesMissing",
    "InputError",
    "MMRagError",
    "MediaTooLarge",
    "MissingExtra",
    "NotFinite",
    "PasswordNeeded",
    "SourceForbidden",
    "StorageError",
    "UnknownAttribute",
    "UnreadableMedia",
    "UnsupportedModality",
    "WorkerError",
]


class MMRagError(Exception):
    """The root: catching it catches whatever mm_rag raises on purpose."""

    def __str__(self) -> str:
        """The message without control characters, which names of files may bring into it."""
        return visible(super().__str__())


class InputError(MMRagError, ValueError):
    """What was given cannot be used.

    Attributes:
        position: Which input of a batch it was, from 0; None where it was the only one, or all of
            them together.
    """

    position: int | None = None

    def __str__(self) -> str:
        """Begins with the position, where there is one."""
        message = super().__str__()
        return message if self.position is None else f"Input {self.position}: {message}"


@contextmanager
def at_position(position: int) -> Generator[None]:
    """Say in an InputError which input of a batch it is about."""
    try:
        yield
    except InputError as error:
        error.position = position
        raise


class UnreadableMedia(InputError):
    """A file is missing, damaged, empty, or not what it claims to be."""


class PasswordNeeded(UnreadableMedia):
    """A file is locked, and no password or a wrong one was given."""


class MediaTooLarge(InputError):
    """A file is over a limit of the `MediaPolicy`."""


class SourceForbidden(InputError):
    """The `MediaPolicy` does not allow to open a path or an address."""


class UnsupportedModality(InputError):
    """The model does not take this kind of input."""


class NotFinite(InputError):
    """The model returned NaN or infinity for an input: a vector or a score without a meaning."""


class UnknownAttribute(InputError, AttributeError):
    """An attribute that is assigned does not exist, so that assigning it would do nothing."""


class MissingExtra(MMRagError, ImportError):
    """A feature needs an optional package that is not installed."""


class CheckpointError(MMRagError):
    """A model's files are missing, incomplete or not understood."""


class WorkerError(MMRagError):
    """A process of an `EncoderPool`, or one that loads files, did not start, or died."""


class StorageError(MMRagError):
    """What was found in files cannot be written: there is no room, or no right to."""


class CollectionError(MMRagError):
    """A collection cannot be used."""


class CollectionMismatch(CollectionError):
    """A collection was made with another model, or by a newer version of mm_rag."""


class FilesMissing(CollectionError):
    """A sync would remove most of what a collection has of a folder; nothing was changed."""


class CollectionLocked(CollectionError):
    """Another process is writing to the collection."""
