from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, get_args

import pymupdf
import pytest
from PIL import Image

from mm_rag.errors import InputError
from mm_rag.media.formats import MediaKind
from mm_rag_loaders import (
    FileOutcome,
    LoadOptions,
    Source,
    find_sources,
    load,
    load_file,
    load_files,
)
from mm_rag_loaders.outcome import Note
from mm_rag_loaders.read import LOADERS
from mm_rag_loaders.sources import name_in_words, title_from


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


@pytest.mark.parametrize(
    "pattern", ["**", "**/*", "**/**/*.txt", "a/**/b.txt", "a/[b]*", "*/b.tx?"]
)
def test_a_pattern_ends_where_links_go_in_circles(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "a/b.txt", "a/.c.txt", ".d/e.txt")
    for name in ("one", "two", "three"):
        (tmp_path / "a" / name).symlink_to(tmp_path / "a", target_is_directory=True)
    assert names(tmp_path, find_sources(tmp_path / pattern)) == ["a/b.txt"]


def test_a_pattern_may_name_what_is_hidden(tmp_path: Path) -> None:
    touch(tmp_path, ".a/b.txt", ".c.txt", "d.txt")
    assert names(tmp_path, find_sources(tmp_path / ".*/*")) == [".a/b.txt"]
    assert names(tmp_path, find_sources(tmp_path / ".*")) == [".c.txt"]


@pytest.mark.parametrize("given", ["", [""], [None], None, 5, [5], [b"a.txt"]])
def test_what_is_no_source_says_so(given: Any) -> None:
    with pytest.raises(InputError, match="A source is a path"):
        find_sources(given)


ODD = ("~$notes.txt", "~", "a\nb.txt", "[a].txt", "\x1b[31m.txt", "-rf", "\udcff.txt", "a" * 240)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_odd_names_are_loaded(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ODD:
        (tmp_path / name).write_text(f"Words of {ODD.index(name)}.")
    monkeypatch.chdir(tmp_path)
    for name in set(ODD) - {"~"}:  # which is the home folder
        assert load_file(name, options).state in ("loaded", "unsupported")
    told: list[FileOutcome] = []
    assert len(list(load(tmp_path, options, on_file=told.append))) == len(ODD)
    assert [file.source for file in told] == [str(tmp_path / name) for name in sorted(ODD)]


@pytest.mark.parametrize("name", ["", "\0", "a\0b.txt", "a" * 5000, "gone/", "~nobody-here/a.txt"])
def test_a_name_that_is_none_is_a_report(name: str, options: LoadOptions) -> None:
    assert load_file(name, options).state == "unreadable"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs to become somebody else")
def test_what_may_not_be_looked_into_is_a_line(tmp_path: Path, options: LoadOptions) -> None:
    touch(tmp_path, "in/closed/a.txt", "in/listed/b.txt", "in/c.txt")
    (tmp_path / "in/closed").chmod(0o000)
    (tmp_path / "in/listed").chmod(0o444)
    for above in (tmp_path, *tmp_path.parents[:-2]):
        above.chmod(above.stat().st_mode | 0o711)
    os.seteuid(65534)
    try:
        told: list[FileOutcome] = []
        list(load(tmp_path / "in", options, on_file=told.append))
        alone = load_file(tmp_path / "in/closed/a.txt", options)
        list(load(tmp_path / "in/closed/a.txt", options, on_file=told.append))
    finally:
        os.seteuid(0)
    assert [(Path(file.source).name, file.state) for file in told] == [
        ("c.txt", "loaded"),
        ("closed", "unreadable"),
        ("b.txt", "unreadable"),
        ("a.txt", "unreadable"),
    ]
    assert "may not be looked into" in told[1].reason
    assert "Permission denied" in alone.reason


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
    assert loaded.notes == (Note("misnamed", "named .jpg, but is a PDF"),)


@pytest.mark.parametrize(
    ("name", "data", "state", "reason"),
    [
        ("text.pdf", b"plain words\n", "unreadable", "named .pdf, but is plain text"),
        ("empty.png", b"", "unreadable", "empty.png is empty (0 bytes)."),
        ("junk.png", bytes(range(256)), "unreadable", "junk.png is not a picture"),
        ("junk.pdf", b"%PDF-1.4\n\0\1\2", "unreadable", "junk.pdf"),
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("team_photo-2024", "team photo 2024"),
        ("Quarterly Review", "Quarterly Review"),
        ("apollo11_8khz", "apollo11 8khz"),
        ("Übersicht_März", "Übersicht März"),
        ("重庆市地图", "重庆市地图"),
    ],
)
def test_a_name_that_says_something(stem: str, words: str) -> None:
    assert name_in_words(stem) == words


@pytest.mark.parametrize(
    "stem",
    [
        "IMG_20240102_1234",
        "DSC00042",
        "scan 7",
        "Screenshot 2024-01-02 at 10.11.12",
        "untitled",
        "Voice memo 12",
        "9f86d081884c7d659a2feaa0c55ad015",
        "0001",
        "item-0067",
    ],
)
def test_a_name_that_says_nothing(stem: str) -> None:
    assert name_in_words(stem) == ""


@pytest.mark.parametrize(
    "source",
    ["/photos/team_photo.v2.jpg", "https://photos.example/a/team_photo.v2.jpg?size=1#team"],
)
def test_only_the_name_of_a_file_makes_its_title(source: str) -> None:
    assert title_from(source) == "team photo.v2"


@pytest.mark.parametrize("name", ["clip_seconds", "passage_words", "page_pixels"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_options_must_be_positive(name: str, value: float) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=rf"LoadOptions\.{name} must be more than 0"):
        LoadOptions(**settings)


def test_every_kind_has_a_loader_that_says_what_becomes_searchable() -> None:
    assert set(LOADERS) == set(get_args(MediaKind))
    assert all(loader.becomes for loader in LOADERS.values())
