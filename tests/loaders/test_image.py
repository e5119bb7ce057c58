from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag.errors import MediaTooLarge, MissingExtra
from mm_rag.media import MediaPolicy
from mm_rag_loaders import ImageLoader, LoadOptions, Source, SourceFile, seen_text


def sign(text: str, size: tuple[int, int] = (700, 200)) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).text((40, 60), text, "black", ImageFont.load_default(40))
    return picture


def test_a_picture_is_one_segment_with_its_text(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "ferry_times-2024.png"
    sign("Ferry leaves at nine").save(path)
    (segment,) = ImageLoader(options).load(path)
    assert (segment.modality, segment.page, segment.media) == ("image", None, str(path))
    assert segment.text == "Ferry leaves at nine"
    assert segment.title == "ferry times 2024"
    assert segment.mime_type == "image/png"
    assert segment.metadata == {"width": 700, "height": 200}
    with Image.open(segment.preview or "") as preview:
        assert preview.size == (512, 146)
        assert preview.format == "WEBP"


def test_the_type_is_that_of_the_content(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "named.png"
    sign("").save(path, "JPEG")
    (segment,) = ImageLoader(options).load(path)
    assert segment.mime_type == "image/jpeg"


def test_every_page_of_a_tiff_is_a_segment(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "fax.tiff"
    pages = [sign("Page alpha"), sign("Page beta")]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    segments = list(ImageLoader(options).load(path))
    assert [(s.page, s.text) for s in segments] == [(1, "Page alpha"), (2, "Page beta")]
    assert segments[0].media != segments[1].media
    assert segments[0].mime_type == "image/jpeg"


def test_an_animation_is_its_first_frame_and_a_note(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "a.gif"
    sign("Hello").save(path, save_all=True, append_images=[sign("World")])
    file = SourceFile.of(Source(path), options)
    (segment,) = ImageLoader(options).segments(file)
    assert segment.text == "Hello"
    assert file.notes == ["animated: the first of 2 frames was read"]


def test_a_description_in_the_file_is_text(tmp_path: Path, options: LoadOptions) -> None:
    exif = Image.Exif()
    exif[0x010E] = "A heron by the river"
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 64)).save(path, exif=exif)
    (segment,) = ImageLoader(options).load(path)
    assert segment.text == "A heron by the river"


def test_a_picture_over_the_limit_is_refused(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "a.png"
    sign("Hello").save(path)
    small = LoadOptions(assets=options.assets, policy=MediaPolicy(max_pixels=1000))
    with pytest.raises(MediaTooLarge, match=r"a\.png has 700 x 200 pixels"):
        list(ImageLoader(small).load(path))


def test_without_the_reader_the_picture_is_kept_and_noted(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Image.Image) -> None:
        raise MissingExtra("Reading text on pictures needs the package 'rapidocr'.")

    monkeypatch.setattr(seen_text, "read_image", missing)
    path = tmp_path / "a.png"
    sign("Hello").save(path)
    file = SourceFile.of(Source(path), options)
    (segment,) = ImageLoader(options).segments(file)
    assert segment.text == ""
    assert file.notes[0].startswith("the picture was not read: Reading text on pictures needs")


def test_a_phone_picture_with_a_second_one_inside_is_no_animation(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = tmp_path / "IMG_1234.jpg"
    sign("Hello").save(path, "MPO", save_all=True, append_images=[sign("World")])
    file = SourceFile.of(Source(path), options)
    (segment,) = ImageLoader(options).segments(file)
    assert segment.text == "Hello"
    assert file.notes == []
