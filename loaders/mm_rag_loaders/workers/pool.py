"""Sources, shared out among worker processes; what they find, in the order of the sources."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mm_rag._closing import Closing
from mm_rag.errors import InputError, WorkerError
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.outcome import Event, FileOutcome
from mm_rag_loaders.sources import Source
from mm_rag_loaders.workers.process import WorkerProcess

_MOST_WORKERS = 8
_AHEAD = 8  # sources per worker that are begun before they are asked for
_HELD = 256  # events of a source that is not yet asked for; its worker waits then
_LOOK_AGAIN = 0.2  # seconds


@dataclass(frozen=True)
class _Job:
    events: queue.Queue[Event]
    done: Future[None]


def default_workers() -> int:
    """One per processor that this process may use, at most 8."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return min(usable or 1, _MOST_WORKERS)


def read_in_workers(sources: Iterable[Source], options: LoadOptions, count: int) -> Iterator[Event]:
    """Of each source in turn its Segments, as they are read, and its FileOutcome.

    Args:
        sources: Asked for a little ahead of what is yielded.
        options: How they are read.
        count: Processes, at most; no more are started than there are sources at a time.

    Raises:
        WorkerError: No process can be started.
        InputError: The options cannot be sent to another process.
    """
    _check(options)
    waiting, jobs = iter(sources), deque[_Job]()
    with _Pool(options, count) as pool:
        while True:
            while len(jobs) < _AHEAD * count and (source := next(waiting, None)) is not None:
                jobs.append(pool.begin(source))
            if not jobs:
                return
            yield from pool.events_of(jobs.popleft())


class _Pool(Closing):
    """Threads that each talk to a worker process, which is started when it is first needed."""

    def __init__(self, options: LoadOptions, count: int) -> None:
        self._options = options
        self._threads_each = max(1, default_workers() // count)
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="mm-rag-load")
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._all: list[WorkerProcess] = []
        self._is_closed = False

    def begin(self, source: Source) -> _Job:
        events: queue.Queue[Event] = queue.Queue(_HELD)
        return _Job(events, self._executor.submit(self._read, source, events))

    def events_of(self, job: _Job) -> Iterator[Event]:
        """What comes of a source, until its outcome; workers that hang meanwhile are stopped."""
        while True:
            try:
                event = job.events.get(timeout=_LOOK_AGAIN)
            except queue.Empty:
                if job.done.done() and job.events.empty():
                    job.done.result()  # raises why there is no outcome
                self._stop_late_ones()
                continue
            yield event
            if isinstance(event, FileOutcome):
                return

    def close(self) -> None:
        """Stop all processes, whatever they do."""
        self._is_closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for worker in self._all:
                worker.kill()
        self._executor.shutdown(wait=True)
        for worker in self._all:
            worker.close()

    def _read(self, source: Source, events: queue.Queue[Event]) -> None:
        worker = self._take()
        for event in worker.read(source, self._options):
            self._put(events, event)
        self._give_back(worker)

    def _put(self, events: queue.Queue[Event], event: Event) -> None:
        while not self._is_closed:
            try:
                events.put(event, timeout=_LOOK_AGAIN)
            except queue.Full:
                continue
            return

    def _take(self) -> WorkerProcess:
        with self._lock:
            if self._is_closed:
                raise WorkerError("Loading was stopped.")
            if self._idle:
                return self._idle.pop()
        worker = WorkerProcess(self._threads_each)
        with self._lock:
            self._all.append(worker)
            if self._is_closed:
                worker.kill()
        return worker

    def _give_back(self, worker: WorkerProcess) -> None:
        with self._lock:
            if worker.is_alive:
                self._idle.append(worker)
            else:
                self._all.remove(worker)
                worker.close()

    def _stop_late_ones(self) -> None:
        with self._lock:
            for worker in self._all:
                worker.stop_if_late()


def _check(options: LoadOptions) -> None:
    """See that another process can be given the options."""
    advice = "Define its class in a module that can be imported, or use LoadOptions(workers=0)."
    if type(options.transcriber).__module__ == "__main__":
        raise InputError(
            "LoadOptions.transcriber is of a class of the script that runs, which the processes "
            f"that load files cannot import. {advice}"
        )
    try:
        pickle.dumps(options)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"LoadOptions cannot be sent to the processes that load files: {error}. {advice}"
        ) from error
