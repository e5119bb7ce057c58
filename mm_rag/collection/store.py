"""VectorStore: Segments with their vectors in one Chroma collection.

Any program that uses Chroma, such as langchain_chroma.Chroma, can read it: the encoder's vectors,
cosine space, a document text that is never null, flat metadata, media as `uris`.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias, cast

import httpx
import numpy as np
import numpy.typing as npt
from chromadb.api import ClientAPI
from chromadb.errors import InvalidArgumentError

from mm_rag.collection.catalog import Entry, given_of, holds_segment
from mm_rag.collection.damage import is_panic
from mm_rag.errors import CollectionError, CollectionMismatch, InputError, MMRagError
from mm_rag.record import segment_of_foreign_record, segment_to_metadata

Vectors: TypeAlias = npt.NDArray[np.float32]
Where: TypeAlias = Mapping[str, Any]

_COSINES: Mapping[str, Callable[[float], float]] = {
    "cosine": lambda distance: 1.0 - distance,
    "ip": lambda distance: 1.0 - distance,
    "l2": lambda distance: 1.0 - distance / 2,
}
"""The cosine of two unit vectors from Chroma's distance, by Chroma's name of the space."""

BREADTH = 400
"""How many candidates Chroma's index visits (`ef_search`). Of the 10 nearest of 10,000 random
vectors of 384 dimensions, the worst case for such an index, it finds 9.2 with this, and 5.4 with
Chroma's default of 100, in 1.7 ms instead of 1.0."""

CHROMA_FILE = "chroma.sqlite3"
"""Chroma's database, in its folder."""

_OFTEN, _SELDOM = 2, 1_000  # changes after which Chroma saves its index; its default is the latter
_SAME = 1e-5  # how much a component of a unit vector may differ from its copy
_PAGE = 5_000  # ids of one request, where all are read


