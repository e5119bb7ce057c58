"""Worker processes: read files in parallel, so that a crash or a hang costs one file.

A worker is a program of its own rather than a `multiprocessing` process: that would run the
caller's script again in every process that it starts, and hangs where it forks a process with
threads.
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from mm_rag._closing import Closing
from mm_rag._temporary import TemporaryFolder
from mm_rag.errors import InputError, MMRagError, StorageError, WorkerError
from mm_rag.extraction import speech
from mm_rag.media.policy import MediaPolicy
from mm_rag.segment import Segment
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import named_file
from mm_rag_loaders.outcome import Event, FileOutcome, Note
from mm_rag_loaders.sources import Source
from mm_rag_loaders.worker import MOST_BYTES, READY, Failure, LogLine, Message, from_line

_MOST_WORKERS = 8
_AHEAD = 8  # sources per worker that are read ahead of the caller
_HELD = 256  # events held of a source that is read ahead; then its worker waits
_POLL = 0.2  # seconds

_MOST_START = 120.0  # seconds to start; one is usual
_MOST_GRACE = 30.0  # seconds beyond the limit after which a worker counts as hanging
_MOST_EXIT = 5.0  # seconds from the end of its output to its exit
_MOST_STDERR = 2000  # bytes at the end of its standard error that are shown


def default_workers() -> int:
    """The number of processors that this process may use, at most 8."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return min(usable or 1, _MOST_WORKERS)


def read_in_workers(sources: Iterable[Source], options: LoadOptions, count: int) -> Iterator[Event]:
    """For each source in turn yield its segments as they are read, then its outcome.

    Args:
        sources: Consumed a little ahead of what is yielded.
        options: Options of the loaders.
        count: Most processes; no more are started than there are sources at a time.

    Raises:
        WorkerError: No process can be started.
        StorageError: The assets cannot be written.
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
    """A source to be read, and its events so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.events: queue.Queue[Event] = queue.Queue(_HELD)
        self.error: MMRagError | None = None
        self.is_over = threading.Event()


