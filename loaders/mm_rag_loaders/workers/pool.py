"""Sources, shared out among worker processes; what they find, in the order of the sources."""

from __future__ import annotations

import atexit
import os
import pickle
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator

from mm_rag._closing import Closing
from mm_rag.errors import InputError, MMRagError, WorkerError
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.outcome import Event, FileOutcome
from mm_rag_loaders.sources import Source
from mm_rag_loaders.workers.process import WorkerProcess

_MOST_WORKERS = 8
_AHEAD = 8  # sources per worker that are begun before they are asked for
_HELD = 256  # events of a source that is not yet asked for; its worker waits then
_LOOK_AGAIN = 0.2  # seconds


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
        StorageError: What was found cannot be written to the assets.
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


class _Job:
    """A source that is to be read, and what came of it so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.events: queue.Queue[Event] = queue.Queue(_HELD)
        self.error: MMRagError | None = None
        self.is_over = threading.Event()


class _Pool(Closing):
    """Threads that each talk to a worker process of their own.

    They are no threads of `concurrent.futures`: for those a program waits at its end, and these may
    be waiting for it to ask for more.
    """

    def __init__(self, options: LoadOptions, count: int) -> None:
        self._options, self._count = options, count
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._workers: list[WorkerProcess] = []
        self._is_closed = False
        atexit.register(self.close)

    def begin(self, source: Source) -> _Job:
        """Have a source read, as soon as a thread has time for it."""
        job = _Job(source)
        self._jobs.put(job)
        if len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name="mm-rag-load", daemon=True)
            self._threads.append(thread)
            thread.start()
        return job

    def events_of(self, job: _Job) -> Iterator[Event]:
        """What comes of a source, until its outcome; workers that hang meanwhile are stopped."""
        while True:
            is_over = job.is_over.is_set()  # asked before: what came until then is in the queue
            try:
                event = job.events.get(timeout=_LOOK_AGAIN)
            except queue.Empty:
                if is_over:
                    raise job.error or WorkerError("Loading was stopped.") from None
                self._stop_late_ones()
                continue
            yield event
            if isinstance(event, FileOutcome):
                return

    def close(self) -> None:
        """Stop all processes, whatever they do."""
        atexit.unregister(self.close)
        with self._lock:
            self._is_closed = True
            for worker in self._workers:
                worker.kill()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        """Read one source after the other, in a process that is replaced when it dies."""
        worker: WorkerProcess | None = None
        try:
            while (job := self._jobs.get()) is not None and not self._is_closed:
                try:
                    if worker is None or not worker.is_alive:
                        self._end(worker)
                        worker = None
                        worker = self._started()
                        worker.prepare(self._options)
                    for event in worker.read(job.source):
                        self._put(job, event)
                except MMRagError as error:
                    job.error = error
                finally:
                    job.is_over.set()
        finally:
            self._end(worker)

    def _put(self, job: _Job, event: Event) -> None:
        while not self._is_closed:
            try:
                job.events.put(event, timeout=_LOOK_AGAIN)
            except queue.Full:
                continue
            return

    def _started(self) -> WorkerProcess:
        worker = WorkerProcess(max(1, default_workers() // self._count))
        with self._lock:
            self._workers.append(worker)
            if self._is_closed:
                worker.kill()
        return worker

    def _end(self, worker: WorkerProcess | None) -> None:
        if worker is not None:
            with self._lock:
                self._workers.remove(worker)
            worker.close()

    def _stop_late_ones(self) -> None:
        with self._lock:
            for worker in self._workers:
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
