"""Search: candidates from vectors and words -> one list of places -> reranked -> Hits.

A *place* is what a person is shown: a page, a picture, a clip. Its Segments (the screenshot and the
passages of a page) are found separately and merged before anything is ranked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from mm_rag.collection.fusion import fuse, min_max
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.reranking import query_words, rescored
from mm_rag.collection.store import VectorStore, Where
from mm_rag.content import MODALITIES, Content, Modality
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError
from mm_rag.reranker import Reranker
from mm_rag.segment import Hit, Segment

Place: TypeAlias = tuple[str, int | None, float | None]
Voice: TypeAlias = tuple[float, Mapping[Place, float]]

CANDIDATES = 150
"""How deep each list goes at least. A plain Chroma query costs 2.3 ms at this depth."""

_FILTERED = 10  # how much deeper the lexical list goes where a filter will thin it out

JUDGED = 20
"""How many places a reranker scores whose word is final."""

VOICED = 10
"""How many places the default one scores. 20 take twice as long and gain 0.002 nDCG@10."""

VOICE = 0.5
"""What the default one's score counts beside the vectors' and the words' (see `fusion`)."""


@dataclass
class Candidate:
    """One place on its way to becoming a Hit.

    Attributes:
        found: Its Segments with the best score that any list gave them.
        voices: The best raw score of each list: `vector:words`, `vector:image`, `lexical`.
    """

    found: dict[str, tuple[Segment, float]] = field(
        default_factory=dict[str, tuple[Segment, float]]
    )
    voices: dict[str, float] = field(default_factory=dict[str, float])

    def add(self, segment: Segment, voice: str, score: float, relative: float) -> None:
        """Note that a list found one of the place's Segments.

        Args:
            segment: What was found.
            voice: The list.
            score: Its raw score there.
            relative: The same on a scale that all lists share, to tell which Segment matched best.
        """
        self.voices[voice] = max(score, self.voices.get(voice, score))
        _, best = self.found.get(segment.id, (segment, relative))
        self.found[segment.id] = (segment, max(best, relative))

    @property
    def matched(self) -> tuple[Segment, ...]:
        """The Segments found, best first."""
        ordered = sorted(self.found.values(), key=lambda pair: pair[1], reverse=True)
        return tuple(segment for segment, _ in ordered)


@dataclass(frozen=True)
class SearchEngine:
    """The parts that a search needs, and the search itself."""

    store: VectorStore
    lexical: LexicalIndex
    encoder: Encoder
    reranker: Reranker | None

    def search(self, query: Content, k: int, where: Where | None) -> list[Hit]:
        """The `k` best places for a query, best first."""
        candidates = self._candidates(query, max(CANDIDATES, 3 * k), where)
        voices = self._voices(candidates)
        scores = fuse(*voices)
        if self.reranker is not None and candidates:
            scores = self._rerank(self.reranker, query, candidates, voices, scores)
        best = sorted(scores, key=lambda place: scores[place], reverse=True)[:k]
        return self._hits({place: candidates[place] for place in best}, scores)

    def _candidates(
        self, query: Content, depth: int, where: Where | None
    ) -> dict[Place, Candidate]:
        candidates: dict[Place, Candidate] = defaultdict(Candidate)
        vector = self.encoder.encode_query(query)
        nearest = self.store.nearest(vector, depth, where)
        for space, found in _by_space(self.encoder, nearest).items():
            _collect(candidates, f"vector:{space}", found)
        # The index knows nothing of filters: it is asked for more, and the store takes its pick.
        ranked = self.lexical.search(query_words(query), depth * (_FILTERED if where else 1))
        segments = self.store.get([id_ for id_, _ in ranked], where)
        matched = [(segments[id_], score) for id_, score in ranked if id_ in segments]
        _collect(candidates, "lexical", matched[:depth])
        return dict(candidates)

    def _voices(self, candidates: Mapping[Place, Candidate]) -> list[Voice]:
        """Two voices on the scale [0, 1]: what vectors say, and what words say.

        The vector lists of several spaces are one voice, each stretched by itself before: a place
        is as near as its nearest Segment, and having Segments in two spaces is no merit.
        """
        lists: dict[str, dict[Place, float]] = defaultdict(dict)
        for place, candidate in candidates.items():
            for name, score in candidate.voices.items():
                lists[name][place] = score
        lexical = lists.pop("lexical", {})  # on the scale already
        vector: dict[Place, float] = {}
        for scores in lists.values():
            for place, score in min_max(scores).items():
                vector[place] = max(score, vector.get(place, 0.0))
        return [(1.0, vector), (1.0, lexical)]

    def _rerank(
        self,
        reranker: Reranker,
        query: Content,
        candidates: Mapping[Place, Candidate],
        voices: Sequence[Voice],
        scores: Mapping[Place, float],
    ) -> dict[Place, float]:
        depth = JUDGED if reranker.judges else VOICED
        top = sorted(scores, key=lambda place: scores[place], reverse=True)[:depth]
        predicted = rescored(reranker, query, [candidates[place].matched for place in top])
        if predicted is None:
            return dict(scores)
        judged = dict(zip(top, predicted, strict=True))
        for place, score in judged.items():
            candidates[place].voices["rerank"] = score
        if not reranker.judges:
            return fuse(*voices, (VOICE, min_max(judged)))
        # A judge's order stands; whom it has not seen comes after, in the order of before.
        below = min(judged.values()) - 1.0
        rest = {place: below + score - 1.0 for place, score in scores.items()}
        return {**rest, **judged}

    def _hits(
        self, candidates: Mapping[Place, Candidate], scores: Mapping[Place, float]
    ) -> list[Hit]:
        wholes = self.store.get([_whole_id(c.matched[0]) for c in candidates.values()])
        return [
            Hit(
                segment=wholes.get(_whole_id(candidate.matched[0]), candidate.matched[0]),
                rank=rank,
                score=scores[place],
                scores=dict(candidate.voices),
                matched=candidate.matched,
            )
            for rank, (place, candidate) in enumerate(candidates.items(), start=1)
        ]


def modality_filter(modalities: Iterable[Modality] | None, where: Where | None) -> Where | None:
    """One Chroma filter out of the two that a search takes."""
    conditions: list[Where] = [where] if where else []
    if modalities is not None:
        wanted = [modalities] if isinstance(modalities, str) else list(modalities)
        if not wanted or not set(wanted) <= set(MODALITIES):
            raise InputError(
                f"modalities takes some of {', '.join(MODALITIES)}, or None for all; got {wanted}."
            )
        conditions.append({"modality": {"$in": wanted}})
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return {"$and": conditions}


def _by_space(
    encoder: Encoder, nearest: Iterable[tuple[Segment, float]]
) -> dict[str, list[tuple[Segment, float]]]:
    """Split a list by what is comparable: a similarity to words is not one to pixels."""
    spaces: dict[str, list[tuple[Segment, float]]] = defaultdict(list)
    for segment, similarity in nearest:
        as_words = segment.modality == "text" or encoder.reads(segment.modality)
        spaces["words" if as_words else segment.modality].append((segment, similarity))
    return spaces


def _collect(
    candidates: dict[Place, Candidate], voice: str, found: Sequence[tuple[Segment, float]]
) -> None:
    relative = min_max({segment.id: score for segment, score in found})
    for segment, score in found:
        candidates[segment.place].add(segment, voice, score, relative[segment.id])


def _whole_id(segment: Segment) -> str:
    """The id that the Segment of the whole page has, if there is one."""
    if segment.modality != "text" or segment.media is None:
        return segment.id
    return replace(segment, modality="image", part=0).id
