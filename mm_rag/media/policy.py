"""MediaPolicy: how large a thing may be before it is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MediaPolicy:
    """Limits for files that nobody vouches for. The defaults are safe for a server.

    Attributes:
        max_bytes: Of one file.
        max_pixels: Of one picture or rendered page, width times height.
        max_pages: Of one document; the rest is left out and reported.
        max_seconds: Of one recording or video; the rest is left out and reported.
    """

    max_bytes: int = 4 * 1024**3
    max_pixels: int = 100_000_000
    max_pages: int = 10_000
    max_seconds: float = 6 * 3600.0


DEFAULT_POLICY = MediaPolicy()
