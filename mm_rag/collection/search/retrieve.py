"""Retrieve: the nearest by vector (Chroma), the best by words (BM25, tantivy), similar pictures."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice

import numpy as np

from mm_rag.collection.catalog import Found, stacked
from mm_rag.collection.lexical import LexicalIndex, QueryMatches, WordMatch
from mm_rag.collection.search.calibration import Calibration
from mm_rag.collection.search.pictures import Likeness, PictureIndex
from mm_rag.collection.search.query import EncodedQuery
from mm_rag.collection.search.request import SearchRequest, all_of
from mm_rag.collection.search.scaling import unit
from mm_rag.collection.session import Snapshot
from mm_rag.collection.store import Vectors, Where
from mm_rag.content import Modality

DEPTH = 100
"""Minimum length of each list. A plain Chroma query of 100,000 vectors takes 2 to 3 ms."""

ENOUGH = 30
"""A cluster with fewer segments than this among the nearest is queried by itself."""

_MOST_UNSETTLED = 2_000  # extra results requested to make up for those that are not shown
_FILTERED = 10  # how many times longer the BM25 list is where a filter will thin it out


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """The results of both indexes.

    Attributes:
        nearest: Segments by id, each query's nearest first; None for records that are not in the
            catalog.
        words: Matches with the query's words, by id: the best by BM25, and the segments that the
            other lists found.
        lacks_codes: Whether the query has codes, and nothing has any of them.
        has_required: Whether the query requires words; only segments that have them are listed.
        pictures: Pictures by id that look like one in the query; None without such a picture.
        unsettled: Ids for which Chroma may differ from the catalog; only those that the catalog
            knows are shown.
        seconds: Duration of the stages `vectors`, `words` and, for a query with pictures,
            `pictures`.
    """

    nearest: Mapping[str, Found | None]
    words: Mapping[str, WordMatch]
    lacks_codes: bool
    has_required: bool
    pictures: Mapping[str, Likeness] | None
    unsettled: Set[str]
    seconds: Mapping[str, float]


def retrieve(
    snapshot: Snapshot,
    calibration: Calibration,
    query: EncodedQuery,
    request: SearchRequest,
    depth: int,
    index: PictureIndex | None,
) -> Retrieved:
    """Query all indexes.

    Args:
        snapshot: The state to search.
        calibration: The clusters of that state.
        query: The query.
        request: Its filters apply to all lists.
        depth: Length of each list.
        index: The pictures of that state; None for a query without.

    Raises:
        InputError: Chroma refuses the filter.
        CollectionError: An index cannot be read.
    """
    began = time.perf_counter()
    search = _VectorSearch(snapshot, calibration, request, depth)
    is_all_looks = query.pictures is not None and not query.vector.any()
    nearest = {} if is_all_looks else search.nearest(query.vector)
    seconds = {"vectors": time.perf_counter() - began}
    pictures = None
    if index is not None and query.pictures is not None:
        pictures = _by_looks(snapshot, index.ranked(query.pictures), request, depth)
        seconds["pictures"] = time.perf_counter() - began - seconds["vectors"]
    half_way = time.perf_counter()
    matches = _by_words(snapshot, query.words, request, depth, {**nearest, **(pictures or {})})
    words = dict(matches.best) | matches.others
    if matches.requires:
        allowed = {*words, *_foreign_matches(snapshot, query.words, nearest, search.unsettled)}
        nearest = {id_: found for id_, found in nearest.items() if id_ in allowed}
        pictures = pictures and {id_: like for id_, like in pictures.items() if id_ in allowed}
    seconds["words"] = time.perf_counter() - half_way
    return Retrieved(
        nearest=nearest,
        words=words,
        lacks_codes=matches.lacks_codes,
        has_required=matches.requires,
        pictures=pictures,
        unsettled=search.unsettled,
        seconds=seconds,
    )


class _VectorSearch:
    """Queries Chroma, and adds what its client does not know yet.

    Args:
        snapshot: The state to search.
        calibration: The clusters of that state.
        request: Filters and wanted modalities.
        depth: Length of each list.
    """

    def __init__(
        self, snapshot: Snapshot, calibration: Calibration, request: SearchRequest, depth: int
    ) -> None:
        self._snapshot, self._calibration = snapshot, calibration
        self._request, self._depth = request, depth
        self.unsettled = frozenset((*snapshot.catalog.out_of_sync(), *snapshot.not_in_store))
        found = snapshot.catalog.find(snapshot.not_in_store) if snapshot.not_in_store else {}
        vectors = unit(stacked(one.vector for one in found.values()))
        self._recent = dict(zip(found, vectors, strict=True))

    def nearest(self, query: Vectors) -> dict[str, Found | None]:
        """The nearest segments of every cluster, by id; None for ids the catalog does not know.

        The first query is over all segments. A cluster with too few results is then queried with
        the query vector shifted by the difference of the two clusters' means. Only if a wanted
        modality is still short does Chroma filter by it, which takes it 50 times as long.
        """
        request, where = self._request, self._request.where
        if where is not None and request.modalities is not None:  # filtering anyway
            where = _and(where, {"modality": {"$in": sorted(request.modalities)}})
        near = self._ask(query[None], where)
        # All there is. Half: a list a little short may only lack what the graph search missed, or
        # records that are not shown.
        if len(near) < self._depth // 2:
            return near
        wanted = [
            cluster
            for cluster in self._calibration
            if request.modalities is None or cluster.kind.modality in request.modalities
        ]
        found = Counter(one.kind for one in near.values() if one is not None)
        few = [each for each in wanted if found[each.kind] < min(ENOUGH, each.count)]
        # The cluster that the query itself lies in.
        nearest_cluster = max(self._calibration, key=lambda each: found[each.kind], default=None)
        if few and nearest_cluster is not None:
            shifted = [query + cluster.mean - nearest_cluster.mean for cluster in few]
            near |= self._ask(unit(np.stack(shifted)), where)
        for modality in self._short_of(near):
            near |= self._ask(query[None], _and(request.where, {"modality": modality}))
        return near

    def _ask(self, queries: Vectors, where: Where | None) -> dict[str, Found | None]:
        """The `depth` nearest segments of each query, without those not to be shown."""
        catalog = self._snapshot.catalog
        more = min(len(self.unsettled), _MOST_UNSETTLED)
        lists = self._snapshot.store.nearest(queries, self._depth + more, where)
        if self._snapshot.not_in_store:
            recent = self._matching_recent(where)
            lists = [_with_recent(*each, recent) for each in zip(lists, queries, strict=True)]
        known = catalog.find(dict.fromkeys(id_ for found in lists for id_, _ in found))
        visible = (
            [id_ for id_, _ in found if id_ in known or id_ not in self.unsettled][: self._depth]
            for found in lists
        )
        return {id_: known.get(id_) for found in visible for id_ in found}

    def _matching_recent(self, where: Where | None) -> dict[str, Vectors | None]:
        """Vectors that Chroma's client does not know yet, by id; None for deleted or filtered."""
        vectors = self._recent
        if where is not None:
            matching = self._snapshot.store.matching(list(vectors), where)
            vectors = {id_: vector for id_, vector in vectors.items() if id_ in matching}
        return {id_: vectors.get(id_) for id_ in self._snapshot.not_in_store}

    def _short_of(self, near: Mapping[str, Found | None]) -> list[Modality]:
        """The wanted modalities of which too few were found."""
        request, snapshot = self._request, self._snapshot
        if request.modalities is None:
            return []
        counts = snapshot.catalog.counts()
        total = len(snapshot.store)
        if total > sum(counts.values()):  # other programs wrote records of unknown modalities
            counts = dict.fromkeys(request.modalities, total)
        enough = max(ENOUGH, 3 * request.k)
        return [
            modality
            for modality in sorted(request.modalities)
            if _count(near, {modality}) < min(enough, counts.get(modality, 0))
        ]


