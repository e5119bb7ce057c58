"""A collection equals its folder, whatever happened to either."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mm_rag import Collection, Encoder, Segment
from mm_rag.collection import SyncReport
from mm_rag.collection.catalog import Catalog
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.errors import CollectionMismatch, InputError, MissingExtra
from mm_rag.extraction import recording
from mm_rag.extraction.speech import PocketSphinxTranscriber, Transcript, Word
from mm_rag_loaders import LoadOptions
from mm_rag_loaders.outcome import Progress
from tests.av_made import make_wav, tone
from tests.media_made import make_pdf, make_picture


def states(report: SyncReport) -> dict[str, str]:
    return {Path(file.path).name: file.state for file in report.files}


def sources(collection: Collection, query: str) -> list[str]:
    return [Path(hit.segment.source).name for hit in collection.search(query, rerank=False)]


def test_new_files_are_indexed_and_found(collection: Collection, folder: Path) -> None:
    report = collection.sync(folder)
    assert states(report) == {"bakery.pdf": "indexed", "ferry.pdf": "indexed"}
    assert report.segments == {"image": 3, "text": 3}
    hit = collection.search("bicycles free of charge", k=1)[0]
    assert (Path(hit.segment.source).name, hit.segment.page) == ("ferry.pdf", 2)


def test_second_run_has_nothing_to_do(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    again = collection.sync(folder)
    assert set(states(again).values()) == {"unchanged"}
    assert sum(again.segments.values()) == len(collection) == 6


@pytest.mark.slow
def test_a_changed_file_leaves_nothing_of_what_it_was(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    make_pdf(folder / "bakery.pdf", ["The harbour office opens at noon."])
    report = collection.sync(folder)
    assert states(report) == {"bakery.pdf": "indexed", "ferry.pdf": "unchanged"}
    assert "sourdough" not in " ".join(
        hit.segment.text for hit in collection.search("sourdough bread", k=10)
    )
    assert sources(collection, "harbour office noon")[0] == "bakery.pdf"
    assert collection.verify().ok


def test_a_touched_file_is_not_read_again(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    os.utime(folder / "ferry.pdf", (1, 1))
    assert states(collection.sync(folder))["ferry.pdf"] == "unchanged"


def test_a_deleted_file_is_removed(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    (folder / "bakery.pdf").unlink()
    report = collection.sync(folder)
    assert states(report) == {"bakery.pdf": "removed", "ferry.pdf": "unchanged"}
    assert "bakery.pdf" not in sources(collection, "sourdough bread")
    assert report.segments == {"image": 2, "text": 2}


def test_a_moved_file_is_found_at_its_new_place(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    (folder / "bakery.pdf").rename(folder / "bread.pdf")
    report = collection.sync(folder)
    assert states(report) == {"bread.pdf": "moved", "ferry.pdf": "unchanged"}
    assert sources(collection, "sourdough bread")[0] == "bread.pdf"
    assert report.segments == {"image": 3, "text": 3}


def test_files_outside_the_synced_folder_stay(
    collection: Collection, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    make_pdf(other / "tide.pdf", ["High tide is at nine."])
    collection.sync(folder)
    collection.sync(other)
    assert sources(collection, "sourdough bread")[0] == "bakery.pdf"


def test_the_same_content_twice_is_indexed_once(collection: Collection, folder: Path) -> None:
    shutil.copy(folder / "bakery.pdf", folder / "copy.pdf")
    report = collection.sync(folder)
    assert states(report)["copy.pdf"] == "duplicate"
    assert report.segments == {"image": 3, "text": 3}
    hit = collection.search("sourdough bread", k=1)[0]
    assert hit.also == (str(folder / "copy.pdf"),)


@pytest.mark.slow
def test_a_duplicate_takes_the_place_of_its_deleted_twin(
    collection: Collection, folder: Path
) -> None:
    shutil.copy(folder / "bakery.pdf", folder / "copy.pdf")
    collection.sync(folder)
    (folder / "bakery.pdf").unlink()
    collection.sync(folder)
    assert sources(collection, "sourdough bread")[0] == "copy.pdf"
    assert set(states(collection.sync(folder)).values()) == {"unchanged"}
    assert collection.verify().ok


def test_a_bad_file_is_a_line_of_the_report(collection: Collection, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    report = collection.sync(folder)
    broken = next(file for file in report.files if file.path.endswith("broken.pdf"))
    assert broken.state == "unreadable"
    assert broken.reason
    assert states(report)["ferry.pdf"] == "indexed"


def test_a_file_that_became_bad_leaves_nothing(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    (folder / "bakery.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    assert states(collection.sync(folder))["bakery.pdf"] == "unreadable"
    assert "bakery.pdf" not in sources(collection, "sourdough bread")


@pytest.mark.slow
def test_a_locked_file_wants_its_password_and_opens_with_it(
    collection: Collection, folder: Path
) -> None:
    make_pdf(folder / "locked.pdf", ["The vault code is nine."], password="sesame")
    locked = next(f for f in collection.sync(folder).files if f.path.endswith("locked.pdf"))
    assert locked.state == "unreadable"
    assert "password" in locked.reason
    assert states(collection.sync(folder, password="sesame"))["locked.pdf"] == "indexed"


def test_an_empty_folder_is_no_error(collection: Collection, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert collection.sync(tmp_path / "empty").files == ()


def test_a_missing_folder_is_an_error(collection: Collection, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        collection.sync(tmp_path / "nowhere")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dies", "method", "state"),
    [
        pytest.param(Catalog, "commit", "indexed", id="after the vectors and before the commit"),
        pytest.param(LexicalIndex, "change", "unchanged", id="after the commit, before the words"),
    ],
)
def test_a_run_that_was_interrupted_is_finished_by_the_next(
    collection: Collection,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    dies: type,
    method: str,
    state: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(dies, method, _die)
        with pytest.raises(KeyboardInterrupt):
            collection.sync(folder)
    assert not collection.verify().ok
    assert set(states(collection.sync(folder)).values()) == {state}
    report = collection.verify()
    assert report.ok
    assert report.segments == 6


def test_a_reopened_collection_knows_its_files(
    tmp_path: Path, folder: Path, encoder: Encoder
) -> None:
    with Collection(tmp_path / "kept", encoder=encoder) as first:
        first.sync(folder)
    with Collection(tmp_path / "kept", encoder=encoder) as second:
        assert set(states(second.sync(folder)).values()) == {"unchanged"}
        assert sources(second, "sourdough bread")[0] == "bakery.pdf"


def test_progress_names_every_file(collection: Collection, folder: Path) -> None:
    seen: list[Progress] = []
    collection.sync(folder, on_progress=seen.append)
    assert (seen[0], seen[-1]) == (
        Progress(of=2),
        Progress(files=2, of=2, pages=3, name="ferry.pdf"),
    )
    assert {progress.name for progress in seen[1:]} == {"bakery.pdf", "ferry.pdf"}
    again: list[Progress] = []
    collection.sync(folder, on_progress=again.append)
    assert again[-1] == Progress(files=2, of=2, name="ferry.pdf")


@pytest.mark.slow
def test_a_run_killed_while_replacing_a_file_leaves_nothing_of_the_old_one(
    collection: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.sync(folder)
    make_pdf(folder / "bakery.pdf", ["The harbour office opens at noon."])
    with monkeypatch.context() as patch:
        patch.setattr(LexicalIndex, "change", _die)
        with pytest.raises(KeyboardInterrupt):
            collection.sync(folder)
    report = collection.sync(folder)
    assert report.segments == {"image": 3, "text": 3}
    assert not any("sourdough" in hit.segment.text for hit in collection.search("sourdough", k=9))
    assert collection.verify().ok


@pytest.mark.slow
def test_what_a_missing_reader_left_out_is_read_by_the_next_run(
    collection: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mm_rag_loaders.loader as seen

    make_picture(folder / "harbour light.png", "Lighthouse")
    with monkeypatch.context() as patch:
        patch.setattr(seen, "read_image", _not_installed)
        first = collection.sync(folder)
    assert "not installed" in next(f.reason for f in first.files if f.path.endswith(".png"))
    assert states(first)["harbour light.png"] == "incomplete"
    assert first.count("incomplete") == 1
    assert states(collection.sync(folder))["harbour light.png"] == "indexed"
    assert sources(collection, "lighthouse")[0] == "harbour light.png"
    assert states(collection.sync(folder))["harbour light.png"] == "unchanged"


@pytest.mark.slow
def test_what_is_incomplete_stays_so_where_it_is_moved(
    collection: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mm_rag_loaders.loader as seen

    picture = make_picture(folder / "light.png", "Lighthouse")
    with monkeypatch.context() as patch:
        patch.setattr(seen, "read_image", _not_installed)
        collection.sync(folder)
        picture.rename(folder / "beacon.png")
        assert states(collection.sync(folder))["beacon.png"] in ("moved", "incomplete")
    assert states(collection.sync(folder))["beacon.png"] == "indexed"
    assert sources(collection, "lighthouse")[0] == "beacon.png"


@pytest.mark.slow
def test_subtitles_added_later_are_read(collection: Collection, tmp_path: Path) -> None:
    folder = tmp_path / "talks"
    folder.mkdir()
    make_wav(folder / "talk.wav", tone(3.0))
    collection.sync(folder)
    (folder / "talk.srt").write_text(
        "1\n00:00:00,500 --> 00:00:02,500\nThe valve is in the cellar.\n"
    )
    assert states(collection.sync(folder)) == {"talk.wav": "indexed"}
    assert "valve" in collection.search("valve cellar", k=1)[0].segment.text
    assert states(collection.sync(folder)) == {"talk.wav": "unchanged"}
    assert collection.verify().ok


@dataclass
class Parrot:
    """Hears the same in everything."""

    name: str
    says: str

    def transcribe(self, samples: npt.NDArray[np.float32]) -> Transcript:
        heard = Word(text=self.says, start=0.1, end=len(samples) / 16_000 - 0.1, confidence=1.0)
        return Transcript((heard,))


def test_a_collection_knows_who_listened_to_its_recordings(
    collection: Collection, tmp_path: Path
) -> None:
    folder = tmp_path / "talks"
    folder.mkdir()
    make_wav(folder / "talk.wav", tone(3.0))
    make_pdf(folder / "notes.pdf", ["Notes of the talk."])
    first, second = (LoadOptions(transcriber=Parrot(f"p{n}", w)) for n, w in enumerate("ab"))
    collection.sync(folder, options=first)
    assert set(states(collection.sync(folder, options=first)).values()) == {"unchanged"}
    with pytest.raises(CollectionMismatch, match="transcribed by p0"):
        collection.sync(folder)
    again = states(collection.sync(folder, options=second))
    assert again == {"talk.wav": "indexed", "notes.pdf": "unchanged"}
    assert {s.text for s in segments_of(collection, "talk.wav")} == {"b"}


@pytest.mark.slow
def test_who_listens_by_default_need_not_be_named_again(
    collection: Collection, tmp_path: Path
) -> None:
    folder = tmp_path / "talks"
    folder.mkdir()
    make_wav(folder / "talk.wav", tone(3.0))
    named = LoadOptions(transcriber=PocketSphinxTranscriber())
    for options in (None, LoadOptions(transcriber=Parrot("p", "a")), named):
        assert states(collection.sync(folder, options=options)) == {"talk.wav": "indexed"}
    assert states(collection.sync(folder)) == {"talk.wav": "unchanged"}


def test_another_default_hears_new_recordings_only(
    collection: Collection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "talks"
    folder.mkdir()
    for pitch, (name, says) in enumerate([("old", "a"), ("new", "b"), ("newest", "b")], 3):
        heard_by = Parrot(f"parrot {says}", says)
        monkeypatch.setattr(recording, "default_transcriber", lambda heard_by=heard_by: heard_by)
        make_wav(folder / f"{name}.wav", tone(3.0, hertz=100.0 * pitch))
        report = states(collection.sync(folder, options=LoadOptions(workers=0)))
        assert report[f"{name}.wav"] == "indexed"
        assert set(report.values()) <= {"indexed", "unchanged"}
        assert list(report.values()).count("indexed") == 1
    found = {s.text for s in segments_of(collection, "old.wav")}
    assert (found, {s.text for s in segments_of(collection, "new.wav")}) == ({"a"}, {"b"})
    (line,) = [r.getMessage() for r in caplog.records if "were heard by" in r.getMessage()]
    assert "parrot a and by parrot b: unchanged ones keep the words" in line


def segments_of(collection: Collection, name: str) -> list[Segment]:
    hits = collection.search("b", k=9, rerank=False)
    return [hit.segment for hit in hits if hit.segment.source.endswith(name)]


def test_a_file_that_vanishes_during_the_run_is_a_line(
    collection: Collection, folder: Path
) -> None:
    def remove(progress: Progress) -> None:
        if progress.files == 1:
            (folder / "ferry.pdf").unlink()

    report = collection.sync(folder, on_progress=remove, options=LoadOptions(workers=0))
    assert states(report) == {"bakery.pdf": "indexed", "ferry.pdf": "unreadable"}


@pytest.mark.slow
def test_triplets_of_which_none_can_be_read_are_all_reported(
    collection: Collection, folder: Path
) -> None:
    for name in ("x.pdf", "y.pdf", "z.pdf"):
        (folder / name).write_bytes(b"%PDF-1.7 and then nothing")
    found = states(collection.sync(folder))
    assert [found[name] for name in ("x.pdf", "y.pdf", "z.pdf")] == ["unreadable"] * 3
    assert collection.verify().ok


@pytest.mark.slow
def test_a_file_that_changes_during_the_run_is_what_it_became(
    collection: Collection, folder: Path
) -> None:
    def change(progress: Progress) -> None:
        if progress.files == 1 and not changed:
            changed.append(make_pdf(folder / "ferry.pdf", ["The tide is high at nine."]))

    changed: list[Path] = []
    options = LoadOptions(workers=0)
    assert states(collection.sync(folder, on_progress=change, options=options)) == {
        "bakery.pdf": "indexed",
        "ferry.pdf": "indexed",
    }
    assert sources(collection, "high tide")[0] == "ferry.pdf"
    make_pdf(folder / "ferry.pdf", ["Nothing is left of the tide."])
    collection.sync(folder)
    texts = [hit.segment.text for hit in collection.search("high tide", k=20)]
    assert not any("at nine" in text or "Bicycles" in text for text in texts)
    assert collection.verify().ok


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs to become somebody else")
def test_what_cannot_be_seen_for_the_moment_is_not_gone(
    collection: Collection, folder: Path
) -> None:
    (folder / "deep").mkdir()
    make_pdf(folder / "deep" / "tide.pdf", ["The tide is high at nine."])
    collection.sync(folder)
    for path in (collection.path, *collection.path.rglob("*")):
        os.chown(path, 65534, -1)
    for above in (folder, *folder.parents[:-2]):
        above.chmod(above.stat().st_mode | 0o755)
    (folder / "deep").chmod(0o000)
    os.seteuid(65534)
    try:
        report = states(collection.sync(folder))
    finally:
        os.seteuid(0)
    assert report["deep"] == "unreadable"
    assert "tide.pdf" not in report
    assert sources(collection, "high tide at nine")[0] == "tide.pdf"


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def _not_installed(*_: object) -> None:
    raise MissingExtra("Reading text on pictures needs a package which is not installed.")


def test_the_collection_does_not_index_itself(tmp_path: Path, encoder: Encoder) -> None:
    make_pdf(tmp_path / "tide.pdf", ["High tide is at nine."])
    with Collection(tmp_path / "kept", encoder=encoder) as kept:
        for _ in range(2):
            assert set(states(kept.sync(tmp_path))) == {"tide.pdf"}


def test_a_folder_is_the_same_however_it_is_written(
    collection: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.sync(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder.parent))
    for spelling in (".", f"../{folder.name}", f"~/{folder.name}"):
        assert set(states(collection.sync(spelling)).values()) == {"unchanged"}
    (folder / "bakery.pdf").unlink()
    assert states(collection.sync(f"~/{folder.name}"))["bakery.pdf"] == "removed"


def test_a_name_that_is_not_utf8_is_a_line(collection: Collection, folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("a name from an old disk")
    report = collection.sync(folder)
    [odd] = [file for file in report.files if "caf" in file.path]
    assert (odd.state, odd.reason) == ("unreadable", "its name is not UTF-8")
    odd.path.encode("utf-8")


def test_two_files_of_one_content_may_both_go(
    collection: Collection, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "bakery.pdf", other / "copy.pdf")
    collection.sync([folder, other])
    (folder / "bakery.pdf").unlink()
    (other / "copy.pdf").unlink()
    assert states(collection.sync(folder))["bakery.pdf"] == "removed"
    assert "sourdough" not in " ".join(h.segment.text for h in collection.search("sourdough", 9))


def test_the_password_counts_beside_other_options(collection: Collection, folder: Path) -> None:
    make_pdf(folder / "locked.pdf", ["The vault code is nine."], password="sesame")
    options = LoadOptions(passage_words=50)
    report = collection.sync(folder, password="sesame", options=options)
    assert states(report)["locked.pdf"] == "indexed"
    assert any((collection.path / "assets").rglob("*.jpg"))
