"""MediaPolicy: how large a thing may be before it is refused, and where it may come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MediaPolicy:
    """Limits for files and addresses that nobody vouches for. The defaults are safe for a server.

    Attributes:
        max_bytes: Of one file, of what one address answers, or of all the frames of one video that
            a model looks at.
        max_pixels: Of one picture or rendered page, width times height.
        max_pages: Of one document; the rest is left out and reported.
        max_seconds: Of one recording or video; the rest is left out and reported.
        urls: Whether media are fetched from the web at all.
        private_hosts: Whether also from this machine and its private network, where addresses lead
            to what outsiders cannot see.
    """

    max_bytes: int = 4 * 1024**3
    max_pixels: int = 100_000_000
    max_pages: int = 10_000
    max_seconds: float = 6 * 3600.0
    urls: bool = True
    private_hosts: bool = False


DEFAULT_POLICY = MediaPolicy()
