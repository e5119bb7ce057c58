"""What a worker process tells: a line of JSON for each Segment, outcome, warning and failure.

Not pickle: a worker reads files that nobody vouches for, and whoever unpickles what a subverted one
sends runs its code. For the same reason each field is looked at before anybody relies on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from mm_rag.errors import InputError
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


@dataclass(frozen=True)
class Failure:
    """What is no fault of the file, and would befall the next ones too.

    Attributes:
        text: What failed, and what to do.
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
    except (AttributeError, KeyError, TypeError, RecursionError, InputError) as error:
        raise ValueError(f"No message: {line[:100]!r} ({error})") from error


def _message(kind: str, fields: dict[str, Any]) -> Message:
    if kind == "outcome":
        fields["notes"] = tuple(fields["notes"])
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
    """Whether a value is of the type that a field of a message has."""
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
