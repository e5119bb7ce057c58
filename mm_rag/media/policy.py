"""MediaPolicy: what may be opened, from where, how large it may be and how long it may take."""

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
    """What may be opened of the files and addresses that nobody vouches for.

    Everything that opens anything asks it: loaders, encoders, rerankers, readers of subtitles. The
    defaults are safe for a server whose own code names the files; one whose users name them also
    sets `roots`. What it does not allow raises `SourceForbidden`; what is over a limit,
    `MediaTooLarge`.

    Attributes:
        roots: Folders outside of which no file is opened, wherever a path or a link leads; None for
            whatever the caller names. Relative ones are made absolute. An encoder or reranker of a
            collection also needs the folder of the collection, where its page pictures are.
        follow_links: Whether a symbolic link that is found in a folder may lead out of it. Out of
            `roots` none may.
        schemes: Of addresses that are opened: of `http`, `https` and `file`. Empty for none. A file
            that is named by an address is one of `roots` like any other.
        hosts: Machines that may be fetched from, with their subdomains; None for all public ones.
        private_hosts: Whether also from this machine and its private network, where addresses lead
            to what outsiders cannot see.
        max_bytes: Of one file, of what one address answers, or of all the frames of one video that
            a model looks at.
        max_pixels: Of one picture, frame or rendered page, width times height.
        max_pages: Of one document; the rest is left out and reported.
        max_frames: Of one animation that are looked at; the rest is left out and reported.
        max_seconds: Of one recording or video; the rest is left out and reported.
        max_load_seconds: That loading one file may take, fetching it included; what is read by then
            is kept, the rest is left out and reported. A process that hangs is stopped a little
            later.
        max_memory: Bytes that a process may take to load one file, on systems that can bound it.

    Raises:
        InputError: A value makes no sense; where one is meant for several, such as
            `hosts="example.org"`, it is taken for a set of one.
    """

    roots: tuple[Path, ...] | None = None
    follow_links: bool = False
    schemes: frozenset[str] = frozenset({"http", "https"})
    hosts: frozenset[str] | None = None
    private_hosts: bool = False
    max_bytes: int = 4 * 1024**3
    max_pixels: int = 100_000_000
    max_pages: int = 10_000
    max_frames: int = 10_000
    max_seconds: float = 6 * 3600.0
    max_load_seconds: float = 3600.0
    max_memory: int = 4 * 1024**3

    def __post_init__(self) -> None:
        """Bring folders, schemes and hosts into one form; refuse what makes no sense."""
        if self.roots is not None:
            roots = [_folder(root) for root in _several("roots", self.roots, (str, Path))]
            self._set("roots", tuple(roots))
        self._set("schemes", frozenset(map(_scheme, _several("schemes", self.schemes, (str,)))))
        if self.hosts is not None:
            self._set("hosts", frozenset(map(_host, _several("hosts", self.hosts, (str,)))))
        for name in ("follow_links", "private_hosts"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"MediaPolicy.{name} is True or False; got {self._shown(name)}.")
        for name in ("max_bytes", "max_pixels", "max_pages", "max_frames", "max_memory"):
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
    """One value, or whatever holds several, as a list of values of these kinds."""
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
