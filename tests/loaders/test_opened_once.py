"""A file is opened once and then checked: what its path leads to a moment later is not read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mm_rag.content import Video
from mm_rag.errors import SourceForbidden, UnreadableMedia
from mm_rag.extraction.subtitles import read_subtitles
from mm_rag.media import MediaPolicy, access
from mm_rag.media.access import open_file, opened
from mm_rag.media.ffmpeg import probe
from mm_rag.media.video import open_video_frames
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions, SourceFile, load_file
from mm_rag_loaders.read import LOADERS
from tests.av_made import colours, make_video, make_wav, tone
from tests.loaders.test_office import needs_office
from tests.media_made import make_pdf
from tests.office_made import docx, xlsx

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need privileges on Windows")

KINDS = {
    "a.pdf": "pdf",
    "a.docx": "office",
    "a.tiff": "image",
    "a.wav": "audio",
    "a.mkv": "video",
    "a.txt": "text",
    "a.xlsx": "spreadsheet",
    "a.csv": "table",
    "a.json": "json",
    "a.eml": "email",
    "a.zip": "archive",
    "a.py": "code",
    "a.srt": "transcript",
    "a.vcf": "calendar",
}
SECRET, HARMLESS = "secret plans", "harmless notes"
SUBTITLE = "1\n00:00:00,000 --> 00:00:01,000\n{}\n"


def make(path: Path, words: str) -> Path:
    """A file of the kind that its name says, which has these words or else this length."""
    is_secret = words == SECRET
    match path.suffix:
        case ".pdf":
            make_pdf(path, [words])
        case ".docx":
            docx(path, words)
        case ".xlsx":
            xlsx(path, words)
        case ".json":
            path.write_text(json.dumps({"notes": words}))
        case ".tiff":
            size = (60, 40) if is_secret else (30, 20)
            pages = [Image.new("RGB", size, colour) for colour in ("red", "lime")]
            pages[0].save(path, save_all=True, append_images=pages[1:])
        case ".wav":
            make_wav(path, tone(2.0 if is_secret else 1.0))
        case ".mkv":
            make_video(path, colours("red", each=20 if is_secret else 10))
        case ".eml":
            path.write_text(f"From: Ada <a@example.org>\nSubject: Plans\n\n{words}\n")
        case ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("a.txt", words)
        case ".srt":
            path.write_text(SUBTITLE.format(words))
        case ".vcf":
            path.write_text(f"BEGIN:VCARD\nFN:Ada\nNOTE:{words}\nEND:VCARD\n")
        case _:
            path.write_text(words)
    return path


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secret")
    for name in KINDS:
        make(folder / name, SECRET)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def options(tmp_path: Path, root: Path) -> LoadOptions:
    policy = MediaPolicy(roots=(root,))
    return LoadOptions(assets=AssetStore(tmp_path / "assets"), workers=0, policy=policy)


@contextlib.contextmanager
def replaced_when_reading_begins(
    monkeypatch: pytest.MonkeyPatch, name: str, replace_it: Callable[[], object]
) -> Generator[None]:
    """Between the checks and the loader, which is where a race is lost."""
    kind: Any = KINDS[name]

    class Late(LOADERS[kind]):
        def segments(self, file: SourceFile) -> Iterator[Segment]:
            replace_it()
            return super().segments(file)

    with monkeypatch.context() as patch:
        patch.setitem(LOADERS, kind, Late)
        yield


def _told(segment: Segment) -> tuple[object, ...]:
    """All that could come from the content of a file."""
    shot = segment.media if segment.media and segment.media.endswith(".png") else segment.preview
    size = None
    if shot and segment.modality == "image":
        with Image.open(shot) as picture:
            size = picture.size
    return segment.text, segment.end, segment.metadata.get("duration"), size


every_kind = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_office if name == "a.docx" else ()) for name in KINDS]
)


@pytest.mark.slow
@needs_links
@every_kind
@pytest.mark.parametrize("way", ["link", "folder", "file"])
def test_what_takes_the_place_of_a_checked_file_is_not_read(
    root: Path,
    secret: Path,
    options: LoadOptions,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    way: str,
) -> None:
    (root / "deep").mkdir()
    path = make(root / "deep" / name, HARMLESS)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = [_told(segment) for segment in load_file(path, options).segments]

    def replace_it() -> None:
        if way == "link":
            path.unlink()
            path.symlink_to(secret / name)
        elif way == "folder":
            (root / "deep").rename(root / "was")
            (root / "deep").symlink_to(secret, target_is_directory=True)
        else:  # within the roots: then what is read is what was hashed
            shutil.copy(secret / name, root / "new")
            (root / "new").replace(path)

    with replaced_when_reading_begins(monkeypatch, name, replace_it):
        loaded = load_file(path, options)
    assert (loaded.state, loaded.sha256) == ("loaded", sha256), loaded.reason
    assert {segment.sha256 for segment in loaded.segments} == {sha256}
    assert [_told(segment) for segment in loaded.segments] == expected


@needs_links
@pytest.mark.parametrize("backend", ["pymupdf", "pdfium"])
def test_each_pdf_library_reads_what_was_opened(
    root: Path, secret: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch, backend: Any
) -> None:
    path = make(root / "a.pdf", HARMLESS)

    def replace_it() -> None:
        path.unlink()
        path.symlink_to(secret / "a.pdf")

    for handles in (access._FOLDERS_OF_HANDLES, ()):  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(access, "_FOLDERS_OF_HANDLES", handles)
        with replaced_when_reading_begins(monkeypatch, "a.pdf", replace_it):
            loaded = load_file(path, replace(options, pdf_backend=backend))
        assert {segment.text for segment in loaded.segments} == {HARMLESS}
        path.unlink()
        make(path, HARMLESS)


@needs_links
def test_a_folder_that_becomes_a_link_after_it_was_followed(
    root: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "deep").mkdir()
    (root / "deep" / "a.txt").write_text(HARMLESS)
    open_now = os.open

    def late(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        monkeypatch.setattr(os, "open", open_now)
        (root / "deep").rename(root / "was")
        (root / "deep").symlink_to(secret, target_is_directory=True)
        return open_now(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
        open_file(root / "deep" / "a.txt", MediaPolicy(roots=(root,)))
    (root / "deep").unlink()
    (root / "was").rename(root / "deep")
    monkeypatch.setattr(os, "open", late)
    with pytest.raises(SourceForbidden, match="follow_links"):
        open_file(root / "deep" / "a.txt", within=root)


@needs_links
def test_a_file_that_is_saved_while_it_is_opened_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.txt").write_text("old")
    open_now = os.open

    def saving(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        monkeypatch.setattr(os, "open", open_now)
        number = open_now(path, flags, mode, dir_fd=dir_fd)
        (root / "b.txt").write_text("new")
        (root / "b.txt").replace(root / "a.txt")
        return number

    monkeypatch.setattr(os, "open", saving)
    with open_file(root / "a.txt", MediaPolicy(roots=(root,))) as file:
        assert file.read() == b"new"


def test_a_path_that_never_keeps_still_is_not_opened(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.txt").write_text("old")
    monkeypatch.setattr(os.path, "samestat", lambda *_: False)  # pyright: ignore
    with pytest.raises(SourceForbidden, match="changed again and again"):
        open_file(root / "a.txt", MediaPolicy(roots=(root,)))


_SWAPPING = """
import os, sys
folder, secret = sys.argv[1:]
while True:
    for target in ("ok.pdf", secret):
        os.symlink(target, folder + "/new")
        os.replace(folder + "/new", folder + "/a.pdf")
