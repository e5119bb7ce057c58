"""What a page holds, whichever library read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from PIL import Image

from mm_rag.boxes import Box, WordBox

BlockKind: TypeAlias = Literal["text", "heading", "caption", "table", "picture"]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A paragraph, heading, caption, table, or what was read on a picture by OCR.

    Attributes:
        kind: What it is.
        text: Its words; of a table, Markdown.
        level: Of a heading, 1 for the highest of the document that is known so far.
        box: Where it is, as shares of the page's picture.
    """

    kind: BlockKind
    text: str
    level: int = 0
    box: Box


@dataclass(frozen=True)
class Scan:
    """A part of a page that shows text which the text layer lacks.

    Attributes:
        picture: For OCR.
        box: Where it is, as shares of the page's picture.
        after: How many blocks come before it in reading order.
    """

    picture: Image.Image
    box: Box
    after: int = 0


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """What is on a page.

    Attributes:
        number: Physical, 1-based.
        label: What is printed on it ("iv"), where the document says so and it is not the number.
        blocks: The text layer and filled form fields, in reading order.
        words: Those of the text layer, in reading order, with their boxes on `picture`.
        links: Addresses that it links to, each once.
        picture: The page as it looks, upright.
        scans: The whole page, or the regions of it, that are to be read by OCR.
        is_blank: Nothing is on it, neither text nor anything visible.
        is_reduced: It is so large that its picture has fewer than 18 dots per inch.
    """

    number: int
    label: str
    blocks: tuple[Block, ...]
    words: tuple[WordBox, ...]
    links: tuple[str, ...] = ()
    picture: Image.Image
    scans: tuple[Scan, ...] = field(default=())
    is_blank: bool
    is_reduced: bool

    @property
    def text(self) -> str:
        """Its blocks, with an empty line between them."""
        return "\n\n".join(block.text for block in self.blocks)
