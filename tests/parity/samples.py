"""Inputs of every modality, made here, in the plain forms that both libraries take."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image as Pictures

TEXTS = [
    "A cat sat on the mat.",
    "Invoices are paid within thirty days; late payments cost interest. " * 30,
    "light",
    "",
    "The quarterly revenue ROSE by 12% while costs fell.",
    "light",
]


def pictures() -> list[Pictures.Image]:
    """Three of different shapes."""
    random = np.random.default_rng(0)
    sizes = ((40, 50), (64, 32), (33, 70))
    return [Pictures.fromarray(random.integers(0, 255, (*s, 3), dtype=np.uint8)) for s in sizes]


def recordings(rate: int) -> list[Any]:
    """Rising tones of 0.7 and 1.2 s at `rate` Hz, float32."""
    return [_tone(seconds, rate) for seconds in (0.7, 1.2)]


def videos() -> list[Any]:
    """Frames of shape (frames, height, width, 3), uint8; alone, and with their frame rate."""
    random = np.random.default_rng(1)
    short, long = (
        random.integers(0, 255, (frames, 32, 48, 3), dtype=np.uint8) for frames in (6, 9)
    )
    told = {"fps": 4.0, "total_num_frames": 9, "duration": 2.25, "frames_indices": list(range(9))}
    return [
        {"array": short, "video_metadata": {**told, "total_num_frames": 6}},
        {
            "array": long,
            "video_metadata": told,
        },
    ]


def together() -> list[dict[str, Any]]:
    """A picture with words, in both orders."""
    first, second, _ = pictures()
    return [
        {"text": "What is the total?", "image": first},
        {"image": second, "text": "What is the total?"},
    ]


def messages() -> list[list[dict[str, Any]]]:
    """Chat messages: words alone, and words between pictures."""
    first, second, _ = pictures()
    shown = [
        {"type": "image", "image": first},
        {"type": "text", "text": "Compare them."},
        {"type": "image", "image": second},
    ]
    asked = [{"type": "text", "text": "A cat sat on the mat."}]
    return [
        [{"role": "user", "content": asked}],
        [
            {"role": "system", "content": [{"type": "text", "text": "Find the same page."}]},
            {"role": "user", "content": shown},
        ],
    ]


def _tone(seconds: float, rate: int) -> Any:
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * (220 + 300 * time) * time)).astype(np.float32)
