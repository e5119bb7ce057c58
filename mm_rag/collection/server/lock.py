"""ServerLock: one writer over all machines.

Whoever makes the Chroma collection `<name>.lock` holds it: a server makes a collection only once.
It says who holds it, and when he last gave a sign of life. A lock without one is taken over: it is
renamed by its Chroma id, so that nobody can take away the lock that a third one makes meanwhile.
"""

from __future__ import annotations

import os
import platform
import threading
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import chromadb
from chromadb.api import ClientAPI
from chromadb.errors import ChromaError, NotFoundError

from mm_rag.collection.server.client import answering
from mm_rag.errors import CollectionError, CollectionLocked

BEAT = 10.0
"""Seconds between two signs of life."""

STALE = 60.0
"""Seconds without a sign of life, after which a lock may be taken over."""

WATCHED = 25.0
"""Seconds for which such a lock is watched first: clocks of other machines may be wrong."""

_POLL = 0.5  # seconds between two attempts
_TRIES = 5


class ServerLock:
    """The right to write to one collection of a server.

    Args:
        client: Of the server.
        name: The collection's.
        place: The server, for messages.
        replica: Who asks. Of one replica only one process can ask at a time: a lock that the same
            one left behind is nobody's.
    """

    def __init__(self, client: ClientAPI, name: str, place: str, replica: str) -> None:
        self._client, self._name, self._place = client, name, place
        self._lock, self._replica = f"{name}.lock", replica
        self._since = time.ctime()
        self._ended = threading.Event()

    @contextmanager
    def held(self, wait: float) -> Generator[None]:
        """Hold it.

        Args:
            wait: Seconds to wait for another writer.

        Raises:
            CollectionLocked: Another one holds it; the message says who, and since when.
            CollectionError: The server does not answer.
        """
        self._mine = self._acquire(wait)
        beating = threading.Thread(target=self._beat, name="mm-rag lock", daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._ended.set()
            beating.join()
            self._remove(self._mine)

    def check(self) -> None:
        """Ask the server whether it is still held.

        Raises:
            CollectionError: It was taken over, as this process gave no sign of life for too long.
        """
        now = self._present()
        if now is None or now.id != self._mine.id:
            raise CollectionError(
                f"Another process has taken over writing to '{self._name}' on {self._place}: this "
                "one was not heard of for too long. What it committed is intact; run it again."
            )

    def _acquire(self, wait: float) -> chromadb.Collection:
        deadline, watched = time.monotonic() + wait, _Watched()
        while True:
            made = self._make()
            if not isinstance(made, ChromaError):
                return made
            found = self._present()
            if found is None:
                watched.note_missing(self._place, made)
                continue
            holder: dict[str, Any] = dict(found.metadata or {})
            if holder.get("replica") == self._replica or watched.is_dead(found, holder):
                self._remove(found)
            elif not watched.may_be_dead and time.monotonic() >= deadline:
                raise CollectionLocked(self._describe(holder))
            else:
                time.sleep(_POLL)

    def _make(self) -> chromadb.Collection | ChromaError:
        with answering(self._place):
            try:
                return self._client.create_collection(
                    self._lock, embedding_function=None, metadata=self._metadata()
                )
            except ChromaError as error:  # it exists: over HTTP that has no class of its own
                return error

    def _present(self) -> chromadb.Collection | None:
        with answering(self._place):
            try:
                return self._client.get_collection(self._lock, embedding_function=None)
            except NotFoundError:
                return None

    def _remove(self, lock: chromadb.Collection) -> None:
        aside = f"{self._lock}.{uuid.uuid4().hex}"
        with answering(self._place):
            try:
                lock.modify(name=aside)
                self._client.delete_collection(aside)
            except NotFoundError:  # somebody else removed it
                return

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                with answering(self._place):
                    self._mine.modify(metadata=self._metadata())
            except CollectionError:  # `check` says so, before anything is written
                continue

    def _metadata(self) -> dict[str, str | int | float]:
        return {
            "host": platform.node(),
            "pid": os.getpid(),
            "since": self._since,
            "beat": time.time(),
            "replica": self._replica,
        }

    def _describe(self, holder: dict[str, Any]) -> str:
        return (
            f"'{self._name}' on {self._place} is being written to by process {holder.get('pid')} "
            f"on {holder.get('host')} (since {holder.get('since')}). "
            "Wait until it is done (wait=60 waits a minute), or stop it."
        )


class _Watched:
    """Whether somebody else's lock still gives signs of life.

    Attributes:
        may_be_dead: It has not given one for long, if the clocks agree.
    """

    def __init__(self) -> None:
        self.may_be_dead = False
        self._seen: tuple[object, float] | None = None
        self._changed = time.monotonic()
        self._missing = 0

    def is_dead(self, lock: chromadb.Collection, holder: dict[str, Any]) -> bool:
        """Look at it once more."""
        beat = float(holder.get("beat") or 0.0)
        if self._seen != (lock.id, beat):
            self.may_be_dead = self._seen is None and time.time() - beat > STALE
            self._seen, self._changed = (lock.id, beat), time.monotonic()
        return time.monotonic() - self._changed >= (WATCHED if self.may_be_dead else STALE)

    def note_missing(self, place: str, error: ChromaError) -> None:
        """It could not be made and is not there: given back just now, or forbidden."""
        self._missing += 1
        if self._missing > _TRIES:
            raise CollectionError(f"The Chroma server {place} makes no lock: {error}") from error
