"""The sha256 of a file, read once, in pieces."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mm_rag.media import DEFAULT_POLICY, MediaPolicy
from mm_rag.media.access import FileSource, open_file


def file_sha256(
    path: FileSource, policy: MediaPolicy = DEFAULT_POLICY, *, within: Path | None = None
) -> str:
    """Hexadecimal sha256 of a file's bytes.

    Args:
        path: The file.
        policy: What may be opened.
        within: The folder that it was found in, where the caller did not name it.

    Raises:
        SourceForbidden: The policy does not allow to open it, or a link leads out of `within`.
        UnreadableMedia: It is missing, or may not be opened.
        OSError: Reading it fails.
    """
    with open_file(path, policy, within=within) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
