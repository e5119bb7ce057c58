"""Pipeline: Segments of many files -> batches -> vectors here -> written in another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from queue import Queue
from types import TracebackType
from typing import Self

from mm_rag.collection.catalog import CatalogFile, Commit, Entry
from mm_rag.collection.encoding import SegmentEncoder
from mm_rag.collection.pictures import Pictures
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import InputError
from mm_rag.segment import Segment

BATCH = 256
"""Segments encoded and written at a time: memory does not grow with the number of files."""

PATIENCE = 5.0
"""Seconds that a finished file waits for a batch to fill."""

_WAITING = 2  # batches that may wait for the writer


@dataclass
class _File:
    """A file on its way: its Segments, and what becomes of its row when all are written."""

    row: CatalogFile
    segments: list[Segment]


@dataclass(frozen=True)
class _Work:
    """What is written together."""

    entries: list[Entry] = field(default_factory=list[Entry])
    written: list[CatalogFile] = field(default_factory=list[CatalogFile])


class Pipeline:
    """Encodes and writes; used in a `with` block, at whose end all is written.

    Args:
        encoder: Makes vectors, in the caller's thread.
        writer: Writes them, in another one.
        refused: Told of a file that the model cannot take, and why.
        pictures: Which of the pictures that were encoded are kept.
    """

    def __init__(
        self,
        encoder: SegmentEncoder,
        writer: SegmentWriter,
        refused: Callable[[CatalogFile, InputError], None],
        pictures: Pictures,
    ) -> None:
        self._encoder, self._writer = encoder, writer
        self._refused, self._pictures = refused, pictures
        self._files: list[_File] = []
        self._since = time.monotonic()
        self._queue: Queue[_Work | None] = Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="mm-rag writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.flush()
        finally:
            self._queue.put(None)
            self._thread.join()
        if error is None:
            self._check()

    def put(self, row: CatalogFile, segments: Iterable[Segment]) -> None:
        """Take a whole file: its Segments, and its row once they are written."""
        if not self._files:
            self._since = time.monotonic()
        self._files.append(_File(row, list(segments)))
        while sum(len(file.segments) for file in self._files) >= BATCH:
            self._encode_batch()
        if time.monotonic() - self._since > PATIENCE:
            self.flush()

    def flush(self) -> None:
        """Encode all that waits, and have it written."""
        while self._files:
            self._encode_batch()

    def _encode_batch(self) -> None:
        batch, ended = self._next()
        while True:
            segments = [segment for _, part in batch for segment in part]
            try:
                entries = self._encoder.entries(segments)
                break
            except InputError as error:
                bad = _owner(batch, error)
                error.position = None
                batch = [pair for pair in batch if pair[0] is not bad]
                ended = [file for file in ended if file is not bad]
                self._give_up(bad, error)
        kept = [replace(one, segment=self._pictures.kept(one.segment)) for one in entries]
        for file in ended:
            self._pictures.done(file.row.sha256)
        self._send(_Work(kept, [file.row for file in ended]))

    def _next(self) -> tuple[list[tuple[_File, list[Segment]]], list[_File]]:
        """Segments for one batch, by file, and the files that end in it."""
        batch: list[tuple[_File, list[Segment]]] = []
        ended: list[_File] = []
        room = BATCH
        while self._files and room > 0:
            file = self._files[0]
            part, file.segments = file.segments[:room], file.segments[room:]
            batch.append((file, part))
            room -= len(part)
            if not file.segments:
                ended.append(self._files.pop(0))
        self._since = time.monotonic()
        return batch, ended

    def _give_up(self, file: _File, error: InputError) -> None:
        self._files = [other for other in self._files if other is not file]
        self._pictures.done(file.row.sha256)
        self._refused(file.row, error)

    def _send(self, work: _Work) -> None:
        self._check()
        self._queue.put(work)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        """The other thread. After an error it only empties the queue, so that nobody waits."""
        while (work := self._queue.get()) is not None:
            if self._error is not None:
                continue
            try:
                self._writer.stage(work.entries)
                self._writer.commit(Commit(written=work.written))
            except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                self._error = error


def _owner(batch: list[tuple[_File, list[Segment]]], error: InputError) -> _File:
    """Whose Segment an error is about."""
    left = error.position
    if left is None:
        raise error
    for file, part in batch:
        if left < len(part):
            return file
        left -= len(part)
    raise error
