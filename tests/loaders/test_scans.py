"""Scanned pages that are pictures: passages as for the page of a PDF."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag import Collection
from mm_rag.boxes import read_boxes
from mm_rag_loaders import ImageLoader, LoadOptions, PDFLoader
from tests.loaders.pictures import sign

pytestmark = pytest.mark.slow

TOPICS = ("roof", "boiler", "garden wall", "lift", "stairs", "cellar")
LAST = "A firm from Leeds offers a gas boiler for 640 pounds with a guarantee of seven years."
QUESTION = "which firm gives a guarantee of seven years?"


def sentences(count: int) -> list[str]:
    return [
        f"Point {number}: the tenants talked about the {TOPICS[number % len(TOPICS)]} until noon."
        for number in range(1, count + 1)
    ]


def scan(lines: list[str]) -> Image.Image:
    picture = Image.new("RGB", (1240, 1754), (246, 244, 238))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(26)
    for number, line in enumerate(lines):
        draw.text((110, 100 + 44 * number), line, (30, 30, 30), font)
    return picture


def test_a_scan_gives_its_picture_and_passages(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "minutes.jpg"
    scan([*sentences(30), LAST]).save(path, quality=60)
    picture, *found = ImageLoader(options).load(path)
    assert picture.modality == "image"
    assert LAST in picture.text
    assert [one.part for one in found] == list(range(len(found)))
    assert len(found) >= 2
    assert {(one.modality, one.page, one.place) for one in found} == {("text", None, picture.place)}
    assert {one.media for one in found} == {str(path)}
    assert {one.boxes for one in found} == {picture.boxes}
    assert LAST in found[-1].text
    assert "Leeds" in [word.text for word in read_boxes(Path(picture.boxes or ""))]
    assert len({one.id for one in [picture, *found]}) == 1 + len(found)


def test_every_page_of_a_scanned_tiff_gives_passages(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "minutes.tiff"
    pages = [scan(sentences(30)), scan([*sentences(30), LAST])]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="jpeg")
    found = list(ImageLoader(options).load(path))
    assert {one.page for one in found} == {1, 2}
    for page in (1, 2):
        kinds = [one.modality for one in found if one.page == page]
        assert kinds == ["image", *["text"] * (len(kinds) - 1)]
        assert len(kinds) >= 3
    assert [one.page for one in found if LAST in one.text and one.modality == "text"] == [2]


def test_the_passages_are_those_of_the_same_page_as_a_pdf(
    tmp_path: Path, options: LoadOptions
) -> None:
    page = scan([*sentences(30), LAST])
    page.save(tmp_path / "minutes.png")
    page.save(tmp_path / "minutes.pdf", resolution=150)
    as_picture = [one.text for one in ImageLoader(options).load(tmp_path / "minutes.png")]
    as_pdf = [one.text for one in PDFLoader(options).load(tmp_path / "minutes.pdf")]
    assert len(as_picture) == len(as_pdf)
    assert as_picture[-1].split()[-10:] == as_pdf[-1].split()[-10:]


def test_a_short_text_gives_no_passages(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "letter.png"
    scan(sentences(8)).save(path)
    (picture,) = ImageLoader(options).load(path)
    assert "Point 8" in picture.text


def test_the_end_of_a_scan_is_found_first(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    scan([*sentences(30), LAST]).save(folder / "minutes.jpg", quality=70)
    scan(["The firm of my aunt gives cakes.", *sentences(20)]).save(folder / "other.jpg")
    sign("Mind the gap").save(folder / "sign.png")
    with Collection(tmp_path / "c") as collection:
        collection.sync(folder)
        first = collection.search(QUESTION)[0]
    assert first.segment.label == "minutes.jpg"
    assert LAST in first.matched[0].text
