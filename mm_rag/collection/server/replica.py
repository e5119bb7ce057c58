"""Replica: the catalog and the lexical index of this machine, which follow the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mm_rag._optional import upgrade_command
from mm_rag.collection.catalog import FORMAT_VERSION, Catalog, Commit, Entry
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.server.shared import Changes, Head, SharedCatalog
from mm_rag.collection.server.store import ServerStore
from mm_rag.errors import CollectionMismatch

FACTS = ("encoder", "model", "transcriber", "assets", "format")
"""What the catalog's facts say about all of the collection, not about a replica of it."""

_AT_ONCE = 2_000  # Segments in memory at a time
_OF, _REVISION = "server", "revision"  # what it is a replica of, and how far it has followed


@dataclass(frozen=True)
class Replica:
    """Follows one server; one process at a time does it for a machine.

    Attributes:
        catalog: Of this machine.
        lexical: Of this machine.
        shared: What is followed.
        place: The server, for messages.
    """

    catalog: Catalog
    lexical: LexicalIndex
    shared: SharedCatalog
    place: str

    def is_at(self, head: Head) -> bool:
        """Whether it has followed so far."""
        is_of = self.catalog.meta(_OF) == self.shared.id
        return is_of and self._revision() == head.revision

    def _revision(self) -> int:
        return self.catalog.number(_REVISION)

    @property
    def is_written_to(self) -> bool:
        """Whether a process of this machine is writing, or was when it died."""
        return self.catalog.meta("writing") is not None

    def follow(self, store: ServerStore, head: Head, *, anew: bool = False) -> None:
        """Take over what has been committed since.

        Args:
            store: The server's vectors.
            head: What it holds.
            anew: Whether to forget what is here.

        Raises:
            CollectionMismatch: It was written by a newer mm_rag.
            CollectionError: The server is gone, or this machine's disk is full.
        """
        self._check_format(head)
        if anew or self._must_start_anew(head):
            self._clear()
        self._settle()
        known = self._revision()
        changes = self.shared.since(known)
        if changes.head.revision > known:
            self._apply(changes, self._draft(store, store.since(known), changes))
        self.note(changes.head if changes.head.revision else head)
        self.catalog.count_write()

    def note(self, head: Head) -> None:
        """Write down how far it has followed."""
        facts = {fact: head.facts.get(fact) for fact in FACTS if fact != "format"}
        self.catalog.set_meta(**facts, **{_OF: self.shared.id, _REVISION: str(head.revision)})

    def _check_format(self, head: Head) -> None:
        made_by = int(head.facts.get("format", FORMAT_VERSION))
        if made_by > FORMAT_VERSION:
            raise CollectionMismatch(
                f"{self.place} was written to by a newer mm_rag (format {made_by}; this one reads "
                f"up to {FORMAT_VERSION}). Upgrade: {upgrade_command()}"
            )

    def _must_start_anew(self, head: Head) -> bool:
        known = self._revision()
        is_of = self.catalog.meta(_OF) in (None, self.shared.id)
        return not is_of or known > head.revision or 0 < known < head.complete_since

    def _clear(self) -> None:
        """Another collection of this name, an older copy of it, or a replica left behind."""
        self.catalog.clear()
        self.catalog.set_meta(**{_REVISION: None})
        self.lexical.drop(sorted(self.lexical.ids()))

    def _settle(self) -> None:
        """Whoever followed before may have been killed between catalog and lexical index."""
        left = self.catalog.out_of_sync()
        for start in range(0, len(left), _AT_ONCE):
            ids = left[start : start + _AT_ONCE]
            there = self.catalog.segments(ids)
            self.lexical.put(there.values())
            self.lexical.drop([id_ for id_ in ids if id_ not in there])
        self.catalog.finish_commit(left)

    def _draft(self, store: ServerStore, ids: Sequence[str], changes: Changes) -> list[str]:
        """Fetch what is new; return the ids of it."""
        drafted: list[str] = []
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            known = self.catalog.find(some)
            entries: list[Entry] = []
            for entry, revision, replaces in store.written(some):
                # What is just being replaced, and was not known here, is better than nothing.
                committed = revision <= changes.head.revision
                if (committed and revision > changes.removed.get(entry.segment.id, 0)) or (
                    not committed and replaces and entry.segment.id not in known
                ):
                    entries.append(entry)
            self.catalog.stage(entries)
            self.lexical.put(entry.segment for entry in entries)
            drafted += [entry.segment.id for entry in entries]
        return drafted

    def _apply(self, changes: Changes, drafted: Sequence[str]) -> None:
        """Show it, all at once."""
        new = set(drafted)
        commit = Commit(
            noted=changes.files,
            forgotten=changes.forgotten,
            added=drafted,
            dropped=[id_ for id_ in changes.removed if id_ not in new],
        )
        gone = self.catalog.commit(commit)
        self.lexical.drop(gone)
        self.catalog.finish_commit([*drafted, *gone])
