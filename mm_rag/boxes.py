"""Where the words are on a page or picture, so that a hit can be shown there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mm_rag.errors import UnreadableMedia

Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class WordBox:
    """A word on a picture.

    Attributes:
        text: The word.
        box: Left, top, right, bottom, from 0 to 1: shares of the picture's width and height.
    """

    text: str
    box: Box


def boxes_to_json(words: Iterable[WordBox]) -> bytes:
    """`[["word", left, top, right, bottom], ...]`, as `read_boxes` reads it."""
    rows = [[word.text, *(round(edge, 4) for edge in word.box)] for word in words]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def read_boxes(path: str | Path) -> list[WordBox]:
    """The words of a file that a loader wrote, in reading order.

    Raises:
        UnreadableMedia: It is missing or damaged.
    """
    try:
        rows = json.loads(Path(path).read_bytes())
        return [WordBox(text, (x0, y0, x1, y1)) for text, x0, y0, x1, y1 in rows]
    except (OSError, ValueError, TypeError) as error:
        raise UnreadableMedia(f"The word boxes {path} cannot be read: {error}.") from error
