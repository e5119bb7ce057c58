"""What lies on disk is truncated, garbled or deleted: found, and made again from the catalog."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mm_rag import Collection, Encoder
from mm_rag.collection.storage import open_storage
from mm_rag.errors import CollectionError
from tests.collection import conftest
from tests.collection.conftest import BagOfWords, segment

pytestmark = pytest.mark.slow  # whether an index is whole is seen by starting a process

MANY = 1_100  # Chroma writes its index when there are 1,000


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two collections in one folder, the first of which has index files."""
    folder = tmp_path_factory.mktemp("sound")
    encoder = Encoder(modules=[BagOfWords()])
    with Collection(folder, encoder=encoder) as first:
        first.add(segment(f"passage number {n}", n) for n in range(MANY))
    with Collection(folder, encoder=encoder, name="other") as second:
        second.add(segment(f"other number {n}", n) for n in range(5))
    return folder


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    # With its times: a copy is no damage.
    return Path(shutil.copytree(sound, tmp_path / "copy"))


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were given to the model."""
    seen: list[str] = []
    bag = conftest._bag  # pyright: ignore[reportPrivateUsage]

    def noting(content: Any) -> Any:
        seen.append(content.text)
        return bag(content)

    monkeypatch.setattr(conftest, "_bag", noting)
    return seen


def index(folder: Path, name: str) -> Path:
    """Of the first collection: the other one is too small to have all of them."""
    [metadata] = (folder / "chroma").glob("*/index_metadata.pickle")
    return metadata.with_name(name)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    path.write_bytes(bytes(byte ^ 0x5A for byte in path.read_bytes()))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def check(folder: Path, encoded: list[str]) -> None:
    """All of it is there, and was not encoded anew."""
    encoder = Encoder(modules=[BagOfWords()])
    with Collection(folder, encoder=encoder) as first:
        hit = first.search("passage number 777", k=1, rerank=False)[0]
        assert hit.segment.text == "passage number 777"
        assert {"vector:words", "lexical"} <= set(hit.scores)
        assert first.verify().ok
    with Collection(folder, encoder=encoder, name="other") as second:
        assert second.search("other number 3", k=1)[0].segment.text == "other number 3"
        assert second.verify().ok
    assert encoded == ["passage number 777", "other number 3"]  # the queries


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("header.bin", halve),  # crashes whoever opens it
        ("data_level0.bin", halve),  # may keep whoever opens it busy for ever
        ("index_metadata.pickle", garble),
        ("link_lists.bin", Path.unlink),
    ],
)
def test_a_damaged_index_is_made_again_when_it_is_opened(
    copy: Path, encoded: list[str], name: str, harm: Callable[[Path], None]
) -> None:
    harm(index(copy, name))
    check(copy, encoded)


@pytest.mark.heavy
@pytest.mark.parametrize("harm", [halve, empty, garble, Path.unlink])
def test_a_damaged_database_of_chromas_is_made_again_when_it_is_opened(
    copy: Path, encoded: list[str], harm: Callable[[Path], None]
) -> None:
    for path in (copy / "chroma").glob("chroma.sqlite3-*"):
        path.unlink()
    harm(copy / "chroma" / "chroma.sqlite3")
    check(copy, encoded)


def test_damaged_vectors_are_moved_aside_not_deleted(copy: Path) -> None:
    halve(index(copy, "data_level0.bin"))
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        assert not collection.verify().damaged
    # Other programs may have records in there that no catalog knows.
    assert (copy / "chroma.damaged" / "chroma.sqlite3").is_file()


def test_damage_is_found_and_repaired_while_both_collections_are_open(copy: Path) -> None:
    encoder = Encoder(modules=[BagOfWords()])
    with (
        Collection(copy, encoder=encoder, name="other") as second,
        Collection(copy, encoder=encoder) as first,
    ):
        halve(index(copy, "header.bin"))
        assert first.verify().damaged
        assert second.verify().damaged
        assert first.repair().ok
        assert first.search("passage number 777", k=1)[0].segment.text == "passage number 777"
        hit = second.search("other number 3", k=1, rerank=False)[0]
        assert hit.segment.text == "other number 3"
        assert "vector:words" in hit.scores
        assert second.verify().ok


@pytest.mark.heavy
def test_who_is_killed_while_the_vectors_are_made_again_has_lost_nothing(
    copy: Path, encoded: list[str]
) -> None:
    open_storage(copy, "default", create=False).discard_store()
    check(copy, encoded)


KILLED = """
import os, signal, sys
from mm_rag import Collection, Encoder
from mm_rag.collection.store import VectorStore
from tests.collection.conftest import BagOfWords, segment

put = VectorStore.put
def putting(store, entries):
    put(store, entries)
    os.kill(os.getpid(), signal.SIGKILL)
VectorStore.put = putting
Collection(sys.argv[1], encoder=Encoder(modules=[BagOfWords()])).add([segment("new", -1)])
"""


def test_a_killed_writers_damage_is_healed_by_opening_alone(copy: Path, encoded: list[str]) -> None:
    command = [sys.executable, "-c", KILLED, str(copy)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == -signal.SIGKILL
    halve(index(copy, "header.bin"))
    encoder = Encoder(modules=[BagOfWords()])
    with Collection(copy, encoder=encoder) as first:
        assert len(first) == MANY
        hit = first.search("passage number 777", k=1, rerank=False)[0]
        assert "vector:words" in hit.scores
        first.add([segment("new", -1)])
        assert first.verify().ok


def delete_words(words: Path) -> None:
    shutil.rmtree(words)


def of_another_version(words: Path) -> None:
    meta = words / "meta.json"
    meta.write_text(meta.read_text().replace('"name":"id"', '"name":"key"'))


def halve_all(words: Path) -> None:
    for path in words.iterdir():
        halve(path)


@pytest.mark.heavy
@pytest.mark.parametrize("harm", [delete_words, of_another_version, halve_all])
def test_damaged_words_are_made_again_when_they_are_opened(
    copy: Path, encoded: list[str], harm: Callable[[Path], None]
) -> None:
    harm(copy / "default" / "words")
    check(copy, encoded)


def test_words_that_go_while_it_is_open_are_repaired(copy: Path) -> None:
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as first:
        shutil.rmtree(copy / "default" / "words")
        assert first.verify().damaged
        assert first.repair().ok
        assert "lexical" in first.search("number 777", k=1, rerank=False)[0].scores


@pytest.mark.parametrize("harm", [halve, garble])
def test_a_damaged_catalog_is_an_error_that_says_what_to_do(
    copy: Path, encoded: list[str], harm: Callable[[Path], None]
) -> None:
    for path in (copy / "default").glob("ledger.sqlite3-*"):
        path.unlink()
    harm(copy / "default" / "ledger.sqlite3")
    encoder = Encoder(modules=[BagOfWords()])
    with pytest.raises(CollectionError, match="delete it"):
        Collection(copy, encoder=encoder).verify()
    (copy / "default" / "ledger.sqlite3").unlink()
    with Collection(copy, encoder=encoder) as first:
        assert first.repair().ok
        assert len(first) == MANY
    check(copy, encoded)


def test_a_file_that_is_no_catalog_is_never_overwritten(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "ledger.sqlite3").write_text("somebody's notes" * 100)
    with pytest.raises(CollectionError, match="delete it"):
        Collection(tmp_path, encoder=encoder)
    assert (tmp_path / "default" / "ledger.sqlite3").read_text().startswith("somebody's notes")
