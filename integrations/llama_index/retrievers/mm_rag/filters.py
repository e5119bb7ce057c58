"""LlamaIndex's metadata filters as Chroma's."""

from __future__ import annotations

from typing import Any

from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from mm_rag.errors import InputError

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
_CONDITIONS = {FilterCondition.AND: "$and", FilterCondition.OR: "$or"}


def where_of(filters: MetadataFilter | MetadataFilters) -> dict[str, Any]:
    """The Chroma filter that means the same; `{}` for no filters.

    Raises:
        InputError: It has an operator or condition that Chroma does not, or is no filter.
    """
    if isinstance(filters, MetadataFilter):
        return {filters.key: {_translated(filters.operator, _OPERATORS): filters.value}}
    if not isinstance(filters, MetadataFilters):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"filters are MetadataFilters; got a {type(filters).__name__}. A filter of Chroma's, "
            "such as {'page': 3}, is given as where."
        )
    condition = _translated(filters.condition or FilterCondition.AND, _CONDITIONS)
    parts = [where for where in map(where_of, filters.filters) if where]
    if len(parts) < 2:  # Chroma takes conditions on two or more only
        return parts[0] if parts else {}
    return {condition: parts}


def _translated(sign: Any, known: dict[Any, str]) -> str:
    if sign not in known:
        raise InputError(
            f"A collection cannot be filtered by {sign.value!r}; use one of "
            f"{', '.join(each.value for each in known)}, or search for words."
        )
    return known[sign]
