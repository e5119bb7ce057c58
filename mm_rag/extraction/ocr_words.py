"""The words of a picture that was read, each with its box.

The OCR engine finds lines. A line's box is shared out among its words by the usual width of their
letters, which is right to within about a letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from mm_rag.boxes import Box, WordBox
from mm_rag.extraction.layout import TextLine
from mm_rag.extraction.ocr import Reading
from mm_rag.words import is_ideograph, pieces

_Size: TypeAlias = tuple[int, int]

# The engine turns a line that is this much taller than wide, and reads it from top to bottom.
_UPRIGHT_ASPECT = 1.5

# In ems; Helvetica's, which other fonts for text resemble.
_KNOWN = (
    dict.fromkeys("iljI.,;:'|!` tf", 0.28)
    | dict.fromkeys('r()[]{}-/\\"', 0.34)
    | dict.fromkeys("cksvxyzJ", 0.5)
    | dict.fromkeys("mwMW@%\u2014\u2026", 0.86)
)
_EM, _CAPITAL, _OTHER = 1.0, 0.68, 0.56


def word_boxes(reading: Reading, size: tuple[int, int]) -> list[WordBox]:
    """The words of a reading, in its order; every ideograph is a word.

    Args:
        reading: What `read_image` found.
        size: Width and height of the picture that it was given, in pixels.
    """
    return [word for line in reading.lines for word in _words(line, size)]


def _words(line: TextLine, size: _Size) -> Iterator[WordBox]:
    edges = [0.0]
    for letter in line.text:
        edges.append(edges[-1] + _width(letter))
    for start, end in pieces(line.text):
        span = (edges[start] / edges[-1], edges[end] / edges[-1])
        yield WordBox(line.text[start:end], _share(_part(line, span), size))


def _width(letter: str) -> float:
    if letter in _KNOWN:
        return _KNOWN[letter]
    if is_ideograph(letter):
        return _EM
    return _CAPITAL if letter.isupper() else _OTHER


def _part(line: TextLine, span: tuple[float, float]) -> Box:
    left, top, right, bottom = line.box
    start, end = span
    width, height = right - left, bottom - top
    if height > _UPRIGHT_ASPECT * width and len(line.text) > 1:
        return (left, top + start * height, right, top + end * height)
    return (left + start * width, top, left + end * width, bottom)


def _share(box: Box, size: _Size) -> Box:
    left, top, right, bottom = (
        min(1.0, max(0.0, edge / size[axis % 2])) for axis, edge in enumerate(box)
    )
    return (left, top, right, bottom)
