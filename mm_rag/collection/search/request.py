"""Request: what a search is asked for, checked once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast

from mm_rag.collection.store import Where
from mm_rag.content import MODALITIES, Modality
from mm_rag.errors import InputError


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
    k: int, sources: Callable[[str], list[str]], **given: Unpack[SearchOptions]
) -> Request:
    """What the arguments of `Collection.search` amount to.

    Args:
        k: How many hits, at most.
        sources: The files that a path means, which may be a folder.
        given: The rest of them.

    Raises:
        InputError: One of them makes no sense.
    """
    diversity, modalities = given.get("diversity", 0.0), given.get("modalities")
    if k < 1:
        raise InputError(f"A search returns at least one hit; got {k = }.")
    if not 0.0 <= diversity <= 1.0:
        raise InputError(f"diversity lies between 0 and 1; got {diversity}.")
    rerank = given.get("rerank", True)
    reranked = MODALITIES if rerank is True else rerank or ()
    return Request(
        k=k,
        modalities=None if modalities is None else _modalities("modalities", modalities),
        quotas=_quotas(modalities),
        where=all_of(_conditions(sources, given)),
        rerank=_modalities("rerank", reranked, some=False),
        diversity=diversity,
        threshold=given.get("threshold"),
    )


def _conditions(sources: Callable[[str], list[str]], given: SearchOptions) -> list[Where]:
    where, source = given.get("where"), given.get("source")
    page, time = given.get("page"), given.get("time")
    conditions: list[Where] = [dict(where)] if where else []
    if source is not None:
        conditions.append({"source": {"$in": _files(source, sources)}})
    if page is not None:
        conditions.append({"page": page})
    if time is not None:
        conditions += _overlapping(*time)
    return conditions


def all_of(conditions: Sequence[Where]) -> Where | None:
    """One filter out of several: Chroma takes `$and` of two or more only."""
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return {"$and": list(conditions)}


def _modalities(name: str, given: Iterable[str], *, some: bool = True) -> frozenset[Modality]:
    wanted = frozenset([given] if isinstance(given, str) else given)
    if (some and not wanted) or not wanted <= set(MODALITIES):
        raise InputError(
            f"{name} takes some of {', '.join(MODALITIES)}, or None for all; got {sorted(wanted)}."
        )
    return cast("frozenset[Modality]", wanted)


def _quotas(given: Any) -> Mapping[Modality, int]:
    if not isinstance(given, Mapping):
        return {}
    quotas = cast("Mapping[Modality, int]", given)
    if any(n < 1 for n in quotas.values()):
        raise InputError(f"A quota is at least 1; got {dict(quotas)}.")
    return dict(quotas)


def _files(source: Any, sources: Callable[[str], list[str]]) -> list[str]:
    named = [source] if isinstance(source, str | Path) else list(source)
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
    return found


def _overlapping(start: float, end: float) -> list[Where]:
    """Clips that share some time with a span, in seconds."""
    if end < start:
        raise InputError(f"A time span ends after it starts; got {(start, end)}.")
    return [{"start": {"$lte": float(end)}}, {"end": {"$gte": float(start)}}]
