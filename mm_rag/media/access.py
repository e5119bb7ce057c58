"""Whether a file may be opened, as the MediaPolicy has it."""

from __future__ import annotations

from pathlib import Path

from mm_rag.errors import SourceForbidden
from mm_rag.media.policy import MediaPolicy


def check_path(path: Path, policy: MediaPolicy) -> None:
    """See that a path, with all its links followed, lies in the policy's `roots`.

    Raises:
        SourceForbidden: It does not.
    """
    if policy.roots is None:
        return
    real = path.resolve()
    if not any(real.is_relative_to(root.resolve()) for root in policy.roots):
        raise SourceForbidden(
            f"{path} is not opened: it leads out of the folders of MediaPolicy.roots."
        )
