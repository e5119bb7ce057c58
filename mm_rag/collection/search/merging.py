"""Merge: score every retrieved segment, and group segments of the same page, picture or clip."""

from __future__ import annotations

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
    """

    segment_ids: tuple[str, ...]
    modalities: tuple[Modality, ...]
    scores: Mapping[str, float]

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
    """

    groups: Mapping[GroupKey, Candidate]
    vectors: Mapping[str, Vectors]
    foreign: Mapping[str, Segment]
    catalog: SegmentLookup

    @property
    def scores(self) -> dict[GroupKey, Mapping[str, float]]:
        """`Candidate.scores` by group."""
        return {key: one.scores for key, one in self.groups.items()}

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
    modalities = {one.modality for one in found}
    clusters = {m: calibration.cluster_of(m) for m in modalities}
    lists = {m: f"vector:{cluster.name if cluster else m}" for m, cluster in clusters.items()}
    scales = {m: calibration.offset_and_scale(m, query.vector, query.modality) for m in modalities}
    offsets, deviations = np.array([scales[one.modality] for one in found]).T
    calibrated = ((cosines - offsets) / deviations).tolist()
    by_id = {one.id: score for one, score in zip(found, calibrated, strict=True)}
    pictures = retrieved.pictures or {}
    # As between clusters: a picture counts by its words or by its looks.
    by_id |= {i: max(by_id[i], each.calibrated) for i, each in pictures.items() if i in by_id}
    relative = min_max(by_id)
    rows: dict[GroupKey, list[tuple[float, str, Modality, dict[str, float]]]] = defaultdict(list)
    for one, cosine in zip(found, cosines.tolist(), strict=True):
        scores = {lists[one.modality]: cosine, "calibrated": by_id[one.id]}
        lexical = retrieved.words.get(one.id, WordMatch()).share
        if lexical:
            scores["lexical"] = lexical
        if one.id in pictures:
            scores["vector:picture"] = pictures[one.id].cosine
        # Only orders the segments inside a group; groups are ranked in fusion.
        relevance = max(relative[one.id], lexical)
        rows[GroupKey(*one.place)].append(
            (-relevance, one.id, cast("Modality", one.modality), scores)
        )
    return {key: _candidate(group) for key, group in rows.items()}


def _candidate(group: list[tuple[float, str, Modality, dict[str, float]]]) -> Candidate:
    """One result group of (negative relevance, id, modality, scores by list)."""
    if len(group) > 1:
        group.sort(key=lambda row: row[:2])
    best = group[0][3]
    for *_, scores in group[1:]:
        best = best | {name: max(score, best.get(name, score)) for name, score in scores.items()}
    return Candidate(tuple(row[1] for row in group), tuple(row[2] for row in group), best)


def page_id(segment: Segment) -> str:
    """The id of the whole page that a passage is on, if there is one; else the segment's own."""
    if segment.modality != "text" or segment.media is None:
        return segment.id
    return replace(segment, modality="image", part=0).id
