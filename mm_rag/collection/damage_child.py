"""Read everything in a folder of Chroma or tantivy; exit with 0 if that succeeds.

Run by `damage` in a process of its own, which damaged files may crash.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import sys
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

_PAGE = 5_000
_HEADER = 96  # bytes that the header of an index has at least; Chroma opens one that is cut short
_MAGIC = 1337  # at the end of tantivy's files, before it the footer's length and the footer


def read_chroma(folder: Path) -> None:
    """Check the database, read every record, and query every index."""
    import chromadb

    database = folder / "chroma.sqlite3"
    if database.is_file():
        with closing(
            sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
        ) as opened:
            result = opened.execute("PRAGMA integrity_check(1)").fetchone()[0]
            # The index of words in Chroma's documents is not used by mm_rag.
            if result != "ok" and "embedding_fulltext" not in result:
                raise ValueError(f"{database}: {result}")
    for header in folder.glob("*/header.bin"):
        if header.stat().st_size < _HEADER:
            raise ValueError(f"{header} is cut short")
    client = chromadb.PersistentClient(str(folder))
    for collection in client.list_collections():
        count = collection.count()
        for offset in range(0, count, _PAGE):
            got = collection.get(
                limit=_PAGE,
                offset=offset,
                include=["embeddings", "documents", "metadatas", "uris"],
            )
            vectors = got["embeddings"]
            assert vectors is not None  # they were asked for
            collection.query(query_embeddings=vectors[:1], n_results=min(10, count))


def read_words(folder: Path) -> None:
    """Compare tantivy's checksums, and read every document."""
    import tantivy

    meta: Any = json.loads((folder / "meta.json").read_bytes())
    for segment in meta["segments"]:
        name = segment["segment_id"].replace("-", "")
        for path in folder.glob(f"{name}*"):
            _check_footer(path)
    index = tantivy.Index.open(str(folder))
    index.reload()
    searcher = index.searcher()
    if searcher.num_docs:
        found = searcher.search(tantivy.Query.all_query(), searcher.num_docs, count=False)
        assert len(found.hits) == searcher.num_docs
        for _, address in found.hits:
            assert searcher.doc(address)["id"][0]


def _check_footer(path: Path) -> None:
    data = path.read_bytes()
    length, magic = struct.unpack("<II", data[-8:])
    assert magic == _MAGIC, path
    footer: Any = json.loads(data[-8 - length : -8])
    assert zlib.crc32(data[: -8 - length]) == footer["crc"], path


if __name__ == "__main__":
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    {"chroma": read_chroma, "words": read_words}[sys.argv[1]](Path(sys.argv[2]))
