"""Reads all of Chroma's folder, and ends well if that goes well; run by `damage`."""

from __future__ import annotations

import sys

import chromadb

_PAGE = 5_000


def main(folder: str) -> None:
    """Read every vector, and ask every index."""
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    client = chromadb.PersistentClient(folder)
    for collection in client.list_collections():
        count = collection.count()
        for offset in range(0, count, _PAGE):
            got = collection.get(limit=_PAGE, offset=offset, include=["embeddings"])
            vectors = got["embeddings"]
            assert vectors is not None  # they were asked for
            collection.query(query_embeddings=vectors[:1], n_results=min(10, count))


if __name__ == "__main__":
    main(sys.argv[1])
