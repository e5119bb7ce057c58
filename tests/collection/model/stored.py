"""What lies in a collection's folder, read without mm_rag's collection."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import chromadb
import tantivy

from mm_rag import Segment
from mm_rag.record import segment_from_record


@contextmanager
def vectors_of(collection: Path) -> Generator[chromadb.Collection]:
    """Chroma's own collection, as any program would open it."""
    client = chromadb.PersistentClient(str(collection / "chroma"))
    try:
        yield client.get_collection("default", embedding_function=None)
    finally:
        client.close()  # pyright: ignore[reportAttributeAccessIssue] - ClientAPI omits it


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