class VectorStore:
    """One Chroma collection.

    Args:
        client: Chroma's client.
        name: The name of the Chroma collection.
        place: Where it is, for messages.
        changing: A context manager that is entered for every change of records.
        closes: Whether `close` closes the client.

    Raises:
        CollectionMismatch: The Chroma collection compares vectors in an unknown way.
        CollectionError: Chroma cannot open it, or refuses the name. Every method raises it where
            Chroma fails.
    """

    def __init__(
        self,
        client: ClientAPI,
        name: str,
        place: str,
        *,
        changing: Callable[[], AbstractContextManager[None]] = nullcontext,
        closes: bool = True,
    ) -> None:
        self._client, self._name, self._place = client, name, place
        self._changing, self._closes = changing, closes
        with self._errors():
            self._collection = self._opened()
            self._batch = client.get_max_batch_size()
        self._cosine = self._similarity()

    def _opened(self) -> Any:
        # Without this, Chroma stores its default model with the collection, and embeds with it
        # records that other programs add without a vector.
        return self._client.get_or_create_collection(
            self._name,
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine", "ef_search": BREADTH}},
        )

    def _similarity(self) -> Callable[[float], float]:
        # get_or_create ignores the configuration of a collection that exists: LangChain and
        # LlamaIndex create theirs with Chroma's default, l2.
        space = str((self._collection.configuration_json.get("hnsw") or {}).get("space"))
        if space not in _COSINES:
            raise CollectionMismatch(
                f"The Chroma collection '{self._name}' compares vectors by '{space}', which mm_rag "
                "does not support. Another program made it: choose another name or folder."
            )
        return _COSINES[space]

    def close(self) -> None:
        """Close Chroma's client."""
        if self._closes:
            self._client.close()  # pyright: ignore[reportAttributeAccessIssue] - ClientAPI omits it

    def load(self) -> None:
        """Have Chroma read its index now instead of with the first query."""
        self.dimension()

    def dimension(self) -> int | None:
        """The dimension of the vectors; None for an empty store."""
        with self._errors():
            [*vectors] = self._collection.get(limit=1, include=["embeddings"])["embeddings"]
        return len(vectors[0]) if vectors else None

    def write_out(self) -> None:
        """Have Chroma save its index; called before everything else, as even `len` reads it.

        Chroma adds what it has not saved to the index at every opening, each time differently: with
        10,000 random vectors, 785 of them not saved, 46 of 50 queries had other neighbours from one
        opening to the next, and each opening took 0.5 s longer.
        """
        with self._changing(), self._errors():
            self._configure(ef_search=BREADTH, sync_threshold=_OFTEN)
            try:
                self.load()
            finally:
                self._configure(sync_threshold=_SELDOM)

    def _configure(self, **hnsw: int) -> None:
        with warnings.catch_warnings():
            # Without an embedding function, Chroma warns as for a collection of an old version.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._collection.modify(configuration={"hnsw": hnsw})

    def recreate(self) -> None:
        """Delete all records, so that vectors may have another dimension."""
        with self._changing(), self._errors():
            self._client.delete_collection(self._name)
            self._collection = self._opened()

    def __len__(self) -> int:
        """The number of records, including those of other programs."""
        with self._errors():
            return self._collection.count()

    def put(self, entries: Sequence[Entry]) -> None:
        """Add Segments; those of the same id are replaced, and never missing in between."""
        for rows in self._batches(len(entries)):
            part = entries[rows]
            segments = [entry.segment for entry in part]
            ids = [segment.id for segment in segments]
            with self._changing(), self._errors():
                metadatas = self._replacing(
                    ids, [dict(segment_to_metadata(segment)) for segment in segments]
                )
                self._collection.upsert(
                    ids=ids,
                    embeddings=np.stack([entry.vector for entry in part]),
                    documents=[segment.text for segment in segments],
                    metadatas=metadatas,
                    # Chroma's annotation omits that single uris may be None.
                    uris=cast("list[str]", [segment.media for segment in segments]),
                )

    def _replacing(
        self, ids: Sequence[str], metadatas: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Metadata with None for the present keys to delete, because an upsert merges the two.

        Lists other than tags stay: Segments have none, so they are another program's.
        """
        got = self._collection.get(ids=list(ids), include=["metadatas"])
        present = {
            id_: [
                key
                for key, value in (metadata or {}).items()
                if key == "tags" or not isinstance(value, list)
            ]
            for id_, metadata in zip(got["ids"], got["metadatas"] or [], strict=True)
        }
        return [
            {**dict.fromkeys(present.get(id_, ())), **metadata}
            for id_, metadata in zip(ids, metadatas, strict=True)
        ]

    def nearest(
        self, vectors: Vectors, n: int, where: Where | None = None
    ) -> list[list[tuple[str, float]]]:
        """The ids nearest to each vector, with their cosines, nearest first.

        Args:
            vectors: Shape (queries, dimension).
            n: The most ids for each.
            where: A Chroma filter.

        Raises:
            InputError: Chroma refuses the filter.
        """
        with self._errors(where):
            got = self._collection.query(
                query_embeddings=vectors,
                n_results=n,
                where=_where(where),
                include=["distances"],
            )
        return [
            [(id_, self._cosine(distance)) for id_, distance in zip(ids, distances, strict=True)]
            for ids, distances in zip(got["ids"], got["distances"] or [], strict=True)
        ]

    def matching(self, ids: Sequence[str], where: Where) -> set[str]:
        """The ids among these whose metadata match a filter.

        Raises:
            InputError: Chroma refuses the filter.
        """
        found: set[str] = set()
        for rows in self._batches(len(ids)):
            with self._errors(where):
                got = self._collection.get(ids=list(ids[rows]), where=_where(where), include=[])
            found.update(got["ids"])
        return found

    def records(self, ids: Iterable[str]) -> dict[str, Entry]:
        """By id, the records that are Segments, whichever program wrote them.

        LangChain's and LlamaIndex's Chroma classes write such records of what the loaders and
        readers of mm_rag give them.
        """
        wanted, found = list(ids), dict[str, Entry]()
        for rows in self._batches(len(wanted)):
            with self._errors():
                got = self._collection.get(
                    ids=wanted[rows], include=["documents", "metadatas", "embeddings"]
                )
            documents, metadatas = got["documents"] or [], got["metadatas"] or []
            for id_, document, metadata, vector in zip(
                got["ids"], documents, metadatas, got["embeddings"], strict=True
            ):
                segment = segment_of_foreign_record(document, metadata)
                if segment is not None:
                    found[id_] = Entry(
                        segment=segment,
                        vector=np.asarray(vector, np.float32),
                        given=given_of(segment),
                    )
        return found

    def differing(self, entries: Sequence[Entry]) -> set[str]:
        """The ids of Segments for which Chroma has another record or vector.

        Args:
            entries: What it should have. It must be able to return the vectors of all of them.
        """
        wanted = {entry.segment.id: entry for entry in entries}
        differing: set[str] = set()
        for rows in self._batches(len(entries)):
            with self._errors():
                got = self._collection.get(
                    ids=[entry.segment.id for entry in entries[rows]],
                    include=["documents", "metadatas", "uris", "embeddings"],
                )
            columns: Any = zip(
                got["ids"],
                got["documents"] or [],
                got["metadatas"] or [],
                got["uris"] or [None] * len(got["ids"]),
                got["embeddings"],
                strict=True,
            )
            for id_, document, metadata, uri, vector in columns:
                entry = wanted[id_]
                if not (
                    holds_segment(entry.segment, document, metadata, uri)
                    and _is_same_direction(entry.vector, np.asarray(vector, np.float32))
                ):
                    differing.add(id_)
        return differing

    def drop(self, ids: Sequence[str]) -> None:
        """Delete Segments; unknown ids are no error."""
        for rows in self._batches(len(ids)):
            with self._changing(), self._errors():
                self._collection.delete(ids=list(ids[rows]))

    def ids(self) -> set[str]:
        """The ids of all records, including those of other programs."""
        found: set[str] = set()
        with self._errors():
            for offset in range(0, self._collection.count(), _PAGE):
                found |= set(self._collection.get(limit=_PAGE, offset=offset, include=[])["ids"])
        return found

    def ids_with_vectors(self, ids: Sequence[str]) -> set[str]:
        """The ids among these whose vectors Chroma can return."""
        healthy: set[str] = set()
        for rows in self._batches(len(ids)):
            healthy |= self._with_vectors(list(ids[rows]))
        return healthy

    def _with_vectors(self, ids: list[str]) -> set[str]:
        # One lost vector makes Chroma refuse the whole batch, which is then halved.
        try:
            with self._errors():
                return set(self._collection.get(ids=ids, include=["embeddings"])["ids"])
        except CollectionError as error:
            if isinstance(error.__cause__, httpx.HTTPError):  # the server is gone, not a vector
                raise
            if len(ids) == 1:
                return set()
            middle = len(ids) // 2
            return self._with_vectors(ids[:middle]) | self._with_vectors(ids[middle:])

    def _batches(self, n: int) -> Iterator[slice]:
        return (slice(start, start + self._batch) for start in range(0, n, self._batch))

    @contextmanager
    def _errors(self, where: Where | None = None) -> Generator[None]:
        try:
            yield
        except MMRagError:
            raise
        except BaseException as error:
            # Damaged files make Chroma raise any exception, and its Rust code panic.
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            if where and isinstance(error, InvalidArgumentError | ValueError):
                raise InputError(
                    f"Chroma refuses the filter {dict(where)}: {error}. A filter is one condition "
                    "such as {'page': 3}, or {'$and': [...]} of two or more."
                ) from error
            raise CollectionError(
                f"Chroma cannot use '{self._name}' in {self._place}: {error}. Is the disk full, "
                "or the folder not writable? If not: mm-rag verify --repair"
            ) from error


def _is_same_direction(one: Vectors, other: Vectors) -> bool:
    """Whether two vectors are equal after normalisation: Chroma stores unit vectors."""
    if one.shape != other.shape or not np.isfinite(other).all():
        return False
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if not all(lengths):
        return not any(lengths)
    return bool(np.abs(one / lengths[0] - other / lengths[1]).max() <= _SAME)


def _where(where: Where | None) -> dict[str, Any] | None:
    return dict(where) if where else None


def has_chroma_collection(chroma: Path, name: str) -> bool:
    """Whether Chroma's files hold a collection of this name, perhaps another program's."""
    file = chroma / CHROMA_FILE
    if not file.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            named = database.execute("SELECT 1 FROM collections WHERE name = ?", (name,))
            return named.fetchone() is not None
    except sqlite3.Error:
        return False
