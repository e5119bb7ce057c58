"""Candidates: the Segments that vectors and words propose, with their scores, by place.

A *place* is what a person is shown: a page, a picture, a clip. Its Segments (the screenshot and the
passages of a page) are found separately and merged before anything is ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias, cast

import numpy as np

from mm_rag.collection.catalog import Catalog, Entry, Found, stacked
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.search.calibration import Spaces, unit
from mm_rag.collection.search.fusion import min_max
from mm_rag.collection.search.request import Request, all_of
from mm_rag.collection.search.stopwatch import Stopwatch
from mm_rag.collection.store import Vectors, VectorStore, Where
from mm_rag.content import Modality
from mm_rag.segment import Segment

Place: TypeAlias = tuple[str, int | None, float | None]

DEPTH = 100
"""How deep each list goes at least. A plain Chroma query of 100,000 vectors takes 2 to 3 ms."""

ENOUGH = 30
"""Segments of a space among the nearest of all, below which it is asked for by itself."""

DEEPER = 8
"""How much deeper the lists go where most of what they gave was at the same places."""

_MOST_HIDDEN = 2_000  # that more is asked for because of what is being written
_FILTERED = 10  # how much deeper the lexical list goes where a filter will thin it out


@dataclass
class Candidate:
    """One place on its way to becoming a Hit.

    Attributes:
        found: The ids of its Segments that were found, with the best score that any list gave them.
        modality: Of the best of them.
        voices: The best raw score of each list: `vector:words`, `vector:image`, `lexical`.
        counted_as: The modality by which it fills a quota, where that is not that of the best of
            its Segments.
    """

    found: dict[str, float] = field(default_factory=dict[str, float])
    modalities: dict[str, Modality] = field(default_factory=dict[str, Modality])
    voices: dict[str, float] = field(default_factory=dict[str, float])
    counted_as: Modality | None = None

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
        if not self.voices:  # as of nearly all
            self.voices.update(voices)
            return
        for voice, score in voices.items():
            self.voices[voice] = max(score, self.voices.get(voice, score))

    @property
    def matched(self) -> list[str]:
        """The ids of the Segments found, best first; those by which it fills a quota before all."""
        return sorted(self.found, key=self._order)

    def _order(self, id_: str) -> tuple[bool, float, str]:
        counts = self.counted_as is None or self.modalities[id_] == self.counted_as
        return not counts, -self.found[id_], id_

    @property
    def modality(self) -> Modality:
        """Of the Segment that matched best."""
        return self.modalities[self.matched[0]]


@dataclass(frozen=True)
class Kept:
    """What hits are made of, of the state in which they were found.

    Attributes:
        segments: By id.
        copies: By content, the files that were left out because another one has the same.
    """

    segments: Mapping[str, Segment]
    copies: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Proposals:
    """What was found, and how much work it was.

    Attributes:
        places: By place.
        vectors: The vector of every Segment found, of length 1, by id.
        foreign: Records that another program wrote, by id.
        listed: How many Segments each list proposed.
        generation: The state of the collection that they are of.
        kept: What hits are made of; None where the catalog is asked.
    """

    places: dict[Place, Candidate]
    vectors: Mapping[str, Vectors]
    foreign: Mapping[str, Entry]
    listed: Mapping[str, int]
    generation: int
    kept: Kept | None = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        vector: Of length 1, of shape (dimension,).
        words: What is asked in words, read from pictures and recordings too; may be empty.
        modality: What the query is (`modality_name`).
    """

    vector: Vectors
    words: str
    modality: str


