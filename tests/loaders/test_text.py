from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from mm_rag.errors import UnreadableMedia
from mm_rag_loaders import LoadOptions, Source, SourceFile, TextLoader, load_file


def test_a_text_is_its_passages(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "field_notes.txt"
    path.write_text("One sentence of seven words in all. " * 100)
    segments = list(TextLoader(options).load(path))
    assert [s.part for s in segments] == list(range(len(segments)))
    assert len(segments) >= 4
    assert {(s.modality, s.media, s.page, s.title) for s in segments} == {
        ("text", None, None, "field notes")
    }


def test_the_heading_of_a_markdown_file_is_its_title(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Care of roses\n\nWater them.")
    (segment,) = TextLoader(options).load(path)
    assert segment.title == "Care of roses"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "cp850"])
def test_umlauts_survive(tmp_path: Path, options: LoadOptions, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Ein schöner Tag für einen Käse.".encode(encoding))
    file = SourceFile.of(Source(path), options)
    (segment,) = TextLoader(options).segments(file)
    assert segment.text == "Ein schöner Tag für einen Käse."
    expected = {
        "cp1252": ["not UTF-8: read as Windows-1252 (guessed)"],
        "cp850": ["not UTF-8: read as CP437 (guessed)"],
        "utf-16": ["not UTF-8: read as UTF-16LE"],
    }
    assert [str(note) for note in file.notes] == expected.get(encoding, [])


@pytest.mark.parametrize(("data", "why"), [(b"\0\1\2", "not plain text"), (b" \n", "no words")])
def test_what_is_no_text_is_unreadable(
    tmp_path: Path, options: LoadOptions, data: bytes, why: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(UnreadableMedia, match=rf"a\.txt .*{why}"):
        list(TextLoader(options).load(path))


def test_the_last_letter_of_an_old_encoding_is_kept(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("un café".encode("latin-1"))
    [only] = TextLoader().load(tmp_path / "old.txt")
    assert only.text == "un café"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"name\x1fcity\nAda\x1fLondon\n", "name city\nAda London"),
        (b"Minutes of 1991.\r\n\x1a", "Minutes of 1991."),
        (b"a page \x02 and more", "a page  and more"),
        (b"one\n" + bytes(4) + b"two\n", "one\ntwo"),
        (b"\x1b[31mERROR\x1b[0m: disk full", "ERROR: disk full"),
        (b"N\bNA\bAM\bME\bE\n  _\bl_\bs - list", "NAME\n  ls - list"),
        (b"old\rMac\rlines", "old\nMac\nlines"),
    ],
)
def test_control_characters_leave_the_words(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    loaded = load_file(path)
    assert loaded.state == "loaded"
    assert loaded.segments[0].text.startswith(words)


def test_a_text_that_is_mostly_utf8_keeps_its_letters(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Größe und Straße. ".encode() * 20 + b"\xff\xfe ende")
    loaded = load_file(path)
    assert "Größe und Straße. \ufffd\ufffd ende" in loaded.segments[-1].text
    assert [(note.kind, note.text) for note in loaded.notes] == [
        ("encoding", "2 letters are not valid UTF-8 and shown as \ufffd")
    ]


@pytest.mark.parametrize("name", ["a.log", "server.log.1", "LOG.LOG"])
def test_a_log_is_split_between_lines_and_knows_their_numbers(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    lines = [
        f"2024-01-{day:02} node {day} restarted after the disk was full" for day in range(1, 61)
    ]
    path.write_text("\n".join(lines))
    segments = load_file(path).segments
    assert "\n".join(segment.text for segment in segments) == "\n".join(lines)
    first = segments[0].text.splitlines()
    assert segments[0].metadata["place"] == f"lines 1-{len(first)}"
    assert str(segments[-1].metadata["place"]).endswith("-60")


def test_a_long_line_is_cut_and_nothing_is_lost(tmp_path: Path) -> None:
    for name in ("a.txt", "a.log"):
        path = tmp_path / name
        path.write_text("x" * 250_000 + " end")
        texts = "".join(segment.text for segment in load_file(path).segments)
        assert texts.count("x") >= 250_000
        assert "end" in texts


@pytest.mark.slow
def test_a_large_text_is_not_held_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("An entry of the logbook of the harbour.\n\n" * 1_000_000)
    tracemalloc.start()
    segments = TextLoader().load(path)
    assert "logbook" in next(segments).text
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    segments.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert peak < path.stat().st_size / 2


def test_a_text_of_another_program_is_read(tmp_path: Path) -> None:
    """What Python's help writes to a file, as a stand-in for any program."""
    path = tmp_path / "help.out"
    text = subprocess.run([sys.executable, "-h"], capture_output=True, check=True, text=True).stdout
    path.write_text(text)
    words = " ".join(segment.text for segment in load_file(path).segments).split()
    assert words == text.split()
