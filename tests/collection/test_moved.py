"""Files that were moved: nothing is read or encoded anew without need, and nothing is missed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
import pytest

from mm_rag import Collection, Encoder
from mm_rag.collection import SyncReport
from mm_rag.collection import sync as sync_module
from mm_rag.collection.catalog import Catalog
from mm_rag_loaders import LoadOptions, Source
from tests.av_made import make_wav, tone
from tests.media_made import make_pdf

pytestmark = pytest.mark.slow

HERE = LoadOptions(workers=0)
SUBTITLES = "1\n00:00:00,500 --> 00:00:02,500\nThe valve is in the cellar.\n"

Known = dict[tuple[Any, ...], np.ndarray]


@dataclass
class Work:
    """What was read and encoded since the last look.

    Attributes:
        read: Names of files.
        encoded: How many inputs the model was given.
    """

    read: list[str] = field(default_factory=list[str])
    encoded: int = 0

    def done(self) -> tuple[list[str], int]:
        """That, and begin anew."""
        told = (self.read, self.encoded)
        self.read, self.encoded = [], 0
        return told


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    counted = Work()
    load_files, encode = sync_module.load_files, Encoder.encode_document

    def loading(sources: Iterable[Source], *rest: Any) -> Any:
        def watched() -> Iterator[Source]:
            for source in sources:
                counted.read.append(source.name)
                yield source

        return load_files(watched(), *rest)

    def encoding(self: Encoder, inputs: Any, **options: Any) -> Any:
        counted.encoded += len(inputs)
        return encode(self, inputs, **options)

    monkeypatch.setattr(sync_module, "load_files", loading)
    monkeypatch.setattr(Encoder, "encode_document", encoding)
    return counted


@pytest.fixture
def synced(collection: Collection, folder: Path, work: Work) -> Callable[..., dict[str, str]]:
    """Sync, and give the state of every file by its name."""

    def sync(*places: Path) -> dict[str, str]:
        work.done()
        return states(collection.sync(places or [folder], options=HERE))

    return sync


def states(report: SyncReport) -> dict[str, str]:
    return {Path(file.path).name: file.state for file in report.files}


def known(collection: Collection) -> Known:
    """The vector of every Segment, by all that does not depend on where the collection lies."""
    with closing(Catalog(collection.path / "default" / "ledger.sqlite3")) as catalog:
        entries = list(catalog.entries(catalog.ids()))
    return {
        (s.id, s.source, s.modality, s.page, s.start, s.text, s.title): entry.vector
        for entry in entries
        for s in [entry.segment]
    }


def check(collection: Collection, *places: Path) -> None:
    """See that it is whole, and equals one that never saw the files elsewhere."""
    assert collection.verify().ok
    fresh_place = collection.path.with_name("fresh")
    with Collection(fresh_place, encoder=collection.encoder) as fresh:
        fresh.sync(places, options=HERE)
        expected, got = known(fresh), known(collection)
    assert got.keys() == expected.keys()
    for key, vector in expected.items():
        np.testing.assert_allclose(got[key], vector, atol=1e-6)
    assert set(states(collection.sync(places, options=HERE)).values()) <= {
        "unchanged",
        "unsupported",
    }


def make_titled_pdf(path: Path, title: str, text: str) -> Path:
    make_pdf(path, [text])
    with pymupdf.open(path) as document:
        document.set_metadata({"title": title})
        document.saveIncr()
    return path


@pytest.fixture
def talk(folder: Path) -> Path:
    """A recording with subtitles beside it."""
    (folder / "talk.srt").write_text(SUBTITLES)
    return make_wav(folder / "talk.wav", tone(3.0))


def test_renamed_in_place(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    synced()
    (folder / "ferry.pdf").rename(folder / "boats.pdf")
    assert synced() == {"bakery.pdf": "unchanged", "boats.pdf": "moved"}
    assert work.done() == ([], 4)  # the title, which is the name, is encoded with all it has
    check(collection, folder)


def test_renamed_with_a_title_of_its_own(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    make_titled_pdf(folder / "tides.pdf", "Tide table", "High tide is at nine.")
    synced()
    (folder / "tides.pdf").rename(folder / "water.pdf")
    assert synced()["water.pdf"] == "moved"
    assert work.done() == ([], 0)
    check(collection, folder)


def test_moved_to_another_folder(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    synced()
    (folder / "old").mkdir()
    (folder / "ferry.pdf").rename(folder / "old" / "ferry.pdf")
    assert synced() == {"bakery.pdf": "unchanged", "ferry.pdf": "moved"}
    assert work.done() == ([], 0)
    check(collection, folder)


def test_a_folder_is_renamed(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    synced(folder.parent / folder.name)
    renamed = folder.rename(folder.with_name("papers"))
    assert synced(renamed) == {"bakery.pdf": "moved", "ferry.pdf": "moved"}
    assert work.done() == ([], 0)
    check(collection, renamed)


@pytest.mark.usefixtures("talk")
def test_a_recording_moves_with_its_subtitles(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    synced()
    (folder / "talks").mkdir()
    for name in ("talk.wav", "talk.srt"):
        (folder / name).rename(folder / "talks" / name)
    assert synced()["talk.wav"] == "moved"
    assert work.done() == ([], 0)
    check(collection, folder)


@pytest.mark.usefixtures("talk")
def test_a_recording_and_its_subtitles_are_renamed(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    synced()
    for suffix in (".wav", ".srt"):
        (folder / f"talk{suffix}").rename(folder / f"plumbing{suffix}")
    assert synced()["plumbing.wav"] == "moved"
    assert work.done() == ([], 1)
    check(collection, folder)


@pytest.mark.usefixtures("talk")
def test_a_recording_moves_away_from_its_subtitles(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    synced()
    (folder / "talk.wav").rename(folder / "lecture.wav")
    assert synced()["lecture.wav"] == "indexed"
    assert work.done()[0] == ["lecture.wav", "talk.srt"]  # which are a file like any other now
    hits = collection.search("valve", 9, source=folder / "lecture.wav")
    assert not any("valve" in hit.segment.text for hit in hits)
    check(collection, folder)


def test_two_swap_their_names(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    synced()
    (folder / "ferry.pdf").rename(folder / "aside")
    (folder / "bakery.pdf").rename(folder / "ferry.pdf")
    (folder / "aside").rename(folder / "bakery.pdf")
    assert set(synced().values()) == {"moved"}
    assert work.done() == ([], 6)
    check(collection, folder)


def test_files_are_rotated(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    """As logs are: the oldest goes, every other gets the next name, and there is a new one."""
    for name in ("a", "b"):
        (folder / f"{name}.log.txt").write_text(f"Yesterday's news of pump {name}.")
    synced()
    (folder / "b.log.txt").rename(folder / "c.log.txt")
    (folder / "a.log.txt").rename(folder / "b.log.txt")
    (folder / "a.log.txt").write_text("Today the pump is repaired.")
    found = synced()
    assert [found[f"{n}.log.txt"] for n in "abc"] == ["indexed", "moved", "moved"]
    assert work.done() == (["a.log.txt"], 3)
    check(collection, folder)

    (folder / "c.log.txt").unlink()
    (folder / "b.log.txt").rename(folder / "c.log.txt")
    (folder / "a.log.txt").rename(folder / "b.log.txt")
    found = synced()
    assert [found[f"{n}.log.txt"] for n in "bc"] == ["moved", "moved"]
    assert work.done() == ([], 2)
    check(collection, folder)


@pytest.mark.parametrize("change", ["goes", "changes"])
def test_a_copy_takes_the_place_of_its_original(
    collection: Collection,
    folder: Path,
    work: Work,
    synced: Callable[..., dict[str, str]],
    change: str,
) -> None:
    (folder / "archive").mkdir()
    shutil.copy(folder / "bakery.pdf", folder / "archive" / "bakery.pdf")
    synced()
    original = collection.search("sourdough bread", 1)[0]
    path = Path(original.segment.source)
    path.unlink() if change == "goes" else make_pdf(path, ["The harbour opens at noon."])
    synced()
    assert work.done() == (([], 0) if change == "goes" else (["bakery.pdf"], 2))
    assert collection.search("sourdough bread", 1)[0].segment.source == original.also[0]
    check(collection, folder)


@pytest.mark.parametrize("change", ["goes", "changes"])
def test_a_copy_of_another_name_takes_the_place_of_its_original(
    collection: Collection,
    folder: Path,
    work: Work,
    synced: Callable[..., dict[str, str]],
    change: str,
) -> None:
    shutil.copy(folder / "bakery.pdf", folder / "sourdough.pdf")
    synced()
    if change == "goes":
        (folder / "bakery.pdf").unlink()
    else:
        make_pdf(folder / "bakery.pdf", ["The harbour opens at noon."])
    synced()
    assert work.done() == (([], 2) if change == "goes" else (["bakery.pdf"], 4))
    check(collection, folder)


def test_a_copy_that_was_touched_takes_the_place_of_its_original(
    collection: Collection, tmp_path: Path
) -> None:
    """Seed 6 of the model test: the collection lost it until the next sync."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "original.md").write_text("The valve is in the cellar.")
    shutil.copy(files / "original.md", files / "other.md")
    collection.sync(files, options=HERE)
    (files / "original.md").unlink()
    os.utime(files / "other.md", (1, 1))
    report = collection.sync(files, options=HERE)
    assert report.segments == {"text": 1}
    assert collection.search("valve", rerank=False)[0].segment.source == str(files / "other.md")
    assert collection.sync(files, options=HERE).count("unchanged") == 1


