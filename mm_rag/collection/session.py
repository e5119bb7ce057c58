"""Session: the open catalog, vectors and lexical index of one collection, kept in step.

Opening: catalog -> recovery after a killed writer -> lexical index -> vectors -> upgrade -> what
is missing in either index is made again. While open: `snapshot` for reading, `writing` for the one
writer, and `refresh` to follow other processes. Closing: vectors -> catalog -> storage location.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mm_rag._forking import ForkableLock, leak, renew_after_fork
from mm_rag.built_in import FORMER_NAME, MINILM, is_built_in
from mm_rag.collection.catalog import Catalog, State
from mm_rag.collection.damage import is_whole, remove
from mm_rag.collection.lexical import LexicalIndex, known_words
from mm_rag.collection.readers_writer_lock import ReadersWriterLock
from mm_rag.collection.storage import StorageLocation
from mm_rag.collection.store import BREADTH, VectorStore
from mm_rag.collection.writer import AT_ONCE, SegmentWriter
from mm_rag.encoder import Encoder
from mm_rag.errors import (
    CheckpointError,
    CollectionError,
    CollectionLocked,
    CollectionMismatch,
    FilesMissing,
    MissingExtra,
)
from mm_rag.extraction.speech import built_in_transcriber
from mm_rag.extraction.transcript import Transcriber

logger = logging.getLogger(__name__)

_MOST_NOT_IN_STORE = 1_000
"""How many segments may be missing from the open Chroma client while another process writes, before
it is reopened. Reading their vectors from the catalog costs a search 10 ms, reopening some 100."""


class Version(NamedTuple):
    """Changes with every write, of any process.

    Attributes:
        writes: Writes begun or ended.
        generation: The catalog's; odd while a commit is reaching the indexes.
    """

    writes: int
    generation: int


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One state of a collection, for the length of a `with session.snapshot()` block.

    Attributes:
        catalog: The catalog.
        store: The vectors; open until the block ends.
        lexical: The lexical index.
        not_in_store: Ids that another process committed since `store` was opened: its client does
            not know them, and their vectors are read from the catalog.
        version: The collection's version, taken before anything was read.
    """

    catalog: Catalog
    store: VectorStore
    lexical: LexicalIndex
    not_in_store: Sequence[str]
    version: Version


