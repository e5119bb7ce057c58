"""MediaPolicy: what may be opened, and limits on size, time and memory."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mm_rag.errors import InputError
from mm_rag.media.hosts import parse_host

SCHEMES = frozenset({"http", "https", "file"})


@dataclass(frozen=True, kw_only=True)
class MediaPolicy:
    """Limits on opening untrusted files and addresses.

    It applies wherever files are opened: in loaders, encoders, rerankers and subtitle readers. The
    defaults are safe for a server whose own code names the files; if users name them, set `roots`
    too. What is not allowed raises `SourceForbidden`, and what is over a limit `MediaTooLarge`.

    A single value is accepted for a set, such as `hosts="example.org"`.

    Attributes:
        roots: Folders outside of which no file is opened, with all links resolved; None for any
            file. Relative ones are made absolute. An encoder or reranker of a collection also needs
            the folder of the collection, which contains its page pictures.
        follow_links: Whether a symbolic link found in a folder may lead out of it. No link may lead
            out of `roots`.
        schemes: Allowed address schemes, of `http`, `https` and `file`; empty for none. `roots`
            apply to `file` addresses too.
        hosts: Allowed hosts, with their subdomains; None for all public ones.
        private_hosts: Whether this machine and its private network are allowed, with content that
            is not public.
        max_bytes: Size of one file, of the response of one address, or of all frames of one video
            that a model encodes.
        max_pixels: Width times height of one picture, frame or rendered page.
        max_pages: Pages of one document; the rest is left out and reported.
        max_members: Files in one archive, mailbox or other file, with the files in these; the rest
            is left out and reported.
        max_frames: Frames of one animation; the rest is left out and reported.
        max_seconds: Seconds of one recording or video; the rest is left out and reported.
        max_load_seconds: Seconds to load one file, including fetching it. What is read by then is
            kept, the rest is left out and reported. A process that hangs is killed a little later.
        max_memory: Bytes of memory that a process may use to load one file, on systems with such a
            limit.

    Raises:
        InputError: A value is invalid.
    """

    roots: tuple[Path, ...] | None = None
    follow_links: bool = False
    schemes: frozenset[str] = frozenset({"http", "https"})
    hosts: frozenset[str] | None = None
    private_hosts: bool = False
    max_bytes: int = 4 * 1024**3
    max_pixels: int = 100_000_000
    max_pages: int = 10_000
    max_members: int = 100_000
    max_frames: int = 10_000
    max_seconds: float = 6 * 3600.0
    max_load_seconds: float = 3600.0
    max_memory: int = 4 * 1024**3

    def __post_init__(self) -> None:
        """Normalise folders, schemes and hosts, and validate all values."""
        if self.roots is not None:
            roots = [_folder(root) for root in _several("roots", self.roots, (str, Path))]
            self._set("roots", tuple(roots))
        self._set("schemes", frozenset(map(_scheme, _several("schemes", self.schemes, (str,)))))
        if self.hosts is not None:
            self._set("hosts", frozenset(map(_host, _several("hosts", self.hosts, (str,)))))
        for name in ("follow_links", "private_hosts"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"MediaPolicy.{name} is True or False; got {self._shown(name)}.")
        for name in (
            "max_bytes",
            "max_pixels",
            "max_pages",
            "max_members",
            "max_frames",
            "max_memory",
        ):
            self._check_limit(name, int)
        for name in ("max_seconds", "max_load_seconds"):
            self._check_limit(name, int | float)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _shown(self, name: str) -> str:
        return repr(getattr(self, name))[:100]

    def _check_limit(self, name: str, kind: Any) -> None:
        value: Any = getattr(self, name)
        is_number = isinstance(value, kind) and not isinstance(value, bool)
        if not is_number or math.isnan(value) or value <= 0:
            what = "a whole number" if kind is int else "a number of seconds"
            raise InputError(f"MediaPolicy.{name} is {what} over 0; got {self._shown(name)}.")


def _several(name: str, given: Any, kinds: tuple[type, ...]) -> list[Any]:
    """A single value or a collection as a list, checked to be of these types."""
    held = [given] if isinstance(given, kinds) else given
    if isinstance(held, Iterable) and not isinstance(held, bytes):
        values = list(cast("Iterable[Any]", held))
        if all(isinstance(value, kinds) for value in values):
            return values
    expected = " or ".join(kind.__name__ for kind in kinds)
    raise InputError(f"MediaPolicy.{name} holds values of type {expected}; got {given!r:.100}.")


def _folder(root: str | Path) -> Path:
    if not str(root) or "\0" in str(root):
        raise InputError(f"MediaPolicy.roots holds folders; got {str(root)!r}.")
    return Path(os.path.abspath(Path(root).expanduser()))


def _scheme(given: str) -> str:
    if given.lower() not in SCHEMES:
        raise InputError(
            f"MediaPolicy.schemes is of {', '.join(sorted(SCHEMES))}; got {given!r:.100}."
        )
    return given.lower()


def _host(given: str) -> str:
    bracketed = f"[{given}]" if given.count(":") > 1 and "[" not in given else given
    try:
        return str(parse_host(bracketed))
    except ValueError as error:
        raise InputError(
            "MediaPolicy.hosts holds names such as 'example.org', which stand for their subdomains "
            f"too, without scheme, port or '*'; got {given!r:.100}."
        ) from error


DEFAULT_POLICY = MediaPolicy()
