"""The sha256 of a file, read once, in pieces."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mm_rag.media import DEFAULT_POLICY, MediaPolicy
from mm_rag.media.access import open_file


def file_sha256(path: Path, policy: MediaPolicy = DEFAULT_POLICY) -> str:
    """Hexadecimal sha256 of a file's bytes.

    Raises:
        SourceForbidden: The policy does not allow to open it.
        UnreadableMedia: It is missing, or may not be opened.
        OSError: Reading it fails.
    """
    with open_file(path, policy) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
