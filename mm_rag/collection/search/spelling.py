"""Spelling: a filter by `source` finds a file in whatever Unicode form its name is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from mm_rag.collection.catalog import Ledger

_ONE_OF = {"$eq": "$in", "$in": "$in", "$ne": "$nin", "$nin": "$nin"}


def by_spelling(where: Mapping[str, Any], ledger: Callable[[], Ledger]) -> dict[str, Any]:
    """A Chroma filter that compares `source` with the names as they are stored.

    macOS and some cloud drives write `é` as two characters, most others as one. A file that is a
    copy of another one is stored under the other one's name.

    Args:
        where: As the caller has it.
        ledger: Gives the ledger, which knows the names.
    """
    return {key: _condition(key, value, ledger) for key, value in where.items()}


def _condition(key: str, value: Any, ledger: Callable[[], Ledger]) -> Any:
    if key in ("$and", "$or") and isinstance(value, list):
        parts = cast("list[Any]", value)
        return [by_spelling(part, ledger) if isinstance(part, Mapping) else part for part in parts]
    if key != "source":
        return value
    asked = cast("dict[str, Any]", value) if isinstance(value, Mapping) else {"$eq": value}
    if len(asked) != 1:
        return value
    [(operator, given)] = asked.items()
    names: list[Any] = cast("list[Any]", given) if isinstance(given, list) else [given]
    if operator not in _ONE_OF or not names or not all(isinstance(name, str) for name in names):
        return value
    stored = [found for name in names for found in ledger().sources_of_file(name) or [name]]
    return value if stored == names else {_ONE_OF[operator]: stored}
