"""Pictures no larger than asked."""

from __future__ import annotations

import pytest
from PIL import Image

from mm_rag.media.image import shrunk_to


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        ((1920, 1080), 1280 * 720, (1280, 720)),
        ((1000, 700), 500_000, (845, 591)),
    ],
)
def test_a_large_picture_keeps_its_shape(
    size: tuple[int, int], most: int, expected: tuple[int, int]
) -> None:
    found = shrunk_to(Image.new("RGB", size), most)
    assert found.size == expected
    assert found.width * found.height <= most


def test_a_line_keeps_a_pixel_of_its_width() -> None:
    assert shrunk_to(Image.new("RGB", (3, 100_000)), 3000).size == (1, 10_000)


def test_a_small_picture_stays_as_it_is() -> None:
    picture = Image.new("RGB", (30, 20))
    assert shrunk_to(picture, 600) is picture
