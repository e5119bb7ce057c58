"""WorkerProcess: one worker process, as the process that started it sees it.

It is a program of its own rather than one of `multiprocessing`, which runs the caller's script once
more in every process that it starts, and hangs where it forks a process with threads.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import IO

from mm_rag._closing import Closing
from mm_rag.errors import WorkerError
from mm_rag.media.policy import MediaPolicy
from mm_rag.segment import Segment
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.outcome import Event, FileOutcome
from mm_rag_loaders.sources import Source
from mm_rag_loaders.workers.child import READY
from mm_rag_loaders.workers.wire import MOST_BYTES, LogLine, Message, from_line

_MOST_GRACE = 30.0  # seconds that a worker may be late before it counts as hanging
_GOODBYE = 5.0  # seconds from the end of its output to its own
_LAST_WORDS = 2000  # bytes of its standard error that are looked at


class WorkerProcess(Closing):
    """A process that reads sources, one at a time.

    Args:
        threads: That the libraries in it may use.

    Raises:
        WorkerError: It did not start.
    """

    def __init__(self, threads: int) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - see `close`
        self._process = _started(self._said, threads)
        assert self._process.stdin
        assert self._process.stdout
        self._tasks, self._told = self._process.stdin, self._process.stdout
        self._deadline: float | None = None
        self._is_late = False
        if self._told.readline() != READY:
            message = f"A process that loads files did not start: {self._end()}"
            self.close()
            raise WorkerError(message)

    @property
    def is_alive(self) -> bool:
        """Whether it can be given another source."""
        return self._process.poll() is None

    def read(self, source: Source, options: LoadOptions) -> Iterator[Event]:
        """Yield a source's Segments as they come, then its outcome, whatever becomes of it.

        The time that the caller takes for an event is not counted as the process's.
        """
        left, last = _longest(options.policy), None
        self._give(source, options)
        while True:
            asked = time.monotonic()
            message = self._next(asked + left)
            left -= time.monotonic() - asked
            match message:
                case None:
                    yield self._death(source, last, options.policy)
                    return
                case LogLine():
                    logging.getLogger(message.logger).log(message.level, "%s", message.text)
                case FileOutcome():
                    yield message
                    return
                case Segment():
                    last = message
                    yield message

    def stop_if_late(self) -> None:
        """Stop it if it has not answered in time. Safe to call from any thread."""
        deadline = self._deadline
        if deadline is not None and time.monotonic() > deadline:
            self._is_late = True
            self._process.kill()

    def kill(self) -> None:
        """Stop it, and leave the rest to `close`. Safe to call from any thread."""
        self._process.kill()

    def close(self) -> None:
        """Stop it and let go of what belonged to it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._tasks, self._told, self._said):
            try:
                stream.close()
            except BrokenPipeError:  # a task that it never took
                continue

    def _give(self, source: Source, options: LoadOptions) -> None:
        try:
            pickle.dump((source, options), self._tasks)
            self._tasks.flush()
        except BrokenPipeError:
            return  # it has died, which `_next` will find

    def _next(self, deadline: float) -> Message | None:
        """What it tells next; None where it has died, or talks nonsense and is stopped for it."""
        self._deadline = deadline
        line = self._told.readline(MOST_BYTES)
        self._deadline = None
        if not line:
            return None
        try:
            return from_line(line)
        except ValueError:
            self._process.kill()
            return None

    def _death(self, source: Source, last: Segment | None, policy: MediaPolicy) -> FileOutcome:
        reason = f"the process that read it {self._end()}"
        if self._is_late:
            limit = policy.max_load_seconds
            reason = f"it took longer than {limit:g} s (MediaPolicy.max_load_seconds)"
        if last is None:
            return FileOutcome(source=str(source), state="unreadable", reason=reason)
        note = f"only read until {last.where or 'its first part'}: {reason}"
        return FileOutcome(
            source=str(source), sha256=last.sha256, state="loaded", notes=(note,), reason=""
        )

    def _end(self) -> str:
        """How it ended, with its last words: `died of SIGSEGV`, `ended with MemoryError`."""
        try:
            code = self._process.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - _LAST_WORDS))
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        how = f"died of {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return f"{how} ({lines[-1].strip()})" if lines else how


def _started(said: IO[bytes], threads: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "mm_rag_loaders.workers.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=_environment(threads),
        )
    except OSError as error:
        said.close()
        raise WorkerError(
            f"A process that loads files did not start: {error.strerror} ({sys.executable})."
        ) from error


def _environment(threads: int) -> dict[str, str]:
    folders = [folder or os.getcwd() for folder in sys.path]  # noqa: PTH109 - a str is wanted
    known = {"OMP_NUM_THREADS": str(threads), **os.environ}
    return {**known, "PYTHONPATH": os.pathsep.join(folders)}


def _longest(policy: MediaPolicy) -> float:
    """Seconds after which a process hangs; one that does not has stopped by itself before."""
    return policy.max_load_seconds + min(policy.max_load_seconds, _MOST_GRACE)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
