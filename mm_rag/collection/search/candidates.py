"""Candidates: the Segments that vectors and words propose, with their scores, by place.

A *place* is what a person is shown: a page, a picture, a clip. Its Segments (the screenshot and the
passages of a page) are found separately and merged before anything is ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from mm_rag.collection.ledger import Entry, Found, Ledger, stacked
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.search.fusion import min_max
from mm_rag.collection.search.request import Request, all_of
from mm_rag.collection.search.spaces import Spaces, unit
from mm_rag.collection.store import Vectors, VectorStore, Where
from mm_rag.content import Modality

Place: TypeAlias = tuple[str, int | None, float | None]

DEPTH = 100
"""How deep each list goes at least. A plain Chroma query of 100,000 vectors takes 2 to 3 ms."""

ENOUGH = 30
"""Segments of a space among the nearest of all, below which it is asked for by itself."""

_FILTERED = 10  # how much deeper the lexical list goes where a filter will thin it out


@dataclass
class Candidate:
    """One place on its way to becoming a Hit.

    Attributes:
        found: The ids of its Segments that were found, with the best score that any list gave them.
        modality: Of the best of them.
        voices: The best raw score of each list: `vector:words`, `vector:image`, `lexical`.
    """

    found: dict[str, float] = field(default_factory=dict[str, float])
    modalities: dict[str, Modality] = field(default_factory=dict[str, Modality])
    voices: dict[str, float] = field(default_factory=dict[str, float])

    def add(
        self, id_: str, modality: Modality, relative: float, voices: Mapping[str, float]
    ) -> None:
        """Note one of the place's Segments.

        Args:
            id_: The Segment.
            modality: What it is.
            relative: How good it is, on a scale that all lists share.
            voices: What each list says.
        """
        self.found[id_] = relative
        self.modalities[id_] = modality
        for voice, score in voices.items():
            self.voices[voice] = max(score, self.voices.get(voice, score))

    @property
    def matched(self) -> list[str]:
        """The ids of the Segments found, best first."""
        return sorted(self.found, key=lambda id_: (-self.found[id_], id_))

    @property
    def modality(self) -> Modality:
        """Of the Segment that matched best."""
        return self.modalities[self.matched[0]]


@dataclass(frozen=True)
class Proposals:
    """What was found, and how much work it was.

    Attributes:
        places: By place.
        vectors: The vector of every Segment found, of length 1, by id.
        foreign: Records that another program wrote, by id.
        listed: How many Segments each list proposed.
    """

    places: dict[Place, Candidate]
    vectors: Mapping[str, Vectors]
    foreign: Mapping[str, Entry]
    listed: Mapping[str, int]


@dataclass(frozen=True)
class Proposer:
    """Asks vectors and words, and brings their answers together."""

    store: VectorStore
    lexical: LexicalIndex
    ledger: Ledger
    spaces: Spaces

    def by_vector(self, query: Vectors, request: Request) -> dict[str, Found | None]:
        """The nearest Segments of every space, by id; None for what the ledger does not know.

        The nearest of all are asked for first. A space of which there are too few among them lies
        elsewhere: the query is moved there, by the difference of the means of the two clouds. Only
        where single modalities are wanted, and that was not enough, Chroma filters, which takes it
        50 times as long.

        Args:
            query: Of length 1, of shape (dimension,).
            request: What is wanted.
        """
        depth = max(DEPTH, 3 * request.k)
        near: dict[str, Found | None] = {}
        if request.where is not None:
            where = all_of([request.where, *_modality_filter(request.modalities)])
            self._ask(near, query[None], depth, where)
            return near
        self._ask(near, query[None], depth)
        wanted = [space for space in self.spaces if _wants(request, space.modalities)]
        few = [
            space for space in wanted if _count(near, space.modalities) < min(ENOUGH, space.count)
        ]
        home = max(self.spaces, key=lambda space: _count(near, space.modalities), default=None)
        if few and home is not None:
            moved = np.stack([query + space.mean - home.mean for space in few])
            self._ask(near, unit(moved), depth)
        for modality, least in self._least(request).items():
            if _count(near, {modality}) < least:
                self._ask(near, query[None], depth, {"modality": modality})
        return near

    def _ask(
        self,
        near: dict[str, Found | None],
        queries: Vectors,
        depth: int,
        where: Where | None = None,
    ) -> None:
        lists = self.store.nearest(queries, depth, where)
        new = dict.fromkeys(id_ for found in lists for id_, _ in found if id_ not in near)
        known = self.ledger.find(new)
        near.update((id_, known.get(id_)) for id_ in new)

    def _least(self, request: Request) -> dict[str, int]:
        """How many Segments of each wanted modality there must be among what is found."""
        if request.modalities is None:
            return {}
        counts = self.ledger.counts()
        enough = max(ENOUGH, 3 * request.k)
        return {m: min(enough, counts.get(m, 0)) for m in sorted(request.modalities)}

    def by_words(self, words: str, request: Request) -> dict[str, float]:
        """The share of what the query's words could give at most, by id."""
        depth = max(DEPTH, 3 * request.k)
        narrow = request.where is not None or request.modalities is not None
        found = dict(self.lexical.search(words, depth * (_FILTERED if narrow else 1)))
        if request.where is not None:  # the index knows nothing of filters
            matching = self.store.matching(list(found), request.where)
            found = {id_: share for id_, share in found.items() if id_ in matching}
        return found

    def together(
        self,
        query: Vectors,
        near: Mapping[str, Found | None],
        shares: Mapping[str, float],
        request: Request,
    ) -> Proposals:
        """Score everything that was found by every voice, and merge what is at one place."""
        known = {id_: one for id_, one in near.items() if one is not None}
        known |= self.ledger.find(id_ for id_ in shares if id_ not in known)
        foreign = self._foreign([id_ for id_, one in near.items() if one is None])
        known |= {id_: _found(id_, entry) for id_, entry in foreign.items()}
        if request.modalities is not None:
            known = {i: one for i, one in known.items() if one.modality in request.modalities}
        ids = list(known)
        vectors = unit(stacked(known[id_].vector for id_ in ids))
        cosines = vectors @ query if ids else np.zeros(0)
        calibrated = self._calibrated(query, [known[id_] for id_ in ids], cosines)
        relative = min_max(dict(zip(ids, calibrated, strict=True)))
        places: dict[Place, Candidate] = {}
        for row, id_ in enumerate(ids):
            one, share = known[id_], shares.get(id_, 0.0)
            candidate = places.setdefault(one.place, Candidate())
            space = self.spaces.of(one.modality)
            voices = {
                f"vector:{space.name if space else one.modality}": float(cosines[row]),
                "calibrated": calibrated[row],
                **({"lexical": share} if share else {}),
            }
            modality: Modality = one.modality  # pyright: ignore[reportAssignmentType]
            candidate.add(id_, modality, max(relative[id_], share), voices)
        listed = {"vectors": len(near), "words": len(shares)}
        by_id = {id_: vectors[row] for row, id_ in enumerate(ids)}
        return Proposals(places=places, vectors=by_id, foreign=foreign, listed=listed)

    def _foreign(self, ids: Sequence[str]) -> dict[str, Entry]:
        """What other programs wrote; what the ledger is about to follow is not theirs."""
        if not ids:
            return {}
        unsettled = set(self.ledger.unsettled())
        return self.store.records([id_ for id_ in ids if id_ not in unsettled])

    def _calibrated(self, query: Vectors, found: Sequence[Found], cosines: Vectors) -> list[float]:
        scales = {space.name: space.scale(query) for space in self.spaces}
        calibrated: list[float] = []
        for one, cosine in zip(found, cosines, strict=True):
            space = self.spaces.of(one.modality)
            expected, deviation = scales[space.name] if space else (0.0, 1.0)
            calibrated.append((float(cosine) - expected) / deviation)
        return calibrated


def _count(near: Mapping[str, Found | None], modalities: Set[str]) -> int:
    return sum(one is not None and one.modality in modalities for one in near.values())


def _wants(request: Request, modalities: frozenset[str]) -> bool:
    return request.modalities is None or bool(request.modalities & modalities)


def _modality_filter(modalities: Set[Modality] | None) -> list[Where]:
    return [] if modalities is None else [{"modality": {"$in": sorted(modalities)}}]


def _found(id_: str, entry: Entry) -> Found:
    segment = entry.segment
    return Found(
        id=id_,
        sha256=segment.sha256,
        modality=segment.modality,
        page=segment.page,
        start=segment.start,
        vector=entry.vector.tobytes(),
    )
