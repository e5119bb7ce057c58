"""VectorStore: Segments with their vectors in one Chroma collection.

Any program that speaks Chroma, such as langchain_chroma.Chroma, can read it: our own vectors,
cosine space, a document text that is never null, flat metadata, media as `uris`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast

import chromadb
import numpy as np
import numpy.typing as npt
from chromadb.errors import ChromaError

from mm_rag.errors import CollectionError, CollectionMismatch, InputError
from mm_rag.record import segment_from_record, segment_to_metadata
from mm_rag.segment import Segment

Vectors: TypeAlias = npt.NDArray[np.float32]
Where: TypeAlias = Mapping[str, Any]


class VectorStore:
    """One Chroma collection, opened in a folder of its own."""

    def __init__(self, path: Path, name: str) -> None:
        """Open, or make.

        Raises:
            CollectionMismatch: There is one of this name that another program made.
            CollectionError: Chroma cannot open the folder, or refuses the name.
        """
        try:
            # Default settings: Chroma refuses a second client with other ones in the same process.
            self._client = chromadb.PersistentClient(str(path))
            # Chroma would otherwise store its own default model with the collection and embed with
            # it whatever comes without a vector.
            self._collection = self._client.get_or_create_collection(
                name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
        except (ChromaError, ValueError, OSError) as error:
            raise CollectionError(f"Chroma cannot open '{name}' in {path}: {error}") from error
        self._check_space(name)
        self._batch = self._client.get_max_batch_size()

    def _check_space(self, name: str) -> None:
        # get_or_create ignores the configuration of one that exists already.
        space = (self._collection.configuration_json.get("hnsw") or {}).get("space")
        if space != "cosine":
            raise CollectionMismatch(
                f"The Chroma collection '{name}' compares vectors by '{space}', and mm_rag needs "
                "'cosine'. It was made by another program: choose another name or folder."
            )

    def close(self) -> None:
        """Let go of the folder."""
        self._client.close()  # pyright: ignore[reportAttributeAccessIssue] - ClientAPI omits it

    def __len__(self) -> int:
        """How many Segments there are."""
        return self._collection.count()

    def put(self, segments: Sequence[Segment], vectors: Vectors) -> None:
        """Add Segments, replacing those of the same id.

        Args:
            segments: All different.
            vectors: Shape (len(segments), dimension).
        """
        for rows in self._batches(len(segments)):
            part = segments[rows]
            ids = [segment.id for segment in part]
            # An upsert would merge the old metadata into the new; deleting first replaces it.
            self._collection.delete(ids=ids)
            self._collection.add(
                ids=ids,
                embeddings=vectors[rows],
                documents=[segment.text for segment in part],
                metadatas=[dict(segment_to_metadata(segment)) for segment in part],
                # Chroma's annotation forgets that single uris may be None.
                uris=cast("list[str]", [segment.media for segment in part]),
            )

    def get(self, ids: Sequence[str], where: Where | None = None) -> dict[str, Segment]:
        """The Segments of these ids that exist and match the filter."""
        found: dict[str, Segment] = {}
        for rows in self._batches(len(ids)):
            with _filter_errors(where):
                got = self._collection.get(
                    ids=list(ids[rows]), where=_where(where), include=["documents", "metadatas"]
                )
            documents, metadatas = got["documents"] or [], got["metadatas"] or []
            for id_, document, metadata in zip(got["ids"], documents, metadatas, strict=True):
                if _is_ours(metadata):
                    found[id_] = segment_from_record(document, metadata)
        return found

    def nearest(
        self, vector: Vectors, n: int, where: Where | None = None
    ) -> list[tuple[Segment, float]]:
        """The `n` Segments nearest to a vector of shape (dimension,), with their cosines."""
        if not len(self):
            return []
        with _filter_errors(where):
            got = self._collection.query(
                query_embeddings=[vector],
                n_results=min(n, len(self)),
                where=_where(where),
                include=["documents", "metadatas", "distances"],
            )
        documents, metadatas = got["documents"] or [[]], got["metadatas"] or [[]]
        distances = got["distances"] or [[]]
        return [
            (segment_from_record(document, metadata), 1.0 - distance)
            for document, metadata, distance in zip(
                documents[0], metadatas[0], distances[0], strict=True
            )
            if _is_ours(metadata)
        ]

    def drop(self, ids: Sequence[str]) -> None:
        """Delete Segments; unknown ids are no error."""
        for rows in self._batches(len(ids)):
            self._collection.delete(ids=list(ids[rows]))

    def drop_source(self, sha256: str) -> None:
        """Delete all Segments of a file's content."""
        self._collection.delete(where={"sha256": sha256})

    def ids_of(self, sha256: str) -> set[str]:
        """The ids of the Segments of a file's content."""
        return set(self._collection.get(where={"sha256": sha256}, include=[])["ids"])

    def ids(self) -> set[str]:
        """The ids of all Segments."""
        return set(self._collection.get(include=[])["ids"])

    def ids_with_vectors(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids whose vector can really be given."""
        healthy: set[str] = set()
        for rows in self._batches(len(ids)):
            healthy |= self._with_vectors(list(ids[rows]))
        return healthy

    def _with_vectors(self, ids: list[str]) -> set[str]:
        # One lost vector makes Chroma refuse the whole batch: then they are asked for in halves.
        try:
            return set(self._collection.get(ids=ids, include=["embeddings"])["ids"])
        except ChromaError:
            if len(ids) == 1:
                return set()
            middle = len(ids) // 2
            return self._with_vectors(ids[:middle]) | self._with_vectors(ids[middle:])

    def _batches(self, n: int) -> Iterator[slice]:
        return (slice(start, start + self._batch) for start in range(0, n, self._batch))


def _is_ours(metadata: Mapping[str, Any] | None) -> bool:
    """Other programs may keep records of their own in the collection."""
    return bool(metadata) and {"modality", "source", "sha256"} <= set(metadata)


def _where(where: Where | None) -> dict[str, Any] | None:
    return dict(where) if where else None


@contextmanager
def _filter_errors(where: Where | None) -> Generator[None]:
    try:
        yield
    except (ChromaError, ValueError) as error:
        if not where:
            raise CollectionError(f"Chroma failed: {error}. Try: mm-rag verify") from error
        raise InputError(
            f"Chroma refuses the filter {dict(where)}: {error}. A filter is one condition such as "
            "{'page': 3}, or {'$and': [...]} of two or more."
        ) from error
