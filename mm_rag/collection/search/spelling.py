"""Spelling: a filter by `source` finds a file in whatever Unicode form its name is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from mm_rag.collection.catalog import Catalog

_ONE_OF = {"$eq": "$in", "$in": "$in", "$ne": "$nin", "$nin": "$nin"}


def by_spelling(where: Mapping[str, Any], catalog: Callable[[], Catalog]) -> dict[str, Any]:
    """A Chroma filter that compares `source` with the names as they are stored.

    macOS and some cloud drives write `é` as two characters, most others as one. A file that is a
    copy of another one is stored under the other one's name.

    Args:
        where: As the caller has it.
        catalog: Gives the catalog, which knows the names.
    """
    return {key: _condition(key, value, catalog) for key, value in where.items()}


def _condition(key: str, value: Any, catalog: Callable[[], Catalog]) -> Any:
    if key in ("$and", "$or") and isinstance(value, list):
        parts = cast("list[Any]", value)
        return [by_spelling(part, catalog) if isinstance(part, Mapping) else part for part in parts]
    if key != "source":
        return value
    asked = cast("dict[str, Any]", value) if isinstance(value, Mapping) else {"$eq": value}
    if len(asked) != 1:
        return value
    [(operator, given)] = asked.items()
    names: list[Any] = cast("list[Any]", given) if isinstance(given, list) else [given]
    if operator not in _ONE_OF or not names or not all(isinstance(name, str) for name in names):
        return value
    stored = [found for name in names for found in catalog().sources_of_file(name) or [name]]
    return value if stored == names else {_ONE_OF[operator]: stored}