class Session:
    """The open parts of one collection.

    Args:
        storage: Where they are.
        wait: Seconds to wait for another writer.

    Attributes:
        catalog: The catalog.
        store: The vectors; replaced by `refresh` and `rebuild`.
        lexical: The lexical index.

    Raises:
        CollectionMismatch: It was made by a newer mm_rag, or by another program.
        CollectionError: It cannot be opened.
    """

    def __init__(self, storage: StorageLocation, wait: float) -> None:
        self.storage, self._wait = storage, wait
        self._opening = ForkableLock()  # while `store` or `lexical` is replaced
        self._store_lock = ReadersWriterLock()  # searches read; replacing `store` writes
        self._is_writing = self._has_written = self._is_inherited = False
        with ExitStack() as undo:
            undo.callback(storage.close)
            self.catalog = Catalog(storage.catalog, storage.folder)
            undo.callback(self.catalog.close)
            self.catalog.check_format(storage.place)
            self._recover_from_killed_writer()
            self.lexical = self._open_lexical()
            # The version that `store` is known to hold: taken before opening it, and after every
            # write of this process.
            self._opened_at = self._version()
            self.store = self._open_store()
            undo.callback(lambda: self.store.close())
            self._upgrade()
            self._refill_lexical()
            self._refill_store()
            undo.pop_all()
        renew_after_fork(self)

    # Opening.

    def _recover_from_killed_writer(self) -> None:
        """Discard the vectors if a killed writer left them unreadable."""
        state = self.catalog.state()
        untouched = self.storage.store_is_untouched()
        if untouched and not state.vectors_outdated and not state.is_written_to:
            return
        try:
            with self.storage.writing(0.0):
                if state.vectors_outdated or not self.storage.store_is_whole():
                    self.storage.discard_store()
                self.catalog.advance(State.recovered)
        except CollectionLocked:  # it is alive, and still writing
            if not untouched and not self.storage.store_is_whole():
                raise

    def _open_lexical(self) -> LexicalIndex:
        """Open the lexical index; begin an empty one if it is damaged or missing."""
        folder = self.storage.lexical
        if folder is None:
            return LexicalIndex(None)
        if not folder.is_dir():
            self._begin_lexical(folder)
        elif any(folder.iterdir()) and not known_words(folder).are_untouched():
            self._check_lexical(folder)
        try:
            return LexicalIndex(folder)
        except CollectionError:  # damaged, or of another version; the catalog has all its contents
            with self.storage.writing(self._wait):
                with suppress(CollectionError):  # another process has made it again
                    return LexicalIndex(folder)
                self._begin_lexical(folder)
            return LexicalIndex(folder)

    def _check_lexical(self, folder: Path) -> None:
        """Read changed files in a child process, which a crash of tantivy may end."""
        try:
            with self.storage.writing(0.0):
                if is_whole(folder, "words"):
                    known_words(folder).note()
                else:
                    logger.warning("The lexical index is damaged, and is made again.")
                    self._begin_lexical(folder)
        except CollectionLocked:
            logger.info("Another process is writing the lexical index.")

    def _begin_lexical(self, folder: Path) -> None:
        """Replace the lexical index by an empty one."""
        remove(folder)
        known_words(folder).forget()
        folder.mkdir(parents=True, exist_ok=True)

    def _open_store(self) -> VectorStore:
        """Open the vectors; discard them first if Chroma cannot open them."""
        try:
            return self.storage.open_store()
        except CollectionMismatch:
            raise
        except CollectionError as error:
            if self.storage.store_is_whole():
                raise
            logger.warning("The vectors are damaged, and are made again: %s", error)
            with self.storage.writing(self._wait):
                self.storage.discard_store()
            return self.storage.open_store()

    def _upgrade(self) -> None:
        """Bring a catalog of an older format up to date."""
        if self.catalog.is_outdated():
            with self.storage.writing(self._wait):
                self.catalog.upgrade()
                self._count_write()

    def _refill_lexical(self) -> None:
        """Fill the lexical index if it is empty, or filling it was interrupted."""
        was_begun = self.catalog.state().lexical_incomplete
        if not was_begun and (len(self.lexical) or not self.catalog.counts()):
            return
        with self.storage.writing(self._wait):
            self.catalog.advance(State.lexical_begun)
            ids = sorted(self.catalog.ids())
            for start in range(0, len(ids), AT_ONCE):
                found, _ = self.catalog.sound_entries(ids[start : start + AT_ONCE])
                self.lexical.put(entry.segment for entry in found)
            self.catalog.advance(State.lexical_restored)

    def _refill_store(self) -> None:
        """Fill the store again if it was thrown away."""
        if not self.catalog.state().vectors_lost:
            return
        try:
            with self.storage.writing(0.0):
                self._fill_indexes()
        except CollectionLocked:
            logger.info("The process that writes fills the vectors again.")

    def _fill_indexes(self) -> None:
        """Add to both indexes what they lack of the catalog. Needs the write lock."""
        SegmentWriter(self.store, self.lexical, self.catalog).update_indexes()
        self.catalog.advance(State.vectors_restored)
        self._count_write()

    # Closing.

    def close(self) -> None:
        """Close everything."""
        if not self._is_inherited:
            self.store.close()
            if self._has_written and self.storage.writes_out:
                self._write_out()
        self.catalog.close()
        self.storage.close()

    def _write_out(self) -> None:
        """Have Chroma write its index to disk, so that every opening reads the same one."""
        try:
            # Small collections are searched exhaustively; and a deleted folder is not made again.
            is_small = sum(self.catalog.counts().values()) <= BREADTH
            if is_small or not self.storage.folder.is_dir():
                return
            with self.storage.writing(0.0):
                self.storage.write_out()
                self._count_write()
        except (CollectionError, OSError) as error:  # another process writes
            logger.info("Chroma's index is not written out: %s", error)

    # Reading.

    @contextmanager
    def snapshot(self, *, hold_commits: bool = False) -> Generator[Snapshot]:
        """Yield the current state, whose vectors stay open until the block ends.

        Optimistic: a commit of any process may change the collection meanwhile, which `is_current`
        tells afterwards.

        Args:
            hold_commits: Make commits of all processes wait until the block ends.
        """
        with self.catalog.hold_commits() if hold_commits else nullcontext():
            # Before anything is read: a commit that begins later makes the snapshot outdated.
            version = self._version() if hold_commits else self._version_after_commit()
            self.refresh()
            with self._store_lock.read():
                yield Snapshot(
                    version=version,
                    catalog=self.catalog,
                    store=self.store,
                    lexical=self.lexical,
                    not_in_store=self._not_in_store(),
                )

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether nothing was written since a snapshot was taken."""
        return self._version() == snapshot.version

    def recover(self, error: CollectionError, snapshot: Snapshot, failures: int) -> None:
        """Make the collection readable again after a snapshot could not be read.

        First Chroma is reopened: it fails if another process changed the files that its client
        remembers. If that was not enough, damaged indexes are rebuilt.

        Args:
            error: What reading the snapshot raised.
            snapshot: The snapshot.
            failures: How many snapshots failed before this one.

        Raises:
            CollectionError: `error`, if there is nothing left to try.
        """
        if failures == 0:
            logger.info("Chroma is reopened: %s", error)
            self.refresh(stale=snapshot.store)
            return
        if (
            failures > 1
            or self.catalog.is_damaged()
            or self.indexes_are_readable()
            or self._is_writing
        ):
            raise error
        logger.warning("The vectors or the lexical index are damaged, and are rebuilt.")
        self.rebuild()

    def refresh(self, *, stale: VectorStore | None = None, writing: bool = False) -> None:
        """Reopen the vectors if another process has written.

        Chroma's client keeps its index in memory: it would not find what others wrote, and would
        overwrite it when writing.

        Args:
            stale: Reopen if this is still the open store. Not while this process writes: then no
                other one can have written, and the writer is using it.
            writing: Whether this process has just taken the write lock.
        """
        with self._opening:
            self._leave_parent()
            version = self._version()
            is_behind = (
                version.writes != self._opened_at.writes
                or len(self._not_in_store()) > _MOST_NOT_IN_STORE
            )
            if (is_behind or self.store is stale) and not self._is_writing:
                with self._store_lock.write():
                    self.store.close()
                    self.store = self._open_store()
                self._opened_at = version
        if not writing:
            self._refill_store()

    def _version(self) -> Version:
        """The present version of the collection."""
        state = self.catalog.state()
        return Version(state.writes, state.generation)

    def _version_after_commit(self) -> Version:
        """The version, once a commit in progress has reached both indexes."""
        version = self._version()
        if version.generation & 1:
            with self.catalog.hold_commits():
                return self._version()
        return version

    def _not_in_store(self) -> list[str]:
        """Ids that another process committed since Chroma was opened here."""
        if self._is_writing:
            return []
        return self.catalog.changed_since(self._opened_at.generation, _MOST_NOT_IN_STORE + 1)

    # The models a collection belongs to.

    def built_in_encoder(self) -> str | None:
        """The name of the built-in encoder that the collection was made with, if it was."""
        name = self.catalog.meta("model")
        if name == FORMER_NAME:
            return MINILM
        return name if name is not None and is_built_in(name) else None

    def check_encoder(self, encoder: Encoder) -> None:
        """Check that the collection's vectors are of this model.

        Raises:
            CollectionMismatch: They are of another one.
        """
        place, made_with = self.storage.place, self.catalog.meta("encoder")
        if made_with is not None and made_with != encoder.fingerprint:
            raise CollectionMismatch(
                f"{place} was made with the model {self.catalog.meta('model')} ({made_with}), and "
                f"this is {encoder.name} ({encoder.fingerprint}): their vectors cannot be mixed. "
                "Open it with the model it was made with, or encode it again with this one: "
                f"Collection.reindex({place!r}, encoder=...), or mm-rag reindex."
            )
        dimension = self.store.dimension() if made_with is None else None
        if dimension not in (None, encoder.dimension):
            raise CollectionMismatch(
                f"Another program wrote vectors of {dimension} dimensions into {place}, and "
                f"{encoder.name} makes {encoder.dimension}: they cannot be mixed. Open it with the "
                "model that made them, or choose another name or folder."
            )

    def record_encoder(self, encoder: Encoder) -> None:
        """Write down the model whose vectors the collection holds from now on.

        Raises:
            CollectionMismatch: Another process has added another model's meanwhile.
        """
        self.check_encoder(encoder)
        self.catalog.set_meta(encoder=encoder.fingerprint, model=encoder.name)

    def transcriber_for(self, named: Transcriber | None) -> Transcriber | None:
        """The transcriber for the next recordings; None for the default.

        It is the named one, or else the one that was named for the recordings before.

        Raises:
            CollectionMismatch: The transcriber cannot be made here.
        """
        made_with = self.catalog.meta("transcriber")
        if named is not None or made_with is None:
            return named
        try:
            built_in, reason = built_in_transcriber(made_with), ""
        except (MissingExtra, CheckpointError) as error:
            built_in, reason = None, f" ({error})"
        if built_in is None:
            raise CollectionMismatch(
                f"The recordings in {self.storage.place} were transcribed by {made_with}{reason}. "
                "Name it again: sync(..., options=LoadOptions(transcriber=...)); or name another "
                "one, such as PocketSphinxTranscriber(), to transcribe all of them again."
            )
        return built_in

    def record_transcriber(self, transcriber: Transcriber | None) -> None:
        """Write down the transcriber that was named for the collection's recordings."""
        if transcriber is not None:
            self.catalog.set_meta(transcriber=transcriber.name)

    def report_transcribers(self) -> None:
        """Log once that recordings were heard by different transcribers.

        Where none is named, unchanged recordings keep the words of what was the default then.
        """
        if self.catalog.meta("transcriber") or not {"audio", "video"} & set(self.catalog.counts()):
            return
        names = sorted(map(str, self.catalog.values("transcriber")))
        known = "|".join(names)
        if len(names) > 1 and known != self.catalog.meta("transcribers"):
            logger.warning(
                "Recordings in %s were heard by %s: unchanged ones keep the words of the former "
                "default. To hear all of them again: "
                "sync(..., options=LoadOptions(transcriber=WhisperBaseTranscriber())).",
                *(self.storage.place, " and by ".join(names)),
            )
            self.catalog.set_meta(transcribers=known)

    # Writing.

    @contextmanager
    def writing(self) -> Generator[SegmentWriter]:
        """Hold the exclusive write lock and yield a writer.

        Raises:
            CollectionError: The collection is read-only.
            CollectionLocked: Another process writes.
        """
        self.check_writable()
        with self.storage.writing(self._wait):
            self.refresh(writing=True)
            try:
                self._is_writing = self._has_written = True
                self.catalog.advance(State.write_begun)
                # Before and after: others must look again, even if this process is killed.
                self._count_write()
                writer = SegmentWriter(self.store, self.lexical, self.catalog)
                self.catalog.detach_staged()
                self._note_folder()
                writer.update_indexes()
                self.catalog.advance(State.vectors_restored)
                yield writer
                self.catalog.advance(State.write_ended)
            except FilesMissing:
                # No segment was changed. After any other error `is_written_to` stays: the next
                # session checks the vectors.
                self.catalog.advance(State.write_ended)
                raise
            finally:
                try:
                    self._count_write()
                finally:
                    self._is_writing = False

    def check_writable(self) -> None:
        """Check that the collection may be written to.

        Raises:
            CollectionError: It is read-only.
        """
        if self.storage.is_read_only:
            raise CollectionError(
                f"{self.storage.place} cannot be written to: it is mounted read-only, or belongs "
                "to another user. It can be searched; to change it, copy it elsewhere first."
            )

    def _count_write(self) -> None:
        """Tell other processes of a write. Needs the write lock."""
        # Under `_opening`: a thread that searches in between would take this write for another
        # process's and close the store that the writer is using.
        with self._opening:
            self.catalog.advance(State.write_counted)
            self._opened_at = self._version()
        self.catalog.forget_changes()

    def _note_folder(self) -> None:
        """If the collection was moved, have Chroma's records name its files' new paths.

        Needs the write lock.
        """
        here, was = str(self.storage.folder), self.catalog.meta("folder")
        if self.storage.can_move and was != here:
            if was is not None:
                self.catalog.mark_own_files_out_of_sync()
            self.catalog.set_meta(folder=here)

    # Damage.

    def indexes_are_readable(self) -> bool:
        """Whether the vectors and the lexical index can be read at all."""
        try:
            self.lexical.ids()
        except CollectionError:
            return False
        return self.lexical.is_sound() and self.storage.store_is_whole()

    def rebuild(self) -> None:
        """Make the vectors and the lexical index again from the catalog.

        Raises:
            CollectionLocked: Another process writes.
        """
        with self.storage.writing(self._wait):
            with self._opening, self._store_lock.write():
                self.store.close()
                self.storage.discard_store()
                if self.storage.lexical is not None:
                    remove(self.storage.lexical)
                self.store, self.lexical = self.storage.open_store(), self._open_lexical()
                self._opened_at = self._version()
            self._fill_indexes()

    def save_catalog(self) -> None:
        """If the catalog's file is damaged, keep what can be read of it.

        Raises:
            CollectionLocked: Another process writes.
        """
        if not self.catalog.is_damaged():
            return
        with self.storage.writing(self._wait), self._opening:
            self.catalog.salvage()
            self._opened_at = self._version()

    # Forking.

    def after_fork(self) -> None:
        """In a forked child, which has none of Chroma's threads: reopen at the next `refresh`."""
        leak(self.store, self.lexical)
        self._store_lock = ReadersWriterLock()
        self._is_writing = self._has_written = False
        self._is_inherited = True

    def _leave_parent(self) -> None:
        """In a forked child, reopen what the parent had opened."""
        if not self._is_inherited:
            return
        self.storage.after_fork(self.catalog)
        if self.storage.lexical is not None:
            self.lexical = self._open_lexical()
        self.store = self._open_store()
        self._opened_at = self._version()
        self._is_inherited = False
