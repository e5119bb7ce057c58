"""Searcher: takes one query through every stage, on one state of the collection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mm_rag._forking import ForkableLock
from mm_rag.collection.assets import CollectionAssets
from mm_rag.collection.search.calibration import Calibration
from mm_rag.collection.search.evidence import (
    Evidence,
    joined,
    probability,
    reordered,
    scores_alone,
    weigh,
)
from mm_rag.collection.search.merging import Candidates, GroupKey, merge, page_id
from mm_rag.collection.search.pictures import PictureIndex
from mm_rag.collection.search.query import EncodedQuery, encode
from mm_rag.collection.search.request import SearchRequest
from mm_rag.collection.search.reranking import Reranked, Rerankers, rerank
from mm_rag.collection.search.retrieve import DEPTH, retrieve
from mm_rag.collection.search.selection import Selected, select
from mm_rag.collection.session import Session, Snapshot
from mm_rag.encoder import Encoder
from mm_rag.errors import CollectionError, CollectionMismatch
from mm_rag.segment import Hit

_ATTEMPTS = 3
"""How often a search is done if commits change the collection meanwhile; during the last attempt
commits have to wait."""

_DEEPER = 8
"""How many times longer the lists are made if most segments in them are of a few groups."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Hits, and how they were found.

    Attributes:
        hits: Best first.
        seconds: Duration of each stage: `encode`; `open` (taking a snapshot, and following what
            other processes wrote); `vectors` and `words` (retrieval); `merge`; `rerank`; `show`
            (selecting the hits and reading them); and `total`; for a query with pictures also
            `pictures` (retrieval). A query that is a blank text has only `encode` and `total`.
        listed: Length of each retrieved list: `vectors`, `words` and, for a query with a picture
            whose looks are compared, `pictures`.
        places: Number of pages, pictures and clips that the retrieved segments belong to.
    """

    hits: list[Hit]
    seconds: Mapping[str, float]
    listed: Mapping[str, int]
    places: int


@dataclass(frozen=True, kw_only=True)
class _Merged:
    """Candidates, the snapshot they come from, and the lengths of the retrieved lists."""

    snapshot: Snapshot
    candidates: Candidates
    listed: Mapping[str, int]


@dataclass(frozen=True)
class _Ranking:
    """The order of the groups, their scores and evidence, and what the reranker returned."""

    order: Mapping[GroupKey, float]
    scores: Mapping[GroupKey, float]
    evidence: Evidence
    reranker_scores: Mapping[GroupKey, float]


class Searcher:
    """Searches one collection.

    Args:
        session: Hands out snapshots of the collection.
        assets: Draws the pictures that a reranker looks at, if none are kept.
    """

    def __init__(self, session: Session, assets: CollectionAssets) -> None:
        self._session, self._assets = session, assets
        self._calibrating = ForkableLock()
        self._calibrated: tuple[object, Calibration] | None = None
        self._pictures: tuple[object, PictureIndex] | None = None

    def search(
        self, query: Any, request: SearchRequest, *, encoder: Encoder, rerankers: Rerankers
    ) -> Explanation:
        """Search; again if a commit changed the collection before the hits were read.

        Args:
            query: A str is a user's words; or anything an Encoder takes.
            request: What to return.
            encoder: The model whose vectors the collection holds.
            rerankers: Score the best candidates again.

        Raises:
            InputError: The query is not a valid input, or Chroma refuses the filter.
            CollectionMismatch: The collection holds another model's vectors.
            CollectionError: The collection cannot be read.
        """
        watch = _Stopwatch()
        encoded = encode(query, encoder)
        watch.lap("encode")
        if encoded is None:
            return Explanation(hits=[], seconds=watch.total(), listed={}, places=0)
        attempt = 0
        while True:
            attempt += 1
            is_last = attempt == _ATTEMPTS
            merged = self._retrieve(encoded, request, encoder, watch, hold_commits=is_last)
            candidates = merged.candidates
            evidence = weigh(candidates)
            reranked = rerank(rerankers, encoded, candidates, evidence.total, request, self._assets)
            ranking = _ranking(evidence, reranked, request)
            watch.lap("rerank")
            selected = select(candidates, ranking.order, ranking.scores, request)
            hits = _hits(selected, candidates, ranking, request, encoded.words)
            watch.lap("show")
            if is_last or self._session.is_current(merged.snapshot):
                return Explanation(
                    hits=hits,
                    seconds=watch.total(),
                    listed=merged.listed,
                    places=len(candidates.groups),
                )

    def _retrieve(
        self,
        query: EncodedQuery,
        request: SearchRequest,
        encoder: Encoder,
        watch: _Stopwatch,
        *,
        hold_commits: bool,
    ) -> _Merged:
        """Retrieve and merge; again after `Session.recover` if an index cannot be read."""
        failures = 0
        while True:
            with self._session.snapshot(hold_commits=hold_commits) as snapshot:
                try:
                    self._session.check_encoder(encoder)  # it may have been reindexed meanwhile
                    calibration = self._calibration(snapshot, encoder)
                    watch.lap("open")
                    index = None if query.pictures is None else self._picture_index(snapshot)
                    merged = _candidates(snapshot, calibration, query, request, watch, index)
                    if hold_commits:
                        merged = replace(merged, candidates=merged.candidates.load())
                    return merged
                except CollectionMismatch:
                    raise
                except CollectionError as error:
                    failed = error
            self._session.recover(failed, snapshot, failures)
            failures += 1

    def _calibration(self, snapshot: Snapshot, encoder: Encoder) -> Calibration:
        """The calibration of a state of the collection, computed once."""
        with self._calibrating:
            state = (snapshot.version, encoder.fingerprint)
            if self._calibrated is None or self._calibrated[0] != state:
                self._calibrated = (state, Calibration(snapshot.catalog, encoder))
            return self._calibrated[1]

    def _picture_index(self, snapshot: Snapshot) -> PictureIndex:
        """The features of the pictures in a state of the collection, read once."""
        with self._calibrating:
            if self._pictures is None or self._pictures[0] != snapshot.version:
                self._pictures = (snapshot.version, PictureIndex(snapshot.catalog))
            return self._pictures[1]


def _candidates(
    snapshot: Snapshot,
    calibration: Calibration,
    query: EncodedQuery,
    request: SearchRequest,
    watch: _Stopwatch,
    index: PictureIndex | None,
) -> _Merged:
    """Retrieve and merge; again with longer lists if most segments are of a few groups."""
    first = depth = max(DEPTH, 3 * request.k)
    while True:
        retrieved = retrieve(snapshot, calibration, query, request, depth, index)
        watch.add(retrieved.seconds)
        candidates = merge(snapshot, calibration, query, retrieved, request)
        watch.lap("merge")
        with_words = sum(match.score > 0.0 for match in retrieved.words.values())
        listed = {"vectors": len(retrieved.nearest), "words": with_words}
        if retrieved.pictures is not None:
            listed["pictures"] = len(retrieved.pictures)
        # More groups are wanted, the segments would suffice, and a list was cut.
        is_short = len(candidates.groups) < request.k <= len(candidates.vectors)
        is_cut = max(listed.values()) >= depth
        if depth > first or not (is_short and is_cut):
            return _Merged(snapshot=snapshot, candidates=candidates, listed=listed)
        depth *= _DEEPER


def _ranking(evidence: Evidence, reranked: Reranked, request: SearchRequest) -> _Ranking:
    """The order of the hits, and their scores."""
    before = evidence.total
    evidence = joined(evidence, reranked)
    scores = {key: probability(log_odds) for key, log_odds in evidence.total.items()}
    order: Mapping[GroupKey, float] = evidence.total
    if request.reranks_alone and reranked.scores:
        order = reordered(before, reranked.scores)
        scores = scores_alone(scores, reranked)
    return _Ranking(order, scores, evidence, reranked.scores)


def _hits(
    selected: Selected,
    candidates: Candidates,
    ranking: _Ranking,
    request: SearchRequest,
    words: str,
) -> list[Hit]:
    """Hits for the selected candidates, best first.

    A hit on a page shows the whole page, unless only some modalities are wanted: then it shows the
    passage.
    """
    matched = candidates.matched(selected.groups)
    best = [page_id(segments[0]) for segments in matched.values()]
    pages = candidates.segments(best) if request.modalities is None else {}
    duplicates = candidates.catalog.duplicates_of({key.sha256 for key in matched})
    return [
        Hit(
            segment=pages.get(page, segments[0]),
            rank=rank,
            score=ranking.scores[key],
            scores=_scores(key, candidates, ranking),
            evidence=ranking.evidence.of(key),
            matched=tuple(segments),
            also=duplicates.get(key.sha256, ()),
            same_words=selected.same_words.get(key, ()),
            query=words,
        )
        for rank, (page, (key, segments)) in enumerate(zip(best, matched.items(), strict=True), 1)
    ]


def _scores(key: GroupKey, candidates: Candidates, ranking: _Ranking) -> dict[str, float]:
    """The scores of every list that a candidate is in."""
    scores = dict(candidates.groups[key].scores)
    if key in ranking.reranker_scores:
        scores["rerank"] = ranking.reranker_scores[key]
    return scores


class _Stopwatch:
    """Times the stages of one search. A stage that runs again is added up."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage that began when the one before it ended."""
        self.add({stage: time.perf_counter() - self._last})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add stages that were timed elsewhere, and have just ended."""
        for stage, duration in seconds.items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + duration
        self._last = time.perf_counter()

    def total(self) -> dict[str, float]:
        """Seconds by stage, and `total`."""
        return {**self._seconds, "total": time.perf_counter() - self._began}
