"""Pairs of texts, pictures and videos, in forms that both libraries accept."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image as Pictures

from tests.av_made import colours, make_video

from .samples import pictures

Pairs: TypeAlias = list[tuple[Any, Any]]

QUERY = "What turns light into sugar?"
TEXTS = [
    "Photosynthesis turns light, water and air into sugar and oxygen.",
    "Invoices are paid within thirty days; late payments cost interest.",
    "",
    "light",
]


def same_size(count: int, seed: int = 3) -> list[Pictures.Image]:
    """Different pictures whose placeholder tokens are equal."""
    random = np.random.default_rng(seed)
    shape = (count, 48, 64, 3)
    return [Pictures.fromarray(one) for one in random.integers(0, 255, shape, dtype=np.uint8)]


def films(folder: Path) -> list[str]:
    """Two short videos of the same size and length, as paths."""
    reds = colours("red", "green", "blue", "white", each=4, size=(64, 48))
    greys = colours("black", "orange", "grey", "red", each=4, size=(64, 48))
    return [
        str(make_video(folder / f"{name}.mp4", frames, fps=4))
        for name, frames in (("reds", reds), ("greys", greys))
    ]


def picture_pairs() -> dict[str, Pairs]:
    """Lists of pairs, by their modalities."""
    a, b, c = same_size(3)
    small, wide, tall = pictures()
    said = {"text": "What is the total?", "image": small}
    shown = {"image": wide, "text": "What is the total?"}
    several = {"image": [a, tall], "text": "Two pages."}
    return {
        "a text and texts": [(QUERY, text) for text in TEXTS],
        "a text and pages": [(QUERY, page) for page in (small, wide, tall)],
        "a text and pages of one size": [(QUERY, page) for page in (a, b, c)],
        "a text and the same page twice": [(QUERY, page) for page in (a, b, a)],
        "a picture and texts": [(a, text) for text in TEXTS],
        "a picture and pictures": [(a, page) for page in (small, wide, tall)],
        "a picture and pictures of its size": [(a, page) for page in (b, c, a)],
        "pictures and a text": [(page, QUERY) for page in (a, b, tall)],
        "queries and documents that are all different": [(a, b), (b, a), (c, a), (a, c)],
        "together on the right": [(QUERY, one) for one in (said, shown, several, a)],
        "together on the left": [(one, TEXTS[0]) for one in (said, shown, several)],
        "together on both sides": [(said, shown), (said, a), (shown, said), (several, several)],
        "everything": [(QUERY, TEXTS[0]), (QUERY, a), (a, b), (said, TEXTS[1]), ("light", shown)],
    }


def video_pairs(folder: Path) -> dict[str, Pairs]:
    """Lists of pairs, by their modalities; the videos are written to the folder."""
    first, second = films(folder)
    a, _ = same_size(2)
    said = {"text": "What happens?", "video": first}
    return {
        "a text and videos": [(QUERY, first), (QUERY, second), (QUERY, first)],
        "a video and texts": [(first, text) for text in TEXTS],
        "a video and videos": [(first, second), (first, first), (second, first)],
        "a video and a picture": [(first, a), (a, first), (a, second)],
        "videos and everything": [(said, TEXTS[0]), (QUERY, said), (said, a), (QUERY, TEXTS[1])],
    }


def conversations() -> list[list[dict[str, Any]]]:
    """Pairs as chat messages; one has its own instruction."""
    a, b = same_size(2)

    def turn(role: str, *parts: Any) -> dict[str, Any]:
        typed = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image", "image": part}
            for part in parts
        ]
        return {"role": role, "content": typed}

    return [
        [turn("query", QUERY), turn("document", TEXTS[0])],
        [turn("query", QUERY), turn("document", "The page:", a, "and another:", b)],
        [turn("system", "Find the same page."), turn("query", a), turn("document", b)],
    ]
