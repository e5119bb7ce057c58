"""Where a source lies on this machine: checked against the policy, fetched if it is an address."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mm_rag.content import Url
from mm_rag.media.access import check_path
from mm_rag.media.fetch import fetched
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.sources import Source


def local_path(source: Source, options: LoadOptions) -> Path:
    """The file that a source is; what an address answers is kept among the assets.

    Raises:
        SourceForbidden: The policy does not allow to open it.
        UnreadableMedia: The address cannot be fetched.
        MediaTooLarge: It is over the policy's `max_bytes`.
    """
    policy = options.policy
    if isinstance(source.place, Url):
        with fetched(source.place, policy) as path:
            return options.assets.keep(path.read_bytes(), path.suffix)
    check_path(source.place, policy)
    if source.within is not None and not policy.follow_links:
        check_path(source.place, replace(policy, roots=(source.within,)))
    return source.place
