"""The worker process: read one source after the other and send what is in it.

    python -m mm_rag_loaders.worker PARENT

The options and then each source arrive pickled on standard input, from the process PARENT that
started this one. Segments, outcomes, warnings and failures leave as lines of JSON on standard
output. Not pickle: a worker reads untrusted files, and unpickling what a subverted one sends would
run its code. For the same reason every field is validated on arrival.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from types import UnionType
from typing import Any, BinaryIO, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from mm_rag.errors import InputError, StorageError
from mm_rag.media.policy import MediaPolicy
from mm_rag.segment import Segment
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.office.sandbox import end_with_parent
from mm_rag_loaders.outcome import Event, FileOutcome, Note
from mm_rag_loaders.read import read_source
from mm_rag_loaders.sources import Source

READY = b"ready\n"
"""The first line that a worker sends."""

MOST_BYTES = 64 * 1024**2
"""Longest message, in bytes."""


def main() -> None:
    """Read sources until there are no more to come."""
    # Ctrl-C is meant for the process that started this one, which then stops it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        end_with_parent(int(sys.argv[1]), signal.SIGKILL)
    tasks, output = sys.stdin.buffer, _own_output()
    logging.basicConfig(level=logging.WARNING, handlers=[_MessageHandler(output)])
    try:
        options: LoadOptions = pickle.load(tasks)
        output.write(READY)
        output.flush()
        _bound_memory(options.policy)
        while True:
            _read(pickle.load(tasks), options, output)
    except (EOFError, BrokenPipeError):  # the starting process has closed the pipes
        os._exit(0)  # some libraries hang while being unloaded


def _read(source: Source, options: LoadOptions, output: BinaryIO) -> None:
    try:
        for event in read_source(source, options):
            output.write(to_line(event))
            output.flush()
    except StorageError as error:
        output.write(to_line(Failure(str(error))))
        output.flush()


def _own_output() -> BinaryIO:
    """Standard output, for messages only: libraries print to standard error from now on."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _bound_memory(policy: MediaPolicy) -> None:
    """Make allocations beyond the policy's `max_memory` fail."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = policy.max_memory if hard == resource.RLIM_INFINITY else min(policy.max_memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


class _MessageHandler(logging.Handler):
    """Sends log records to the starting process."""

    def __init__(self, output: BinaryIO) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        self._output.write(to_line(LogLine(record.name, record.levelno, record.getMessage())))


@dataclass(frozen=True)
class LogLine:
    """A log record of a worker.

    Attributes:
        logger: Name of the logger.
        level: Level, as in `logging`.
        text: The message.
    """

    logger: str
    level: int
    text: str


@dataclass(frozen=True)
class Failure:
    """An error that is not caused by the file and would also fail the next ones.

    Attributes:
        text: Message with the failure and what to do about it.
    """

    text: str


Message: TypeAlias = Event | LogLine | Failure

_KINDS: dict[str, type[Segment | FileOutcome | LogLine | Failure]] = {
    "segment": Segment,
    "outcome": FileOutcome,
    "log": LogLine,
    "failure": Failure,
}


def to_line(message: Message) -> bytes:
    """A message as one line of JSON, with its line end."""
    kind = next(name for name, known in _KINDS.items() if type(message) is known)
    return json.dumps({kind: asdict(message)}, default=dict).encode() + b"\n"


def from_line(line: bytes) -> Message:
    """Parse and validate one line.

    Raises:
        ValueError: It is not a valid message.
    """
    try:
        [(kind, fields)] = json.loads(line).items()
        return _message(kind, fields)
    except (AttributeError, KeyError, TypeError, RecursionError, InputError) as error:
        raise ValueError(f"No message: {line[:100]!r} ({error})") from error


def _message(kind: str, fields: dict[str, Any]) -> Message:
    if kind == "outcome":
        fields["notes"] = tuple(Note(**note) for note in fields["notes"])
    elif kind == "segment":
        fields["tags"] = tuple(fields["tags"])
    message = _KINDS[kind](**fields)
    for name, hint in _hints(type(message)).items():
        if not _fits(getattr(message, name), hint):
            raise ValueError(f"No message: {name} of its {kind} is not {hint}.")
    return message


@cache
def _hints(kind: type[Message]) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type of a message's field."""
    inside = get_args(hint)
    match get_origin(hint):
        case None:
            return type(value) is hint or (hint is float and type(value) is int)
        case kind if kind is Literal:
            return value in inside
        case kind if kind in (Union, UnionType):
            return any(_fits(value, one) for one in inside)
        case kind if kind is tuple:
            return all(_fits(item, inside[0]) for item in value)
        case kind if kind is Mapping:
            return isinstance(value, dict) and all(_fits(one, inside[1]) for one in value.values())
        case kind:
            raise AssertionError(f"no field of a message is a {kind}")


if __name__ == "__main__":
    main()
