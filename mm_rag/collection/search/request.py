"""SearchRequest: the arguments of `Collection.search`, validated."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, cast

from mm_rag.collection.catalog import Catalog
from mm_rag.collection.store import Where
from mm_rag.content import MODALITIES, Modality
from mm_rag.errors import InputError
from mm_rag.segment import checked_tags

DEFAULT_K = 5

ALONE: Literal["alone"] = "alone"
"""Value of `rerank` with which the reranker's scores are the order."""

_MOST_FILES = 30_000  # SQLite takes 32,766 values in one query


class SearchOptions(TypedDict, total=False):
    """The arguments of `Collection.search` besides a query and `k`; described there."""

    modalities: Iterable[Modality] | Mapping[Modality, int] | None
    where: Mapping[str, Any] | None
    source: str | Path | Sequence[str | Path] | None
    page: int | None
    time: tuple[float, float] | None
    rerank: bool | Literal["alone"] | Iterable[Modality]
    diversity: float
    threshold: float | None
    tags: str | Sequence[str] | None


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """Options of a search, validated.

    Attributes:
        k: Maximum number of hits.
        modalities: Only segments of these; None for all.
        quotas: Maximum number of hits of each modality; empty for no limits.
        where: A Chroma filter for everything but modalities; None for no filter.
        rerank: The modalities that are reranked; a page of a document counts as text.
        reranks_alone: Whether the order is the reranker's instead of that of all evidence.
        diversity: From 0 for the best hits to 1 for hits unlike each other.
        threshold: Minimum `Hit.score`, from 0 to 1; None for no limit.
    """

    k: int
    modalities: frozenset[Modality] | None = None
    quotas: Mapping[Modality, int] = field(default_factory=dict[Modality, int])
    where: Where | None = None
    rerank: frozenset[Modality] = frozenset(MODALITIES)
    reranks_alone: bool = False
    diversity: float = 0.0
    threshold: float | None = None


