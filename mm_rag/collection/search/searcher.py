"""Search: candidates from vectors and words -> one list of places -> reranked -> Hits."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from mm_rag.collection.catalog import Catalog
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.search.calibration import Spaces, unit
from mm_rag.collection.search.fusion import best_first, fuse, min_max
from mm_rag.collection.search.mmr import chosen
from mm_rag.collection.search.request import Request
from mm_rag.collection.search.reranking import query_words, rescored
from mm_rag.collection.search.retrieve import (
    DEPTH,
    Candidate,
    Kept,
    Place,
    Proposals,
    Proposer,
    Question,
)
from mm_rag.collection.search.stopwatch import Stopwatch
from mm_rag.collection.store import VectorStore
from mm_rag.content import Content, modality_name
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError
from mm_rag.reranker import Reranker
from mm_rag.segment import Hit, Segment

logger = logging.getLogger(__name__)

JUDGED = 50
"""How many places a reranker scores whose word is final."""

VOICED = 10
"""How many places the default one scores. 20 take twice as long and gain 0.002 nDCG@10."""

_TRIES = 2
"""How often a search is done where something is committed while it ranks what it has found, before
it keeps what it has found."""

VOICE = 0.25
"""What the default one's score counts beside the vectors' and the words' (see `fusion`)."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Hits, and how they came about.

    Attributes:
        hits: Best first.
        seconds: How long each stage took: `encode`; `open`, keeping up with what was written
            meanwhile; `vectors` and `words`, which propose Segments; `merge`; `rerank`; `show`,
            choosing the hits; and `total`. Of a query that says nothing, `encode` and `total`.
        listed: How many Segments each list proposed: `vectors` and `words`.
        places: How many pages, pictures and clips they make.
    """

    hits: list[Hit]
    seconds: Mapping[str, float]
    listed: Mapping[str, int]
    places: int


Read: TypeAlias = Callable[[Callable[[VectorStore, LexicalIndex], Proposals]], Proposals]
"""Has something done with vectors and words, which stay open meanwhile."""


@dataclass(frozen=True, kw_only=True)
class SearchEngine:
    """The parts that a search needs, and the search itself.

    Attributes:
        read: Gives vectors and words.
        catalog: What there is.
        spaces: What the vectors look like now.
        missed: The ids of what Chroma's client does not know yet.
        encoder: Makes the query's vector.
        reranker: Scores the best candidates again.
        shown: Draws the pictures of Segments again, where they are not kept.
        watch: Times the stages.
    """

    read: Read
    catalog: Catalog
    spaces: Callable[[], Spaces]
    missed: Callable[[], Sequence[str]]
    encoder: Encoder
    reranker: Reranker | None
    shown: Callable[[Sequence[Segment]], list[Segment]]
    watch: Stopwatch

    def search(self, query: Content, request: Request) -> Explanation:
        """The best places for a query, best first."""
        question = self._question(query)
        for _ in range(_TRIES):
            proposals = self._propose(question, request)
            explanation = self._answer(query, proposals, request)
            if self.catalog.generation() == proposals.generation:
                return explanation  # else what was found may be gone by the time that it is shown
        return self._answer(query, self._propose(question, request, keep=True), request)

    def _answer(self, query: Content, proposals: Proposals, request: Request) -> Explanation:
        voices = _voices(proposals.places, max(DEPTH, request.k))
        scores = fuse(*voices)
        with self.watch.stage("rerank"):
            if self.reranker is not None and scores:
                scores = self._rerank(self.reranker, query, proposals, request, voices, scores)
        with self.watch.stage("show"):
            best = chosen(scores, proposals, request)
            hits = self._hits(best, proposals, scores, whole=request.modalities is None)
        return Explanation(
            hits=hits,
            seconds=self.watch.seconds,
            listed=proposals.listed,
            places=len(proposals.places),
        )

    def _question(self, query: Content) -> Question:
        with self.watch.stage("encode"):
            vector = unit(self.encoder.encode_query(query))
        if not np.isfinite(vector).all():
            raise InputError("The model makes no numbers of this query: its vector has NaN in it.")
        return Question(vector=vector, words=query_words(query), modality=modality_name(query))

    def _propose(self, question: Question, request: Request, *, keep: bool = False) -> Proposals:
        """What was found, all of it of one state; with its Segments, if they are to be kept."""

        def proposed(store: VectorStore, lexical: LexicalIndex) -> Proposals:
            with self.watch.stage("open"):
                spaces = self.spaces()
            proposer = Proposer(store, lexical, self.catalog, spaces, self.missed(), self.watch)
            proposals = proposer.propose(question, request)
            return replace(proposals, kept=self._kept(proposals)) if keep else proposals

        return self.read(proposed)

    def _kept(self, proposals: Proposals) -> Kept:
        found = [id_ for one in proposals.places.values() for id_ in one.found]
        segments = self.catalog.segments(found)
        wholes = self.catalog.segments({_whole_id(segment) for segment in segments.values()})
        copies = self.catalog.duplicates_of({place[0] for place in proposals.places})
        return Kept({**wholes, **segments}, copies)

    def _rerank(
        self,
        reranker: Reranker,
        query: Content,
        proposals: Proposals,
        request: Request,
        voices: Sequence[tuple[float, Mapping[Place, float]]],
        scores: Mapping[Place, float],
    ) -> dict[Place, float]:
        depth = JUDGED if reranker.judges else VOICED
        ranked = best_first(scores)[:depth]
        top = [place for place in ranked if _kind(place, proposals) in request.rerank]
        if not top:
            return dict(scores)
        matched = self._matched(top, proposals)
        top, shown = list(matched), list(matched.values())
        if reranker.supports("image") and not reranker.reads("image"):
            shown = self._with_pictures(shown)
        predicted = rescored(reranker, query, shown)
        if predicted is None:
            return dict(scores)
        judged = dict(zip(top, predicted, strict=True))
        for place, score in judged.items():
            proposals.places[place].voices["rerank"] = score
        if not reranker.judges:
            return fuse(*voices, (VOICE, min_max(judged)))
        return _judged(scores, judged)

    def _matched(self, places: Sequence[Place], proposals: Proposals) -> dict[Place, list[Segment]]:
        """What was found at some places, best first; what is gone meanwhile is left out."""
        ids = {place: proposals.places[place].matched for place in places}
        segments = self._segments([id_ for found in ids.values() for id_ in found], proposals)
        matched = {
            place: [segments[id_] for id_ in found if id_ in segments]
            for place, found in ids.items()
        }
        return {place: found for place, found in matched.items() if found}

    def _with_pictures(self, places: list[list[Segment]]) -> list[list[Segment]]:
        """What a reranker looks at: the picture of each place's best Segment.

        Those of one file are drawn together: an office file has to be converted for them.
        """
        files: dict[str, list[Segment]] = defaultdict(list)
        for segments in places:
            files[segments[0].sha256].append(segments[0])
        best: dict[str, Segment] = {}
        for together in files.values():
            try:
                drawn = self.shown(together)
            except InputError as error:  # it has gone, or changed, since it was indexed
                logger.warning("%s is reranked by its words: %s", together[0].source, error)
                drawn = together
            best |= {segment.id: segment for segment in drawn}
        return [[best[first.id], *rest] for first, *rest in places]

    def _segments(self, ids: Iterable[str], proposals: Proposals) -> dict[str, Segment]:
        wanted = list(ids)
        foreign = {i: proposals.foreign[i].segment for i in wanted if i in proposals.foreign}
        own = [i for i in wanted if i not in foreign]
        if proposals.kept is None:
            return {**foreign, **self.catalog.segments(own)}
        kept = proposals.kept.segments
        return {**foreign, **{i: kept[i] for i in own if i in kept}}

    def _hits(
        self,
        best: Sequence[Place],
        proposals: Proposals,
        scores: Mapping[Place, float],
        *,
        whole: bool,
    ) -> list[Hit]:
        """Hits of the best places.

        Args:
            best: The places, best first.
            proposals: What was found there.
            scores: What the places got.
            whole: Show pages for their passages. Who asks for passages wants to see passages.
        """
        matched = self._matched(best, proposals)
        shown = list(matched)
        pages = [_whole_id(matched[place][0]) for place in shown] if whole else []
        wholes = self._segments(pages, proposals)
        kept = proposals.kept
        copies = kept.copies if kept else self.catalog.duplicates_of({place[0] for place in shown})
        return [
            Hit(
                segment=wholes.get(_whole_id(matched[place][0]), matched[place][0]),
                rank=rank,
                score=scores[place],
                scores=dict(proposals.places[place].voices),
                matched=tuple(matched[place]),
                also=copies.get(place[0], ()),
            )
            for rank, place in enumerate(shown, start=1)
        ]


def _voices(
    places: Mapping[Place, Candidate], depth: int
) -> list[tuple[float, Mapping[Place, float]]]:
    """Two voices on the scale [0, 1]: what vectors say of the nearest, and what words say.

    Calibrated, the vectors of several spaces are one voice: a place is as near as its nearest
    Segment, and having Segments in two spaces is no merit.
    """
    vector = {place: one.voices["calibrated"] for place, one in places.items()}
    lexical = {p: one.voices["lexical"] for p, one in places.items() if "lexical" in one.voices}
    return [(1.0, min_max(vector, depth)), (1.0, lexical)]


def _kind(place: Place, proposals: Proposals) -> str:
    """What a place is to a reranker: a page of a document counts as text, a photo as image."""
    modality = proposals.places[place].modality
    return "text" if place[1] is not None and modality == "image" else modality


def _judged(scores: Mapping[Place, float], judged: Mapping[Place, float]) -> dict[Place, float]:
    """A judge's order stands among those it has seen; what it has not seen stays where it was.

    Where it has seen all of the top, its scores are the scores; below them come the others. Else
    the judged ones share out the scores that they had.
    """
    ranked = best_first(scores)
    if set(ranked[: len(judged)]) == set(judged):
        below = min(judged.values()) - 2.0
        return {**{place: below + score for place, score in scores.items()}, **judged}
    free = sorted((scores[place] for place in judged), reverse=True)
    return {**scores, **dict(zip(best_first(judged), free, strict=True))}


def _whole_id(segment: Segment) -> str:
    """The id that the Segment of the whole page has, if there is one."""
    if segment.modality != "text" or segment.media is None:
        return segment.id
    return replace(segment, modality="image", part=0).id
