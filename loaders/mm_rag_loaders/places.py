"""Where a source lies on this machine: checked against the policy, fetched if it is an address."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mm_rag.content import Url
from mm_rag.media import addresses
from mm_rag.media.access import check_found, check_path
from mm_rag.media.fetch import fetched
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.sources import Source

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


def local_path(source: Source, options: LoadOptions) -> Path:
    """The file that a source is; what an address answers is kept among the assets.

    Raises:
        SourceForbidden: The policy does not allow to open it.
        UnreadableMedia: The path cannot be followed, or the address not be fetched.
        MediaTooLarge: It is over the policy's `max_bytes`.
    """
    path = source.place
    if isinstance(path, Url):
        named = addresses.local_path(path, options.policy)
        if named is None:
            return _kept(path, options)
        path = named
    if source.within is not None:
        check_found(path, source.within, options.policy)
    check_path(path, options.policy)
    return path


def reading_options(source: Source, options: LoadOptions) -> LoadOptions:
    """The options to read a source with, once it has a local path.

    What was fetched is kept among the assets, which need not be in the `roots` of the policy.

    Raises:
        SourceForbidden: The policy does not allow its address.
    """
    if isinstance(source.place, Path) or addresses.local_path(source.place, options.policy):
        return options
    return replace(options, policy=replace(options.policy, roots=None))


def _kept(url: Url, options: LoadOptions) -> Path:
    with fetched(url, options.policy) as path:
        suffix = path.suffix if _SUFFIX.fullmatch(path.suffix) else ""
        return options.assets.keep_file(path, suffix)
