"""ServerWriter: what is committed goes to the server first, then into this machine's catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mm_rag.collection.catalog import FORMAT_VERSION, Catalog, CatalogFile, Commit, Entry
from mm_rag.collection.server.lock import ServerLock
from mm_rag.collection.server.replica import FACTS, Replica
from mm_rag.collection.server.shared import Head, SharedCatalog
from mm_rag.collection.server.store import ServerStore
from mm_rag.collection.writer import AT_ONCE, SegmentWriter


@dataclass
class Publisher:
    """Makes the server hold what this writer commits.

    Attributes:
        shared: The server's files and facts.
        store: Its vectors.
        lock: The right to do it.
        catalog: This machine's, which has followed up to the head.
        head: The server's.
    """

    shared: SharedCatalog
    store: ServerStore
    lock: ServerLock
    catalog: Catalog
    head: Head
    _files: dict[str, CatalogFile] = field(default_factory=dict[str, CatalogFile])

    def __post_init__(self) -> None:
        self.store.revision = self.head.revision
        self._files = self.catalog.files()

    def put(self, entries: Sequence[Entry]) -> None:
        """Bring Segments to the server, where no replica takes them before `publish`."""
        if entries:
            self.lock.check()
            self.store.revision = self.head.revision + 1
            self.store.put(entries)

    def publish(self, commit: Commit, gone: Sequence[str]) -> None:
        """Have all replicas take what was put, and what else a commit changes."""
        self.lock.check()
        head = replace(self.head, records=self.store.records_id, facts=self._facts())
        if self.head.records not in ("", head.records):  # all was encoded anew
            head = replace(head, complete_since=head.revision + 1)
        rows = (*commit.written, *commit.noted)
        self.head = self.shared.publish(head, rows, commit.forgotten, gone)
        self.store.revision = self.head.revision
        self._files |= {file.path: file for file in rows}
        for path in commit.forgotten:
            self._files.pop(path, None)

    def left(self) -> Commit | None:
        """What has changed in this machine's catalog without a commit; None for nothing."""
        changed = [file for path, file in self.catalog.files().items() if file != self._files[path]]
        same = self.head.facts == self._facts() and self.head.records == self.store.records_id
        return None if same and not changed else Commit(noted=changed)

    def _facts(self) -> dict[str, str]:
        facts = {fact: self.catalog.meta(fact) for fact in FACTS} | {"format": str(FORMAT_VERSION)}
        return {fact: value for fact, value in facts.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class ServerWriter(SegmentWriter):
    """Writes to a server and to the replica here.

    Attributes:
        publisher: To the server.
        replica: Here.
    """

    publisher: Publisher
    replica: Replica

    def stage(self, entries: Sequence[Entry]) -> None:
        """Bring Segments in here; the server gets them when they are committed.

        So whoever is killed leaves nothing on the server, and what he replaces stays there.
        """
        with self._turn:
            if entries:
                self.catalog.stage(entries)

    def _commit(self, commit: Commit) -> list[str]:
        arriving = self.catalog.staged_ids(commit)
        for start in range(0, len(arriving), AT_ONCE):
            self.publisher.put(list(self.catalog.staged(arriving[start : start + AT_ONCE])))
        # Inside of the catalog's transaction: if the server refuses, nothing has changed here. If
        # this process dies in between, it has here fallen behind, and follows when it is opened.
        gone = self.catalog.commit(
            commit, publish=lambda gone: self.publisher.publish(commit, gone)
        )
        self.replica.note(self.publisher.head)
        self.publisher.shared.delete_files(commit.forgotten)
        return gone

    def recover(self) -> None:
        """Clear up what a writer left on the server that died in the middle of a commit."""
        publisher, catalog = self.publisher, self.catalog
        publisher.store.swap()
        head = publisher.head.revision
        begun = publisher.store.since(head)
        known = catalog.find(begun)
        self.store.drop([id_ for id_ in begun if id_ not in known])
        for start in range(0, len(begun), AT_ONCE):
            ids = [id_ for id_ in begun[start : start + AT_ONCE] if id_ in known]
            self.stage(list(catalog.entries(ids)))
            self.commit(Commit(added=ids))
        last = publisher.shared.since(head - 1)
        ids = list(last.removed)
        there = catalog.find(ids)
        self.store.drop([id_ for id_ in ids if id_ not in there])
        publisher.shared.delete_files(last.forgotten)

    def finish(self) -> None:
        """Bring to the server what was changed in the catalog besides."""
        with self._turn:
            left = self.publisher.left()
            if left is not None:
                self.publisher.publish(left, [])
                self.publisher.store.swap()
            self.publisher.head = self.publisher.shared.tidy(self.publisher.head)
            self.replica.note(self.publisher.head)
