"""Parts: catalog, vectors and words of one collection, opened together and kept in step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from mm_rag._forking import ForkableLock, leak, renew_after_fork
from mm_rag._optional import upgrade_command
from mm_rag.collection.catalog import FORMAT_VERSION, Catalog
from mm_rag.collection.damage import is_whole, remove
from mm_rag.collection.lexical import LexicalIndex, known_words
from mm_rag.collection.migrations import migrate
from mm_rag.collection.readers_writer_lock import Turns
from mm_rag.collection.search import Spaces
from mm_rag.collection.storage import StorageLocation
from mm_rag.collection.store import BREADTH, VectorStore
from mm_rag.collection.writer import AT_ONCE, SegmentWriter
from mm_rag.encoder import Encoder
from mm_rag.errors import CollectionError, CollectionLocked, CollectionMismatch, FilesMissing

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_TRIES = 3
"""How often something is read beside commits, before these are held off for it."""

_MOST_MISSED = 1_000
"""As many Segments may be missing in an open Chroma while another process writes. A search reads
their vectors from the catalog, which takes it 10 ms; to open Chroma takes some 100 ms."""

_WRITING = "writing"  # the fact that somebody is, or was when he was killed


class Parts:
    """What a collection is made of.

    Args:
        storage: Where it lives.
        wait: Seconds to wait for another writer.

    Raises:
        CollectionMismatch: It was made by a newer mm_rag, or by another program.
        CollectionError: It cannot be opened.
    """

    def __init__(self, storage: StorageLocation, wait: float) -> None:
        self.storage, self._wait = storage, wait
        self._lock, self._spaces_lock = ForkableLock(), ForkableLock()
        self._turns, self._is_writing = Turns(), False
        with ExitStack() as undo:
            undo.callback(storage.close)
            self.catalog = Catalog(storage.catalog, storage.folder)
            undo.callback(self.catalog.close)
            self._check_format()
            self._recover()
            self.lexical = self._open_lexical()
            self._seen = self._state()
            self.store = self._open_store()
            undo.callback(lambda: self.store.close())
            self._migrate()
            self._refill_lexical()
            self._refill()
            undo.pop_all()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Chroma's threads are not in a forked child: what is open is opened again there."""
        leak(self.store, self.lexical)
        self._turns, self._is_writing, self._is_parents = Turns(), False, True
        self._has_written = False

    _is_parents = False

    def close(self) -> None:
        """Let go of everything."""
        if not self._is_parents:
            self.store.close()
            if self._has_written and self.storage.writes_out:
                self._write_out()
        self.catalog.close()
        self.storage.close()

    def _write_out(self) -> None:
        try:
            # Of few all are looked at anyway; and a folder that was deleted is not made again.
            is_small = sum(self.catalog.counts().values()) <= BREADTH
            if is_small or not self.storage.folder.is_dir():
                return
            with self.storage.writing(0.0):
                self.storage.write_out()
                self._count_write()
        except (CollectionError, OSError) as error:  # another process writes
            logger.info("Chroma's index is not written out: %s", error)

    _has_written = False

    def spaces(self, encoder: Encoder) -> Spaces:
        """What the vectors look like; computed once for every state of the collection."""
        with self._spaces_lock:
            key = (self._state(), encoder.fingerprint)
            if self._spaces is None or self._spaces[0] != key:
                self._spaces = (key, Spaces(self.catalog, encoder))
            return self._spaces[1]

    _spaces: tuple[tuple[tuple[int, int], str], Spaces] | None = None

    def read(self, task: Callable[[VectorStore, LexicalIndex], Result]) -> Result:
        """Do something with vectors and words as they are now, and which stay open meanwhile.

        It is done again where something is committed meanwhile, so that its result is of one state;
        after a few times commits are held off for it. It is also done again where Chroma fails at
        first: another process may have written, and this one's Chroma misses what it remembers.

        Args:
            task: Must not write, and not ask for `read` or `refresh`.
        """
        for _ in range(_TRIES):
            state = self._state()
            if state[1] & 1:
                with self.catalog.hold_commits():  # waits for the end of the commit
                    state = self._state()
            result = self._read(task)
            if self._state() == state:
                return result
        with self.catalog.hold_commits():
            return self._read(task)

    def _read(self, task: Callable[[VectorStore, LexicalIndex], Result]) -> Result:
        self.refresh()
        with self._turns.together():
            store = self.store
            try:
                return task(store, self.lexical)
            except CollectionMismatch:
                raise
            except CollectionError as error:
                logger.info("Chroma is opened again: %s", error)
        self.refresh(stale=store)
        try:
            with self._turns.together():
                return task(self.store, self.lexical)
        except CollectionMismatch:
            raise
        except CollectionError:
            if self.catalog.is_damaged() or self.are_whole() or self._is_writing:
                raise
            logger.warning("Vectors or words are damaged, and are made again.")
            self.rebuild()
        with self._turns.together():
            return task(self.store, self.lexical)

    @contextmanager
    def writing(self) -> Generator[SegmentWriter]:
        """Be the one writer.

        Raises:
            CollectionLocked: Another one is.
        """
        self.check_writable()
        with self.storage.writing(self._wait):
            self.refresh(writing=True)
            self._is_writing = self._has_written = True
            self.catalog.set_meta(**{_WRITING: "yes"})
            # Before and after: others must look again, even if this process is killed.
            self._count_write()
            try:
                writer = SegmentWriter(self.store, self.lexical, self.catalog)
                self.catalog.detach_staged()
                self._note_folder()
                writer.update_indexes()
                self.catalog.set_meta(refill=None)
                yield writer
                self.catalog.set_meta(**{_WRITING: None})
            except FilesMissing:  # before anything was written
                self.catalog.set_meta(**{_WRITING: None})
                raise
            finally:
                self._count_write()
                self._is_writing = False

    def check_writable(self) -> None:
        """See that the collection may be written to.

        Raises:
            CollectionError: It is read-only.
        """
        if self.storage.is_read_only:
            raise CollectionError(
                f"{self.storage.place} cannot be written to: it is mounted read-only, or belongs "
                "to another user. It can be searched; to change it, copy it elsewhere first."
            )

    def _note_folder(self) -> None:
        """Where the collection was moved, have Chroma's records name its files where they are."""
        here, was = str(self.storage.folder), self.catalog.meta("folder")
        if self.storage.can_move and was != here:
            if was is not None:
                self.catalog.mark_own_files_out_of_sync()
            self.catalog.set_meta(folder=here)

    def refresh(self, *, stale: VectorStore | None = None, writing: bool = False) -> None:
        """Open the vectors again if another process has written since.

        Chroma's client keeps its index in memory: it would not find what others wrote, and in
        writing it would lose it.

        Args:
            stale: Open them again even if nobody seems to have, if these are still the ones. Not
                while this process writes: nobody else can have, and the writer is using them.
            writing: Whether this process is the one writer, and has just become it.
        """
        with self._lock:
            self._leave_parent()
            writes, generation = self._state()
            is_behind = writes != self._seen[0] or len(self.missed()) > _MOST_MISSED
            if (is_behind or self.store is stale) and not self._is_writing:
                with self._turns.alone():
                    self.store.close()
                    self.store = self._open_store()
                self._seen = writes, generation
        if not writing:
            self._refill()

    def _leave_parent(self) -> None:
        """In a forked child, open again what the parent had opened."""
        if not self._is_parents:
            return
        self.storage.after_fork(self.catalog)
        if self.storage.lexical is not None:
            self.lexical = self._open_lexical()
        self.store = self._open_store()
        self._seen = self._state()
        self._is_parents = False

    def rebuild(self) -> None:
        """Make vectors and words anew from the catalog.

        Raises:
            CollectionLocked: Another process writes.
        """
        with self.storage.writing(self._wait):
            with self._lock, self._turns.alone():
                self.store.close()
                self.storage.discard_store()
                if self.storage.lexical is not None:
                    remove(self.storage.lexical)
                self.store, self.lexical = self.storage.open_store(), self._open_lexical()
                self._seen = self._state()
            self._settle()

    def save_catalog(self) -> None:
        """Where the catalog's file is damaged, keep what can be read of it.

        Raises:
            CollectionLocked: Another process writes.
        """
        if not self.catalog.is_damaged():
            return
        with self.storage.writing(self._wait), self._lock:
            self.catalog.save()
            self._seen = self._state()

    def are_whole(self) -> bool:
        """Whether vectors and words can be read at all."""
        try:
            self.lexical.ids()
        except CollectionError:
            return False
        return self.lexical.is_sound() and self.storage.store_is_whole()

    def _recover(self) -> None:
        """After a writer was killed, see to it that Chroma can be opened at all."""
        outdated = self.catalog.meta("rebuild") is not None
        untouched = self.storage.store_is_untouched()
        if untouched and not outdated and self.catalog.meta(_WRITING) is None:
            return
        try:
            with self.storage.writing(0.0):
                if outdated or not self.storage.store_is_whole():
                    self.storage.discard_store()
                self.catalog.set_meta(**{_WRITING: None, "rebuild": None})
        except CollectionLocked:  # he lives, and is still writing
            if not untouched and not self.storage.store_is_whole():
                raise

    def _open_store(self) -> VectorStore:
        """Open the vectors; where Chroma cannot, make them anew from the catalog."""
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

    def _refill(self) -> None:
        """Make the vectors anew where they were thrown away."""
        if self.catalog.meta("refill") is None:
            return
        try:
            with self.storage.writing(0.0):
                self._settle()
        except CollectionLocked:
            logger.info("Who is writing makes the vectors again.")

    def _settle(self) -> None:
        SegmentWriter(self.store, self.lexical, self.catalog).update_indexes()
        self.catalog.set_meta(refill=None)
        self._count_write()

    def _open_lexical(self) -> LexicalIndex:
        folder = self.storage.lexical
        if folder is None:
            return LexicalIndex(None)
        if not folder.is_dir():
            self._begin_words(folder)
        elif any(folder.iterdir()) and not known_words(folder).are_untouched():
            self._check_words(folder)
        try:
            return LexicalIndex(folder)
        except CollectionError:  # damaged, or another version's: the catalog has all that is in it
            with self.storage.writing(self._wait):
                self._begin_words(folder)
            return LexicalIndex(folder)

    def _check_words(self, folder: Path) -> None:
        """Have files that are not as they were written read where a crash harms nothing."""
        try:
            with self.storage.writing(0.0):
                if is_whole(folder, "words"):
                    known_words(folder).note()
                else:
                    logger.warning("The words are damaged, and are made again.")
                    self._begin_words(folder)
        except CollectionLocked:
            logger.info("Another process is writing the words.")

    def _begin_words(self, folder: Path) -> None:
        remove(folder)
        known_words(folder).forget()
        folder.mkdir(parents=True, exist_ok=True)

    def _refill_lexical(self) -> None:
        """Make the words anew where they are gone altogether."""
        begun = self.catalog.meta("words") is not None
        if not begun and (len(self.lexical) or not self.catalog.counts()):
            return
        with self.storage.writing(self._wait):
            self.catalog.set_meta(words="begun")
            ids = sorted(self.catalog.ids())
            for start in range(0, len(ids), AT_ONCE):
                found, _ = self.catalog.sound_entries(ids[start : start + AT_ONCE])
                self.lexical.put(entry.segment for entry in found)
            self.catalog.set_meta(words=None)

    def _count_write(self) -> None:
        # At one go: a thread that searches in between would take this write for another process's
        # and close the vectors that the writer is using.
        with self._lock:
            self.catalog.count_write()
            self._seen = self._state()
        self.catalog.forget_changes()

    def missed(self) -> list[str]:
        """The ids of what another process has committed since Chroma was opened here."""
        if self._is_writing:
            return []
        return self.catalog.changed_since(self._seen[1], _MOST_MISSED + 1)

    def _state(self) -> tuple[int, int]:
        """Changes with everything that any process writes."""
        return self.catalog.writes(), self.catalog.generation()

    def _check_format(self) -> None:
        made_by = self.catalog.meta("format")
        if made_by is None:
            self.catalog.set_meta(format=str(FORMAT_VERSION))
        elif not self.catalog.number("format"):
            raise CollectionError(
                f"The catalog {self.storage.catalog} is damaged: it says that its format is "
                f"{made_by!r:.100}. Put it back from a copy, or delete it: repair() then takes in "
                "what Chroma has."
            )
        elif int(made_by) > FORMAT_VERSION:
            raise CollectionMismatch(
                f"{self.storage.place} was made by a newer mm_rag (format {made_by}; this one "
                f"reads up to {FORMAT_VERSION}). Upgrade: {upgrade_command()}"
            )

    def _migrate(self) -> None:
        if self.catalog.meta("format") != str(FORMAT_VERSION):
            with self.storage.writing(self._wait):
                migrate(self.catalog, self.store, self.lexical)
                self._count_write()
