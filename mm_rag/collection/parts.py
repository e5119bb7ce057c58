"""Parts: ledger, vectors and words of one collection, opened together and kept in step."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from mm_rag.collection.home import Home
from mm_rag.collection.ledger import FORMAT_VERSION, Ledger
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.migrations import migrate
from mm_rag.collection.search import Spaces
from mm_rag.collection.writer import AT_ONCE, SegmentWriter
from mm_rag.encoder import Encoder
from mm_rag.errors import CollectionError, CollectionLocked, CollectionMismatch

_WRITING = "writing"  # the fact that somebody is, or was when he was killed


class Parts:
    """What a collection is made of.

    Args:
        home: Where it lives.
        wait: Seconds to wait for another writer.

    Raises:
        CollectionMismatch: It was made by a newer mm_rag, or by another program.
        CollectionError: It cannot be opened.
    """

    def __init__(self, home: Home, wait: float) -> None:
        self.home, self._wait = home, wait
        self.lock = threading.RLock()
        with ExitStack() as undo:
            undo.callback(home.close)
            self.ledger = Ledger(home.ledger)
            undo.callback(self.ledger.close)
            self._check_format()
            self._recover()
            self.lexical = self._open_lexical()
            home.follow(self.ledger, self.lexical)
            self._writes = self.ledger.writes()
            self.store = home.open_store()
            undo.callback(self.store.close)
            self._migrate()
            self._refill_lexical()
            undo.pop_all()

    def close(self) -> None:
        """Let go of everything."""
        self.store.close()
        self.ledger.close()
        self.home.close()

    def spaces(self, encoder: Encoder) -> Spaces:
        """What the vectors look like; computed once for as long as nobody writes."""
        with self.lock:
            key = (self.ledger.writes(), encoder.fingerprint)
            if self._spaces is None or self._spaces[0] != key:
                self._spaces = (key, Spaces(self.ledger, encoder))
            return self._spaces[1]

    _spaces: tuple[tuple[int, str], Spaces] | None = None

    @contextmanager
    def writing(self) -> Generator[SegmentWriter]:
        """Be the one writer.

        Raises:
            CollectionLocked: Another one is.
        """
        with self.home.writing(self._wait):
            self.refresh(writing=True)
            self.ledger.set_meta(**{_WRITING: "yes"})
            # Before and after: others must look again, even if this process is killed.
            self._count_write()
            try:
                writer = self.home.writer(self.store, self.lexical, self.ledger)
                self.ledger.detach_drafts()
                writer.settle()
                yield writer
                writer.finish()
                self.ledger.set_meta(**{_WRITING: None})
            finally:
                self._count_write()

    def refresh(self, *, anyway: bool = False, writing: bool = False) -> None:
        """Open the vectors again if another process has written since.

        Chroma's client keeps its index in memory: it would not find what others wrote, and in
        writing it would lose it.

        Args:
            anyway: Even if nobody seems to have.
            writing: Whether this process is the one writer, and has just become it.
        """
        with self.lock:
            self.home.follow(self.ledger, self.lexical, writing=writing)
            writes = self.ledger.writes()
            if anyway or writes != self._writes:
                self.store.close()
                self.store = self.home.open_store()
                self._writes = writes

    def rebuild(self) -> None:
        """Make vectors and words anew from the ledger.

        Raises:
            CollectionLocked: Another process writes.
        """
        with self.home.writing(self._wait):
            self.store.close()
            self._discard()
            self.store, self.lexical = self.home.open_store(), self._open_lexical()
            SegmentWriter(self.store, self.lexical, self.ledger).settle()
            self.ledger.set_meta(**{_WRITING: None})
            self._count_write()

    def _discard(self) -> None:
        self.ledger.unsettle()
        self.home.discard_store()
        if self.home.lexical is not None:
            shutil.rmtree(self.home.lexical, ignore_errors=True)

    def _recover(self) -> None:
        """After a writer was killed, see to it that Chroma can be opened at all."""
        outdated = self.ledger.meta("rebuild") is not None
        if not outdated and self.ledger.meta(_WRITING) is None:
            return
        try:
            with self.home.writing(0.0):
                if outdated or not self.home.store_is_whole():
                    self._discard()
                self.ledger.set_meta(**{_WRITING: None, "rebuild": None})
        except CollectionLocked:
            return  # he lives, and is still writing

    def _open_lexical(self) -> LexicalIndex:
        folder = self.home.lexical
        if folder is None:
            return LexicalIndex(None)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return LexicalIndex(folder)
        except CollectionError:  # damaged, or another version's: the ledger has all that is in it
            with self.home.writing(self._wait):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            return LexicalIndex(folder)

    def _refill_lexical(self) -> None:
        """Make the words anew where they are gone altogether."""
        if len(self.lexical) or not self.ledger.counts():
            return
        with self.home.writing(self._wait):
            ids = sorted(self.ledger.ids())
            for start in range(0, len(ids), AT_ONCE):
                found = self.ledger.segments(ids[start : start + AT_ONCE])
                self.lexical.put(found.values())

    def _count_write(self) -> None:
        # At one go: a thread that searches in between would take this write for another process's
        # and close the vectors that the writer is using.
        with self.lock:
            self._writes = self.ledger.count_write()

    def _check_format(self) -> None:
        made_by = self.ledger.meta("format")
        if made_by is None:
            self.ledger.set_meta(format=str(FORMAT_VERSION))
        elif int(made_by) > FORMAT_VERSION:
            raise CollectionMismatch(
                f"{self.home.place} was made by a newer mm_rag (format {made_by}; this one reads "
                f"up to {FORMAT_VERSION}). Upgrade: pip install -U mm-rag"
            )

    def _migrate(self) -> None:
        if self.ledger.meta("format") != str(FORMAT_VERSION):
            with self.home.writing(self._wait):
                migrate(self.ledger, self.store, self.lexical)
                self._count_write()