class _Pool(Closing):
    """Threads, each of which talks to one worker process.

    `concurrent.futures` is not used: an interpreter waits for its threads at exit, and these may be
    waiting for the caller to consume events.
    """

    def __init__(self, options: LoadOptions, count: int) -> None:
        self._options, self._count = options, count
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._workers: list[WorkerProcess] = []
        self._logged: set[str] = set()
        self._is_closed = False
        atexit.register(self.close)

    def begin(self, source: Source) -> _Job:
        """Queue a source, and start another thread if there are fewer than allowed."""
        job = _Job(source)
        self._jobs.put(job)
        if len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name="mm-rag-load", daemon=True)
            self._threads.append(thread)
            thread.start()
        return job

    def events_of(self, job: _Job) -> Iterator[Event]:
        """Yield the events of a source up to its outcome; kill workers that hang meanwhile."""
        while True:
            is_over = job.is_over.is_set()  # read first: all earlier events are in the queue
            try:
                event = job.events.get(timeout=_POLL)
            except queue.Empty:
                if is_over:
                    raise job.error or WorkerError("Loading was stopped.") from None
                self._stop_late_ones()
                continue
            yield event
            if isinstance(event, FileOutcome):
                return

    def close(self) -> None:
        """Kill all processes and wait for the threads."""
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
        """Read one source after the other, in a process that is replaced if it dies."""
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
                job.events.put(event, timeout=_POLL)
            except queue.Full:
                continue
            return

    def _started(self) -> WorkerProcess:
        worker = WorkerProcess(max(1, default_workers() // self._count), self._logged)
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
    """Check that the options can be sent to another process."""
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


class WorkerProcess(Closing):
    """A worker process, as seen by the process that started it. It reads one source at a time.

    Args:
        threads: Threads that the libraries in it may use.
        logged: Lines that the workers of this pool have logged about the default transcriber: each
            of them would say the same.

    Raises:
        WorkerError: It cannot be started.
    """

    def __init__(self, threads: int, logged: set[str]) -> None:
        self._logged = logged
        with ExitStack() as opened, _start_errors():
            self._stderr: IO[bytes] = opened.enter_context(tempfile.TemporaryFile())
            # Its temporary files are deleted with this folder, even if it is killed.
            folder = opened.enter_context(TemporaryFolder())
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mm_rag_loaders.worker", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=_environment(threads, str(folder.path)),
            )
            self._opened = opened.pop_all()
        assert self._process.stdin
        assert self._process.stdout
        self._tasks, self._output = self._process.stdin, self._process.stdout
        self._left = _MOST_START
        self._deadline: float | None = None
        self._lock = threading.Lock()  # its answer and the deadline may coincide
        self._killed_for: Literal["", "late", "invalid"] = ""

    @property
    def is_alive(self) -> bool:
        """Whether it can read another source."""
        return not self._killed_for and self._process.poll() is None

    def prepare(self, options: LoadOptions) -> None:
        """Send the options, once, before any source.

        Raises:
            WorkerError: It did not start, or cannot read the options.
        """
        self._options, self._policy = options, options.policy
        self._give(options)
        if self._line() != READY:
            raise WorkerError(f"A process that loads files did not start: it {self._end()}.")

    def read(self, source: Source) -> Iterator[Event]:
        """Yield the segments of a source as they arrive, then its outcome, even if it dies.

        The time that the caller takes for an event does not count.

        Raises:
            StorageError: The assets cannot be written.
        """
        last, self._left = None, _longest(self._policy)
        self._give(source)
        while True:
            match self._next(source):
                case None:
                    yield self._death(source, last)
                    return
                case LogLine() as record:
                    self._log(record)
                case Failure() as failure:
                    raise StorageError(failure.text)
                case FileOutcome() as outcome:
                    yield outcome
                    return
                case Segment() as last:
                    yield last

    def _log(self, record: LogLine) -> None:
        if record.logger == speech.__name__:
            if record.text in self._logged:
                return
            self._logged.add(record.text)
        logging.getLogger(record.logger).log(record.level, "%s", record.text)

    def stop_if_late(self) -> None:
        """Kill it if it has not answered in time. Safe to call from any thread."""
        with self._lock:
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._killed_for = "late"
                self._process.kill()

    def kill(self) -> None:
        """Kill it without waiting, before `close`. Safe to call from any thread."""
        self._process.kill()

    def close(self) -> None:
        """Kill it, and delete its temporary files."""
        self._process.kill()
        self._process.wait()
        for stream in (self._tasks, self._output):
            with suppress(BrokenPipeError):  # a task that it never read
                stream.close()
        self._opened.close()

    def _give(self, task: LoadOptions | Source) -> None:
        with suppress(BrokenPipeError):  # it has died, which `_line` will notice
            pickle.dump(task, self._tasks)
            self._tasks.flush()

    def _line(self) -> bytes:
        """Read its next line, within the time that is left; empty if it has died."""
        asked = time.monotonic()
        self._deadline = asked + self._left
        line = self._output.readline(MOST_BYTES)
        with self._lock:
            self._deadline = None
        self._left -= time.monotonic() - asked
        return line

    def _next(self, source: Source) -> Message | None:
        """Read its next message; None if it died or was killed for an invalid one."""
        line = self._line()
        if not line:
            return None
        try:
            message = from_line(line)
        except ValueError:
            message = None
        if message is None or not _is_about(message, source, self._options):
            self._killed_for = "invalid"
            self._process.kill()
            return None
        return message

    def _death(self, source: Source, last: Segment | None) -> FileOutcome:
        reason = self._why()
        if last is None:
            return FileOutcome(source=str(source), state="unreadable", reason=reason)
        note = Note("damaged", f"only read until {last.where or 'its first part'}: {reason}")
        return FileOutcome(source=str(source), sha256=last.sha256, state="loaded", notes=(note,))

    def _why(self) -> str:
        match self._killed_for:
            case "late":
                limit = self._policy.max_load_seconds
                return f"it took longer than {limit:g} s (MediaPolicy.max_load_seconds)"
            case "invalid":
                return "the process that read it sent an invalid message and was killed"
            case _:
                return f"the process that read it {self._end()}"

    def _end(self) -> str:
        """Describe its end, with the last line of its standard error: `died of SIGSEGV (...)`."""
        try:
            code = self._process.wait(_MOST_EXIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - _MOST_STDERR))
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        how = f"died of {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return f"{how} ({lines[-1].strip()})" if lines else how


def _is_about(message: Message, source: Source, options: LoadOptions) -> bool:
    """Whether a message is about this source and names only its file and assets.

    Files named by a segment are opened later, so a process that was subverted by a file could have
    any other file opened.
    """
    if isinstance(message, Segment | FileOutcome) and message.source != str(source):
        return False
    if not isinstance(message, Segment):
        return True
    named = filter(None, (message.media, message.preview, message.boxes))
    own = str(named_file(source, options))
    return all(path == own or _is_inside(path, options.assets.root) for path in named)


def _is_inside(path: str, root: Path) -> bool:
    try:
        return Path(path).is_absolute() and Path(path).resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


@contextmanager
def _start_errors() -> Generator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename or sys.executable
        raise WorkerError(
            f"A process that loads files did not start: {error.strerror} ({place}). "
            "LoadOptions(workers=0) reads them in this one."
        ) from error


def _environment(threads: int, folder: str) -> dict[str, str]:
    """This process's environment and module search path, and a folder for temporary files."""
    return {
        "OMP_NUM_THREADS": str(threads),
        **os.environ,
        "PYTHONPATH": os.pathsep.join(_search_path()),
        # Paths are sent as text, which both processes must encode in the same way.
        "PYTHONUTF8": str(sys.flags.utf8_mode),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder),
    }


def _search_path() -> Iterator[str]:
    for folder in sys.path:
        with suppress(FileNotFoundError):  # the working directory was deleted
            yield os.path.abspath(os.fsdecode(folder))


def _longest(policy: MediaPolicy) -> float:
    """Seconds after which a process counts as hanging: it should have stopped itself before."""
    return policy.max_load_seconds + min(policy.max_load_seconds, _MOST_GRACE)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
