"""ServerStore: Segments with their vectors on a server, with the revisions that they came with."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from chromadb.api import ClientAPI
from chromadb.errors import NotFoundError

from mm_rag.collection.catalog import Entry
from mm_rag.collection.server.client import answering
from mm_rag.collection.server.shared import SharedCatalog
from mm_rag.collection.store import VectorStore, Where
from mm_rag.errors import CollectionError

REVISION = "mm_rag_revision"
"""The metadata key of the revision; Segments and Hits do not show it."""

REPLACES = "mm_rag_replaces"
"""The one that says of a Segment that it took the place of an older form of it."""

_BYTES = 20_000_000  # of one request; Chroma refuses 40 MB
_BYTES_PER_NUMBER = 22  # a float32 in JSON, as old servers want it
_AT_ONCE = 1_000  # records in one answer


class ServerStore(VectorStore):
    """One Chroma collection of a server.

    Args:
        client: Of the server.
        name: What it is called there.
        place: The server, for messages.
        shared: Its catalog.

    Attributes:
        revision: What is put is put under this one.
    """

    def __init__(self, client: ClientAPI, name: str, place: str, shared: SharedCatalog) -> None:
        self._shared = shared
        head = shared.head()
        self.revision, self._records = head.revision, head.records
        super().__init__(client, name, place, closes=False)

    @property
    def records_id(self) -> str:
        """Chroma's id of the collection; another one after all was encoded anew."""
        return str(self._collection.id)

    def _made(self) -> Any:
        if not self._records:
            return super()._made()
        # Which of the two holds says the head: a process may have died before it swapped names.
        for name in (self._name, self._next_name):
            try:
                found = self._client.get_collection(name, embedding_function=None)
            except NotFoundError:
                continue
            if str(found.id) == self._records:
                return found
        raise CollectionError(
            f"The Chroma collection '{self._name}' was deleted from {self._place}, or another one "
            f"took its place, and not by mm_rag. To begin anew delete '{self._name}.catalog', too."
        )

    # Another model's vectors.

    @property
    def _next_name(self) -> str:
        return f"{self._name}.next"

    def recreate(self) -> None:
        """Begin anew beside the records that are there; `swap` is to follow."""
        with self._errors():
            self._delete(self._next_name)
            self._collection = self._client.create_collection(
                self._next_name,
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine"}},
            )
        self.revision += 1  # nobody looks there before the head says so

    def swap(self) -> None:
        """Give the records that hold their name; delete what is called so and does not."""
        with self._errors():
            if self._collection.name == self._name:
                self._delete(self._next_name)
            else:
                self._delete(self._name)
                self._collection.modify(name=self._name)

    def _delete(self, name: str) -> None:
        try:
            self._client.delete_collection(name)
        except NotFoundError:
            return

    # Writing.

    def put(self, entries: Sequence[Entry]) -> None:
        """Add Segments under the present `revision`, replacing those of the same id."""
        for portion in _portions(entries):
            super().put(portion)

    def _replacing(
        self, ids: Sequence[str], metadatas: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        merged = super()._replacing(ids, metadatas)
        # The key is there, to be taken back, where the present record has it.
        replaces = [{REPLACES: True} if REVISION in metadata else {} for metadata in merged]
        return [
            {**metadata, REVISION: self.revision, **more}
            for metadata, more in zip(merged, replaces, strict=True)
        ]

    # Reading.

    def since(self, revision: int) -> list[str]:
        """The ids of what came after a revision; one request, so that none is skipped."""
        with self._errors():
            got = self._collection.get(where={REVISION: {"$gt": revision}}, include=[])
        return list(got["ids"])

    def written(self, ids: Iterable[str]) -> Iterator[tuple[Entry, int, bool]]:
        """The Segments of these ids, with their revision, and whether they replace another."""
        for entry in super().records(ids).values():
            metadata = dict(entry.segment.metadata)
            revision, replaces = metadata.pop(REVISION, None), metadata.pop(REPLACES, False)
            if isinstance(revision, int):
                segment = replace(entry.segment, metadata=metadata)
                yield replace(entry, segment=segment), revision, bool(replaces)

    def records(self, ids: Iterable[str]) -> dict[str, Entry]:
        """By its id, what other programs wrote in our way; what has a revision is not theirs."""
        found = super().records(ids)
        return {i: entry for i, entry in found.items() if REVISION not in entry.segment.metadata}

    def differing(self, entries: Sequence[Entry]) -> set[str]:
        """None: what a server holds may be a later revision, which a replica has yet to follow."""
        return set()

    def copies(self, ids: Iterable[str]) -> dict[str, Entry]:
        """By its id, what the collection itself wrote."""
        return {entry.segment.id: entry for entry, _, _ in self.written(ids)}

    def ids(self) -> set[str]:
        """The ids of all records, except of what is being written."""
        with self._errors():
            every = set(self._collection.get(include=[])["ids"])
        return every - set(self.since(self._shared.head().revision))

    def _batches(self, n: int) -> Iterator[slice]:
        step = min(self._batch, _AT_ONCE)
        return (slice(start, start + step) for start in range(0, n, step))

    @contextmanager
    def _errors(self, where: Where | None = None) -> Generator[None]:
        with answering(self._place), super()._errors(where):
            yield


def _portions(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Entries that fit into one request each."""
    portion, weight = list[Entry](), 0
    for entry in entries:
        more = entry.vector.size * _BYTES_PER_NUMBER + 4 * len(entry.segment.text) + 4_000
        if portion and weight + more > _BYTES:
            yield portion
            portion, weight = [], 0
        portion.append(entry)
        weight += more
    if portion:
        yield portion
