from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag.media.image import image_format, image_metadata, open_frames, open_image, shrunk_to
from mm_rag.media.image_metadata import ImageMetadata


def encoded(picture: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **options)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises a picture of any size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    path = tmp_path / "phone.jpg"
    Image.new("RGB", (40, 20), "red").save(path, exif=exif)
    assert open_image(path).size == (20, 40)


def test_transparent_parts_become_white() -> None:
    for mode in ("RGBA", "LA"):
        assert open_image(encoded(Image.new(mode, (4, 4), 0))).getpixel((0, 0)) == (255, 255, 255)


def test_a_transparent_palette_becomes_white() -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0] + [0, 0, 255] * 255)
    data = encoded(palette, transparency=0)
    assert open_image(data).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    assert open_image(Image.new(mode, (4, 4))).mode == "RGB"


def test_sixteen_bits_of_grey_keep_their_brightness() -> None:
    levels = np.array([[0, 32_768, 65_535]], np.uint16)
    picture = open_image(encoded(Image.fromarray(levels)))
    assert [picture.getpixel((x, 0)) for x in range(3)] == [(0,) * 3, (128,) * 3, (255,) * 3]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_grey_of_32_bits_is_scaled_by_its_mode_and_not_by_its_brightest_pixel(mode: str) -> None:
    for level in (0, 1, 40, 254, 255):
        picture = Image.new("L", (4, 4), level).convert(mode)
        assert open_image(picture).getpixel((0, 0)) == (level,) * 3
    assert open_image(Image.new(mode, (4, 4), 256)).getpixel((0, 0)) == (255,) * 3
    assert open_image(Image.new(mode, (4, 4), -1)).getpixel((0, 0)) == (0,) * 3
    alone, beside = Image.new(mode, (2, 1), 40), Image.new(mode, (2, 1), 40)
    beside.putpixel((1, 0), 70_000)
    assert open_image(alone).getpixel((0, 0)) == open_image(beside).getpixel((0, 0))


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_grey_of_16_bits_in_memory(mode: str) -> None:
    for level, expected in ((0, 0), (257, 1), (40 * 257, 40), (65_535, 255)):
        assert open_image(Image.new(mode, (4, 4), level)).getpixel((0, 0)) == (expected,) * 3


def test_grey_of_a_file_is_scaled_by_the_files_bit_depth() -> None:
    dark = np.full((4, 4), 40 * 257, np.uint16)
    pgm = b"P5 2 1 65535\n" + bytes([40, 40, 0, 0])
    grey = Image.new("L", (4, 4), 40)
    pfm = b"Pf 1 1 -1.0\n" + struct.pack("<f", 40 / 255)
    for data in (
        encoded(Image.fromarray(dark)),
        encoded(Image.fromarray(dark), "TIFF"),
        encoded(Image.fromarray(dark), "JPEG2000"),
        pgm,
        encoded(grey.convert("I"), "TIFF"),
        encoded(grey.convert("F"), "TIFF"),
        pfm,
    ):
        assert open_image(data).getpixel((0, 0)) == (40,) * 3


def test_a_turned_grey_picture_keeps_its_scale() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = Image.new("L", (4, 2), 40)
    picture = open_image(encoded(grey.convert("I"), "TIFF", exif=exif))
    assert (picture.size, picture.getpixel((0, 0))) == ((2, 4), (40,) * 3)


def test_of_an_animation_the_first_frame_is_taken() -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = encoded(red, "GIF", save_all=True, append_images=[blue])
    assert np.asarray(open_image(data))[0, 0].tolist() in ([254, 0, 0], [255, 0, 0])
    assert image_format(data) == ("GIF", 2)


def test_every_page_of_a_tiff_can_be_opened() -> None:
    pages = [Image.new("RGB", (8 + number, 8), "red") for number in range(3)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert [page.width for page in open_frames(data)] == [8, 9, 10]


def test_an_array_is_a_picture() -> None:
    assert open_image(np.zeros((2, 3, 3), np.uint8)).size == (3, 2)
    with pytest.raises(InputError, match=r"array\.shape = \(2, 3, 5\)"):
        open_image(np.zeros((2, 3, 5), np.uint8))


@pytest.mark.parametrize("side", [9_500, 12_000, 30_000, 100_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    # Pillow warns from 89 and refuses from 179 million pixels; the policy refuses from 50 million.
    with pytest.raises(MediaTooLarge, match="pixels"):
        open_image(png_that_claims(side, side), MediaPolicy(max_pixels=50_000_000))


@pytest.mark.slow
def test_the_policy_may_allow_what_pillow_warns_of() -> None:
    picture = Image.new("1", (9_500, 9_500))
    assert open_image(encoded(picture)).size == (9_500, 9_500)


def test_pillows_own_limit_is_left_alone() -> None:
    before = Image.MAX_IMAGE_PIXELS
    open_image(Image.new("RGB", (4, 4)))
    assert before == Image.MAX_IMAGE_PIXELS


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(MediaTooLarge, match=r"a\.png has .* bytes; MediaPolicy\.max_bytes"):
        open_image(path, MediaPolicy(max_bytes=10))


def test_a_truncated_picture_is_unreadable(tmp_path: Path) -> None:
    data = encoded(Image.effect_noise((64, 64), 90).convert("RGB"), "JPEG")
    path = tmp_path / "half.jpg"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableMedia, match=r"half\.jpg is a damaged picture"):
        open_image(path)


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"P6 1 -1 255\n"])
def test_what_is_no_picture_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableMedia):
        open_image(data)


def test_a_missing_picture_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match=r"no file .*gone\.png"):
        open_image(tmp_path / "gone.png")


def test_the_description_of_a_picture_is_read() -> None:
    exif = Image.Exif()
    exif[0x010E] = "A heron  by the\0river"
    data = encoded(Image.new("RGB", (4, 4)), "JPEG", exif=exif)
    assert image_metadata(data).text == "A heron by the river"
    assert image_metadata(Image.new("RGB", (4, 4))) == ImageMetadata()


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


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_white_on_transparent_ground_is_seen(mode: str) -> None:
    white = Image.new("RGBA", (40, 20))
    ImageDraw.Draw(white).rectangle((10, 5, 29, 14), fill="white")
    picture = white.convert("P").convert("PA") if mode == "PA" else white.convert(mode)
    found = open_image(picture)
    assert found.getpixel((0, 0)) == (0, 0, 0)
    assert found.getpixel((15, 10)) == (255, 255, 255)


def test_dark_words_on_a_white_label_keep_a_white_ground() -> None:
    label = Image.new("RGBA", (40, 20))
    draw = ImageDraw.Draw(label)
    draw.rectangle((10, 5, 29, 14), fill="white")
    draw.rectangle((12, 8, 27, 9), fill="black")
    assert open_image(label).getpixel((0, 0)) == (255, 255, 255)