def test_a_copy_and_its_original_swap_places_with_a_third(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    """Which of two copies is in may differ from a fresh index: the content is in once."""
    shutil.copy(folder / "bakery.pdf", folder / "copy.pdf")
    synced()
    (folder / "ferry.pdf").rename(folder / "aside")
    (folder / "bakery.pdf").rename(folder / "ferry.pdf")
    (folder / "aside").rename(folder / "bakery.pdf")
    synced()
    assert work.done()[0] == []
    assert collection.verify().ok
    assert collection.segment_counts() == {"image": 3, "text": 3}
    assert set(synced().values()) == {"unchanged"}


def test_moved_between_folders_that_are_synced_separately(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    other = folder.with_name("other")
    other.mkdir()
    synced(folder)
    synced(other)
    (folder / "ferry.pdf").rename(other / "ferry.pdf")
    assert synced(other) == {"ferry.pdf": "moved"}
    assert work.done() == ([], 0)
    assert synced(folder) == {"bakery.pdf": "unchanged"}
    check(collection, folder, other)


def test_moved_to_another_suffix(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    (folder / "pump.txt").write_text("# Pump\n\nThe pump is repaired.\n")
    synced()
    (folder / "pump.txt").rename(folder / "pump.md")
    found = synced()
    assert found["pump.md"] == "indexed"
    assert work.done()[0] == ["pump.md"]
    check(collection, folder)


def test_moved_to_another_case_of_its_suffix(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    synced()
    (folder / "ferry.pdf").rename(folder / "ferry.PDF")
    assert synced()["ferry.PDF"] == "moved"
    assert work.done() == ([], 0)
    check(collection, folder)


def test_moved_and_changed_is_read(
    collection: Collection, folder: Path, work: Work, synced: Callable[..., dict[str, str]]
) -> None:
    synced()
    (folder / "bakery.pdf").unlink()
    make_pdf(folder / "bread.pdf", ["Our rye bread rests for two days before baking."])
    assert synced()["bread.pdf"] == "indexed"
    assert work.done() == (["bread.pdf"], 2)
    check(collection, folder)
