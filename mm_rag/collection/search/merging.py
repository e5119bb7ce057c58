"""Merge: score every retrieved segment, and group segments of the same page, picture or clip."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, cast

import numpy as np

from mm_rag.collection.catalog import Entry, Found, stacked
from mm_rag.collection.lexical import WordMatch
from mm_rag.collection.search.calibration import Calibration
from mm_rag.collection.search.query import EncodedQuery
from mm_rag.collection.search.request import SearchRequest
from mm_rag.collection.search.retrieve import Retrieved
from mm_rag.collection.search.scaling import min_max, unit
from mm_rag.collection.session import Snapshot
from mm_rag.collection.store import Vectors
from mm_rag.content import Modality
from mm_rag.segment import Segment


class GroupKey(NamedTuple):
    """A result group, `Segment.place`: sha256 of the file, file in it, page, start in seconds."""

    sha256: str
    member: str | None
    page: int | None
    start: float | None


@dataclass(frozen=True)
class Candidate:
    """A result group: a page, picture or clip with those of its segments that were retrieved.

    Attributes:
        segment_ids: The segments, best first.
        modalities: The modality of each.
        scores: The group's best score of each list: `vector:words`, `vector:image`,
            `vector:picture`, `calibrated`, `lexical`.
        words: The most that one of its segments has of the query's words, field by field.
        by_looks: Whether a picture's looks are nearer to the query than its words.
    """

    segment_ids: tuple[str, ...]
    modalities: tuple[Modality, ...]
    scores: Mapping[str, float]
    words: WordMatch
    by_looks: bool

    @property
    def modality(self) -> Modality:
        """The modality of the best segment."""
        return self.modalities[0]

    def led_by(self, modality: str) -> Candidate:
        """The same group with the segments of one modality first."""
        pairs = sorted(
            zip(self.segment_ids, self.modalities, strict=True),
            key=lambda pair: pair[1] != modality,
        )
        return replace(
            self,
            segment_ids=tuple(id_ for id_, _ in pairs),
            modalities=tuple(each for _, each in pairs),
        )


class SegmentLookup(Protocol):
    """Where hits get their segments: the catalog, or `LoadedSegments`."""

    def segments(self, ids: Iterable[str]) -> dict[str, Segment]:
        """The segments that exist, by id."""
        ...

    def duplicates_of(self, sha256s: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """By sha256, the paths of other files with that content."""
        ...


@dataclass(frozen=True)
class LoadedSegments:
    """Segments and duplicates read in advance, while no commit could change them."""

    loaded: Mapping[str, Segment]
    duplicates: Mapping[str, tuple[str, ...]]

    def segments(self, ids: Iterable[str]) -> dict[str, Segment]:
        """The loaded segments among these ids."""
        return {id_: self.loaded[id_] for id_ in ids if id_ in self.loaded}

    def duplicates_of(self, sha256s: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The loaded duplicates of these contents."""
        return {each: self.duplicates[each] for each in sha256s if each in self.duplicates}


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """All result groups of a search.

    Attributes:
        groups: By key.
        vectors: Unit vectors of all retrieved segments, by id.
        foreign: Records that other programs wrote, by id.
        catalog: Where the other segments are read.
        total: Number of segments of the collection.
        lacks_codes: Whether the query has codes, and no segment has any of them.
        has_required: Whether the query requires words, which all candidates then have.
    """

    groups: Mapping[GroupKey, Candidate]
    vectors: Mapping[str, Vectors]
    foreign: Mapping[str, Segment]
    catalog: SegmentLookup
    total: int
    lacks_codes: bool
    has_required: bool

    def segments(self, ids: Iterable[str]) -> dict[str, Segment]:
        """The segments of these ids that still exist."""
        wanted = list(ids)
        foreign = {id_: self.foreign[id_] for id_ in wanted if id_ in self.foreign}
        return foreign | self.catalog.segments(id_ for id_ in wanted if id_ not in foreign)

    def matched(self, groups: Mapping[GroupKey, Candidate]) -> dict[GroupKey, list[Segment]]:
        """The retrieved segments of some groups, best first; groups that are gone are left out."""
        segments = self.segments(id_ for one in groups.values() for id_ in one.segment_ids)
        matched = {
            key: [segments[id_] for id_ in one.segment_ids if id_ in segments]
            for key, one in groups.items()
        }
        return {key: found for key, found in matched.items() if found}

    def load(self) -> Candidates:
        """Read in advance everything that hits may need."""
        found = self.catalog.segments(
            id_ for one in self.groups.values() for id_ in one.segment_ids
        )
        pages = self.catalog.segments({page_id(segment) for segment in found.values()})
        duplicates = self.catalog.duplicates_of({key.sha256 for key in self.groups})
        return replace(self, catalog=LoadedSegments({**pages, **found}, duplicates))


