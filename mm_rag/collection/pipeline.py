"""IndexingPipeline: segments of many files -> batches -> encode here -> write in another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from queue import Queue
from types import TracebackType
from typing import NamedTuple, Self

from mm_rag.collection.assets import CollectionAssets
from mm_rag.collection.catalog import CatalogFile, Commit, Entry
from mm_rag.collection.encoding import SegmentEncoder
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import InputError
from mm_rag.segment import Segment

BATCH = 256
"""Segments encoded and written at a time, which bounds the memory whatever the number of files."""

PATIENCE = 5.0
"""Seconds that a loaded file waits for its batch to fill."""

_MOST_WAITING = 2  # batches that may wait for the writer


class Rejected(NamedTuple):
    """A file that the model cannot encode.

    Attributes:
        row: Its row.
        error: The reason.
    """

    row: CatalogFile
    error: InputError


@dataclass
class _File:
    """A loaded file with the segments that are not encoded yet."""

    row: CatalogFile
    segments: list[Segment]


@dataclass(frozen=True)
class _Batch:
    """Entries to write, and the rows of the files that are complete with them."""

    entries: list[Entry] = field(default_factory=list[Entry])
    complete: list[CatalogFile] = field(default_factory=list[CatalogFile])


class IndexingPipeline:
    """Encodes and writes files. Use it in a `with` block, at whose end everything is written.

    Args:
        encoder: Makes vectors, in the caller's thread.
        writer: Writes them, in another thread.
        assets: The pictures of the segments, which are released after encoding.
    """

    def __init__(
        self, encoder: SegmentEncoder, writer: SegmentWriter, assets: CollectionAssets
    ) -> None:
        self._encoder, self._writer, self._assets = encoder, writer, assets
        self._files: list[_File] = []
        self._since = time.monotonic()
        self._queue: Queue[_Batch | None] = Queue(_MOST_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="mm-rag writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def put(self, row: CatalogFile, segments: Iterable[Segment]) -> list[Rejected]:
        """Take a complete file, and encode if a batch is full or has waited long enough.

        Args:
            row: Committed once all segments of the file are written.
            segments: All of the file's.

        Returns:
            Files that the model cannot encode, of this and earlier calls.
        """
        if not self._files:
            self._since = time.monotonic()
        self._files.append(_File(row, list(segments)))
        rejected: list[Rejected] = []
        while sum(len(file.segments) for file in self._files) >= BATCH:
            rejected += self._encode_batch()
        if time.monotonic() - self._since > PATIENCE:
            rejected += self.flush()
        return rejected

    def flush(self) -> list[Rejected]:
        """Encode everything that waits; return the files that the model cannot encode."""
        rejected: list[Rejected] = []
        while self._files:
            rejected += self._encode_batch()
        return rejected

    def _encode_batch(self) -> list[Rejected]:
        """Encode the next batch without the files that the model rejects, and send it on."""
        batch, complete = self._next_batch()
        rejected: list[Rejected] = []
        while True:
            segments = [segment for _, part in batch for segment in part]
            try:
                entries = self._encoder.entries(segments)
                break
            except InputError as error:
                bad = _file_of(error, batch)
                error.position = None
                batch = [pair for pair in batch if pair[0] is not bad]
                complete = [file for file in complete if file is not bad]
                self._files = [file for file in self._files if file is not bad]
                self._assets.release(bad.row.sha256)
                rejected.append(Rejected(bad.row, error))
        stored = [replace(each, segment=self._assets.stored(each.segment)) for each in entries]
        for file in complete:
            self._assets.release(file.row.sha256)
        self._raise_error()
        self._queue.put(_Batch(stored, [file.row for file in complete]))
        return rejected

    def _next_batch(self) -> tuple[list[tuple[_File, list[Segment]]], list[_File]]:
        """The segments of the next batch by file, and the files that are complete with it."""
        batch: list[tuple[_File, list[Segment]]] = []
        complete: list[_File] = []
        room = BATCH
        while self._files and room > 0:
            file = self._files[0]
            part, file.segments = file.segments[:room], file.segments[room:]
            batch.append((file, part))
            room -= len(part)
            if not file.segments:
                complete.append(self._files.pop(0))
        self._since = time.monotonic()
        return batch, complete

    def _write(self) -> None:
        """Write batches, in the other thread. After an error the queue is only emptied."""
        while (batch := self._queue.get()) is not None:
            if self._error is not None:
                continue
            try:
                self._writer.stage(batch.entries)
                self._writer.commit(Commit(written=batch.complete))
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                self._error = error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if error is None:
            self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _file_of(error: InputError, batch: list[tuple[_File, list[Segment]]]) -> _File:
    """The file whose segment an error is about."""
    left = error.position
    if left is None:
        raise error
    for file, part in batch:
        if left < len(part):
            return file
        left -= len(part)
    raise error
