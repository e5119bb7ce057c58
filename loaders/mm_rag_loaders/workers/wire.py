"""What a worker process tells: a line of JSON for each Segment, outcome and warning.

Not pickle: a worker reads files that nobody vouches for, and whoever unpickles what a subverted one
sends runs its code.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from mm_rag.segment import Segment
from mm_rag_loaders.outcome import Event, FileOutcome

MOST_BYTES = 64 * 1024**2
"""Of one line."""


@dataclass(frozen=True)
class LogLine:
    """A warning that a worker logged.

    Attributes:
        logger: The logger's name.
        level: As `logging` numbers it.
        text: What it says.
    """

    logger: str
    level: int
    text: str


Message: TypeAlias = Event | LogLine

_KINDS: dict[str, type[Segment | FileOutcome | LogLine]] = {
    "segment": Segment,
    "outcome": FileOutcome,
    "log": LogLine,
}


def to_line(message: Message) -> bytes:
    """A message as one line, with its line end."""
    kind = next(name for name, known in _KINDS.items() if type(message) is known)
    return json.dumps({kind: asdict(message)}, default=dict).encode() + b"\n"


def from_line(line: bytes) -> Message:
    """The message of a line.

    Raises:
        ValueError: It is none.
    """
    try:
        [(kind, fields)] = json.loads(line).items()
        return _message(kind, fields)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"No message: {line[:100]!r} ({error})") from error


def _message(kind: str, fields: dict[str, Any]) -> Message:
    if kind == "outcome":
        fields["notes"] = tuple(fields["notes"])
    return _KINDS[kind](**fields)
