from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from mm_rag.media.policy import MediaPolicy
from mm_rag.segment import Segment
from mm_rag_loaders import Loader, LoadOptions, SourceFile, as_reference, load_file, redrawn
from mm_rag_loaders.loader import Member
from mm_rag_loaders.outcome import Note
from mm_rag_loaders.read import LOADERS
from tests.loaders.pictures import sign
from tests.media_made import make_pdf


class FolderLoader(Loader):
    """Reads an archive as the files in it."""

    becomes: ClassVar[str] = "the files in it"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        yield from ()

    def members(self, file: SourceFile) -> Iterator[Member]:
        folder = file.path.with_suffix("")
        folder.mkdir(exist_ok=True)
        with file.opened.reader() as reader, zipfile.ZipFile(reader) as archive:
            for name in archive.namelist():
                yield Member(name, Path(archive.extract(name, folder)), text="In the archive.")


@pytest.fixture(autouse=True)
def _archives(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setitem(LOADERS, "archive", FolderLoader)


def archive(path: Path, *files: Path) -> Path:
    with zipfile.ZipFile(path, "w") as output:
        for file in files:
            output.write(file, f"inner/{file.name}")
    return path


def make_files(folder: Path) -> tuple[Path, Path, Path]:
    sign("The lighthouse").save(folder / "sign.png")
    (folder / "notes.txt").write_text("The harbour wall is to be raised.")
    plan = make_pdf(folder / "plan.pdf", ["The plan of the harbour", "Its costs"])
    return plan, folder / "sign.png", folder / "notes.txt"


def here(options: LoadOptions) -> LoadOptions:
    return replace(options, workers=0)


@pytest.mark.slow
def test_files_in_a_file_are_read_by_the_loaders_of_their_kinds(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = archive(tmp_path / "all.zip", *make_files(tmp_path))
    loaded = load_file(path, here(options))
    assert (loaded.state, loaded.kind, loaded.notes) == ("loaded", "archive", ())
    assert {s.source for s in loaded.segments} == {str(path)}
    assert {s.sha256 for s in loaded.segments} == {loaded.sha256}
    assert len({s.id for s in loaded.segments}) == len(loaded.segments)
    members = {s.member: s for s in reversed(loaded.segments)}
    assert list(members) == ["inner/notes.txt", "inner/sign.png", "inner/plan.pdf"]
    assert members["inner/notes.txt"].text == "In the archive.\n\nThe harbour wall is to be raised."
    assert members["inner/notes.txt"].title == "notes"
    assert members["inner/plan.pdf"].label == "all.zip/inner/plan.pdf page 1"
    picture = members["inner/sign.png"]
    assert picture.media is not None
    assert Path(picture.media).read_bytes() == (tmp_path / "sign.png").read_bytes()


@pytest.mark.slow
def test_nested_files_have_the_path_of_both(tmp_path: Path, options: LoadOptions) -> None:
    inner = archive(tmp_path / "inner.zip", *make_files(tmp_path))
    loaded = load_file(archive(tmp_path / "outer.zip", inner), here(options))
    assert {s.member for s in loaded.segments} == {
        f"inner/inner.zip/inner/{name}" for name in ("plan.pdf", "sign.png", "notes.txt")
    }


def test_what_cannot_be_read_of_a_file_is_noted_with_its_name(
    tmp_path: Path, options: LoadOptions
) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7 is all there is")
    (tmp_path / "c.txt").write_bytes(b"")
    (tmp_path / "d.txt").write_bytes("Die Größe des Hafens".encode("cp1252"))
    path = archive(
        tmp_path / "all.zip", *(tmp_path / name for name in ["a.bin", "b.pdf", "c.txt", "d.txt"])
    )
    loaded = load_file(path, here(options))
    assert loaded.state == "loaded"
    assert [s.member for s in loaded.segments] == ["inner/d.txt"]
    assert [note.kind for note in loaded.notes] == ["unsupported", "damaged", "damaged", "encoding"]
    assert all(note.text.startswith("inner/") for note in loaded.notes)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (MediaPolicy(max_members=1), "only 1 files are read (MediaPolicy.max_members)"),
        (MediaPolicy(max_bytes=4000), "only 4,000 bytes are unpacked (MediaPolicy.max_bytes)"),
    ],
)
def test_limits_end_the_reading_with_a_note(
    tmp_path: Path, options: LoadOptions, policy: MediaPolicy, reason: str
) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text("word " * 500)
    path = archive(tmp_path / "all.zip", *(tmp_path / f"{name}.txt" for name in "abc"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as output:
        for name in "abc":
            output.write(tmp_path / f"{name}.txt", f"{name}.txt")
    loaded = load_file(path, replace(here(options), policy=policy))
    assert {s.member for s in loaded.segments} == {"a.txt"}
    assert loaded.notes == (Note("limit", f"b.txt and what follows was not read: {reason}"),)


def test_nesting_has_an_end(tmp_path: Path, options: LoadOptions) -> None:
    (tmp_path / "a.txt").write_text("deep")
    path = tmp_path / "a.txt"
    for depth in range(8):
        path = archive(tmp_path / f"{depth}.zip", path)
    loaded = load_file(path, here(options))
    assert loaded.segments == ()
    [note] = loaded.notes
    assert note.kind == "limit"
    assert "more than 5 levels deep" in note.text


@pytest.mark.slow
def test_pictures_of_files_in_a_file_are_drawn_again(tmp_path: Path, options: LoadOptions) -> None:
    inner = archive(tmp_path / "inner.zip", *make_files(tmp_path))
    path = archive(tmp_path / "outer.zip", inner)
    segments = load_file(path, here(options)).segments
    wanted = [s for s in segments if s.media]
    kept = [as_reference(s, options.assets.root) for s in wanted]
    assert all(s.preview is None for s in kept)
    drawn = redrawn(kept, here(options))
    assert [s.id for s in drawn] == [s.id for s in wanted]
    for old, new in zip(wanted, drawn, strict=True):
        assert new.source == str(path)
        assert (new.media, new.preview, new.member) == (old.media, old.preview, old.member)


@pytest.mark.slow
def test_roots_hold_for_files_in_a_file(tmp_path: Path, options: LoadOptions) -> None:
    path = archive(tmp_path / "all.zip", *make_files(tmp_path))
    inside = replace(here(options), policy=MediaPolicy(roots=(tmp_path,)))
    assert load_file(path, inside).notes == ()
