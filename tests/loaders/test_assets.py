"""AssetStore: the format and the size of pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mm_rag.errors import InputError
from mm_rag_loaders import AssetStore, LoadOptions, PDFLoader, Source, load_files
from mm_rag_loaders.encoding import PictureFormat
from tests.loaders.pictures import sign
from tests.media_made import make_pdf

EXPECTED: dict[PictureFormat, tuple[str, str]] = {
    "jpeg": (".jpg", "image/jpeg"),
    "webp": (".webp", "image/webp"),
}
FORMATS = tuple(EXPECTED)


def noise(width: int = 320, height: int = 240) -> Image.Image:
    """What no format makes small."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        return picture


@pytest.mark.parametrize("picture_format", FORMATS)
def test_what_is_written_is_what_it_is_said_to_be(
    tmp_path: Path, picture_format: PictureFormat
) -> None:
    store = AssetStore(tmp_path, picture_format)
    path = store.write(sign("Harbour"))
    written = opened(path)
    assert written.format == picture_format.upper()
    assert (path.suffix, store.picture_mime) == EXPECTED[picture_format]
    assert written.size == (700, 200)
    assert path == store.write(sign("Harbour"))
    difference = np.asarray(written.convert("L"), float) - np.asarray(sign("Harbour").convert("L"))
    assert np.abs(difference).mean() < 1.0


def test_webp_takes_less_room(tmp_path: Path) -> None:
    sizes = [AssetStore(tmp_path, name).write(sign("Hi")).stat().st_size for name in FORMATS]
    assert sizes[1] < 0.7 * sizes[0]


def test_a_loader_says_which_format_its_pictures_have(tmp_path: Path) -> None:
    options = LoadOptions(assets=AssetStore(tmp_path / "assets", "webp"))
    page, _ = PDFLoader(options).load(make_pdf(tmp_path / "a.pdf", ["Alpha."]))
    assert page.mime_type == "image/webp"
    assert opened(Path(page.media or "")).format == "WEBP"


@pytest.mark.parametrize("picture_format", FORMATS)
@pytest.mark.parametrize("most", [50_000, 15_000, 2000])
def test_a_picture_is_no_larger_than_asked(
    tmp_path: Path, picture_format: PictureFormat, most: int
) -> None:
    free = AssetStore(tmp_path, picture_format).write(noise()).stat().st_size
    path = AssetStore(tmp_path, picture_format, most).write(noise())
    assert path.stat().st_size <= most < free
    width, height = opened(path).size
    assert width / height == pytest.approx(4 / 3, rel=0.05)
    assert (width == 320) == (most == 50_000)  # quality goes first


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_bound_that_nothing_keeps_leaves_a_picture(
    tmp_path: Path, picture_format: PictureFormat
) -> None:
    path = AssetStore(tmp_path, picture_format, max_picture_bytes=1).write(noise())
    assert path.stat().st_size < 1000
    assert min(opened(path).size) >= 1


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_roll_of_paper_fits_into_every_format(
    tmp_path: Path, picture_format: PictureFormat
) -> None:
    """JPEG and WebP have no room for longer sides: such a page could not be written."""
    strip = opened(AssetStore(tmp_path, picture_format).write(Image.new("RGB", (4, 80_000))))
    assert strip.height > 16_000


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_written_for_a_file_can_lie_apart(tmp_path: Path, workers: int) -> None:
    kept = AssetStore(tmp_path / "assets", by_file=True)
    # The same page in two files.
    for name in ("a.pdf", "b.pdf"):
        make_pdf(tmp_path / name, ["Alpha."] if name == "a.pdf" else ["Alpha.", "Beta."])
    options = LoadOptions(assets=kept, workers=workers)
    first, second = load_files([Source(tmp_path / "a.pdf"), Source(tmp_path / "b.pdf")], options)
    for loaded in (first, second):
        own = kept.root / loaded.sha256
        files = [Path(path or "") for s in loaded.segments for path in (s.media, s.boxes)]
        assert all(file.is_file() and own in file.parents for file in files)
    shutil.rmtree(kept.root / first.sha256)
    assert all(Path(segment.media or "").is_file() for segment in second.segments)


def test_segments_name_files_by_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert AssetStore(Path("kept")).write(sign("Hi")).is_relative_to(tmp_path / "kept")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"picture_format": "png"}, "picture_format is 'jpeg' or 'webp'; got 'png'"),
        ({"max_picture_bytes": 0}, "max_picture_bytes is more than 0, or None .*got 0"),
        ({"max_picture_bytes": -5}, "max_picture_bytes is more than 0, or None .*got -5"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AssetStore(tmp_path, **settings)
