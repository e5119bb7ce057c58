"""SharedCatalog: the files and facts of a collection on a server, and its head."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, TypeAlias

import numpy as np
from chromadb.api import ClientAPI
from chromadb.errors import NotFoundError

from mm_rag.collection.catalog import CatalogFile
from mm_rag.collection.server.client import answering
from mm_rag.errors import CollectionError

ROWS = 1_000
"""Rows written in one request: files, and removals of 10,000 ids each. Chroma refuses 40 MB."""

_IDS = 10_000
_REMOVALS_KEPT = 2_000
_HEAD = "head"

_Row: TypeAlias = tuple[str, str, dict[str, Any]]  # id, kind, document


@dataclass(frozen=True, kw_only=True)
class Head:
    """What all replicas agree on.

    Attributes:
        revision: Up to which all is written; what has a higher one is not there yet.
        complete_since: A replica that knows less than this revision has to start anew, because the
            removals before it are forgotten, or all vectors are another model's.
        records: The Chroma id of the collection with the Segments; empty before the first commit.
        facts: The encoder, the transcriber, the format.
    """

    revision: int = 0
    complete_since: int = 0
    records: str = ""
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What has become of the files since some revision.

    Attributes:
        head: The revision up to which this is everything.
        files: Rows that are new or were replaced.
        forgotten: Paths that are no more.
        removed: By id, the revision at which a Segment was removed.
    """

    head: Head
    files: Sequence[CatalogFile]
    forgotten: Sequence[str]
    removed: Mapping[str, int]


class SharedCatalog:
    """`<name>.catalog`: one record a row, its JSON as the document.

    Args:
        client: Of the server.
        name: The collection's.
        place: The server, for messages.
        create: Make it if it is not there.

    Raises:
        CollectionError: It is not there and not to be made. From every method: the server is gone.
    """

    def __init__(self, client: ClientAPI, name: str, place: str, *, create: bool) -> None:
        self._place = place
        called = f"{name}.catalog"
        with answering(place):
            if create:
                self._rows = client.get_or_create_collection(called, embedding_function=None)
                return
            try:
                self._rows = client.get_collection(called, embedding_function=None)
            except NotFoundError as error:
                raise CollectionError(
                    f"There is no collection '{name}' on {place}. Make one: "
                    f"mm-rag index FOLDER --collection {place}"
                ) from error

    @property
    def id(self) -> str:
        """Another one if the collection was deleted and made anew."""
        return str(self._rows.id)

    def head(self) -> Head:
        """What holds now."""
        with answering(self._place):
            documents = self._rows.get(ids=[_HEAD], include=["documents"])["documents"]
        return Head(**json.loads(documents[0])) if documents else Head()

    def since(self, revision: int) -> Changes:
        """What came after a revision; one request, so that it is all of one moment."""
        with answering(self._place):
            got = self._rows.get(
                where={"revision": {"$gt": revision}}, include=["documents", "metadatas"]
            )
        return _changes(got["documents"] or [], got["metadatas"] or [])

    def publish(
        self,
        head: Head,
        files: Iterable[CatalogFile] = (),
        forgotten: Sequence[str] = (),
        removed: Sequence[str] = (),
    ) -> Head:
        """Make the next revision hold; return the head with it.

        Args:
            head: As it is now, with whatever else is to be changed in it.
            files: Rows to write.
            forgotten: Paths that are no more.
            removed: Ids of Segments that are no more.
        """
        rows: list[_Row] = [(_row_id(file.path), "file", asdict(file)) for file in files]
        rows += _removals(head.revision + 1, forgotten, removed)
        for start in range(0, max(1, len(rows)), ROWS):
            head = replace(head, revision=head.revision + 1)
            self._write([*rows[start : start + ROWS], (_HEAD, "head", asdict(head))], head.revision)
        return head

    def _write(self, rows: Sequence[_Row], revision: int) -> None:
        with answering(self._place):
            self._rows.upsert(
                ids=[id_ for id_, _, _ in rows],
                embeddings=np.zeros((len(rows), 1), np.float32),
                documents=[json.dumps(document) for _, _, document in rows],
                metadatas=[{"kind": kind, "revision": revision} for _, kind, _ in rows],
            )

    def delete_files(self, paths: Sequence[str]) -> None:
        """Delete the rows of files that are no more, which all are told of otherwise."""
        if paths:
            with answering(self._place):
                for start in range(0, len(paths), ROWS):
                    ids = [_row_id(path) for path in paths[start : start + ROWS]]
                    self._rows.delete(ids=ids)

    def tidy(self, head: Head) -> Head:
        """Forget the older half of the removals, if they are many; return the head after it."""
        with answering(self._place):
            got = self._rows.get(where={"kind": "gone"}, include=["metadatas"])
        revisions = [int(str(data["revision"])) for data in got["metadatas"] or []]
        if len(revisions) <= _REMOVALS_KEPT:
            return head
        middle = sorted(revisions)[len(revisions) // 2]
        head = self.publish(replace(head, complete_since=max(middle, head.complete_since)))
        with answering(self._place):
            self._rows.delete(where={"$and": [{"kind": "gone"}, {"revision": {"$lte": middle}}]})
        return head


def _row_id(path: str) -> str:
    # Not the path itself: names of files may hold bytes that are no text.
    return f"file:{sha256(path.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _removals(revision: int, paths: Sequence[str], ids: Sequence[str]) -> Iterator[_Row]:
    for start in range(0, max(len(paths), len(ids)), _IDS):
        rows = slice(start, start + _IDS)
        yield (
            f"gone:{revision}:{start}",
            "gone",
            {"paths": list(paths[rows]), "ids": list(ids[rows])},
        )


def _changes(documents: Sequence[str], metadatas: Sequence[Mapping[str, Any]]) -> Changes:
    head, files = Head(), dict[str, tuple[int, CatalogFile]]()
    removed, forgotten = dict[str, int](), dict[str, int]()
    for document, metadata in zip(documents, metadatas, strict=True):
        row, revision = json.loads(document), int(metadata["revision"])
        match metadata["kind"]:
            case "head":
                head = Head(**row)
            case "file":
                files[row["path"]] = (revision, CatalogFile(**row))
            case _:
                removed |= {id_: max(revision, removed.get(id_, 0)) for id_ in row["ids"]}
                forgotten |= {p: max(revision, forgotten.get(p, 0)) for p in row["paths"]}
    live = {p: file for p, (at, file) in files.items() if at > forgotten.get(p, 0)}
    return Changes(
        head=head,
        files=tuple(live.values()),
        forgotten=tuple(path for path in forgotten if path not in live),
        removed=removed,
    )
