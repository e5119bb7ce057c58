"""Pages, Numbers and Keynote files: their previews."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pymupdf
import pytest
from PIL import Image

from mm_rag.media import MediaPolicy
from mm_rag_loaders import LoadOptions, load_file, redrawn


def packed(path: Path, **parts: bytes) -> Path:
    """A file of iWork; `__` in the names of parts is a slash, and `_` a dot."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return path


def pdf(*pages: str) -> bytes:
    document = pymupdf.open()
    for words in pages:
        document.new_page().insert_text((72, 72), words)
    return document.tobytes()


def jpeg() -> bytes:
    target = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(target, "JPEG")
    return target.getvalue()


@pytest.mark.parametrize("suffix", [".pages", ".numbers", ".key"])
def test_the_preview_of_all_pages_is_read(
    tmp_path: Path, options: LoadOptions, suffix: str
) -> None:
    preview = pdf("The ferry leaves at nine.", "It returns at five.")
    path = packed(tmp_path / f"plan{suffix}", QuickLook__Preview_pdf=preview, index_xml=b"<x/>")
    loaded = load_file(path, options)
    assert (loaded.state, loaded.kind, loaded.notes) == ("loaded", "iwork", ())
    assert [(segment.modality, segment.page, segment.text) for segment in loaded.segments] == [
        ("image", 1, "The ferry leaves at nine."),
        ("text", 1, "The ferry leaves at nine."),
        ("image", 2, "It returns at five."),
        ("text", 2, "It returns at five."),
    ]
    assert {segment.source for segment in loaded.segments} == {str(path)}


@pytest.mark.slow
def test_a_picture_of_the_first_page_is_noted_as_such(tmp_path: Path, options: LoadOptions) -> None:
    path = packed(tmp_path / "plan.key", preview_jpg=jpeg(), Index__Document_iwa=b"\0\1")
    policy = MediaPolicy(roots=(tmp_path,))
    loaded = load_file(path, replace(options, policy=policy))
    assert loaded.state == "loaded", loaded.reason
    (picture,) = loaded.segments
    assert picture.modality == "image"
    assert picture.source == str(path)
    with Image.open(str(picture.media)) as shown:
        assert shown.size == (64, 64)
    assert [note.kind for note in loaded.notes] == ["unsupported"]
    assert "only the picture of its first page was read" in loaded.notes[0].text
    Path(str(picture.media)).unlink()
    (again,) = redrawn(loaded.segments, options)
    assert Path(str(again.media)).is_file()


def test_without_a_preview_the_reason_says_what_to_do(tmp_path: Path, options: LoadOptions) -> None:
    loaded = load_file(packed(tmp_path / "plan.pages", Index__Document_iwa=b"\0\1"), options)
    assert loaded.state == "unreadable"
    assert "plan.pages has no preview" in loaded.reason
    locked = packed(tmp_path / "b.pages", Index__Document_iwa=b"\0\1", _iwpv2=b"\2")
    assert "b.pages is locked with a password" in load_file(locked, options).reason


def test_a_damaged_preview_is_named_by_the_file(tmp_path: Path, options: LoadOptions) -> None:
    path = packed(tmp_path / "plan.pages", QuickLook__Preview_pdf=b"%PDF-1.7 cut")
    loaded = load_file(path, options)
    assert loaded.state == "unreadable"
    assert "plan.pages" in loaded.reason
