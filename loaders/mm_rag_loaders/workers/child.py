"""The worker process: reads one source after the other and tells what it finds.

    python -m mm_rag_loaders.workers.child PARENT

How to read, and then each source, come pickled through its standard input, from the process PARENT
that started it; what was found goes as lines of JSON through its standard output.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
from typing import BinaryIO

from mm_rag.errors import StorageError
from mm_rag.media.policy import MediaPolicy
from mm_rag_loaders.office_sandbox import end_with_parent
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.read import read_source
from mm_rag_loaders.sources import Source
from mm_rag_loaders.workers.wire import Failure, LogLine, to_line

READY = b"ready\n"
"""The first line of all."""


def main() -> None:
    """Read sources until there are no more to come."""
    # Whoever pressed Ctrl-C meant the process that started this one, which then stops it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        end_with_parent(int(sys.argv[1]), signal.SIGKILL)
    tasks, told = sys.stdin.buffer, _own_output()
    logging.basicConfig(level=logging.WARNING, handlers=[_ToldHandler(told)])
    try:
        options: LoadOptions = pickle.load(tasks)
        told.write(READY)
        told.flush()
        _bound_memory(options.policy)
        while True:
            _read(pickle.load(tasks), options, told)
    except (EOFError, BrokenPipeError):  # nobody has tasks any more, or listens
        os._exit(0)  # some libraries hang when they are unloaded


def _read(source: Source, options: LoadOptions, told: BinaryIO) -> None:
    try:
        for event in read_source(source, options):
            told.write(to_line(event))
            told.flush()
    except StorageError as error:
        told.write(to_line(Failure(str(error))))
        told.flush()


def _own_output() -> BinaryIO:
    """Standard output for this program alone: what libraries print goes to standard error."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _bound_memory(policy: MediaPolicy) -> None:
    """Let allocations fail where a file makes a library ask for too much."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = policy.max_memory if hard == resource.RLIM_INFINITY else min(policy.max_memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


class _ToldHandler(logging.Handler):
    """Passes warnings on."""

    def __init__(self, told: BinaryIO) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of a warning."""
        self._told.write(to_line(LogLine(record.name, record.levelno, record.getMessage())))


if __name__ == "__main__":
    main()
