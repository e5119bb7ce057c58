from __future__ import annotations

import logging
import os
from pathlib import Path

import pymupdf
import pytest
from PIL import Image

from mm_rag.errors import InputError
from mm_rag_loaders import LoadOptions, Source, find_sources, load, load_file, load_files


def make_pdf(path: Path, text: str = "Alpha") -> Path:
    document = pymupdf.open()
    document.new_page(width=200, height=100).insert_text((20, 40), text)
    document.save(path)
    return path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def names(folder: Path, found: list[Source]) -> list[str]:
    return [Path(str(source)).relative_to(folder).as_posix() for source in found]


def test_a_folder_is_searched_in_a_fixed_order_without_hidden_files(tmp_path: Path) -> None:
    touch(tmp_path, "b.txt", "a/z.txt", "a/b/c.txt", ".hidden", ".git/x.txt", "a/.x/y.txt")
    assert names(tmp_path, find_sources(tmp_path)) == ["a/b/c.txt", "a/z.txt", "b.txt"]


def test_files_folders_and_patterns_may_be_mixed(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.txt", "two/b.txt", "two/deep/c.txt", "two/d.md", "two/.e.txt")
    found = find_sources([tmp_path / "one", str(tmp_path / "two/**/*.txt"), tmp_path / "one/a.txt"])
    assert names(tmp_path, found) == ["one/a.txt", "two/b.txt", "two/deep/c.txt"]


def test_a_file_may_have_the_letters_of_a_pattern_in_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "report [final].txt")
    assert len(find_sources(tmp_path / "report [final].txt")) == 1


def test_subtitles_beside_their_video_are_left_to_it(tmp_path: Path) -> None:
    touch(tmp_path, "talk.mkv", "talk.srt", "talk.en.vtt", "other.srt")
    assert names(tmp_path, find_sources(tmp_path)) == ["other.srt", "talk.mkv"]


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.txt")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path, find_sources(tmp_path)) == ["a/b.txt"]


@pytest.mark.parametrize(("source", "message"), [("gone", "no file or folder"), ("*.x", "matches")])
def test_a_source_that_is_not_there_says_so(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_sources(tmp_path / source)


def test_a_good_file_is_loaded(tmp_path: Path, options: LoadOptions) -> None:
    loaded = load_file(make_pdf(tmp_path / "a.pdf"), options)
    assert (loaded.state, loaded.kind, loaded.reason, loaded.notes) == ("loaded", "pdf", "", ())
    assert [s.text for s in loaded.segments] == ["Alpha", "Alpha"]
    assert loaded.sha256 == loaded.segments[0].sha256


def test_the_content_chooses_the_loader(tmp_path: Path, options: LoadOptions) -> None:
    loaded = load_file(make_pdf(tmp_path / "scan.jpg"), options)
    assert (loaded.state, loaded.kind) == ("loaded", "pdf")
    assert loaded.notes == ("named .jpg, but is a PDF",)


@pytest.mark.parametrize(
    ("name", "data", "state", "reason"),
    [
        ("text.pdf", b"plain words\n", "unreadable", "named .pdf, but is plain text"),
        ("empty.png", b"", "unreadable", "empty.png is empty (0 bytes)."),
        ("junk.png", bytes(range(256)), "unreadable", "junk.png is no picture"),
        ("junk.pdf", b"%PDF-1.4\n\0\1\2", "unreadable", "junk.pdf"),
        ("data.jsonl", b'{"a": 1}', "unsupported", "it is plain text, which mm_rag does not read"),
        ("junk.bin", bytes(range(256)), "unsupported", "it is of an unknown kind"),
    ],
)
def test_a_bad_file_is_a_report_and_not_an_error(
    tmp_path: Path, options: LoadOptions, name: str, data: bytes, state: str, reason: str
) -> None:
    (tmp_path / name).write_bytes(data)
    loaded = load_file(tmp_path / name, options)
    assert (loaded.state, loaded.segments) == (state, ())
    assert loaded.reason.startswith(reason)
    assert "\n" not in loaded.reason


def test_a_missing_file_is_a_report(tmp_path: Path) -> None:
    loaded = load_file(tmp_path / "gone.pdf")
    assert (loaded.state, loaded.sha256) == ("unreadable", "")
    assert "There is no file" in loaded.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_a_report(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf")
    path.chmod(0)
    assert "cannot be read: Permission denied" in load_file(path).reason


def test_files_are_read_one_at_a_time(tmp_path: Path, options: LoadOptions) -> None:
    paths = [make_pdf(tmp_path / "a.pdf"), tmp_path / "b.pdf"]
    loading = load_files(map(Source, paths), options)
    assert next(loading).state == "loaded"
    make_pdf(paths[1])  # not asked for until now
    assert next(loading).state == "loaded"


def test_load_gives_the_segments_and_logs_what_it_left_out(
    tmp_path: Path, options: LoadOptions, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_pdf(folder / "a.pdf")
    (folder / "bad.pdf").write_text("no PDF")
    Image.new("RGB", (32, 32)).save(folder / "c.png")
    with caplog.at_level(logging.WARNING):
        segments = list(load(folder, options))
    assert [Path(s.source).name for s in segments] == ["a.pdf", "a.pdf", "c.png"]
    assert [record.getMessage() for record in caplog.records] == [
        f"Left out {folder / 'bad.pdf'}: named .pdf, but is plain text"
    ]


def test_load_refuses_a_missing_path_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load(tmp_path / "gone")
