"""What a file's name says, if it says anything."""

from __future__ import annotations

import re
from pathlib import Path

from mm_rag_loaders.sources import last_part

# What cameras, scanners, phones and programs call a file when nobody gave it a name.
_MEANINGLESS = frozenset(
    """
    aud audio capture clip copy doc document download dsc dscf dscn export file final image img
    item memo mov movie mvi new noname page pdf photo pic picture pxl rec record recording scan
    scanned screen screenshot shot slide temp tmp unnamed untitled vid video voice
    """.split()  # noqa: SIM905 - a list of fifty quoted words is harder to read
)
_WORD = re.compile(r"[^\W\d_]{2,}")


def title_from(source: str) -> str:
    """What stands for the title of a file that has none, from its path or address.

    `".../team_photo-2024.jpg"` as `"team photo 2024"`; empty where the name says nothing.
    """
    return name_in_words(Path(last_part(source)).stem)


def name_in_words(stem: str) -> str:
    """`"team_photo-2024"` as `"team photo 2024"`; nothing of `"IMG_20240102_1234"`.

    A hash or a number has no words, and a name in which every word is one that machines give says
    nothing about what is in the file.
    """
    words = _WORD.findall(stem.lower())
    if len(re.findall(r"\d", stem)) > sum(map(len, words)) or _MEANINGLESS.issuperset(words):
        return ""
    return " ".join(re.sub(r"[_\-\s]+", " ", stem).split())