def _by_words(
    snapshot: Snapshot, words: str, request: SearchRequest, depth: int, others: Collection[str]
) -> QueryMatches:
    """Matches of the best by BM25, and of the segments that other lists found."""
    is_filtered = request.where is not None or request.modalities is not None
    n = depth * (_FILTERED if is_filtered else 1)
    matches = snapshot.lexical.match(words, n, others)
    if request.where is None:
        return matches
    # The lexical index has no metadata.
    matching = snapshot.store.matching([id_ for id_, _ in matches.best], request.where)
    return matches._replace(best=[pair for pair in matches.best if pair[0] in matching])


def _foreign_matches(
    snapshot: Snapshot, words: str, nearest: Mapping[str, Found | None], unsettled: Set[str]
) -> set[str]:
    """The records of other programs that have what the query requires."""
    ids = [id_ for id_, one in nearest.items() if one is None and id_ not in unsettled]
    if not ids:
        return set()
    entries = snapshot.store.records(ids)
    index = LexicalIndex(None)  # the collection's has none of them
    index.put(entry.segment for entry in entries.values())
    matching = index.matches(words, [entry.segment.id for entry in entries.values()])
    return {id_ for id_, entry in entries.items() if entry.segment.id in matching}


def _by_looks(
    snapshot: Snapshot,
    ranked: Iterator[tuple[str, Likeness]],
    request: SearchRequest,
    depth: int,
) -> dict[str, Likeness]:
    """The `depth` first of the ranked pictures that match the filters."""
    where = request.where
    if request.modalities is not None:
        where = _and(where, {"modality": {"$in": sorted(request.modalities)}})
    if where is None:
        return dict(islice(ranked, depth))
    found: dict[str, Likeness] = {}
    while len(found) < depth and (some := dict(islice(ranked, _FILTERED * depth))):
        matching = snapshot.store.matching(list(some), where)
        found |= {id_: likeness for id_, likeness in some.items() if id_ in matching}
    return found


def _with_recent(
    found: Sequence[tuple[str, float]], query: Vectors, recent: Mapping[str, Vectors | None]
) -> list[tuple[str, float]]:
    """One query's results with those of `recent` in their places, nearest first."""
    pairs = [pair for pair in found if pair[0] not in recent]
    pairs += [(id_, float(each @ query)) for id_, each in recent.items() if each is not None]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def _count(near: Mapping[str, Found | None], modalities: Set[str]) -> int:
    return sum(one is not None and one.modality in modalities for one in near.values())


def _and(where: Where | None, condition: Where) -> Where | None:
    return all_of([where, condition] if where else [condition])
