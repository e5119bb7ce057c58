"""What older versions wrote: taken over, whole, whenever that is interrupted."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chromadb
import pytest

from mm_rag import Collection, Encoder, Segment
from mm_rag.collection.catalog import Catalog
from mm_rag.record import segment_to_metadata
from mm_rag_loaders import LoadOptions, load_file

FORMAT_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE files (
    path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    beside TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE stale (sha256 TEXT PRIMARY KEY);
CREATE INDEX files_sha256 ON files (sha256);
CREATE TABLE segments (id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, modality TEXT NOT NULL);
CREATE INDEX segments_sha256 ON segments (sha256);
INSERT INTO meta VALUES ('format', '1');
"""


@contextmanager
def chroma(root: Path) -> Generator[Any]:
    client: Any = chromadb.PersistentClient(str(root / "chroma"))
    try:
        yield client
    finally:
        client.close()


class Old:
    """A folder of format 1: Segments and vectors in Chroma, and only their ids in the catalog."""

    def __init__(self, root: Path, encoder: Encoder) -> None:
        self.root, self._encoder = root, encoder
        (root / "default" / "lexical").mkdir(parents=True)
        (root / "default" / "lexical" / "meta.json").write_text("{}")
        self.catalog = sqlite3.connect(root / "default" / "ledger.sqlite3")
        self.catalog.executescript(FORMAT_1)
        facts = [("encoder", encoder.fingerprint), ("model", encoder.name)]
        self.catalog.executemany("INSERT INTO meta VALUES (?, ?)", facts)

    def put_file(self, path: Path, state: str = "indexed") -> list[Segment]:
        segments = list(load_file(path, LoadOptions(workers=0)).segments)
        stat = path.stat()
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        row = (str(path), sha256, stat.st_size, stat.st_mtime_ns, "", state, "")
        self.catalog.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self.put(segments)
        return segments

    def put(self, segments: Sequence[Segment], *, vectors: bool = True) -> None:
        self.catalog.executemany(
            "INSERT INTO segments VALUES (?, ?, ?)",
            [(one.id, one.sha256, one.modality) for one in segments],
        )
        if vectors:
            with chroma(self.root) as client:
                client.get_or_create_collection(
                    "default", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
                ).upsert(
                    ids=[one.id for one in segments],
                    embeddings=self._encoder.encode_document([one.content for one in segments]),
                    documents=[one.text for one in segments],
                    metadatas=[dict(segment_to_metadata(one)) for one in segments],
                )

    def close(self) -> None:
        self.catalog.commit()
        self.catalog.close()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    made = tmp_path / "texts"
    made.mkdir()
    for name in ("ferry", "tide", "bread"):
        (made / f"{name}.txt").write_text(f"All there is to say about the {name}.")
    return made


@pytest.fixture
def old(tmp_path: Path, encoder: Encoder) -> Old:
    return Old(tmp_path / "kept", encoder)


def states(collection: Collection, folder: Path) -> dict[str, str]:
    return {Path(file.path).stem: file.state for file in collection.sync(folder).files}


def test_format_1_is_taken_over_without_reading_a_file(
    old: Old, texts: Path, encoder: Encoder
) -> None:
    for path in sorted(texts.iterdir()):
        old.put_file(path)
    old.close()
    with Collection(old.root, encoder=encoder) as collection:
        assert len(collection) == 3
        hit = collection.search("the ferry", k=1, rerank=False)[0]
        assert Path(hit.segment.source).stem == "ferry"
        assert {"vector:words", "lexical"} <= set(hit.scores)
        assert collection.verify().ok
        assert set(states(collection, texts).values()) == {"unchanged"}
    assert not (old.root / "default" / "lexical").exists()


def test_a_file_of_which_chroma_lacks_something_is_read_again(
    old: Old, texts: Path, encoder: Encoder
) -> None:
    old.put_file(texts / "ferry.txt")
    lost = old.put_file(texts / "tide.txt")
    with chroma(old.root) as client:
        client.get_collection("default").delete(ids=[lost[0].id])
    old.close()
    with Collection(old.root, encoder=encoder) as collection:
        assert states(collection, texts) == {
            "ferry": "unchanged",
            "tide": "indexed",
            "bread": "indexed",
        }
        assert len(collection) == 3
        assert collection.verify().ok


def test_what_a_killed_run_of_format_1_left_is_cleared_up(
    old: Old, texts: Path, encoder: Encoder
) -> None:
    """A file was being replaced: its old Segments were to go, and not all new ones are there."""
    before = old.put_file(texts / "ferry.txt")
    (texts / "ferry.txt").write_text("Now it is about something else.")
    old.put_file(texts / "ferry.txt", "writing")
    old.catalog.execute("INSERT INTO stale VALUES (?)", (before[0].sha256,))
    old.close()
    with Collection(old.root, encoder=encoder) as collection:
        assert states(collection, texts)["ferry"] == "indexed"
        assert collection.segment_counts() == {"text": 3}
        assert collection.verify().ok


def test_a_migration_that_is_killed_is_finished_by_the_next_opening(
    old: Old, texts: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in sorted(texts.iterdir()):
        old.put_file(path)
    old.close()
    for method in ("adopt", "forget_format_1", "count_write"):
        with monkeypatch.context() as patch:
            patch.setattr(Catalog, method, _die)
            with pytest.raises(KeyboardInterrupt):
                Collection(old.root, encoder=encoder)
    with Collection(old.root, encoder=encoder) as collection:
        assert len(collection) == 3
        assert collection.verify().ok
        assert set(states(collection, texts).values()) == {"unchanged"}


def _die(*_: object) -> None:
    raise KeyboardInterrupt
