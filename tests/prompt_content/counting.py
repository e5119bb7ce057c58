"""Tokens and bytes of blocks, computed independently of the library."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable

from PIL import Image as PILImage

from mm_rag.prompt_content import Block, Budget, Picture, Words

NO_ROOM = "[picture left out: no room]"


def kinds(blocks: Iterable[Block]) -> str:
    """`W` for words and `P` for a picture."""
    return "".join("W" if isinstance(block, Words) else "P" for block in blocks)


def pictures(blocks: Iterable[Block]) -> list[PILImage.Image]:
    """The decoded pictures; checks their declared size and type."""
    found: list[PILImage.Image] = []
    for block in blocks:
        if isinstance(block, Picture):
            image = PILImage.open(io.BytesIO(block.data))
            assert image.size == (block.width, block.height)
            assert image.get_format_mimetype() == block.mime_type
            found.append(image)
    return found


def words(blocks: Iterable[Block]) -> list[str]:
    """The texts."""
    return [block.text for block in blocks if isinstance(block, Words)]


def tokens(blocks: Iterable[Block]) -> int:
    """Text by the default counter, which has its own tests; pictures by published formulas."""
    blocks = list(blocks)
    seen = sum(max(_claude(image.size), _gpt_4o(image.size)) for image in pictures(blocks))
    return sum(Budget().tokens_of_text(text) for text in words(blocks)) + seen


def data(blocks: Iterable[Block]) -> int:
    """Total size of the picture files."""
    return sum(len(block.data) for block in blocks if isinstance(block, Picture))


def _claude(size: tuple[int, int]) -> int:
    width, height = size
    patches = math.ceil(width / 28) * math.ceil(height / 28)
    return max(math.ceil(width * height / 750), patches)


def _gpt_4o(size: tuple[int, int]) -> int:
    width, height = size
    if max(width, height) > 2048:
        width, height = width * 2048 / max(size), height * 2048 / max(size)
    if min(width, height) > 768:
        width, height = width * 768 / min(width, height), height * 768 / min(width, height)
    return 85 + 170 * math.ceil(round(width, 6) / 512) * math.ceil(round(height, 6) / 512)
