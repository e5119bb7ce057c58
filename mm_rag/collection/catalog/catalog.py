"""Catalog: what a collection holds. Chroma and the lexical index are made from it.

A file's Segments are staged as they are read, and become visible all at once (`commit`): from one
moment to the next they can be found, and what the file gave before cannot. Until then its row says
what it was. Ids for which Chroma and the lexical index may differ from it are `out_of_sync`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mm_rag._optional import upgrade_command
from mm_rag.collection.catalog.changes import (
    Commit,
    CommitLock,
    apply_commit,
    drop_rows,
    mark_out_of_sync,
    put_features,
    switch_vectors,
)
from mm_rag.collection.catalog.checksums import is_vector, vector_sums
from mm_rag.collection.catalog.database import FORMAT_VERSION, IN_MEMORY, Database
from mm_rag.collection.catalog.kinds import kinds, sample
from mm_rag.collection.catalog.own_files import OwnFiles
from mm_rag.collection.catalog.rows import (
    COLUMNS,
    FOUND,
    MEMBER,
    RAW_COLUMNS,
    RECORD,
    CatalogFile,
    CheckedRow,
    Entry,
    Found,
    Kind,
    SourceStats,
    found_of_row,
    segment_of_row,
)
from mm_rag.collection.catalog.state import State, advance, as_count, state_of
from mm_rag.errors import CollectionError, CollectionMismatch
from mm_rag.segment import Scalar, Segment

_SOURCE = "segments.source"
_MARKS = ", ".join("?" * len(COLUMNS.split(",")))
_PORTION = 2_000  # rows with their vectors in memory, where all rows are read


class Catalog:
    """The catalog of one collection.

    Args:
        path: Its file; `IN_MEMORY` for none.
        folder: The collection's folder, to which the paths of its own files are relative; None for
            the folder two levels above the file.

    Raises:
        CollectionError: As `Database`, from every method; also where a row that is read is damaged.
    """

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self._path = path
        self._db = Database(path)
        self._own = OwnFiles(folder or path.absolute().parent.parent)
        self._lock = CommitLock(None if path == IN_MEMORY else path.with_name("commits.lock"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Facts about the collection, and its state.

    def meta(self, key: str) -> str | None:
        """A fact, such as its encoder's fingerprint."""
        rows = self._db.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0]["value"] if rows else None

    def set_meta(self, **facts: str | None) -> None:
        """Write facts in one transaction; None deletes one."""
        with self._db.transaction() as connection:
            for key, value in facts.items():
                if value is None:
                    connection.execute("DELETE FROM meta WHERE key = ?", (key,))
                else:
                    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def state(self) -> State:
        """The state as it is now."""
        return state_of(self._db.rows("SELECT key, value FROM meta"))

    def advance(self, transition: Callable[[State], State]) -> None:
        """Make a transition of the state, such as `State.write_begun`."""
        with self._db.transaction() as connection:
            connection.execute("BEGIN IMMEDIATE")
            advance(connection, transition)

    def check_format(self, place: str) -> None:
        """Note the format in a new catalog, and refuse one that cannot be read.

        Args:
            place: The collection's folder, for messages.

        Raises:
            CollectionMismatch: A newer mm_rag made it.
            CollectionError: The note is damaged.
        """
        made_by = self.meta("format")
        if made_by is None:
            self.set_meta(format=str(FORMAT_VERSION))
        elif not as_count(made_by):
            raise CollectionError(
                f"The catalog {self._path} is damaged: it says that its format is "
                f"{made_by!r:.100}. Put it back from a copy, or delete it: repair() then takes in "
                "what Chroma has."
            )
        elif int(made_by) > FORMAT_VERSION:
            raise CollectionMismatch(
                f"{place} was made by a newer mm_rag (format {made_by}; this one reads up to "
                f"{FORMAT_VERSION}). Upgrade: {upgrade_command()}"
            )

    def is_outdated(self) -> bool:
        """Whether `upgrade` has something to do."""
        return self.meta("format") != str(FORMAT_VERSION)

    def upgrade(self) -> None:
        """Bring a catalog of format 2 or 3 to the present format: checksums, relative paths.

        An upgrade that is killed is done again.
        """
        last, moved = 0, False
        query = (
            f"SELECT rowid, {RAW_COLUMNS} FROM segments "
            "WHERE rowid > ? AND checksums IS NULL ORDER BY rowid LIMIT ?"
        )
        while rows := self._db.rows(query, (last, _PORTION)):
            last = rows[-1]["rowid"]
            checked = [CheckedRow.of_row(row, self._own) for row in rows]
            sound = [row for row in checked if row.is_sound]
            self.replace_rows(sound, [row.entry for row in sound])
            moved = moved or any(row.was_elsewhere for row in checked)
        # Where it was moved, Chroma's records name files that are gone.
        self.set_meta(format=str(FORMAT_VERSION), **({"folder": ""} if moved else {}))

    # Files.

    def files(self) -> dict[str, CatalogFile]:
        """All files, by path."""
        rows = self._db.rows("SELECT * FROM files ORDER BY path")
        return {row["path"]: CatalogFile(**dict(row)) for row in rows}

    def duplicates_of(self, sha256s: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """By content, the files that are not indexed because another one has the same content."""
        query = (
            "SELECT sha256, path FROM files WHERE state = 'duplicate' AND sha256 IN ({}) "
            "ORDER BY path"
        )
        found: dict[str, tuple[str, ...]] = {}
        for row in self._db.rows_of(query, sha256s):
            found[row["sha256"]] = (*found.get(row["sha256"], ()), row["path"])
        return found

    def mark_unread(self, sha256s: Iterable[str]) -> None:
        """Have files of these contents read again by the next sync; their Segments stay."""
        with self._db.transaction() as connection:
            connection.executemany(
                "UPDATE files SET state = 'unread' WHERE sha256 = ? "
                "AND state IN ('indexed', 'incomplete')",
                ((sha256,) for sha256 in sha256s),
            )

    # Segments.

    def counts(self) -> dict[str, int]:
        """The number of Segments of each modality."""
        rows = self._db.rows(
            "SELECT modality, count(*) AS n FROM segments GROUP BY modality ORDER BY modality"
        )
        return {row["modality"]: row["n"] for row in rows}

    def ids(self) -> set[str]:
        """The ids of all Segments."""
        return {row["id"] for row in self._db.rows("SELECT id FROM segments")}

    def entries(self, ids: Iterable[str]) -> Iterator[Entry]:
        """The known Segments of these ids with their vectors, in no order."""
        rows = self._db.rows_of(f"SELECT {COLUMNS} FROM segments WHERE id IN ({{}})", ids)
        return (Entry.of_row(row, self._own) for row in rows)

    def sound_entries(self, ids: Iterable[str]) -> tuple[list[Entry], set[str]]:
        """The same as a list, without damaged rows, and the ids of the damaged rows."""
        query = f"SELECT rowid, {RAW_COLUMNS} FROM segments WHERE id IN ({{}})"
        rows = [CheckedRow.of_row(row, self._own) for row in self._db.rows_of(query, ids)]
        sound = [row.entry for row in rows if row.is_sound]
        return sound, {row.id for row in rows if not row.is_sound}

    def segments(self, ids: Iterable[str]) -> dict[str, Segment]:
        """The known Segments of these ids, by id."""
        return {entry.segment.id: entry.segment for entry in self.entries(ids)}

    def content(self, sha256: str) -> list[Entry]:
        """The Segments of a content with their vectors, in the order of pages and clips."""
        query = (
            f"SELECT {COLUMNS} FROM segments WHERE sha256 = ? ORDER BY {MEMBER}, page, start, rowid"
        )
        return [Entry.of_row(row, self._own) for row in self._db.rows(query, (sha256,))]

    def find(self, ids: Iterable[str]) -> dict[str, Found]:
        """What a search needs of the known Segments of these ids, by id."""
        query = f"SELECT {FOUND} FROM segments WHERE id IN ({{}})"
        return {found.id: found for found in map(found_of_row, self._db.rows_of(query, ids))}

    def sources(self, place: str) -> list[str]:
        """The sources that are this file or address, or lie in this folder.

        For a file with the same content as an indexed one, the indexed one.
        """
        return self._sources(self.files_in(place), self.sources_in(place))

    def sources_of_file(self, path: str) -> list[str]:
        """The sources of one file or address; a folder has none."""
        return self._sources(self._matching("files.path", path), self._matching(_SOURCE, path))

    def files_in(self, place: str) -> list[str]:
        """The paths of known files that are this one, or lie in this folder."""
        return self._matching("files.path", place, inside=True)

    def sources_in(self, place: str) -> list[str]:
        """The sources of Segments that are this one, or lie in this folder."""
        return self._matching(_SOURCE, place, inside=True)

    def _sources(self, paths: Sequence[str], sources: Sequence[str]) -> list[str]:
        query = (
            "SELECT DISTINCT s.source FROM files AS f JOIN segments AS s ON s.sha256 = f.sha256 "
            "WHERE f.state = 'duplicate' AND f.path IN ({})"
        )
        copies = (row["source"] for row in self._db.rows_of(query, paths))
        return sorted({*sources, *copies})

    def _matching(self, column: str, place: str, *, inside: bool = False) -> list[str]:
        """The paths that are, or lie in, a place; in its spelling or else another Unicode form."""
        place = place.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        folder = place.rstrip("/\\")
        table, name = column.split(".")
        for spelled in ("{}", "nfc({})") if not place.isascii() else ("{}",):
            here, marks = spelled.format(name), spelled.format("?")
            query = (
                f"SELECT DISTINCT {name} AS path FROM {table} WHERE {here} IN ({marks}, {marks})"
            )
            values: list[str] = [place, folder]
            if inside:
                part = f"substr({here}, 1, length({marks}))"
                query += f" OR {part} IN ({marks}, {marks})"
                values += [folder + "/", folder + "/", folder + "\\"]
            found = [row["path"] for row in self._db.rows(f"{query} ORDER BY path", values)]
            if found:
                return found
        return []

    def values(self, key: str) -> list[Scalar]:
        """The different values of a key of the Segments' metadata, or of a field of theirs."""
        # The metadata of users are a dict within the record.
        query = (
            "SELECT DISTINCT it.type, it.value FROM segments, json_each(record) AS it "
            "WHERE it.key = ?1 AND it.type NOT IN ('null', 'object', 'array') "
            "UNION SELECT DISTINCT it.type, it.value "
            "FROM segments, json_each(record, '$.metadata') AS it WHERE it.key = ?1"
        )
        rows = self._db.rows(query, (key,))
        return [bool(r["value"]) if r["type"] in ("true", "false") else r["value"] for r in rows]

    def source_stats(self) -> list[SourceStats]:
        """Counts of every source, and of every file in it, in the order of names."""
        rows = self._db.rows(
            f"SELECT source, {MEMBER} AS member, count(DISTINCT page) AS pages, "
            "count(*) - count(page) AS pageless, "
            "count(DISTINCT start) AS clips, group_concat(DISTINCT modality) AS modalities, "
            "count(DISTINCT sha256) AS contents, max(start) AS last "
            "FROM segments GROUP BY source, member ORDER BY source, member"
        )
        return [SourceStats(**dict(row)) for row in rows]

    def ids_from(self, sources: Iterable[str]) -> list[str]:
        """The ids of the Segments of some sources."""
        query = "SELECT id FROM segments WHERE source IN ({})"
        return [row["id"] for row in self._db.rows_of(query, sources)]

    def counts_by_source(self) -> dict[str, dict[str, int]]:
        """By source, the number of Segments of each modality."""
        query = "SELECT source, modality, count(*) AS n FROM segments GROUP BY source, modality"
        found: dict[str, dict[str, int]] = {}
        for row in self._db.rows(query):
            found.setdefault(row["source"], {})[row["modality"]] = row["n"]
        return found

    def tags_by_source(self, sources: Iterable[str]) -> dict[str, set[str]]:
        """By source, the tags of its Segments."""
        query = (
            "SELECT DISTINCT source, json_extract(record, '$.tags') AS tags FROM segments "
            "WHERE source IN ({})"
        )
        found: dict[str, set[str]] = {}
        for row in self._db.rows_of(query, sources):
            found.setdefault(row["source"], set()).update(json.loads(row["tags"] or "[]"))
        return found

    def tagged_otherwise(self) -> list[tuple[CatalogFile, tuple[str, ...]]]:
        """Indexed files whose Segments have other tags than they should, and the right tags.

        Those are the tags of the file and of all others with the same content.
        """
        files, wanted = self.files().values(), dict[str, set[str]]()
        for file in files:
            if file.is_in or file.state == "duplicate":
                wanted.setdefault(file.sha256, set()).update(file.tags.splitlines())
        has: dict[str, set[tuple[str, ...]]] = {}
        query = "SELECT DISTINCT sha256, json_extract(record, '$.tags') AS tags FROM segments"
        for row in self._db.rows(query):
            tags = tuple(json.loads(row["tags"] or "[]"))
            has.setdefault(row["sha256"], set()).add(tags)
        owned = [(file, tuple(sorted(wanted[file.sha256]))) for file in files if file.is_in]
        return [(file, tags) for file, tags in owned if has.get(file.sha256, {tags}) != {tags}]

    def copies(self) -> dict[str, str]:
        """By path of a file that is not indexed, the source with the same content."""
        query = (
            "SELECT DISTINCT f.path, s.source FROM files AS f JOIN segments AS s "
            "ON s.sha256 = f.sha256 WHERE f.state = 'duplicate' ORDER BY f.path"
        )
        return {row["path"]: row["source"] for row in self._db.rows(query)}

    def of_sources(self, sources: Iterable[str]) -> Iterator[Segment]:
        """The Segments of some sources, in the order of pages and clips within each source."""
        query = (
            f"SELECT {RECORD}, checksums FROM segments WHERE source IN ({{}}) "
            f"ORDER BY {MEMBER}, page, start, modality, json_extract(record, '$.part')"
        )
        return (segment_of_row(row, self._own) for row in self._db.rows_of(query, sources))

    def of_member(self, source: str, member: str | None) -> Iterator[Segment]:
        """The Segments of a file in a source, or of the source itself, in order."""
        query = (
            f"SELECT {RECORD}, checksums FROM segments WHERE source = ? AND {MEMBER} IS ? "
            "ORDER BY page, start, modality, json_extract(record, '$.part')"
        )
        rows = self._db.rows(query, (source, member))
        return (segment_of_row(row, self._own) for row in rows)

    def sources_with(self, letters: str, sources: Iterable[str]) -> set[str]:
        """The sources among these with a record that contains ASCII letters, ignoring case."""
        # LIKE ignores the case of ASCII, and is faster than lowering a whole record.
        query = "SELECT source FROM segments WHERE record LIKE ? AND source IN ({})"
        rows = self._db.rows_of(query, sources, first=(f"%{letters}%",))
        return {row["source"] for row in rows}

    def kinds(self) -> dict[Kind, int]:
        """The number of Segments of each kind."""
        return kinds(self._db)

    def sample(self, kind: Kind, n: int) -> list[bytes]:
        """The vectors of `n` Segments drawn at random, the same ones while nothing changes."""
        return sample(self._db, kind, n)

    def all_segments(self) -> Iterator[Segment]:
        """Every Segment, in no order."""
        for row in self._db.rows(f"SELECT {RECORD}, checksums FROM segments"):
            yield segment_of_row(row, self._own)

    def neighbours(self, segment: Segment) -> list[Segment]:
        """The Segments of the same file, member and modality, in order of pages and clips."""
        query = (
            f"SELECT {RECORD}, checksums FROM segments "
            f"WHERE sha256 = ? AND modality = ? AND {MEMBER} IS ? "
            "ORDER BY page, start, json_extract(record, '$.part')"
        )
        rows = self._db.rows(query, (segment.sha256, segment.modality, segment.member))
        return [segment_of_row(row, self._own) for row in rows]

    def kept_vectors(self, segments: Sequence[Segment], given: Sequence[str]) -> dict[str, bytes]:
        """By id, the vectors of Segments of which a model was given the same before.

        Args:
            segments: The Segments.
            given: What the model is given of each (`given_of`).
        """
        wanted = {segment.id: hashed for segment, hashed in zip(segments, given, strict=True)}
        kept: dict[str, bytes] = {}
        for table in ("segments", "drafts"):
            query = f"SELECT id, given, checksums, vector FROM {table} WHERE id IN ({{}})"
            for row in self._db.rows_of(query, wanted):
                is_sound = is_vector(row["checksums"], row["id"], row["vector"])
                if is_sound and row["given"] == wanted[row["id"]]:
                    kept[row["id"]] = row["vector"]
        return kept

    def with_features(self, ids: Iterable[str]) -> set[str]:
        """The ids among these whose pictures' features are kept."""
        rows = self._db.rows_of("SELECT id FROM pictures WHERE id IN ({})", ids)
        return {row["id"] for row in rows}

    def features(self, size: int) -> Iterator[tuple[list[str], bytes]]:
        """The features of all pictures, in portions: the ids, and as many times `size` bytes."""
        last = 0
        query = (
            "SELECT rowid, id, features FROM pictures WHERE rowid > ? AND length(features) = ? "
            "AND EXISTS (SELECT 1 FROM segments AS s WHERE s.id = pictures.id) "
            "ORDER BY rowid LIMIT ?"
        )
        while rows := self._db.rows(query, (last, size, _PORTION)):
            last = rows[-1]["rowid"]
            yield [row["id"] for row in rows], b"".join(row["features"] for row in rows)

    # Writing.

    def put_features(self, features: Iterable[tuple[str, bytes | None]]) -> None:
        """Keep features of pictures by the ids of their Segments; None for nothing to keep."""
        with self._db.transaction() as connection:
            put_features(connection, features)

    def stage(self, entries: Sequence[Entry]) -> None:
        """Keep Segments that cannot be found before they are committed."""
        with self._db.transaction() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO drafts ({COLUMNS}) VALUES ({_MARKS})",
                (entry.to_row(self._own) for entry in entries),
            )
            put_features(connection, ((entry.segment.id, entry.features) for entry in entries))
            mark_out_of_sync(connection, (entry.segment.id for entry in entries))

    def staged_ids(self, commit: Commit) -> list[str]:
        """The ids of the staged Segments that a commit would make visible."""
        query = "SELECT id FROM drafts WHERE sha256 IN ({})"
        rows = self._db.rows_of(query, [file.sha256 for file in commit.written])
        return list(dict.fromkeys([*(row["id"] for row in rows), *commit.added]))

    def commit(self, commit: Commit) -> list[str]:
        """Change what can be found.

        Returns:
            Ids of Segments that are gone; Chroma and the lexical index have yet to drop them.
        """
        new = self.staged_ids(commit)
        with self._db.transaction() as connection:
            gone = apply_commit(connection, commit)
            if gone or commit.written or commit.added:
                state = advance(connection, State.commit_begun)
                connection.executemany(
                    "INSERT OR IGNORE INTO changed VALUES (?, ?)",
                    ((state.generation, id_) for id_ in (*new, *gone)),
                )
        return gone

    def finish_commit(self, ids: Iterable[str]) -> None:
        """Note that Chroma and the lexical index have the last commit, which was of these ids."""
        with self._db.transaction() as connection:
            connection.executemany("DELETE FROM unsettled WHERE id = ?", ((id_,) for id_ in ids))
            advance(connection, State.commit_finished)

    @contextmanager
    def hold_commits(self) -> Generator[None]:
        """Keep other threads and processes from committing for the length of a `with` block.

        A commit holds this until Chroma and the lexical index have it: a thread that has it and
        sees `State.is_committing` knows that a writer was killed. A process that was stopped while
        it held it is not waited for.
        """
        with self._lock.held():
            yield

    def changed_since(self, generation: int, n: int) -> list[str]:
        """At most `n` ids that the present write session committed after a generation."""
        query = "SELECT DISTINCT id FROM changed WHERE generation > ? ORDER BY id LIMIT ?"
        return [row["id"] for row in self._db.rows(query, (generation, n))]

    def forget_changes(self) -> None:
        """Forget what was committed, after a write session: readers open Chroma again."""
        with self.hold_commits(), self._db.transaction() as connection:
            connection.execute("DELETE FROM changed")

    def drop(self, ids: Sequence[str]) -> None:
        """Delete Segments."""
        with self._db.transaction() as connection:
            drop_rows(connection, ids)

    def detach_staged(self, sha256: str | None = None) -> None:
        """Never commit the staged Segments of a content, or any; only their vectors are used."""
        with self._db.transaction() as connection:
            query = "UPDATE drafts SET sha256 = ''"
            if sha256 is None:
                connection.execute(query)
            else:
                connection.execute(f"{query} WHERE sha256 = ?", (sha256,))

    def drop_staged(self) -> None:
        """Delete all staged Segments, after a write session."""
        with self._db.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO unsettled SELECT id FROM drafts")
            connection.execute("DELETE FROM drafts")
            connection.execute("DELETE FROM pictures WHERE id NOT IN (SELECT id FROM segments)")

    # What Chroma and the lexical index have to follow.

    def out_of_sync(self) -> list[str]:
        """The ids for which Chroma and the lexical index may differ from the catalog."""
        return [row["id"] for row in self._db.rows("SELECT id FROM unsettled ORDER BY id")]

    def mark_in_sync(self, ids: Iterable[str]) -> None:
        """Note that Chroma and the lexical index agree with the catalog about these ids."""
        with self._db.transaction() as connection:
            connection.executemany("DELETE FROM unsettled WHERE id = ?", ((id_,) for id_ in ids))

    def mark_out_of_sync(self, ids: Iterable[str]) -> None:
        """Note that Chroma and the lexical index may differ for these ids."""
        with self._db.transaction() as connection:
            mark_out_of_sync(connection, ids)

    def mark_own_files_out_of_sync(self) -> None:
        """Note that Chroma may name the collection's own files where they no longer are."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO unsettled SELECT id FROM segments "
                """WHERE record LIKE '%: "assets/%'"""
            )

    def mark_vectors_lost(self) -> None:
        """Note that Chroma has none of the vectors, so that the next session puts them again."""
        with self._db.transaction() as connection:
            mark_out_of_sync(connection)
            advance(connection, State.vectors_discarded)

    # Damage.

    def is_damaged(self) -> bool:
        """Whether SQLite's integrity check of the file fails."""
        return self._db.is_damaged()

    def rows_to_check(self) -> Iterator[list[CheckedRow]]:
        """Every row of a Segment, checked, in portions."""
        last = 0
        query = f"SELECT rowid, {RAW_COLUMNS} FROM segments WHERE rowid > ? ORDER BY rowid LIMIT ?"
        while rows := self._db.rows(query, (last, _PORTION)):
            last = rows[-1]["rowid"]
            yield [CheckedRow.of_row(row, self._own) for row in rows]

    def replace_rows(self, damaged: Iterable[CheckedRow], healed: Iterable[Entry]) -> None:
        """Delete damaged rows, whose ids may be damaged too, and insert healed ones."""
        with self._db.transaction() as connection:
            connection.executemany(
                "DELETE FROM segments WHERE rowid = ?", ((row.rowid,) for row in damaged)
            )
            connection.executemany(
                f"INSERT OR REPLACE INTO segments ({COLUMNS}) VALUES ({_MARKS})",
                (entry.to_row(self._own) for entry in healed),
            )
            advance(connection, State.rows_replaced)

    def salvage(self) -> None:
        """Keep what can be read of a damaged file, and have all files read again."""
        with suppress(CollectionError), self._db.transaction() as connection:
            connection.execute("REINDEX")
        if self._db.is_damaged():
            self._db.salvage()
            with self._db.transaction() as connection:
                connection.execute(
                    "UPDATE files SET state = 'unread' WHERE state IN ('indexed', 'incomplete')"
                )
        self.advance(State.write_counted)

    # Another model.

    def not_reindexed(self) -> list[str]:
        """The ids of Segments that have no vector of the new model yet."""
        query = "SELECT id FROM segments WHERE id NOT IN (SELECT id FROM reindexed) ORDER BY id"
        return [row["id"] for row in self._db.rows(query)]

    def begin_reindex(self, fingerprint: str) -> None:
        """Collect vectors of a new model; those of another one are deleted."""
        if self.state().reindexing == fingerprint:
            return
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM reindexed")
            advance(connection, lambda state: state.reindex_begun(fingerprint))

    def put_reindexed(self, vectors: Iterable[tuple[str, bytes]]) -> None:
        """Keep vectors of the new model."""
        with self._db.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO reindexed (id, checksums, vector) VALUES (?, ?, ?)",
                ((id_, vector_sums(id_, vector), vector) for id_, vector in vectors),
            )

    def switch_model(self, **facts: str) -> None:
        """Take the vectors of the new model, and the facts about it, in one transaction."""
        with self._db.transaction() as connection:
            switch_vectors(connection, facts)
            advance(connection, State.model_switched)
