"""Request: what a search is asked for, checked once."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast

from mm_rag.collection.catalog import Catalog
from mm_rag.collection.search.spelling import by_spelling
from mm_rag.collection.store import Where
from mm_rag.content import MODALITIES, Modality
from mm_rag.errors import InputError
from mm_rag.segment import checked_tags

USUAL = 5
"""How many hits there are where nobody says how many."""

_MOST_FILES = 30_000  # SQLite takes 32,766 values in one query


class SearchOptions(TypedDict, total=False):
    """What `Collection.search` takes besides a query and `k`; described there."""

    modalities: Iterable[Modality] | Mapping[Modality, int] | None
    where: Mapping[str, Any] | None
    source: str | Path | Sequence[str | Path] | None
    page: int | None
    time: tuple[float, float] | None
    rerank: bool | Iterable[Modality]
    diversity: float
    threshold: float | None
    tags: str | Sequence[str] | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a search is asked for.

    Attributes:
        k: How many hits, at most.
        modalities: Only Segments of these; None for all.
        quotas: How many hits of each modality, at most; empty for as many as come.
        where: A Chroma filter over what the caller asked for, modalities left out; None for all.
        rerank: The kinds of places that are reranked.
        diversity: 0 for the best places, towards 1 for places unlike each other.
        threshold: The least calibrated score of a hit; None for any.
    """

    k: int
    modalities: frozenset[Modality] | None = None
    quotas: Mapping[Modality, int] = field(default_factory=dict[Modality, int])
    where: Where | None = None
    rerank: frozenset[Modality] = frozenset(MODALITIES)
    diversity: float = 0.0
    threshold: float | None = None


def checked_request(
    k: int | None, catalog: Callable[[], Catalog], **given: Unpack[SearchOptions]
) -> Request:
    """What the arguments of `Collection.search` amount to.

    Args:
        k: How many hits, at most; None for the sum of the quotas, or else `USUAL`.
        catalog: Gives the catalog, up to date, which knows the files that a path means.
        given: The rest of them.

    Raises:
        InputError: One of them makes no sense.
    """
    diversity, modalities = given.get("diversity", 0.0), given.get("modalities")
    threshold = given.get("threshold")
    if not _is_number(diversity) or not 0.0 <= diversity <= 1.0:
        raise InputError(f"diversity lies between 0 and 1; got {diversity!r:.100}.")
    if threshold is not None and not _is_number(threshold):
        raise InputError(
            f"threshold is a calibrated score, such as 0.0, or None; got {threshold!r:.100}."
        )
    rerank = given.get("rerank", True)
    reranked = MODALITIES if rerank is True else rerank or ()
    wanted = None if modalities is None else _modalities("modalities", modalities)
    quotas = _quotas(modalities)
    return Request(
        k=_checked_k(k, quotas),
        modalities=wanted,
        quotas=quotas,
        where=all_of(_conditions(catalog, given)),
        rerank=_modalities("rerank", reranked, some=False),
        diversity=diversity,
        threshold=threshold,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not math.isnan(value)


def _checked_k(k: int | None, quotas: Mapping[Modality, int]) -> int:
    if k is None:
        return sum(quotas.values()) or USUAL
    try:
        whole = operator.index(k)
    except TypeError as error:
        raise InputError(f"A search returns a whole number of hits; got {k = }.") from error
    if whole < 1:
        raise InputError(f"A search returns at least one hit; got {k = }.")
    return whole


def _conditions(catalog: Callable[[], Catalog], given: SearchOptions) -> list[Where]:
    where, source = given.get("where"), given.get("source")
    page, time = given.get("page"), given.get("time")
    if where is not None and not isinstance(cast("Any", where), Mapping):
        raise InputError(f"where is a Chroma filter such as {{'author': 'Ada'}}; got {where!r}.")
    conditions: list[Where] = [by_spelling(where, catalog)] if where else []
    conditions += [{"tags": {"$contains": tag}} for tag in checked_tags(given.get("tags") or ())]
    if source is not None:
        conditions.append({"source": {"$in": _files(source, catalog().sources)}})
    if page is not None:
        conditions.append({"page": _checked_page(page)})
    if time is not None:
        conditions += _overlapping(*_span(time))
    return conditions


def all_of(conditions: Sequence[Where]) -> Where | None:
    """One filter out of several: Chroma takes `$and` of two or more only."""
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return {"$and": list(conditions)}


def _checked_page(page: Any) -> int:
    if not _is_number(page) or page % 1 != 0:
        raise InputError(f"page is a whole number; got {page!r:.100}.")
    return int(page)


def _span(time: Any) -> tuple[float, float]:
    match time:
        case (start, end) if isinstance(start, Real) and isinstance(end, Real):
            return float(start), float(end)
        case _:
            raise InputError(
                f"time is a span in seconds, from when to when: (30, 60.5); got {time!r:.100}."
            )


def _modalities(name: str, given: Any, *, some: bool = True) -> frozenset[Modality]:
    is_one = isinstance(given, str) or not isinstance(given, Iterable)
    wanted: list[Any] = [given] if is_one else list(cast("Iterable[Any]", given))
    if (some and not wanted) or not all(each in MODALITIES for each in wanted):
        raise InputError(
            f"{name} takes some of {', '.join(MODALITIES)}, or None for all; got {wanted!r:.100}."
        )
    return frozenset(wanted)


def _quotas(given: Any) -> Mapping[Modality, int]:
    if not isinstance(given, Mapping):
        return {}
    quotas = cast("Mapping[Modality, int]", given)
    if not all(isinstance(n, Integral) and n >= 1 for n in quotas.values()):
        raise InputError(f"A quota is a whole number of at least 1; got {dict(quotas)}.")
    return dict(quotas)


def _files(source: Any, sources: Callable[[str], list[str]]) -> list[str]:
    is_one = isinstance(source, str | Path) or not isinstance(source, Iterable)
    named: list[Any] = [source] if is_one else list(cast("Iterable[Any]", source))
    if not named or not all(isinstance(each, str | Path) and str(each) for each in named):
        raise InputError(f"source is a file, an address or a folder, or several; got {source!r}.")
    found: list[str] = []
    for each in named:
        as_path = str(Path(each).expanduser().absolute())
        matching = sources(str(each)) or sources(as_path)
        if not matching:
            raise InputError(
                f"Nothing in the collection comes from {each}. source takes a file, an address, or "
                "a folder, as it was indexed."
            )
        found += matching
    files = list(dict.fromkeys(found))
    if len(files) > _MOST_FILES:
        raise InputError(
            f"source means {len(files):,} files, and a search takes {_MOST_FILES:,} at most: name "
            "a smaller folder, or leave it out."
        )
    return files


def _overlapping(start: float, end: float) -> list[Where]:
    """Clips that share some time with a span, in seconds; touching it is not enough.

    Chroma compares whole numbers with others by value, and takes no infinity.
    """
    if not end >= start:
        raise InputError(f"A time span ends after it starts; got {(start, end)}.")
    # A moment has no length that could be shared: a clip is to have it in it.
    before, after = ("$lt", "$gt") if end > start else ("$lte", "$gte")
    conditions: list[Where] = [{"end": {after: float(max(start, 0.0))}}]
    return conditions if end == math.inf else [*conditions, {"start": {before: float(end)}}]
