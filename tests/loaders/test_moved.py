"""Segments of files that were moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mm_rag.segment import Segment
from mm_rag_loaders import LoadOptions, load_file, moved
from tests.loaders.every_kind import EVERY_KIND
from tests.loaders.test_office import needs_office
from tests.office_made import docx


def loaded(path: Path, options: LoadOptions) -> list[Segment]:
    found = load_file(path, replace(options, workers=0))
    assert found.state == "loaded"
    return list(found.segments)


def check(path: Path, folder: Path, options: LoadOptions) -> None:
    known = loaded(path, options)
    ids = [segment.id for segment in known]
    # A name that says nothing, and then one that says something else.
    for stem in ("IMG_0001", "quay-list"):
        path = path.rename(folder / f"{stem}{path.suffix}")
        known = [moved(segment, str(path)) for segment in known]
        assert known == loaded(path, options)
    assert [segment.id for segment in known] == ids


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_it_is_as_if_loaded_from_there(tmp_path: Path, options: LoadOptions, kind: str) -> None:
    suffix, make = EVERY_KIND[kind]
    (tmp_path / "elsewhere").mkdir()
    path = make(tmp_path / f"harbour_report{suffix}")
    check(path, tmp_path / "elsewhere", options)


@pytest.mark.slow
@needs_office
def test_an_office_file_moves_too(tmp_path: Path, options: LoadOptions) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = docx(tmp_path / "harbour_report.docx", "The harbour was rebuilt in 1913.")
    check(path, tmp_path / "elsewhere", options)


def test_only_what_comes_from_the_name_is_renamed() -> None:
    one = Segment(modality="text", source="/a/team_photo.pdf", sha256="0" * 64, title="team photo")
    assert moved(one, "/b/crew.pdf").title == "crew"
    assert moved(replace(one, title="Our team"), "/b/crew.pdf").title == "Our team"
    shot = replace(one, media="/assets/ab/c.jpg", preview="/assets/ab/c.jpg")
    there = moved(shot, "/b/crew.pdf")
    assert (there.source, there.media, there.preview) == ("/b/crew.pdf", shot.media, shot.preview)
