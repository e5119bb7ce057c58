"""Segments without copies, and their pictures drawn again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.extraction import frame_sampling
from mm_rag.segment import Segment
from mm_rag_loaders import LoadOptions, as_reference, load_file, redrawn
from tests.av_made import make_video
from tests.loaders.every_kind import EVERY_KIND
from tests.loaders.pictures import sign
from tests.loaders.test_office import needs_office
from tests.media_made import make_pdf
from tests.office_made import docx

pytestmark = pytest.mark.slow

_TYPES = {
    "pdf": "application/pdf",
    "picture": "image/png",
    "pages": "image/tiff",
    "frames": "image/gif",
    "recording": "audio/x-wav",
    "video": "video/mp4",
    "text": None,
}


def loaded(path: Path, options: LoadOptions) -> list[Segment]:
    return list(load_file(path, replace(options, workers=0)).segments)


def references(segments: list[Segment], options: LoadOptions) -> list[Segment]:
    """What is left of Segments when the assets are gone."""
    root = options.assets.root
    found = [as_reference(segment, root) for segment in segments]
    shutil.rmtree(root, ignore_errors=True)
    return found


@pytest.mark.parametrize("kind", _TYPES)
def test_nothing_is_left_but_the_source(tmp_path: Path, options: LoadOptions, kind: str) -> None:
    suffix, make = EVERY_KIND[kind]
    path = make(tmp_path / f"harbour{suffix}")
    segments = loaded(path, options)
    left = references(segments, options)
    media = str(path) if _TYPES[kind] else None
    assert {(s.media, s.preview, s.boxes, s.mime_type) for s in left} == {
        (media, None, None, _TYPES[kind])
    }
    assert [s.id for s in left] == [s.id for s in segments]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_it_is_drawn_as_it_was(tmp_path: Path, options: LoadOptions, kind: str) -> None:
    suffix, make = EVERY_KIND[kind]
    segments = loaded(make(tmp_path / f"harbour{suffix}"), options)
    assert redrawn(references(segments, options), options) == segments
    assert all(Path(s.preview).is_file() for s in segments if s.preview)


def test_a_video_is_not_read_again(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4", [sign("Hello", size=(320, 180))] * 10, fps=2)
    (segment,) = loaded(path, options)
    assert segment.text == "Hello"

    def never(*_: object) -> None:
        raise AssertionError("a frame is read")

    monkeypatch.setattr(frame_sampling.FrameOCR, "lines", never)
    assert redrawn(references([segment], options), options) == [segment]


@pytest.mark.slow
@needs_office
def test_the_pages_of_an_office_file_are_drawn_as_they_were(
    tmp_path: Path, options: LoadOptions
) -> None:
    segments = loaded(docx(tmp_path / "a.docx", "Rebuilt in 1913."), options)
    left = references(segments, options)
    assert {(s.media, s.preview) for s in left} == {(str(tmp_path / "a.docx"), None)}
    assert redrawn(left, options) == segments


@pytest.mark.parametrize("suffix", [".tiff", ".pdf"])
def test_what_ocr_found_is_not_looked_for_again(
    tmp_path: Path, options: LoadOptions, suffix: str
) -> None:
    pages = [sign("First page"), sign("Second page")]
    path = tmp_path / f"scan{suffix}"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    segments = loaded(path, options)
    assert all(s.boxes for s in segments)
    again = redrawn(references(segments, options), options)
    assert again == [replace(s, boxes=None) for s in segments]


def test_some_pages_can_be_asked_for(tmp_path: Path, options: LoadOptions) -> None:
    path = make_pdf(tmp_path / "a.pdf", ["Alpha.", "Beta.", "Gamma."])
    segments = loaded(path, options)
    left = references(segments, options)
    assert redrawn([left[3], left[2]], options) == [segments[3], segments[2]]
    assert len(list(options.assets.root.rglob("*.jpg"))) == 1
    assert redrawn([], options) == []


def test_another_file_in_its_place_is_not_shown(tmp_path: Path, options: LoadOptions) -> None:
    path = make_pdf(tmp_path / "a.pdf", ["Alpha."])
    left = references(loaded(path, options), options)
    make_pdf(path, ["Beta."])
    with pytest.raises(UnreadableMedia, match=r"a\.pdf is no longer the file that was indexed"):
        redrawn(left, options)
    path.unlink()
    with pytest.raises(UnreadableMedia, match=r"no file .*a\.pdf"):
        redrawn(left, options)


def test_a_page_that_is_not_there_is_named(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "a.tiff"
    Image.new("RGB", (90, 60), "navy").save(path)
    (segment,) = loaded(path, options)
    with pytest.raises(UnreadableMedia, match=r"a\.tiff has no page 7"):
        redrawn([replace(segment, page=7)], options)


def test_what_cannot_be_a_reference_says_so(tmp_path: Path, options: LoadOptions) -> None:
    fetched = Segment(
        modality="image",
        source="https://me:secret@docs.example/a.pdf",
        sha256="0" * 64,
        media=str(options.assets.root / "a.jpg"),
    )
    with pytest.raises(InputError, match="keep copies of what comes from addresses") as caught:
        as_reference(fetched, options.assets.root)
    assert "secret" not in str(caught.value)
    other = replace(fetched, source=str(tmp_path / "b.pdf"))
    with pytest.raises(InputError, match="Segments of one file"):
        redrawn([fetched, other], options)
