"""Pictures to Segments."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from mm_rag._optional import install_command
from mm_rag.boxes import read_boxes
from mm_rag.errors import MediaTooLarge, MissingExtra, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag_loaders import ImageLoader, LoadOptions, Source, SourceFile, load_file, loader
from tests.loaders.pictures import sign

pytestmark = pytest.mark.slow


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
        assert preview.format == "JPEG"


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

    monkeypatch.setattr(loader, "read_image", missing)
    path = tmp_path / "a.png"
    sign("Hello").save(path)
    file = SourceFile.of(Source(path), options)
    (segment,) = ImageLoader(options).segments(file)
    assert segment.text == ""
    assert file.notes[0].text.startswith("the picture was not read: Reading text on pictures needs")


def test_a_phone_picture_with_a_second_one_inside_is_no_animation(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = tmp_path / "IMG_1234.jpg"
    sign("Hello").save(path, "MPO", save_all=True, append_images=[sign("World")])
    file = SourceFile.of(Source(path), options)
    (segment,) = ImageLoader(options).segments(file)
    assert segment.text == "Hello"
    assert file.notes == []


def test_words_know_where_they_are(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "a.png"
    sign("Ferry leaves at nine").save(path)
    (segment,) = ImageLoader(options).load(path)
    words = read_boxes(segment.boxes or "")
    assert [word.text for word in words] == ["Ferry", "leaves", "at", "nine"]
    left, top, right, bottom = words[0].box
    assert (left, top) == (pytest.approx(40 / 700, abs=0.02), pytest.approx(0.35, abs=0.1))
    assert right < words[1].box[0] + 0.02
    assert bottom < 0.7


def test_a_picture_without_words_has_no_boxes(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 64), "red").save(path)
    (segment,) = ImageLoader(options).load(path)
    assert segment.boxes is None


def test_a_turned_photo_is_upright_everywhere(tmp_path: Path, options: LoadOptions) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    path = tmp_path / "a.jpg"
    sign("Ferry leaves at nine").rotate(90, expand=True).save(path, exif=exif, quality=95)
    (segment,) = ImageLoader(options).load(path)
    assert segment.text == "Ferry leaves at nine"
    assert segment.metadata == {"width": 700, "height": 200}
    with Image.open(segment.preview or "") as preview:
        assert preview.size == (512, 146)
    words = read_boxes(segment.boxes or "")
    assert [word.text for word in words] == ["Ferry", "leaves", "at", "nine"]
    assert words[0].box[0] == pytest.approx(40 / 700, abs=0.02)


def test_time_and_camera_are_metadata_and_the_place_is_not(
    tmp_path: Path, options: LoadOptions
) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS 5D"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 12:30:00"
    exif.get_ifd(0x8825)[0x0001] = "N"
    exif.get_ifd(0x8825)[0x0002] = (59.0, 19.0, 1.0)
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 48)).save(path, exif=exif)
    (segment,) = ImageLoader(options).load(path)
    assert segment.metadata == {
        "width": 64, "height": 48, "taken": "2024-05-01T12:30:00", "camera": "Canon EOS 5D",
    }  # fmt: skip


def test_a_heic_photo_without_its_package_says_what_to_install(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "IMG_1234.HEIC"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    loaded = load_file(path, options)
    assert loaded.kind == "image"
    assert install_command("heic") in loaded.reason


@pytest.mark.parametrize("suffix", ["bmp", "ico", "jp2", "pcx", "ppm", "sgi", "tga", "dds", "qoi"])
def test_formats_are_read_by_their_content(
    tmp_path: Path, options: LoadOptions, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (64, 64), "red").save(path)
    # Nothing in a TGA says what it is; the others are known under any name.
    path = path if suffix == "tga" else path.rename(tmp_path / "no_suffix")
    (segment,) = load_file(path, options).segments
    with Image.open(segment.preview or "") as preview:
        assert preview.getpixel((5, 5)) == (254, 0, 0)


def test_postscript_is_not_run(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "a.eps"
    sign("Hello").save(path)
    with pytest.raises(UnreadableMedia, match=r"a\.eps is PostScript"):
        list(ImageLoader(options).load(path))