@dataclass(frozen=True)
class Proposer:
    """Asks vectors and words, and brings their answers together.

    Attributes:
        store: Vectors.
        lexical: Words.
        catalog: What there is.
        spaces: What the vectors look like.
        missed: The ids of what the store does not know yet.
        watch: Times the stages `vectors`, `words` and `merge`.
    """

    store: VectorStore
    lexical: LexicalIndex
    catalog: Catalog
    spaces: Spaces
    missed: Sequence[str]
    watch: Stopwatch

    def propose(self, question: Question, request: Request) -> Proposals:
        """The places that a search chooses from.

        Where most of what was found is at a few places, as in one long text, it looks deeper once.
        """
        depth = max(DEPTH, 3 * request.k)
        proposals = self._propose(question, request, depth)
        if len(proposals.places) < request.k <= len(proposals.vectors) and (
            max(proposals.listed.values()) >= depth
        ):
            return self._propose(question, request, DEEPER * depth)
        return proposals

    def _propose(self, question: Question, request: Request, depth: int) -> Proposals:
        with self.watch.stage("vectors"):
            near = self._by_vector(question.vector, request, depth)
        with self.watch.stage("words"):
            shares = self._by_words(question.words, request, depth)
        with self.watch.stage("merge"):
            return self._together(question, near, shares, request)

    def _by_vector(self, query: Vectors, request: Request, depth: int) -> dict[str, Found | None]:
        """The nearest Segments of every space, by id; None for what the catalog does not know.

        The nearest of all are asked for first. A space of which there are too few among them lies
        elsewhere: the query is moved there, by the difference of the means of the two clouds. Only
        where single modalities are wanted, and that was not enough, Chroma filters, which takes it
        50 times as long.
        """
        near: dict[str, Found | None] = {}
        where = request.where and all_of([request.where, *_modality_filter(request.modalities)])
        if self._ask(near, query[None], depth, where) < depth // 2:
            return near  # that is all there is
        wanted = [space for space in self.spaces if _wants(request, space.modalities)]
        few = [
            space for space in wanted if _count(near, space.modalities) < min(ENOUGH, space.count)
        ]
        home = max(self.spaces, key=lambda space: _count(near, space.modalities), default=None)
        if few and home is not None:
            moved = np.stack([query + space.mean - home.mean for space in few])
            self._ask(near, unit(moved), depth, where)
        for modality in self._missing(near, request):
            conditions = [request.where] if request.where else []
            self._ask(near, query[None], depth, all_of([*conditions, {"modality": modality}]))
        return near

    def _ask(
        self,
        near: dict[str, Found | None],
        queries: Vectors,
        depth: int,
        where: Where | None,
    ) -> int:
        """Add what is nearest to some vectors; return how many that are for the first of them."""
        # What is being written takes no place from what can be found.
        more = min(len(self._hidden), _MOST_HIDDEN)
        lists = self.store.nearest(queries, depth + more, where)
        if self.missed:
            missed = self._missed_vectors(where)
            lists = [_merged(*each, missed) for each in zip(lists, queries, strict=True)]
        known = self.catalog.find(dict.fromkeys(id_ for found in lists for id_, _ in found))
        shown = [
            [id_ for id_, _ in found if id_ in known or id_ not in self._hidden][:depth]
            for found in lists
        ]
        near.update((id_, known.get(id_)) for found in shown for id_ in found if id_ not in near)
        return len(shown[0])

    @cached_property
    def _hidden(self) -> frozenset[str]:
        """The ids of what Chroma may hold and nothing finds yet, or any more."""
        return frozenset((*self.catalog.out_of_sync(), *self.missed))

    @cached_property
    def _missed(self) -> dict[str, Vectors]:
        found = self.catalog.find(self.missed)
        vectors = unit(stacked(one.vector for one in found.values()))
        return dict(zip(found, vectors, strict=True))

    def _missed_vectors(self, where: Where | None) -> dict[str, Vectors | None]:
        """By id, what Chroma's client does not know yet; None for what is gone or not wanted."""
        vectors = self._missed
        if where is not None:
            matching = self.store.matching(list(vectors), where)
            vectors = {id_: vector for id_, vector in vectors.items() if id_ in matching}
        return {id_: vectors.get(id_) for id_ in self.missed}

    def _missing(self, near: Mapping[str, Found | None], request: Request) -> list[Modality]:
        """The wanted modalities of which there should be more among what was found."""
        if request.modalities is None:
            return []
        counts = self.catalog.counts()
        if len(self.store) > sum(counts.values()):  # who knows what other programs wrote
            counts = dict.fromkeys(request.modalities, len(self.store))
        enough = max(ENOUGH, 3 * request.k)
        return [
            modality
            for modality in sorted(request.modalities)
            if _count(near, {modality}) < min(enough, counts.get(modality, 0))
        ]

    def _by_words(self, words: str, request: Request, depth: int) -> dict[str, float]:
        """The share of what the query's words could give at most, by id."""
        narrow = request.where is not None or request.modalities is not None
        found = dict(self.lexical.search(words, depth * (_FILTERED if narrow else 1)))
        if request.where is not None:  # the index knows nothing of filters
            matching = self.store.matching(list(found), request.where)
            found = {id_: share for id_, share in found.items() if id_ in matching}
        return found

    def _together(
        self,
        question: Question,
        near: Mapping[str, Found | None],
        shares: Mapping[str, float],
        request: Request,
    ) -> Proposals:
        """Score everything that was found by every voice, and merge what is at one place."""
        known = {id_: one for id_, one in near.items() if one is not None}
        known |= self.catalog.find(id_ for id_ in shares if id_ not in known)
        foreign = self._foreign([id_ for id_, one in near.items() if one is None])
        known |= {id_: _found(id_, entry) for id_, entry in foreign.items()}
        if request.modalities is not None:
            known = {i: one for i, one in known.items() if one.modality in request.modalities}
        vectors = unit(stacked(one.vector for one in known.values()))
        places = self._places(known, vectors, question, shares)
        return Proposals(
            places=places,
            vectors=dict(zip(known, vectors, strict=True)),
            foreign=foreign,
            listed={"vectors": len(near), "words": len(shares)},
            generation=self.catalog.generation(),
        )

    def _places(
        self,
        known: Mapping[str, Found],
        vectors: Vectors,
        question: Question,
        shares: Mapping[str, float],
    ) -> dict[Place, Candidate]:
        """Everything that was found, scored by every voice."""
        if not known:
            return {}
        cosines = vectors @ question.vector
        modalities = {one.modality for one in known.values()}
        spaces = {m: self.spaces.of(m) for m in modalities}
        names = {m: f"vector:{space.name if space else m}" for m, space in spaces.items()}
        scales = {m: self.spaces.scale(m, question.vector, question.modality) for m in modalities}
        expected, deviation = np.array([scales[one.modality] for one in known.values()]).T
        calibrated = ((cosines - expected) / deviation).tolist()
        relative = min_max(dict(zip(known, calibrated, strict=True)))
        places: dict[Place, Candidate] = {}
        for one, cosine, score in zip(known.values(), cosines.tolist(), calibrated, strict=True):
            voices = {names[one.modality]: cosine, "calibrated": score}
            share = shares.get(one.id, 0.0)
            if share:
                voices["lexical"] = share
            modality = cast("Modality", one.modality)
            places.setdefault(one.place, Candidate()).add(
                one.id, modality, max(relative[one.id], share), voices
            )
        return places

    def _foreign(self, ids: Sequence[str]) -> dict[str, Entry]:
        """What other programs wrote; what the catalog is about to follow is not theirs."""
        if not ids:
            return {}
        return self.store.records([id_ for id_ in ids if id_ not in self._hidden])


def _merged(
    found: Sequence[tuple[str, float]], query: Vectors, missed: Mapping[str, Vectors | None]
) -> list[tuple[str, float]]:
    """What was found, nearest first, with what is missed there."""
    pairs = [pair for pair in found if pair[0] not in missed]
    pairs += [(id_, float(each @ query)) for id_, each in missed.items() if each is not None]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


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
