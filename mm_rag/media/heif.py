"""HEIC, the format of phone photos: Pillow reads it with the package pillow-heif."""

from __future__ import annotations

from mm_rag._optional import require

# Of pictures and sequences coded with HEVC. AVIF comes in the same container; Pillow has it.
_HEVC = frozenset([b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"])
_ANY_CODEC = frozenset([b"mif1", b"msf1"])
_AVIF = frozenset([b"avif", b"avis"])


def is_heif(head: bytes) -> bool:
    """Whether a file that begins with these bytes, 64 or more, is a HEIC picture."""
    if head[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brand = head[8:12]
    compatible = {head[at : at + 4] for at in range(16, size - 3, 4)}
    if brand in _HEVC:
        return True
    return brand in _ANY_CODEC and not compatible & _AVIF


def let_pillow_read_heif() -> None:
    """Register pillow-heif with Pillow.

    Raises:
        MissingExtra: It is not installed.
    """
    module = require("pillow_heif", extra="heic", feature="Reading HEIC pictures")
    module.register_heif_opener()
