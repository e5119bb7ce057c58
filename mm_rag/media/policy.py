"""MediaPolicy: what may be opened, from where, how large it may be and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class MediaPolicy:
    """What may be opened of the files and addresses that nobody vouches for.

    Everything that opens anything asks it: loaders, encoders, rerankers, readers of subtitles. The
    defaults are safe for a server whose own code names the files; one whose users name them also
    sets `roots`.

    Attributes:
        roots: Folders outside of which no file is opened, wherever a path or a link leads; None for
            whatever the caller names.
        follow_links: Whether a symbolic link that is found in a folder may lead out of it. Out of
            `roots` none may.
        schemes: Of addresses that are opened: of `http`, `https` and `file`. Empty for none.
        hosts: Machines that may be fetched from, with their subdomains; None for all public ones.
        private_hosts: Whether also from this machine and its private network, where addresses lead
            to what outsiders cannot see.
        max_bytes: Of one file, of what one address answers, or of all the frames of one video that
            a model looks at.
        max_pixels: Of one picture, frame or rendered page, width times height.
        max_pages: Of one document; the rest is left out and reported.
        max_frames: Of one animation that are looked at; the rest is left out and reported.
        max_seconds: Of one recording or video; the rest is left out and reported.
        max_load_seconds: That loading one file may take; what is read by then is kept, the rest is
            left out and reported. A process that hangs is stopped a little later.
        max_memory: Bytes that a process may take to load one file, on systems that can bound it.
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


DEFAULT_POLICY = MediaPolicy()
