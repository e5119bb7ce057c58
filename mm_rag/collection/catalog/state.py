"""State: what is being written, and what the next process has to finish if that was interrupted.

`State` is read from and written to the catalog's table `meta`. Each method is a transition that
returns the next state; `Catalog.advance` applies one in a transaction. A write session goes

    write_begun -> (commit_begun -> commit_finished) for each commit -> write_ended

and `reindex` goes

    reindex_begun -> model_switched -> reindex_ended.

Whatever step a process is killed at, the session that is opened next sees it here and goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class State:
    """The state of a collection.

    Attributes:
        writes: Counts beginnings and ends of write sessions. Processes that have Chroma open
            compare it to see that they must open it again.
        generation: Counts commits in steps of 2; odd while Chroma and the lexical index lag behind
            the last commit.
        is_written_to: A write session has begun and not ended: it is going on, or was killed.
        vectors_lost: Chroma's vectors were discarded, and have to be put again from the catalog.
        vectors_outdated: Chroma's vectors are those of the model before `reindex`.
        lexical_incomplete: The lexical index is being made again from the catalog.
        reindexing: The fingerprint of the model that `reindex` encodes with; None while there is no
            reindexing to finish.
        tags_outdated: Segments may have other tags than their files.
    """

    writes: int = 0
    generation: int = 0
    is_written_to: bool = False
    vectors_lost: bool = False
    vectors_outdated: bool = False
    lexical_incomplete: bool = False
    reindexing: str | None = None
    tags_outdated: bool = False

    @property
    def is_committing(self) -> bool:
        """Whether Chroma and the lexical index lag behind the last commit."""
        return self.generation % 2 == 1

    # A write session.

    def write_begun(self) -> State:
        """The write lock was taken."""
        return replace(self, is_written_to=True)

    def write_ended(self) -> State:
        """Everything that was begun is finished."""
        return replace(self, is_written_to=False)

    def write_counted(self) -> State:
        """Chroma changed: other processes have to open it again."""
        return replace(self, writes=self.writes + 1)

    def commit_begun(self) -> State:
        """The catalog has the commit; Chroma and the lexical index do not yet."""
        return replace(self, generation=self.generation | 1)

    def commit_finished(self) -> State:
        """Chroma and the lexical index have the last commit, too."""
        return replace(self, generation=self.generation + self.generation % 2)

    def rows_replaced(self) -> State:
        """Rows of the catalog were repaired: what was computed from them is outdated."""
        return replace(self, generation=self.generation + 2)

    # Vectors and words that are made again.

    def vectors_discarded(self) -> State:
        """Chroma was emptied."""
        return replace(self, vectors_lost=True).write_counted()

    def vectors_restored(self) -> State:
        """Chroma has the catalog's vectors again."""
        return replace(self, vectors_lost=False)

    def recovered(self) -> State:
        """What a killed process left of Chroma can be opened, or was discarded."""
        return replace(self, is_written_to=False, vectors_outdated=False)

    def lexical_begun(self) -> State:
        """The lexical index was emptied, and is being filled."""
        return replace(self, lexical_incomplete=True)

    def lexical_restored(self) -> State:
        """The lexical index has the catalog's words again."""
        return replace(self, lexical_incomplete=False)

    # Another model.

    def reindex_begun(self, fingerprint: str) -> State:
        """Vectors of another model are being collected beside the present ones."""
        return replace(self, reindexing=fingerprint)

    def model_switched(self) -> State:
        """The catalog has the vectors of the other model; Chroma still has the old ones."""
        return replace(self, vectors_outdated=True)

    def reindex_ended(self) -> State:
        """Chroma has the vectors of the other model, too."""
        return replace(self, reindexing=None, vectors_outdated=False)

    # Tags.

    def tagging_begun(self) -> State:
        """Files get other tags; their Segments follow."""
        return replace(self, tags_outdated=True)

    def tagging_ended(self) -> State:
        """Segments have the tags of their files."""
        return replace(self, tags_outdated=False)


_COUNTS = {"writes": "writes", "generation": "generation"}
_FLAGS = {
    "is_written_to": "writing",
    "vectors_lost": "refill",
    "vectors_outdated": "rebuild",
    "lexical_incomplete": "words",
    "tags_outdated": "tagging",
}
"""Fields of `State` and their keys in `meta`, where a flag is a row that exists."""

_REINDEXING = "reindexing"


def advance(connection: sqlite3.Connection, transition: Callable[[State], State]) -> State:
    """Make a transition in an open transaction; return the new state."""
    before = state_of(connection.execute("SELECT key, value FROM meta").fetchall())
    after = transition(before)
    old, new = _as_meta(before), _as_meta(after)
    for key in old.keys() - new.keys():
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    connection.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)", sorted(new.items() - old.items())
    )
    return after


def state_of(rows: Iterable[sqlite3.Row]) -> State:
    """The state that rows of `meta` express. A damaged count is 0."""
    meta: dict[str, str] = {row["key"]: row["value"] for row in rows}
    return State(
        **{field: as_count(meta.get(key)) for field, key in _COUNTS.items()},
        **{field: key in meta for field, key in _FLAGS.items()},
        reindexing=meta.get(_REINDEXING),
    )


def _as_meta(state: State) -> dict[str, str]:
    counts = {key: str(getattr(state, field)) for field, key in _COUNTS.items()}
    flags = {key: "yes" for field, key in _FLAGS.items() if getattr(state, field)}
    reindexing = {} if state.reindexing is None else {_REINDEXING: state.reindexing}
    return {**counts, **flags, **reindexing}


def as_count(value: str | None) -> int:
    """A whole number in `meta`; 0 where there is none, or it is damaged."""
    return int(value) if value and value.isascii() and value.isdigit() else 0