def parse_request(k: int | None, catalog: Catalog, **given: Unpack[SearchOptions]) -> SearchRequest:
    """Validate the arguments of `Collection.search`.

    Args:
        k: Maximum number of hits; None for the sum of the quotas, or else `DEFAULT_K`.
        catalog: Knows the files that a path means.
        given: The other arguments.

    Raises:
        InputError: One of them is invalid.
    """
    diversity, threshold = given.get("diversity", 0.0), given.get("threshold")
    if not _is_number(diversity) or not 0.0 <= diversity <= 1.0:
        raise InputError(f"diversity must be between 0 and 1; got {diversity!r:.100}.")
    if threshold is not None and not (_is_number(threshold) and 0.0 <= threshold <= 1.0):
        raise InputError(
            "threshold must be a probability from 0 to 1, such as 0.5, or None: it is compared "
            f"with Hit.score, no longer with the calibrated similarity; got {threshold!r:.100}."
        )
    modalities, rerank = given.get("modalities"), given.get("rerank", True)
    is_alone = isinstance(rerank, str) and rerank == ALONE
    wanted = None if modalities is None else _modalities("modalities", modalities)
    if wanted is not None and not wanted:
        raise _no_modalities("modalities", [])
    quotas = _quotas(modalities)
    return SearchRequest(
        k=_k(k, quotas),
        modalities=wanted,
        quotas=quotas,
        where=all_of(_conditions(catalog, given)),
        rerank=_modalities("rerank", MODALITIES if rerank is True or is_alone else rerank or ()),
        reranks_alone=is_alone,
        diversity=diversity,
        threshold=threshold,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not math.isnan(value)


def _listed(given: Any) -> list[Any]:
    """The items of an iterable; anything else, and a str or Path, is one item."""
    is_one = isinstance(given, str | Path) or not isinstance(given, Iterable)
    return [given] if is_one else list(cast("Iterable[Any]", given))


def _modalities(name: str, given: Any) -> frozenset[Modality]:
    wanted = _listed(given)
    if not all(each in MODALITIES for each in wanted):
        raise _no_modalities(name, wanted)
    return frozenset(wanted)


def _no_modalities(name: str, given: list[Any]) -> InputError:
    some = f"some of {', '.join(MODALITIES)}"
    takes = f"True, False, 'alone', or {some}" if name == "rerank" else f"{some}, or None for all"
    return InputError(f"{name} takes {takes}; got {given!r:.100}.")


def _quotas(modalities: Any) -> Mapping[Modality, int]:
    if not isinstance(modalities, Mapping):
        return {}
    quotas = cast("Mapping[Modality, int]", modalities)
    if not all(isinstance(n, Integral) and n >= 1 for n in quotas.values()):
        raise InputError(f"A quota must be a whole number of at least 1; got {dict(quotas)}.")
    return dict(quotas)


def _k(k: int | None, quotas: Mapping[Modality, int]) -> int:
    if k is None:
        return sum(quotas.values()) or DEFAULT_K
    try:
        whole = operator.index(k)
    except TypeError as error:
        raise InputError(f"A search returns a whole number of hits; got {k = }.") from error
    if whole < 1:
        raise InputError(f"A search returns at least one hit; got {k = }.")
    return whole


def _conditions(catalog: Catalog, given: SearchOptions) -> list[Where]:
    """The Chroma filters that the arguments stand for."""
    where, source = given.get("where"), given.get("source")
    page, time = given.get("page"), given.get("time")
    if where is not None and not isinstance(cast("Any", where), Mapping):
        raise InputError(
            f"where must be a Chroma filter such as {{'author': 'Ada'}}; got {where!r}."
        )
    conditions: list[Where] = [_with_stored_names(where, catalog)] if where else []
    conditions += [{"tags": {"$contains": tag}} for tag in checked_tags(given.get("tags") or ())]
    if source is not None:
        conditions.append({"source": {"$in": _files(source, catalog)}})
    if page is not None:
        if not _is_number(page) or page % 1 != 0:
            raise InputError(f"page must be a whole number; got {page!r:.100}.")
        conditions.append({"page": int(page)})
    if time is not None:
        conditions += _overlapping(time)
    return conditions


_ONE_OF = {"$eq": "$in", "$in": "$in", "$ne": "$nin", "$nin": "$nin"}


def _with_stored_names(where: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    """A Chroma filter whose `source` is compared with file names as they are stored.

    macOS and some cloud drives write `é` as two characters, most others as one. A file that is a
    copy of another one is stored under the other one's name.
    """
    return {key: _with_stored_name(key, value, catalog) for key, value in where.items()}


def _with_stored_name(key: str, value: Any, catalog: Catalog) -> Any:
    if key in ("$and", "$or") and isinstance(value, list):
        return [
            _with_stored_names(part, catalog) if isinstance(part, Mapping) else part
            for part in cast("list[Any]", value)
        ]
    if key != "source":
        return value
    asked = cast("dict[str, Any]", value) if isinstance(value, Mapping) else {"$eq": value}
    if len(asked) != 1:
        return value
    [(comparison, given)] = asked.items()
    names: list[Any] = cast("list[Any]", given) if isinstance(given, list) else [given]
    if comparison not in _ONE_OF or not names or not all(isinstance(name, str) for name in names):
        return value
    stored = [found for name in names for found in catalog.sources_of_file(name) or [name]]
    return value if stored == names else {_ONE_OF[comparison]: stored}


def all_of(conditions: Sequence[Where]) -> Where | None:
    """One Chroma filter for all of several: its `$and` takes two or more only."""
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return {"$and": list(conditions)}


def _files(source: Any, catalog: Catalog) -> list[str]:
    """The sources in the catalog that some files, addresses and folders stand for."""
    named = _listed(source)
    if not named or not all(isinstance(each, str | Path) and str(each) for each in named):
        raise InputError(
            f"source must be a file, an address or a folder, or several; got {source!r}."
        )
    found: list[str] = []
    for each in named:
        absolute = str(Path(each).expanduser().absolute())
        matching = catalog.sources(str(each)) or catalog.sources(absolute)
        if not matching:
            raise InputError(
                f"Nothing in the collection comes from {each}. source takes a file, an address, or "
                "a folder, as it was indexed."
            )
        found += matching
    files = list(dict.fromkeys(found))
    if len(files) > _MOST_FILES:
        raise InputError(
            f"source stands for {len(files):,} files, and a search takes at most {_MOST_FILES:,}: "
            "name a smaller folder, or leave it out."
        )
    return files


def _overlapping(time: Any) -> list[Where]:
    """Clips that overlap a time span in seconds; touching it is not enough.

    Chroma compares whole numbers with others by value, and takes no infinity.
    """
    match time:
        case (start, end) if isinstance(start, Real) and isinstance(end, Real):
            start, end = float(start), float(end)
        case _:
            raise InputError(
                f"time must be a start and an end in seconds: (30, 60.5); got {time!r:.100}."
            )
    if not end >= start:
        raise InputError(f"A time span ends after it starts; got {(start, end)}.")
    # A moment has no length that could overlap: the clip has to contain it.
    before, after = ("$lt", "$gt") if end > start else ("$lte", "$gte")
    conditions: list[Where] = [{"end": {after: max(start, 0.0)}}]
    return conditions if end == math.inf else [*conditions, {"start": {before: end}}]