"""


@pytest.mark.slow
@needs_links
@pytest.mark.parametrize("backend", ["pymupdf", "pdfium"])
def test_a_link_that_another_process_changes_all_the_time(
    root: Path, secret: Path, options: LoadOptions, backend: Any
) -> None:
    make_pdf(root / "ok.pdf", [HARMLESS])
    (root / "a.pdf").symlink_to("ok.pdf")
    command = [sys.executable, "-c", _SWAPPING, str(root), str(secret / "a.pdf")]
    with subprocess.Popen(command) as swapping:
        try:
            end = time.monotonic() + 1.0
            states: set[str] = set()
            while time.monotonic() < end or "refused" not in states:
                loaded = load_file(root / "a.pdf", replace(options, pdf_backend=backend))
                states.add(loaded.state)
                assert {segment.text for segment in loaded.segments} <= {HARMLESS}
        finally:
            swapping.kill()


@needs_links
def test_subtitles_that_become_a_link_are_not_read(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.srt").write_text(SUBTITLE.format(SECRET))
    folder = tmp_path / "videos"
    folder.mkdir()
    video = make_video(folder / "talk.mkv", colours("red", each=3))
    (folder / "talk.srt").write_text(SUBTITLE.format(HARMLESS))
    with probe(video).file as file:
        source = probe(file)
        [cue] = read_subtitles(source)
        assert cue.text == HARMLESS
        open_now = os.open

        def late(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            monkeypatch.setattr(os, "open", open_now)
            (folder / "talk.srt").unlink()
            (folder / "talk.srt").symlink_to(tmp_path / "secret.srt")
            return open_now(path, flags, mode, dir_fd=dir_fd)

        monkeypatch.setattr(os, "open", late)
        assert read_subtitles(source) == []


def test_a_clip_is_of_the_file_that_was_opened(root: Path, secret: Path) -> None:
    path = make(root / "a.mkv", HARMLESS)
    with open_video_frames(Video(path), MediaPolicy(roots=(root,))) as clip:
        (root / "new").write_bytes((secret / "a.mkv").read_bytes())
        (root / "new").replace(path)
        assert clip.total_num_frames == 10
        assert len(clip.frames([9, 0])) == 2


@pytest.mark.slow
@every_kind
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what is open")
def test_everything_is_let_go_of(root: Path, options: LoadOptions, name: str) -> None:
    path = make(root / name, HARMLESS)

    def still_open() -> list[str]:
        found: list[str] = []
        for handle in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # the one that lists them
                found.append(str(handle.readlink()))
        return [place for place in found if place.startswith(str(root))]

    for _ in range(2):
        assert load_file(path, options).state == "loaded"
        assert still_open() == []
    reading = LOADERS[KINDS[name]](options).load(path)  # pyright: ignore[reportArgumentType]
    next(reading, None)
    del reading
    assert still_open() == []


def test_a_file_has_many_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(bytes(range(256)) * 1000)
    for system in ("this one", "one without places of its own"):
        if system != "this one":
            monkeypatch.delattr(os, "pread", raising=False)
        file = opened(path)
        with file.reader() as first, file.reader() as second, file.shared() as again:
            file.close()
            assert first.read(3) == bytes(range(3))
            assert second.read() == path.read_bytes()
            assert first.read(2) == b"\x03\x04"
            assert (first.seek(-1, os.SEEK_END), first.read()) == (255_999, b"\xff")
            assert (second.seek(5), second.seek(2, os.SEEK_CUR), second.tell()) == (5, 7, 7)
            assert (again.size, second.name) == (256_000, str(path))
        with pytest.raises(ValueError, match="closed"):
            file.reader()
    with pytest.raises(ValueError, match="closed"):
        assert again.size
    with pytest.raises(ValueError, match="closed"):
        first.read()
    with opened(path) as file, file.reader() as reader, pytest.raises(ValueError, match="no place"):
        reader.seek(-1)


def test_where_folders_cannot_be_opened_the_path_is_followed_again(
    root: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    monkeypatch.setattr(os, "supports_dir_fd", frozenset())
    (root / "a.txt").write_text(HARMLESS)
    policy = MediaPolicy(roots=(root,))
    with open_file(root / "a.txt", policy) as file:
        assert file.read() == HARMLESS.encode()
    for outside in (secret / "a.txt", root / "gone.txt"):
        with pytest.raises((SourceForbidden, UnreadableMedia)):
            open_file(outside, policy)


def test_a_root_may_be_a_file(root: Path) -> None:
    (root / "a.txt").write_text(HARMLESS)
    with open_file(root / "a.txt", MediaPolicy(roots=(root / "a.txt",))) as file:
        assert file.read() == HARMLESS.encode()
