"""Where a source lies on this machine: checked against the policy, fetched if it is an address."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mm_rag.content import Url
from mm_rag.media import addresses
from mm_rag.media.access import OpenedFile, check_path, opened_whole
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
    path = named_file(source, options)
    if path is None:
        assert isinstance(source.place, Url)
        return _kept(source.place, options)
    check_path(path, options.policy, within=source.within)
    return path


def named_file(source: Source, options: LoadOptions) -> Path | None:
    """The file of this machine that a source names; None for an address of the web.

    Raises:
        SourceForbidden: The policy does not allow its address.
        InputError: Its address names no file.
    """
    if isinstance(source.place, Path):
        return source.place
    return addresses.local_path(source.place, options.policy)


def open_source(source: Source, options: LoadOptions) -> OpenedFile:
    """The file that a source is, opened once: what is hashed, looked at and read is this.

    Raises:
        SourceForbidden: As for `local_path`.
        UnreadableMedia: As for `local_path`, or it is empty or may not be read.
        MediaTooLarge: As for `local_path`.
    """
    path = local_path(source, options)
    policy = reading_options(source, options).policy
    return opened_whole(path, policy, within=source.within)


def reading_options(source: Source, options: LoadOptions) -> LoadOptions:
    """The options to read a source with, once it has a local path.

    What was fetched is kept among the assets, which need not be in the `roots` of the policy.

    Raises:
        SourceForbidden: The policy does not allow its address.
    """
    if named_file(source, options) is not None:
        return options
    return replace(options, policy=replace(options.policy, roots=None))


def _kept(url: Url, options: LoadOptions) -> Path:
    with fetched(url, options.policy) as path:
        suffix = path.suffix if _SUFFIX.fullmatch(path.suffix) else ""
        return options.assets.keep_file(path, suffix)
