"""A collection equals its folder, whatever happened to either."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mm_rag import Collection, Encoder
from mm_rag.collection import SyncReport
from mm_rag.errors import InputError
from tests.media_made import make_pdf


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
    assert states(report)["bread.pdf"] == "indexed"
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


def test_a_run_that_was_interrupted_is_finished_by_the_next(
    collection: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the vectors were written and before the words were."""
    from mm_rag.collection.lexical import LexicalIndex

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LexicalIndex, "put", die)
        with pytest.raises(KeyboardInterrupt):
            collection.sync(folder)
    assert not collection.verify().ok
    assert set(states(collection.sync(folder)).values()) == {"indexed"}
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
    seen: list[tuple[int, int, str]] = []
    collection.sync(folder, on_file=lambda n, total, path: seen.append((n, total, path.name)))
    assert seen == [(0, 2, "bakery.pdf"), (1, 2, "ferry.pdf")]
