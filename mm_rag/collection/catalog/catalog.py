"""Catalog: what a collection holds. Chroma and the lexical index are made from it.

A file's Segments are drafted as they are read, and come in all at once (`commit`): from one moment
to the next they can be found and what the file gave before cannot. Until then its row says what it
was. What Chroma and the lexical index may not have followed yet is `unsettled`.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mm_rag.collection.catalog.changes import (
    contents,
    drop_if_orphaned,
    drop_rows,
    forget_format_1,
    mark_out_of_sync,
    promote,
    put_files,
    replace_content,
    set_generation,
    switch,
)
from mm_rag.collection.catalog.checked_row import RAW_COLUMNS, CheckedRow
from mm_rag.collection.catalog.checksums import is_vector, vector_sums
from mm_rag.collection.catalog.commit import Commit
from mm_rag.collection.catalog.commit_lock import CommitLock
from mm_rag.collection.catalog.database import IN_MEMORY, Database
from mm_rag.collection.catalog.entry import (
    COLUMNS,
    RECORD,
    Entry,
    Found,
    found_of_row,
    segment_of_row,
)
from mm_rag.collection.catalog.files import CatalogFile
from mm_rag.collection.catalog.own_files import OwnFiles
from mm_rag.collection.catalog.source_stats import SourceStats
from mm_rag.errors import CollectionError
from mm_rag.segment import Scalar, Segment

_SOURCE = "segments.source"
_PORTION = 2_000  # rows with their vectors in memory, where all are gone through
_DRAFTED = "SELECT id FROM drafts WHERE sha256 != ''"  # the others are detached


class Catalog:
    """The catalog of one collection.

    Args:
        path: Its file; `IN_MEMORY` for none.
        folder: The collection's folder, to which the paths of its own files are relative; None
            where the catalog lies in the folder of its name there.

    Raises:
        CollectionError: As `Database`, from every method; also where a row that is read is not what
            was written.
    """

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self._db = Database(path)
        self._own = OwnFiles(folder or path.absolute().parent.parent)
        self._turn = CommitLock(None if path == IN_MEMORY else path.with_name("commits.lock"))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def is_damaged(self) -> bool:
        """Whether the file is in disorder."""
        return self._db.is_damaged()

    # Facts about the collection.

    def meta(self, key: str) -> str | None:
        """A fact, such as its encoder's fingerprint."""
        rows = self._db.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0]["value"] if rows else None

    def set_meta(self, **facts: str | None) -> None:
        """Write down facts together; None takes one back."""
        with self._db.transaction() as connection:
            for key, value in facts.items():
                if value is None:
                    connection.execute("DELETE FROM meta WHERE key = ?", (key,))
                else:
                    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def writes(self) -> int:
        """How often somebody has begun or ended to write."""
        return self.number("writes")

    def number(self, key: str) -> int:
        """A fact that is a whole number; 0 where there is none, or it is damaged."""
        told = self.meta(key) or ""
        return int(told) if told.isascii() and told.isdigit() else 0

    def count_write(self) -> int:
        """Count one more; return how many there are now."""
        count = self.writes() + 1
        self.set_meta(writes=str(count))
        return count

    # Files.

    def files(self) -> dict[str, CatalogFile]:
        """All files by path."""
        rows = self._db.rows("SELECT * FROM files ORDER BY path")
        return {row["path"]: CatalogFile(**dict(row)) for row in rows}

    def duplicates_of(self, sha256s: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """By content, the files that were left out because another one has the same."""
        query = (
            "SELECT sha256, path FROM files WHERE state = 'duplicate' AND sha256 IN ({}) "
            "ORDER BY path"
        )
        found: dict[str, tuple[str, ...]] = {}
        for row in self._db.rows_of(query, sha256s):
            found[row["sha256"]] = (*found.get(row["sha256"], ()), row["path"])
        return found

    def mark_unread(self, sha256s: Iterable[str]) -> None:
        """Have files of some content read again by the next sync; what is in stays in."""
        with self._db.transaction() as connection:
            connection.executemany(
                "UPDATE files SET state = 'unread' WHERE sha256 = ? "
                "AND state IN ('indexed', 'incomplete')",
                ((sha256,) for sha256 in sha256s),
            )

    # Segments.

    def counts(self) -> dict[str, int]:
        """How many Segments there are of each modality."""
        rows = self._db.rows(
            "SELECT modality, count(*) AS n FROM segments GROUP BY modality ORDER BY modality"
        )
        return {row["modality"]: row["n"] for row in rows}

    def ids(self) -> set[str]:
        """The ids of all Segments."""
        return {row["id"] for row in self._db.rows("SELECT id FROM segments")}

    def entries(self, ids: Iterable[str]) -> Iterator[Entry]:
        """The Segments of these ids that there are, with their vectors; in no order."""
        rows = self._db.rows_of(f"SELECT {COLUMNS} FROM segments WHERE id IN ({{}})", ids)
        return (Entry.of_row(row, self._own) for row in rows)

    def sound_entries(self, ids: Iterable[str]) -> tuple[list[Entry], set[str]]:
        """As `entries`, without damaged rows; and the ids of those."""
        query = f"SELECT rowid, {RAW_COLUMNS} FROM segments WHERE id IN ({{}})"
        rows = [CheckedRow.of_row(row, self._own) for row in self._db.rows_of(query, ids)]
        sound = [row.entry for row in rows if row.is_sound]
        return sound, {row.id for row in rows if not row.is_sound}

    def segments(self, ids: Iterable[str]) -> dict[str, Segment]:
        """The Segments of these ids that there are."""
        return {entry.segment.id: entry.segment for entry in self.entries(ids)}

    def content(self, sha256: str) -> list[Entry]:
        """What a file's content gave, in the order of its pages and clips."""
        query = f"SELECT {COLUMNS} FROM segments WHERE sha256 = ? ORDER BY page, start, rowid"
        return [Entry.of_row(row, self._own) for row in self._db.rows(query, (sha256,))]

    def find(self, ids: Iterable[str]) -> dict[str, Found]:
        """What a search needs to know of the Segments of these ids."""
        query = f"SELECT {', '.join(Found._fields)}, checksums FROM segments WHERE id IN ({{}})"
        return {found.id: found for found in map(found_of_row, self._db.rows_of(query, ids))}

    def sources(self, place: str) -> list[str]:
        """The sources that are this file or address, or lie in this folder.

        Of a file that is a copy of another one it is the other one that is a source.
        """
        return self._sources(self.files_in(place), self.sources_in(place))

    def sources_of_file(self, path: str) -> list[str]:
        """As `sources`, of one file or address and nothing that lies in it."""
        return self._sources(self._matching("files.path", path), self._matching(_SOURCE, path))

    def files_in(self, place: str) -> list[str]:
        """The paths of files, read or not, that are this one, or lie in this folder."""
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
        """The paths that are, or lie in, a place; as it is spelled, or else in another spelling."""
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
        """The different values that Segments have in their metadata under a key."""
        # The metadata of users lie in a dict of their own within the record.
        query = (
            "SELECT DISTINCT it.type, it.value FROM segments, json_each(record) AS it "
            "WHERE it.key = ?1 AND it.type NOT IN ('null', 'object', 'array') "
            "UNION SELECT DISTINCT it.type, it.value "
            "FROM segments, json_each(record, '$.metadata') AS it WHERE it.key = ?1"
        )
        rows = self._db.rows(query, (key,))
        return [bool(r["value"]) if r["type"] in ("true", "false") else r["value"] for r in rows]

    def source_stats(self) -> list[SourceStats]:
        """What there is of every source, in the order of their names."""
        rows = self._db.rows(
            "SELECT source, count(DISTINCT page) AS pages, count(*) - count(page) AS pageless, "
            "count(DISTINCT start) AS clips, group_concat(DISTINCT modality) AS modalities, "
            "count(DISTINCT sha256) AS contents, max(start) AS last "
            "FROM segments GROUP BY source ORDER BY source"
        )
        return [SourceStats(**dict(row)) for row in rows]

    def ids_from(self, sources: Iterable[str]) -> list[str]:
        """The ids of the Segments of some sources."""
        query = "SELECT id FROM segments WHERE source IN ({})"
        return [row["id"] for row in self._db.rows_of(query, sources)]

    def counts_by_source(self) -> dict[str, dict[str, int]]:
        """By source, how many Segments there are of each modality."""
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
        """Files that are in and whose Segments have other tags than they should.

        Those are the tags of the file, and of all others with the same content.
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
        """By the path of a file that was left out, the source that has the same content."""
        query = (
            "SELECT DISTINCT f.path, s.source FROM files AS f JOIN segments AS s "
            "ON s.sha256 = f.sha256 WHERE f.state = 'duplicate' ORDER BY f.path"
        )
        return {row["path"]: row["source"] for row in self._db.rows(query)}

    def of_sources(self, sources: Iterable[str]) -> Iterator[Segment]:
        """The Segments of some sources, each source's in the order of its pages and clips."""
        query = (
            f"SELECT {RECORD}, checksums FROM segments WHERE source IN ({{}}) "
            "ORDER BY page, start, modality, json_extract(record, '$.part')"
        )
        return (segment_of_row(row, self._own) for row in self._db.rows_of(query, sources))

    def sources_with(self, letters: str, sources: Iterable[str]) -> set[str]:
        """Those of the sources that have these plain ASCII letters in a record, in any case."""
        # LIKE is of any case for ASCII, and faster than to make all of a record lower case.
        query = "SELECT source FROM segments WHERE record LIKE ? AND source IN ({})"
        rows = self._db.rows_of(query, sources, first=(f"%{letters}%",))
        return {row["source"] for row in rows}

    def sample(self, modality: str, n: int) -> list[bytes]:
        """The vectors of `n` Segments drawn at random, always the same while nothing changes.

        Ids are hashes: the smallest of them are as random a choice as any.
        """
        query = (
            f"SELECT {', '.join(Found._fields)}, checksums FROM segments "
            "WHERE modality = ? ORDER BY id LIMIT ?"
        )
        return [found_of_row(row).vector for row in self._db.rows(query, (modality, n))]

    def all_segments(self) -> Iterator[Segment]:
        """Every Segment, in no order."""
        for row in self._db.rows(f"SELECT {RECORD}, checksums FROM segments"):
            yield segment_of_row(row, self._own)

    def neighbours(self, segment: Segment) -> list[Segment]:
        """The Segments of the same file and modality, in the order of its pages and clips."""
        query = (
            f"SELECT {RECORD}, checksums FROM segments WHERE sha256 = ? AND modality = ? "
            "ORDER BY page, start, json_extract(record, '$.part')"
        )
        rows = self._db.rows(query, (segment.sha256, segment.modality))
        return [segment_of_row(row, self._own) for row in rows]

    def kept_vectors(self, segments: Sequence[Segment], given: Sequence[str]) -> dict[str, bytes]:
        """Vectors that need not be made: of Segments that a model was given just so before."""
        wanted = {segment.id: told for segment, told in zip(segments, given, strict=True)}
        kept: dict[str, bytes] = {}
        for table in ("segments", "drafts"):
            query = f"SELECT id, given, checksums, vector FROM {table} WHERE id IN ({{}})"
            for row in self._db.rows_of(query, wanted):
                is_sound = is_vector(row["checksums"], row["id"], row["vector"])
                if is_sound and row["given"] == wanted[row["id"]]:
                    kept[row["id"]] = row["vector"]
        return kept

    # Writing.

    def stage(self, entries: Sequence[Entry]) -> None:
        """Keep Segments that nobody can find yet."""
        marks = ", ".join("?" * len(COLUMNS.split(",")))
        with self._db.transaction() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO drafts ({COLUMNS}) VALUES ({marks})",
                (entry.to_row(self._own) for entry in entries),
            )
            mark_out_of_sync(connection, (entry.segment.id for entry in entries))

    def staged_ids(self, commit: Commit) -> list[str]:
        """The ids of the drafts that a commit would show."""
        query = "SELECT id FROM drafts WHERE sha256 IN ({})"
        rows = self._db.rows_of(query, [file.sha256 for file in commit.written])
        return list(dict.fromkeys([*(row["id"] for row in rows), *commit.added]))

    def staged(self, ids: Iterable[str]) -> Iterator[Entry]:
        """The drafts of these ids that there are, with their vectors; in no order."""
        rows = self._db.rows_of(f"SELECT {COLUMNS} FROM drafts WHERE id IN ({{}})", ids)
        return (Entry.of_row(row, self._own) for row in rows)

    def commit(self, commit: Commit) -> list[str]:
        """Change what can be found.

        Args:
            commit: How.

        Returns:
            Ids that are no more, which are unsettled until Chroma and the lexical index have
            dropped them.
        """
        gone, new = list[str](), self.staged_ids(commit)
        with self._db.transaction() as connection:
            rows = (*commit.written, *commit.noted)
            before = contents(connection, [*(file.path for file in rows), *commit.forgotten])
            for file in commit.written:
                gone += replace_content(connection, file.sha256)
            promote(connection, commit.added)
            put_files(connection, rows)
            connection.executemany(
                "DELETE FROM files WHERE path = ?", ((path,) for path in commit.forgotten)
            )
            for sha256 in before:
                gone += drop_if_orphaned(connection, sha256)
            drop_rows(connection, commit.dropped)
            gone += commit.dropped
            # What is being written anew already, under another path, is there to stay.
            drafted = {row["id"] for row in connection.execute(_DRAFTED)} if gone else set()
            gone = [id_ for id_ in gone if id_ not in drafted]
            if gone or commit.written or commit.added:
                # Until the others have followed searches would find parts of both states.
                generation = self.generation() | 1
                set_generation(connection, generation)
                connection.executemany(
                    "INSERT OR IGNORE INTO changed VALUES (?, ?)",
                    ((generation, id_) for id_ in (*new, *gone)),
                )
        return gone

    def generation(self) -> int:
        """Which state can be found: odd while Chroma and the lexical index have yet to follow."""
        return self.number("generation")

    @contextmanager
    def hold_commits(self) -> Generator[None]:
        """While no other thread or process commits.

        A commit holds this until all have followed: who has it and sees an odd generation knows
        that a writer was killed. Another process that was stopped in between is not waited for.
        """
        with self._turn.held():
            yield

    def changed_since(self, generation: int, n: int) -> list[str]:
        """The ids, at most `n`, of what the writing that goes on committed after a state."""
        query = "SELECT DISTINCT id FROM changed WHERE generation > ? ORDER BY id LIMIT ?"
        return [row["id"] for row in self._db.rows(query, (generation, n))]

    def forget_changes(self) -> None:
        """Forget what was committed: whoever reads opens Chroma anew."""
        with self.hold_commits(), self._db.transaction() as connection:
            connection.execute("DELETE FROM changed")

    def finish_commit(self, ids: Iterable[str]) -> None:
        """Note that Chroma and the words have followed the last commit, which was of these ids."""
        with self._db.transaction() as connection:
            connection.executemany("DELETE FROM unsettled WHERE id = ?", ((id_,) for id_ in ids))
            generation = self.generation()
            if generation & 1:
                set_generation(connection, generation + 1)

    def clear(self) -> None:
        """Forget all files and Segments; the facts stay."""
        with self._db.transaction() as connection:
            for table in ("segments", "files", "drafts", "unsettled", "reindexed", "changed"):
                connection.execute(f"DELETE FROM {table}")

    def drop(self, ids: Sequence[str]) -> None:
        """Take Segments out."""
        with self._db.transaction() as connection:
            drop_rows(connection, ids)

    def detach_staged(self, sha256: str | None = None) -> None:
        """Never commit what was begun of a content, or of any: only its vectors are of use."""
        with self._db.transaction() as connection:
            query = "UPDATE drafts SET sha256 = ''"
            if sha256 is None:
                connection.execute(query)
            else:
                connection.execute(f"{query} WHERE sha256 = ?", (sha256,))

    def drop_staged(self) -> None:
        """Forget what was begun and will not be finished."""
        with self._db.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO unsettled SELECT id FROM drafts")
            connection.execute("DELETE FROM drafts")

    def mark_out_of_sync(self, ids: Iterable[str] | None = None) -> None:
        """Note that Chroma and the lexical index may differ for some ids, or for all."""
        with self._db.transaction() as connection:
            if ids is None:
                connection.execute("INSERT OR IGNORE INTO unsettled SELECT id FROM segments")
            else:
                mark_out_of_sync(connection, ids)

    def mark_own_files_out_of_sync(self) -> None:
        """Note that Chroma may name the files of the collection where they are no more."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO unsettled SELECT id FROM segments "
                """WHERE record LIKE '%: "assets/%'"""
            )

    def mark_vectors_lost(self) -> None:
        """Note that Chroma has none of the vectors (any more), for whoever opens it next."""
        with self._db.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO unsettled SELECT id FROM segments")
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('refill', 'yes')")
        self.count_write()  # who has them open opens them again

    def out_of_sync(self) -> list[str]:
        """The ids noted so."""
        return [row["id"] for row in self._db.rows("SELECT id FROM unsettled ORDER BY id")]

    def mark_in_sync(self, ids: Iterable[str]) -> None:
        """They agree again."""
        with self._db.transaction() as connection:
            connection.executemany("DELETE FROM unsettled WHERE id = ?", ((id_,) for id_ in ids))

    def adopt(self, entries: Sequence[Entry]) -> None:
        """Take Segments in that Chroma has already."""
        ids = [entry.segment.id for entry in entries]
        self.stage(entries)
        self.commit(Commit(added=ids))
        self.finish_commit(ids)

    # Damage.

    def rows_to_check(self) -> Iterator[list[CheckedRow]]:
        """Every row of a Segment, checked, a portion at a time."""
        last = 0
        query = f"SELECT rowid, {RAW_COLUMNS} FROM segments WHERE rowid > ? ORDER BY rowid LIMIT ?"
        while rows := self._db.rows(query, (last, _PORTION)):
            last = rows[-1]["rowid"]
            yield [CheckedRow.of_row(row, self._own) for row in rows]

    def restore(self, damaged: Iterable[CheckedRow], healed: Iterable[Entry]) -> None:
        """Take damaged rows out, whose ids may be damaged, too, and put healed ones in."""
        marks = ", ".join("?" * len(COLUMNS.split(",")))
        with self._db.transaction() as connection:
            connection.executemany(
                "DELETE FROM segments WHERE rowid = ?", ((row.rowid,) for row in damaged)
            )
            connection.executemany(
                f"INSERT OR REPLACE INTO segments ({COLUMNS}) VALUES ({marks})",
                (entry.to_row(self._own) for entry in healed),
            )
            set_generation(connection, self.generation() + 2)

    def seal(self) -> bool:
        """Give checksums to the rows that have none, and relative paths to own files.

        Returns:
            Whether all own files were named where they are now.
        """
        last, stayed = 0, True
        query = (
            f"SELECT rowid, {RAW_COLUMNS} FROM segments "
            "WHERE rowid > ? AND checksums IS NULL ORDER BY rowid LIMIT ?"
        )
        while rows := self._db.rows(query, (last, _PORTION)):
            last = rows[-1]["rowid"]
            checked = [CheckedRow.of_row(row, self._own) for row in rows]
            sound = [row for row in checked if row.is_sound]
            self.restore(sound, [entry for row in sound if (entry := row.healed({}, self._own))])
            stayed = stayed and not any(row.was_elsewhere for row in checked)
        return stayed

    def save(self) -> None:
        """Keep what can be read of a damaged file, and have all files read again."""
        with suppress(CollectionError), self._db.transaction() as connection:
            connection.execute("REINDEX")
        if self._db.is_damaged():
            self._db.salvage()
            with self._db.transaction() as connection:
                connection.execute(
                    "UPDATE files SET state = 'unread' WHERE state IN ('indexed', 'incomplete')"
                )
        self.count_write()

    # What an older mm_rag left.

    def ids_of_format_1(self) -> set[str]:
        """The ids of Segments that Chroma holds and this catalog does not."""
        tables = self._db.rows("SELECT 1 FROM sqlite_master WHERE name = 'segments_of_format_1'")
        rows = self._db.rows("SELECT id FROM segments_of_format_1") if tables else []
        return {row["id"] for row in rows} - self.ids()

    def forget_format_1(self) -> None:
        """They are taken over, but for what was to go.

        Files that had been begun then, or of which Chroma lacks something, are read again.
        """
        with self._db.transaction() as connection:
            forget_format_1(connection)

    # Another model.

    def not_reindexed(self) -> list[str]:
        """The ids of Segments without a vector of the model that is to come."""
        query = "SELECT id FROM segments WHERE id NOT IN (SELECT id FROM reindexed) ORDER BY id"
        return [row["id"] for row in self._db.rows(query)]

    def put_reindexed(self, vectors: Iterable[tuple[str, bytes]]) -> None:
        """Keep vectors of the model that is to come."""
        with self._db.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO reindexed (id, checksums, vector) VALUES (?, ?, ?)",
                ((id_, vector_sums(id_, vector), vector) for id_, vector in vectors),
            )

    def drop_reindexed(self) -> None:
        """Forget the vectors of a model that will not come."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM reindexed")

    def switch(self, **facts: str) -> None:
        """Take the vectors of the other model, and the facts about it, in one transaction."""
        with self._db.transaction() as connection:
            switch(connection, facts)
