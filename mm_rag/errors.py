"""The errors that mm_rag raises on purpose, split by cause.

MMRagError
├── InputError               an argument or an input cannot be used (also a ValueError)
│   ├── UnreadableMedia      a file is missing, damaged, or not what it claims to be
│   │   └── PasswordNeeded   a document is encrypted
│   ├── MediaTooLarge        a file exceeds a limit of the MediaPolicy
│   ├── SourceForbidden      the MediaPolicy forbids opening a path or URL
│   ├── UnsupportedModality  the model does not accept this kind of input
│   ├── NotFinite            the model returned NaN or infinity for an input
│   └── UnknownAttribute     the assigned attribute does not exist (also an AttributeError)
├── MissingExtra             an optional package is missing or unfit (also an ImportError)
├── CheckpointError          a model's files are missing, incomplete or unsupported
├── WorkerError              a process of an EncoderPool or a loader did not start, or died
├── StorageError             writing failed: the disk is full or permission is denied
└── CollectionError          a collection cannot be used
    ├── CollectionMismatch   it was made with another model or by a newer mm_rag
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
    """Base class of all errors that mm_rag raises on purpose."""

    def __str__(self) -> str:
        """Return the message with control characters replaced; file names may contain them."""
        return visible(super().__str__())


class InputError(MMRagError, ValueError):
    """An argument or an input cannot be used.

    Attributes:
        position: Index of the input in its batch, from 0; None for a single input, and where the
            error concerns the whole batch.
    """

    position: int | None = None

    def __str__(self) -> str:
        """Return the message, preceded by the position if it is known."""
        message = super().__str__()
        return message if self.position is None else f"Input {self.position}: {message}"


@contextmanager
def at_position(position: int) -> Generator[None]:
    """Set the position of any InputError that is raised inside the block."""
    try:
        yield
    except InputError as error:
        error.position = position
        raise


class UnreadableMedia(InputError):
    """A file is missing, damaged, empty, or not what it claims to be."""


class PasswordNeeded(UnreadableMedia):
    """A document is encrypted, and the password is missing or wrong."""


class MediaTooLarge(InputError):
    """A file exceeds a limit of the `MediaPolicy`."""


class SourceForbidden(InputError):
    """The `MediaPolicy` forbids opening a path or a URL."""


class UnsupportedModality(InputError):
    """The model does not accept this kind of input."""


class NotFinite(InputError):
    """The model returned NaN or infinity for an input, as an embedding or a score."""


class UnknownAttribute(InputError, AttributeError):
    """The assigned attribute does not exist; setting it would have no effect."""


class MissingExtra(MMRagError, ImportError):
    """A feature needs an optional package that is missing, broken, or of an untested version."""


class CheckpointError(MMRagError):
    """A model's files are missing, incomplete or unsupported."""


class WorkerError(MMRagError):
    """A process of an `EncoderPool` or of a loader did not start, or died."""


class StorageError(MMRagError):
    """Writing failed: the disk is full, or permission is denied."""


class CollectionError(MMRagError):
    """A collection cannot be used."""


class CollectionMismatch(CollectionError):
    """A collection was made with another model, or by a newer version of mm_rag."""


class FilesMissing(CollectionError):
    """A sync would remove most of a folder's files from the collection; nothing was changed."""


class CollectionLocked(CollectionError):
    """Another process is writing to the collection."""
