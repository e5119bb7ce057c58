"""What a collection's folder and its Chroma server hold, read without mm_rag's collection."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import chromadb
import tantivy

from mm_rag import Segment
from mm_rag.collection.chroma_server import connect, disconnect, read_record
from mm_rag.record import segment_from_record


@contextmanager
def vectors_of(collection: Path) -> Generator[chromadb.Collection]:
    """Chroma's own collection, as any program would open it."""
    record = read_record(collection / "default" / "chroma-server.json")
    if record is None:
        client = chromadb.PersistentClient(str(collection / "chroma"))
    else:
        client = connect(record.url)
    try:
        yield client.get_collection(
            record.collection if record else "default", embedding_function=None
        )
    finally:
        disconnect(client)


def stored_segments(collection: Path) -> list[Segment]:
    """Everything that Chroma holds.

    Raises:
        chromadb.errors.InternalError: A vector is lost.
    """
    with vectors_of(collection) as vectors:
        got = vectors.get(include=["documents", "metadatas", "embeddings"])
    rows = zip(got["documents"] or [], got["metadatas"] or [], strict=True)
    return [segment_from_record(document, metadata) for document, metadata in rows]


def words_of(collection: Path) -> Path:
    """The folder of the lexical index."""
    [found] = (collection / "default").rglob("meta.json")
    return found.parent


def lexical_documents(collection: Path) -> int:
    """How many documents the lexical index holds: a Segment that is in twice counts twice."""
    return tantivy.Index.open(str(words_of(collection))).searcher().num_docs
