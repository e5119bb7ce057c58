"""LlamaIndex's metadata filters as Chroma's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from mm_rag.errors import InputError
from mm_rag.segment import Scalar

_OPERATORS = {
    FilterOperator.EQ: "$eq",
    FilterOperator.NE: "$ne",
    FilterOperator.GT: "$gt",
    FilterOperator.GTE: "$gte",
    FilterOperator.LT: "$lt",
    FilterOperator.LTE: "$lte",
    FilterOperator.IN: "$in",
    FilterOperator.NIN: "$nin",
}
_BY_VALUES = (
    FilterOperator.TEXT_MATCH,
    FilterOperator.TEXT_MATCH_INSENSITIVE,
    FilterOperator.IS_EMPTY,
)
"""What Chroma cannot compare: the values that fit are looked up, and named to it."""

_CONDITIONS = {FilterCondition.AND: "$and", FilterCondition.OR: "$or"}


Values: TypeAlias = Callable[[str], Sequence[Scalar]]

_MOST_VALUES = 30_000  # SQLite takes 32,766 values in one query
_NOTHING = {"sha256": {"$eq": ""}}  # every Segment has one


def where_of(filters: MetadataFilter | MetadataFilters, values: Values) -> dict[str, Any]:
    """The Chroma filter that means the same; `{}` for no filters.

    Args:
        filters: LlamaIndex's.
        values: Tells the different values that metadata have under a key (`Contents.values`).

    Raises:
        InputError: It has an operator or condition that cannot be translated, or is no filter.
    """
    if isinstance(filters, MetadataFilter):
        if filters.operator in _BY_VALUES:
            return _by_values(filters, values)
        if filters.key == "tags" and filters.operator == FilterOperator.CONTAINS:
            return {"tags": {"$contains": filters.value}}  # no other metadata are lists
        return {filters.key: {_translated(filters.operator, _OPERATORS): filters.value}}
    if not isinstance(filters, MetadataFilters):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"filters are MetadataFilters; got a {type(filters).__name__}. A filter of Chroma's, "
            "such as {'page': 3}, is given as where."
        )
    condition = _translated(filters.condition or FilterCondition.AND, _CONDITIONS)
    parts = [where_of(each, values) for each in filters.filters]
    if condition == "$or" and {} in parts:  # one of them lets everything pass
        parts = [part for part, given in zip(parts, filters.filters, strict=True) if _says(given)]
        return {} if {} in parts else _joined(condition, parts)
    return _joined(condition, [part for part in parts if part])


def _says(filters: MetadataFilter | MetadataFilters) -> bool:
    """Whether there is any filter in it."""
    return isinstance(filters, MetadataFilter) or any(map(_says, filters.filters))


def _joined(condition: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    if len(parts) < 2:  # Chroma takes conditions on two or more only
        return parts[0] if parts else {}
    return {condition: parts}


def _by_values(given: MetadataFilter, values: Values) -> dict[str, Any]:
    if given.key == "text":
        raise InputError("text is not metadata: put the words that must stand there in quotes.")
    if given.operator == FilterOperator.IS_EMPTY:
        return _unlike([value for value in values(given.key) if value != ""], given.key)
    if not isinstance(given.value, str):
        raise InputError(f"A text is matched with a str; got {given.value!r:.100}.")
    folds = given.operator == FilterOperator.TEXT_MATCH_INSENSITIVE
    wanted = given.value.casefold() if folds else given.value
    texts = [value for value in values(given.key) if isinstance(value, str)]
    found = [text for text in texts if wanted in (text.casefold() if folds else text)]
    return {given.key: {"$in": _checked(found, given.key)}} if found else _NOTHING


def _unlike(values: list[Scalar], key: str) -> dict[str, Any]:
    """Records that have none of these values under a key; Chroma takes values of one type each."""
    kinds = {type(value): [v for v in values if type(v) is type(value)] for value in values}
    parts = [{key: {"$nin": _checked(each, key)}} for each in kinds.values()]
    return _joined("$and", parts)


def _checked(values: list[Any], key: str) -> list[Any]:
    if len(values) > _MOST_VALUES:
        raise InputError(
            f"The filter means {len(values):,} values of {key}, and a search takes "
            f"{_MOST_VALUES:,} at most: be more precise."
        )
    return values


def _translated(sign: Any, known: dict[Any, str]) -> str:
    if sign not in known:
        names = [each.value for each in (*known, *(_BY_VALUES if known is _OPERATORS else ()))]
        raise InputError(
            f"A collection cannot be filtered by {sign.value!r}; use one of "
            f"{', '.join(names)}, or search for words."
        )
    return known[sign]
