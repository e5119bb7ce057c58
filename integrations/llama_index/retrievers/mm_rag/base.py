"""MultimodalRetriever: a collection as a LlamaIndex retriever."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, Unpack, cast

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.utils.mm_rag.nodes import hit_to_node
from llama_index.utils.mm_rag.queries import as_bundle, query_to_content

from mm_rag._closing import Closing
from mm_rag._threads import run_in_thread
from mm_rag.collection import Collection
from mm_rag.collection.search import SearchOptions
from mm_rag.errors import InputError
from mm_rag.segment import Scalar

_OPTIONS = SearchOptions.__optional_keys__

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
"""Operators that Chroma lacks: matching values are looked up, and listed in its filter."""

_CONDITIONS = {FilterCondition.AND: "$and", FilterCondition.OR: "$or"}

ValuesOf: TypeAlias = Callable[[str], Sequence[Scalar]]
"""The distinct values of a metadata key."""

_MAX_VALUES = 30_000  # SQLite accepts 32,766 values in one query
_MATCHES_NOTHING = {"sha256": {"$eq": ""}}  # every Segment has a sha256


class MultimodalRetriever(Closing, BaseRetriever):
    """Find the pages, pictures and clips of a collection that answer a query.

    A query is a text, a picture (`QueryBundle("", image_path="photo.jpg")`), or both; or with
    `MultimodalQuery` a recording, a video, or a picture in memory. The collection encodes it:
    `embedding` and `custom_embedding_strs` of a QueryBundle are ignored, and QueryBundles are not
    modified.

    Args:
        collection: A `Collection`, or the folder of one made with the built-in default model. A
            folder is opened here, and closed by `close` or a `with` block.
        similarity_top_k: Maximum number of nodes. None: 5, or the sum of the quotas in
            `modalities`.
        filters: LlamaIndex filters on metadata of Segments (`page`, `modality`, `title`, ... and
            your own), combined with `where`. `TEXT_MATCH` and `TEXT_MATCH_INSENSITIVE` match part
            of a value, and `IS_EMPTY` Segments without the key; these read all Segments.
        callback_manager: LlamaIndex's callback manager.
        verbose: Passed to LlamaIndex's base class.
        **options: Settings of `Collection.search`, which describes them: `modalities`, `where`,
            `source`, `page`, `time`, `rerank`, `diversity`, `threshold`, `tags`.

    Raises:
        InputError: A setting is unknown, or a filter has no equivalent in Chroma.
        CollectionError: The folder holds no collection.
        CollectionMismatch: The collection was made with another model; raised by the first search.

    Example:
        .. code-block:: python

            retriever = MultimodalRetriever("my-collection", modalities={"image": 3, "text": 2})
            RetrieverQueryEngine.from_args(retriever, llm=llm, multimodal=True)
    """

    def __init__(
        self,
        collection: Collection | str | Path,
        *,
        similarity_top_k: int | None = None,
        filters: MetadataFilters | None = None,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
        **options: Unpack[SearchOptions],
    ) -> None:
        super().__init__(callback_manager=callback_manager, verbose=verbose)
        unknown = sorted(options.keys() - _OPTIONS)
        if unknown:
            raise InputError(
                f"A MultimodalRetriever has no setting {', '.join(unknown)}; it has "
                f"similarity_top_k, filters, {', '.join(sorted(_OPTIONS))}."
            )
        self.similarity_top_k = similarity_top_k
        self.options = options
        self.filters = filters
        is_open = isinstance(collection, Collection)
        self.collection = collection if is_open else Collection(collection, create=False)
        self._where()  # report an invalid filter now

    def close(self) -> None:
        """Close the collection."""
        self.collection.close()

    # Overridden for the wider type of queries; the base class accepts str and QueryBundle.
    def retrieve(self, str_or_query_bundle: Any) -> list[NodeWithScore]:
        """Find nodes.

        Args:
            str_or_query_bundle: A str, a QueryBundle, a MultimodalQuery, or the content of one: a
                Path, a PIL image, `Audio(...)`, a dict.

        Raises:
            InputError: The query is empty or invalid, or Chroma rejects the filter.
            CollectionError: The collection cannot be read.
        """
        return super().retrieve(as_bundle(str_or_query_bundle))

    async def aretrieve(self, str_or_query_bundle: Any) -> list[NodeWithScore]:
        """Call `retrieve` in a thread."""
        return await super().aretrieve(as_bundle(str_or_query_bundle))

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        content = query_to_content(query_bundle)
        options = cast("SearchOptions", {**self.options, "where": self._where()})
        hits = self.collection.search(content, self.similarity_top_k, **options)
        return [hit_to_node(hit) for hit in self.collection.shown(hits, strict=False)]

    def _where(self) -> Mapping[str, Any] | None:
        """The Chroma filter; `filters` are translated anew, as values may have been added."""
        where = self.options.get("where")
        if self.filters is None:
            return where
        filtered = where_of(self.filters, self.collection.contents.values)
        return {"$and": [where, filtered]} if where and filtered else where or filtered

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        # The base class would block the event loop.
        return await run_in_thread(self._retrieve, query_bundle)


def where_of(filters: MetadataFilter | MetadataFilters, values_of: ValuesOf) -> dict[str, Any]:
    """Translate LlamaIndex filters to a Chroma filter; `{}` if there are none.

    Args:
        filters: LlamaIndex filters.
        values_of: Returns the distinct values of a metadata key (`Contents.values`).

    Raises:
        InputError: An operator or condition has no translation, or it is not a filter.
    """
    if isinstance(filters, MetadataFilter):
        if filters.operator in _BY_VALUES:
            return _matching_values(filters, values_of)
        if filters.key == "tags" and filters.operator == FilterOperator.CONTAINS:
            return {"tags": {"$contains": filters.value}}  # only tags are lists
        return {filters.key: {_translated(filters.operator, _OPERATORS): filters.value}}
    if not isinstance(filters, MetadataFilters):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"filters must be MetadataFilters; got a {type(filters).__name__}. A Chroma filter, "
            "such as {'page': 3}, is given as where."
        )
    condition = _translated(filters.condition or FilterCondition.AND, _CONDITIONS)
    parts = [where_of(each, values_of) for each in filters.filters]
    if condition == "$or" and {} in parts:
        # A group without filters does not count; a filter that everything matches does.
        pairs = zip(parts, filters.filters, strict=True)
        parts = [part for part, given in pairs if _has_filters(given)]
        return {} if {} in parts else _combined(condition, parts)
    return _combined(condition, [part for part in parts if part])


def _has_filters(filters: MetadataFilter | MetadataFilters) -> bool:
    return isinstance(filters, MetadataFilter) or any(map(_has_filters, filters.filters))


def _combined(condition: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    if len(parts) < 2:  # Chroma requires at least two parts
        return parts[0] if parts else {}
    return {condition: parts}


def _matching_values(given: MetadataFilter, values_of: ValuesOf) -> dict[str, Any]:
    if given.key == "text":
        raise InputError("text is not metadata: put required words of a query in quotes.")
    if given.operator == FilterOperator.IS_EMPTY:
        return _without([value for value in values_of(given.key) if value != ""], given.key)
    if not isinstance(given.value, str):
        raise InputError(f"Text is matched with a str; got {given.value!r:.100}.")
    folds = given.operator == FilterOperator.TEXT_MATCH_INSENSITIVE
    wanted = given.value.casefold() if folds else given.value
    texts = [value for value in values_of(given.key) if isinstance(value, str)]
    found = [text for text in texts if wanted in (text.casefold() if folds else text)]
    return {given.key: {"$in": _limited(found, given.key)}} if found else _MATCHES_NOTHING


def _without(values: list[Scalar], key: str) -> dict[str, Any]:
    """Exclude values of a key; Chroma requires a separate list for each type."""
    kinds = {type(value): [v for v in values if type(v) is type(value)] for value in values}
    parts = [{key: {"$nin": _limited(each, key)}} for each in kinds.values()]
    return _combined("$and", parts)


def _limited(values: list[Any], key: str) -> list[Any]:
    if len(values) > _MAX_VALUES:
        raise InputError(
            f"The filter matches {len(values):,} values of {key}; a search accepts at most "
            f"{_MAX_VALUES:,}: be more precise."
        )
    return values


def _translated(operator: Any, known: dict[Any, str]) -> str:
    if operator not in known:
        names = [each.value for each in (*known, *(_BY_VALUES if known is _OPERATORS else ()))]
        raise InputError(
            f"A collection cannot be filtered by {operator.value!r}; use one of "
            f"{', '.join(names)}, or search for words."
        )
    return known[operator]