def merge(
    snapshot: Snapshot,
    calibration: Calibration,
    query: EncodedQuery,
    retrieved: Retrieved,
    request: SearchRequest,
) -> Candidates:
    """Score everything that an index returned by all of them, and group it."""
    catalog = snapshot.catalog
    known = {id_: one for id_, one in retrieved.nearest.items() if one is not None}
    pictures = retrieved.pictures or {}
    known |= catalog.find(id_ for id_ in {**retrieved.words, **pictures} if id_ not in known)
    foreign = _foreign(snapshot, retrieved)
    known |= {id_: _found(id_, entry) for id_, entry in foreign.items()}
    if request.modalities is not None:
        known = {i: one for i, one in known.items() if one.modality in request.modalities}
    vectors = unit(stacked(one.vector for one in known.values()))
    return Candidates(
        groups=_grouped(list(known.values()), vectors, calibration, query, retrieved),
        vectors=dict(zip(known, vectors, strict=True)),
        foreign={id_: entry.segment for id_, entry in foreign.items()},
        catalog=catalog,
        total=sum(cluster.count for cluster in calibration),
        lacks_codes=retrieved.lacks_codes,
        has_required=retrieved.has_required,
    )


def _foreign(snapshot: Snapshot, retrieved: Retrieved) -> dict[str, Entry]:
    """Records of other programs among the nearest, by id."""
    ids = [
        id_
        for id_, one in retrieved.nearest.items()
        if one is None and id_ not in retrieved.unsettled
    ]
    return snapshot.store.records(ids) if ids else {}


def _found(id_: str, entry: Entry) -> Found:
    segment = entry.segment
    return Found(
        id=id_,
        sha256=segment.sha256,
        member=segment.member,
        modality=segment.modality,
        page=segment.page,
        start=segment.start,
        vector=entry.vector.tobytes(),
    )


def _grouped(
    found: Sequence[Found],
    vectors: Vectors,
    calibration: Calibration,
    query: EncodedQuery,
    retrieved: Retrieved,
) -> dict[GroupKey, Candidate]:
    """Result groups of scored segments.

    Args:
        found: The segments.
        vectors: Their unit vectors, shape (len(found), dimension).
        calibration: Makes cosines of different modalities comparable.
        query: The query.
        retrieved: Their other scores.
    """
    if not found:
        return {}
    cosines = vectors @ query.vector
    kinds = [one.kind for one in found]
    lists = {kind: f"vector:{calibration.region_of(kind.modality)}" for kind in set(kinds)}
    scales = {k: calibration.offset_and_scale(k, query.vector, query.modality) for k in lists}
    offsets, deviations = np.array([scales[kind] for kind in kinds]).T
    calibrated = ((cosines - offsets) / deviations).tolist()
    by_id = {one.id: score for one, score in zip(found, calibrated, strict=True)}
    # As between clusters: a picture counts by its words or by its looks.
    looks = {
        id_: each.calibrated
        for id_, each in (retrieved.pictures or {}).items()
        if each.calibrated > by_id.get(id_, math.inf)
    }
    by_id |= looks
    relative = min_max(by_id)
    rows: dict[GroupKey, list[_Scored]] = defaultdict(list)
    for one, kind, cosine in zip(found, kinds, cosines.tolist(), strict=True):
        match = retrieved.words.get(one.id, WordMatch())
        scores = {lists[kind]: cosine, "calibrated": by_id[one.id]}
        if match.share:
            scores["lexical"] = match.share
        if retrieved.pictures and one.id in retrieved.pictures:
            scores["vector:picture"] = retrieved.pictures[one.id].cosine
        # Only orders the segments inside a group; groups are ranked by their evidence.
        relevance = max(relative[one.id], match.share)
        rows[GroupKey(*one.place)].append(
            _Scored(
                relevance, one.id, cast("Modality", one.modality), scores, match, one.id in looks
            )
        )
    return {key: _candidate(group) for key, group in rows.items()}


class _Scored(NamedTuple):
    """A segment with its scores."""

    relevance: float
    id: str
    modality: Modality
    scores: dict[str, float]
    words: WordMatch
    by_looks: bool


def _candidate(group: list[_Scored]) -> Candidate:
    """One result group of the segments of a place."""
    group.sort(key=lambda one: (-one.relevance, one.id))
    scores: dict[str, float] = {}
    for one in group:
        scores |= {name: max(each, scores.get(name, each)) for name, each in one.scores.items()}
    nearest = max(group, key=lambda one: one.scores["calibrated"])
    return Candidate(
        tuple(one.id for one in group),
        tuple(one.modality for one in group),
        scores,
        WordMatch(*map(max, zip(*(one.words for one in group), strict=True))),
        nearest.by_looks,
    )


def page_id(segment: Segment) -> str:
    """The id of the whole page that a passage is on, if there is one; else the segment's own."""
    if segment.modality != "text" or segment.media is None:
        return segment.id
    return replace(segment, modality="image", part=0).id
