"""A sync is careful: with drives that are not there, odd times, and changes that hide."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from types import SimpleNamespace

import pytest

from mm_rag import Collection, Encoder
from mm_rag.collection import SyncReport
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import FilesMissing, InputError
from mm_rag_loaders import LoadOptions, file_stamp
from mm_rag_loaders.file_stamp import FileStamp
from mm_rag_loaders.outcome import Progress
from tests.av_made import make_wav, tone

HERE = LoadOptions(workers=0)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Ten short texts."""
    made = tmp_path / "notes"
    made.mkdir()
    for number in range(10):
        (made / f"n{number}.txt").write_text(f"Note number{number} is about the ferry.")
    return made


@pytest.fixture
def sync(collection: Collection) -> Callable[..., SyncReport]:
    def synced(*places: Path, **more: object) -> SyncReport:
        return collection.sync(places, options=HERE, **more)  # pyright: ignore[reportArgumentType]

    return synced


def states(report: SyncReport) -> dict[str, str]:
    return {Path(file.path).name: file.state for file in report.files}


def text_of(collection: Collection, path: Path) -> str:
    return " ".join(segment.text for segment in collection.contents.segments(path))


# Files that are gone.


@pytest.mark.slow
def test_a_folder_that_is_suddenly_empty_keeps_what_was_in_it(
    collection: Collection, notes: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(notes)
    shutil.rmtree(notes)
    notes.mkdir()
    with pytest.raises(FilesMissing, match=r"10 of the 10 files.*delete_missing"):
        sync(notes)
    assert len(collection) == 10
    assert collection.verify().ok
    assert collection.search("number3", 1, rerank=False)
    report = sync(notes, delete_missing=True)
    assert report.counts == {"removed": 10}
    assert len(collection) == 0


def test_one_of_two_folders_that_is_empty_is_noticed(
    tmp_path: Path, collection: Collection, notes: Path, sync: Callable[..., SyncReport]
) -> None:
    """All its files are only a third of the collection's."""
    other = tmp_path / "drive"
    other.mkdir()
    for number in range(5):
        (other / f"d{number}.txt").write_text(f"On the drive is file{number}.")
    sync(notes, other)
    aside = other.rename(tmp_path / "unplugged")
    other.mkdir()
    (notes / "new.txt").write_text("Something new.")
    with pytest.raises(FilesMissing, match="drive"):
        sync(notes, other)
    assert len(collection) == 15
    other.rmdir()
    aside.rename(other)
    assert sync(notes, other).counts == {"indexed": 1, "unchanged": 15}


def test_half_of_the_files_and_a_few_of_few_may_go(
    tmp_path: Path, notes: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(notes)
    for number in range(5):
        (notes / f"n{number}.txt").unlink()
    assert sync(notes).count("removed") == 5
    few = tmp_path / "few"
    few.mkdir()
    for number in range(3):
        (few / f"f{number}.txt").write_text(f"Few are file{number}.")
    sync(few)
    shutil.rmtree(few)
    few.mkdir()
    assert sync(few).counts == {"removed": 3}


def test_a_renamed_folder_is_not_missing(
    notes: Path, tmp_path: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(tmp_path / "notes")
    notes.rename(tmp_path / "papers")
    assert sync(tmp_path / "papers").counts == {"moved": 10}


def test_the_next_opening_after_a_refusal_has_nothing_to_check(
    collection: Collection, notes: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(notes)
    shutil.rmtree(notes)
    notes.mkdir()
    with pytest.raises(FilesMissing):
        sync(notes)
    with sqlite3.connect(collection.path / "default" / "ledger.sqlite3") as catalog:
        assert not catalog.execute("SELECT 1 FROM meta WHERE key = 'writing'").fetchall()
    catalog.close()


# Times and numbers that SQLite has no room for.


@pytest.mark.parametrize("seconds", [-2_000_000_000, 0, 15_032_385_535, 2**34 - 1])
def test_a_file_of_any_time_is_indexed(
    notes: Path, sync: Callable[..., SyncReport], seconds: int
) -> None:
    """2446 is the last year of ext4; in nanoseconds it takes more than 63 bits."""
    try:
        os.utime(notes / "n3.txt", ns=(seconds * 10**9, seconds * 10**9))
    except (OSError, OverflowError):
        pytest.skip("this file system has no such times")
    assert sync(notes).counts == {"indexed": 10}
    assert sync(notes).counts == {"unchanged": 10}


def test_numbers_of_64_bits_are_kept_apart(tmp_path: Path) -> None:
    def stamp(time_ns: int, inode: int) -> FileStamp:
        status = (tmp_path).stat()
        fields = list(status)
        fields[1] = inode
        more = {"st_mtime_ns": time_ns, "st_ctime_ns": 5 * 10**9}
        return FileStamp.of(os.stat_result(fields, more))

    late = 15_032_385_535 * 10**9
    made = [stamp(t, i) for t in (late, late + 1, -(10**18), 2**62) for i in (7, 2**64 - 1, 2**63)]
    assert len(set(made)) == len(made)
    for one in made:
        assert all(-(2**63) <= n < 2**63 for n in (one.mtime_ns, one.inode))
        assert one.is_same(one)


# Changes that hide.


def hide(path: Path, text: str) -> None:
    """Another text of the same size, with the time of the old one."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_change_of_the_same_size_and_time_is_seen(
    collection: Collection, notes: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(notes)
    hide(notes / "n1.txt", "Note number1 is about the bread.")
    assert states(sync(notes))["n1.txt"] == "indexed"
    assert "bread" in text_of(collection, notes / "n1.txt")


def test_a_file_that_takes_anothers_place_is_seen(
    collection: Collection, notes: Path, tmp_path: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(notes)
    other = tmp_path / "other.txt"
    other.write_text("Note number1 is about the bread.")
    shutil.copystat(notes / "n1.txt", other)
    other.replace(notes / "n1.txt")
    assert states(sync(notes))["n1.txt"] == "indexed"
    assert "bread" in text_of(collection, notes / "n1.txt")


def test_a_change_within_the_same_moment_is_seen(
    collection: Collection,
    notes: Path,
    sync: Callable[..., SyncReport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a file system whose clock has not moved on since the first sync."""
    real = FileStamp.of
    first = {path: path.stat() for path in notes.iterdir()}

    def coarse(status: os.stat_result) -> FileStamp:
        return real(next((s for s in first.values() if s.st_ino == status.st_ino), status))

    monkeypatch.setattr(FileStamp, "of", coarse)
    sync(notes)
    hide(notes / "n1.txt", "Note number1 is about the bread.")
    assert states(sync(notes))["n1.txt"] == "indexed"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written a moment ago seem to be older."""
    later = time.time_ns() + 10 * 10**9
    monkeypatch.setattr(file_stamp, "time", SimpleNamespace(time_ns=lambda: later))


@pytest.mark.usefixtures("settled")
def test_a_file_is_hashed_once(
    notes: Path, sync: Callable[..., SyncReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed, digest = list[str](), hashlib.file_digest

    def counted(file: BufferedReader, name: str) -> object:
        hashed.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    assert sync(notes).counts == {"indexed": 10}
    assert sorted(hashed) == sorted(map(str, notes.iterdir()))


@pytest.mark.usefixtures("settled")
def test_a_change_between_hashing_and_loading_is_seen(collection: Collection, notes: Path) -> None:
    changed = list[str]()

    def change(progress: Progress) -> None:
        if progress.files == 1 and not changed:
            hide(notes / "n9.txt", "Note number9 is about the bread.")
            changed.append(hashlib.sha256((notes / "n9.txt").read_bytes()).hexdigest())

    collection.sync(notes, options=HERE, on_progress=change)
    [segment] = collection.contents.segments(notes / "n9.txt")
    assert "bread" in segment.text
    assert [segment.sha256] == changed


def test_checksum_sees_what_nothing_else_tells(
    collection: Collection,
    notes: Path,
    sync: Callable[..., SyncReport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file system that says nothing of the change, as some network drives do."""
    frozen = FileStamp(size=1, mtime_ns=1, ctime_ns=1, inode=1)

    def silent(_: os.stat_result) -> FileStamp:
        return frozen

    monkeypatch.setattr(FileStamp, "of", silent)
    sync(notes)
    hide(notes / "n1.txt", "Note number1 is about the bread.")
    assert sync(notes).counts == {"unchanged": 10}
    assert sync(notes, checksum=True).counts == {"indexed": 1, "unchanged": 9}
    assert "bread" in text_of(collection, notes / "n1.txt")


def test_subtitles_that_change_and_hide_it_are_read(
    collection: Collection, tmp_path: Path, sync: Callable[..., SyncReport]
) -> None:
    folder = tmp_path / "talks"
    folder.mkdir()
    make_wav(folder / "talk.wav", tone(3.0))
    subtitles = "1\n00:00:00,500 --> 00:00:02,500\nThe valve is in the cellar.\n"
    (folder / "talk.srt").write_text(subtitles)
    sync(folder)
    hide(folder / "talk.srt", subtitles.replace("cellar", "garden"))
    assert states(sync(folder)) == {"talk.wav": "indexed"}
    assert "garden" in text_of(collection, folder / "talk.wav")


@pytest.mark.slow
def test_files_of_an_older_format_are_compared_by_their_content(
    tmp_path: Path, encoder: Encoder, notes: Path
) -> None:
    """Format 2 knew neither inode nor change time."""
    place = tmp_path / "kept"
    with Collection(place, encoder=encoder) as made:
        made.sync(notes, options=HERE)
    catalog = sqlite3.connect(place / "default" / "ledger.sqlite3")
    for column in ("ctime_ns", "inode", "tags", "indexed_at"):
        catalog.execute(f"ALTER TABLE files DROP COLUMN {column}")
    catalog.execute("UPDATE meta SET value = '2' WHERE key = 'format'")
    catalog.commit()
    catalog.close()
    hide(notes / "n1.txt", "Note number1 is about the bread.")
    with Collection(place, encoder=encoder) as again:
        assert {record.indexed_at for record in again.list()} == {None}
        assert again.sync(notes, options=HERE).counts == {"indexed": 1, "unchanged": 9}
        assert again.verify().ok


@pytest.mark.slow
def test_a_file_that_becomes_the_copy_of_another_while_it_is_read(
    collection: Collection, notes: Path
) -> None:
    def change(_: object) -> None:
        (notes / "n9.txt").write_text((notes / "n0.txt").read_text())

    collection.sync(notes, options=HERE)
    (notes / "n9.txt").write_text("Note number9 is about the bread.")
    report = collection.sync(notes, options=HERE, on_progress=change)
    assert states(report)["n9.txt"] in ("duplicate", "moved")
    (notes / "n0.txt").unlink()
    collection.sync(notes, options=HERE)
    assert text_of(collection, notes / "n9.txt") == "Note number0 is about the ferry."
    assert collection.verify().ok


# What cannot be looked at.


@contextmanager
def nested(folder: Path, name: str, levels: int) -> Generator[None]:
    """A text in a folder in a folder in a folder ..., which is taken away again afterwards."""
    here = Path.cwd()
    os.chdir(folder)
    for _ in range(levels):
        Path(name).mkdir()
        os.chdir(name)
    Path("deep.txt").write_text("words of the deep")
    os.chdir(here)
    try:
        yield
    finally:
        os.chdir(folder)
        for _ in range(levels):
            os.chdir(name)
        Path("deep.txt").unlink()
        for _ in range(levels):
            os.chdir("..")
            Path(name).rmdir()
        os.chdir(here)


def test_paths_that_are_too_long_are_lines_of_the_report(
    notes: Path, sync: Callable[..., SyncReport]
) -> None:
    with nested(notes, "d" * 240, 20):
        report = sync(notes)
    [line] = [file for file in report.files if len(file.path) > 1000]
    assert line.state == "unreadable"
    assert "too long" in line.reason
    assert report.count("indexed") == 10


@pytest.mark.slow
def test_folders_deeper_than_pythons_stack(notes: Path, sync: Callable[..., SyncReport]) -> None:
    with nested(notes, "d", 1200):
        assert sync(notes).counts == {"indexed": 11}
        assert sync(notes).counts == {"unchanged": 11}


def test_an_error_of_the_drive_is_a_line_and_removes_nothing(
    notes: Path, sync: Callable[..., SyncReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    (notes / "box").mkdir()
    for number in range(5):
        (notes / "box" / f"b{number}.txt").write_text(f"In the box is file{number}.")
    sync(notes)
    real = Path.iterdir

    def failing(self: Path) -> object:
        if self.name == "box":
            raise OSError(5, "Input/output error")
        return real(self)

    monkeypatch.setattr(Path, "iterdir", failing)
    report = sync(notes)
    assert states(report)["box"] == "unreadable"
    assert report.count("removed") == 0
    monkeypatch.undo()
    assert sync(notes).counts == {"unchanged": 15}


def test_what_is_not_read_is_told_so_every_time(
    notes: Path, sync: Callable[..., SyncReport]
) -> None:
    (notes / "table.csv.bin").write_bytes(bytes(range(256)))
    for _ in range(2):
        [odd] = [file for file in sync(notes).files if file.path.endswith(".bin")]
        assert odd.state == "unsupported"
        assert odd.reason


# Moves.


@pytest.mark.slow
def test_many_moved_files_are_written_together(
    collection: Collection,
    notes: Path,
    tmp_path: Path,
    sync: Callable[..., SyncReport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch costs about as much as a file did: 300 files took a minute."""
    sync(notes)
    drafted, encoded = list[int](), list[int]()
    stage, encode = SegmentWriter.stage, Encoder.encode_document

    def counted(self: SegmentWriter, entries: list[object]) -> None:
        drafted.append(len(entries))
        stage(self, entries)  # pyright: ignore[reportArgumentType]

    def counting(self: Encoder, inputs: list[object], **more: object) -> object:
        encoded.append(len(inputs))
        return encode(self, inputs, **more)  # pyright: ignore[reportArgumentType, reportCallIssue]

    monkeypatch.setattr(SegmentWriter, "stage", counted)
    monkeypatch.setattr(Encoder, "encode_document", counting)
    moved = notes.rename(tmp_path / "moved")
    assert sync(moved).counts == {"moved": 10}
    assert (drafted, encoded) == ([10], [])
    for path in sorted(moved.iterdir()):
        path.rename(path.with_name(f"harbour {path.name}"))
    assert sync(moved).counts == {"moved": 10}
    assert (drafted, encoded) == ([10, 10], [10])
    assert collection.verify().ok


# Exclusion.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("*.md", {"top.md", "a.md", "b.md"}),
        ("drafts", {"a.md", "a.txt"}),
        ("drafts/", {"a.md", "a.txt"}),
        ("drafts/*.md", {"a.md"}),
        ("/drafts/*.txt", {"a.txt"}),
        ("**/*.txt", {"a.txt", "b.txt", "top.txt", "gro\u0308\u00dfe.txt"}),
        ("**/b.txt", {"b.txt"}),
        ("deep/**/b.md", {"b.md"}),
        ("./top.*", {"top.md", "top.txt"}),
        ("gr\u00f6\u00dfe*", {"gro\u0308\u00dfe.txt"}),
        ("nothing", set[str]()),
    ],
)
def test_excluded_files_are_left_out_and_removed(
    collection: Collection,
    tmp_path: Path,
    sync: Callable[..., SyncReport],
    pattern: str,
    left_out: set[str],
) -> None:
    folder = tmp_path / "files"
    for name in ("top.md", "top.txt", "drafts/a.md", "drafts/a.txt", "deep/x/b.md", "deep/x/b.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"This is about {name}.")
    (folder / "gro\u0308\u00dfe.txt").write_text("A name with two characters for one.")
    everything = set(states(sync(folder)))
    report = sync(folder, exclude=pattern, delete_missing=True)
    assert {name for name, state in states(report).items() if state == "removed"} == left_out
    assert all(f.reason == "excluded" for f in report.files if f.state == "removed")
    known = {Path(record.source).name for record in collection.list()}
    assert known == everything - left_out
    assert set(states(sync(folder))) == everything  # patterns are not remembered


def test_an_excluded_folder_that_cannot_be_read_is_no_line(
    notes: Path, sync: Callable[..., SyncReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    (notes / "box").mkdir()
    real = Path.iterdir

    def failing(self: Path) -> object:
        if self.name == "box":
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "iterdir", failing)
    assert sync(notes, exclude=["box", "*.tmp"]).counts == {"indexed": 10}


@pytest.mark.slow
def test_excluding_nearly_everything_is_asked_about(
    notes: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(notes)
    with pytest.raises(FilesMissing, match="excluded"):
        sync(notes, exclude="*")


@pytest.mark.parametrize("pattern", ["", "/", [""], [5]])
def test_patterns_that_are_none(
    notes: Path, sync: Callable[..., SyncReport], pattern: object
) -> None:
    with pytest.raises(InputError, match="exclude"):
        sync(notes, exclude=pattern)


def test_a_file_is_indexed_when_it_was(collection: Collection, notes: Path) -> None:
    before = time.time()
    collection.sync(notes, options=HERE)
    [first, *_] = collection.list()
    assert first.indexed_at is not None
    assert before - 1 <= first.indexed_at.timestamp() <= time.time() + 1
    os.utime(notes / "n0.txt", (1, 1))
    collection.sync(notes, options=HERE)
    assert collection.list()[0].indexed_at == first.indexed_at  # nothing was read
