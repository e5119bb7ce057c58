"""Options that several commands take, and the values that need parsing: filters, time spans."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, cast

import typer

from mm_rag.errors import InputError

DEFAULT_COLLECTION = "mm-rag-collection"
DEFAULT_NAME = "default"

CollectionOption = Annotated[
    str,
    typer.Option("--collection", "-c", help="The collection's folder."),
]
ChromaOption = Annotated[
    str | None,
    typer.Option(
        "--chroma",
        help="Chroma server for the vectors: http://host:8000. Stored in the folder.",
    ),
]
NameOption = Annotated[str, typer.Option(help="Name of the collection in that folder.")]
ModelOption = Annotated[
    str | None,
    typer.Option(help="Name or folder of the embedding model; the built-in default if left out."),
]
WaitOption = Annotated[float, typer.Option(help="Seconds to wait for another writer.", min=0.0)]
RerankOption = Annotated[
    bool, typer.Option("--rerank/--no-rerank", help="Whether to score the best candidates again.")
]
RerankerOption = Annotated[
    str | None,
    typer.Option(help="Name or folder of a reranker for the best candidates."),
]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", help="Only files with this tag; may be repeated.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_CONDITION = re.compile(r"\s*([^=!<>]+?)\s*(!=|>=|<=|=|>|<)\s*(.*?)\s*", re.DOTALL)
_SIGNS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)")


def where_of(conditions: Sequence[str]) -> dict[str, Any] | None:
    """A Chroma filter from conditions, `author=Ada`, `page>=3` or JSON, which all must hold.

    Raises:
        InputError: A condition cannot be parsed.
    """
    parts = [_condition(each) for each in conditions]
    if len(parts) < 2:  # Chroma takes $and of two or more only
        return parts[0] if parts else None
    return {"$and": parts}


def _condition(given: str) -> dict[str, Any]:
    if given.lstrip().startswith("{"):
        return _from_json(given)
    match = _CONDITION.fullmatch(given)
    if match is None:
        raise InputError(
            f"--where takes a condition such as 'author=Ada' or 'page>=3', or a Chroma filter as "
            f"JSON; got {given!r:.100}."
        )
    key, sign, text = match.groups()
    values = _values(text)
    if sign in _SIGNS:
        if isinstance(values[0], str):
            raise InputError(f"--where compares numbers by {sign}; got {given!r:.100}.")
        return {key: {_SIGNS[sign]: values[0]}}
    if key == "tags":
        return {"tags": {"$contains" if sign == "=" else "$not_contains": text}}
    operator, together = ("$eq", "$or") if sign == "=" else ("$ne", "$and")
    parts: list[dict[str, Any]] = [{key: {operator: value}} for value in values]
    return {together: parts} if len(parts) > 1 else parts[0]


def _from_json(given: str) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", json.loads(given))
    except json.JSONDecodeError as error:
        raise InputError(f"--where is not valid JSON: {error}; got {given!r:.100}.") from error


def _values(text: str) -> list[str | int | float | bool]:
    """The values a text may stand for: Chroma distinguishes numbers and texts, a shell does not."""
    if text in ("true", "false"):
        return [text == "true", text]
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return [number, text] if math.isfinite(number) else [text]
    return [text]


def span_of(given: str) -> tuple[float, float]:
    """Start and end in seconds of `30-60`, `0:30-1:00.5`, `90-`, `-90` or `1:15` (a moment).

    Raises:
        InputError: It is not a time span.
    """
    start, dash, end = (part.strip() for part in given.replace("\N{EN DASH}", "-").partition("-"))
    if not start and not end:
        raise _no_span(given)
    first = _seconds(start, given) if start else 0.0
    if not dash:
        return first, first
    return first, _seconds(end, given) if end else math.inf


def _seconds(clock: str, given: str) -> float:
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise _no_span(given)
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _no_span(given: str) -> InputError:
    return InputError(f"--time takes a span such as 30-60 or 0:30-1:15; got {given!r:.100}.")
