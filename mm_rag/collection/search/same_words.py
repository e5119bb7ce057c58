"""Same words: pages and passages of several files that say the same stand in the list once.

A re-saved copy, or a version of a contract in which this page is unchanged, has the same words, but
another content hash. What differs in a single word stays: the question may ask for that version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mm_rag.collection.search.merging import Candidates, GroupKey, page_id
from mm_rag.segment import Segment

_FEWEST_OF_MEDIUM = 20
"""Pages, pictures and clips with fewer words are not compared: they may look different."""

_ALIKE = 0.95
"""Cosine from which words are read and compared. With multilingual-e5-small, texts with the same
words and other titles had 0.954 or more, unrelated texts 0.86 or less."""

_AHEAD = 2
"""Candidates read at once, as a multiple of those wanted."""


@dataclass(frozen=True)
class SameWords:
    """An order in which what repeats a better candidate's words comes last.

    Attributes:
        ranked: All candidates.
        others: Segments of other files with the same words as a candidate, best first.
    """

    ranked: Sequence[GroupKey]
    others: Mapping[GroupKey, tuple[Segment, ...]] = field(
        default_factory=dict[GroupKey, tuple[Segment, ...]]
    )


def repeated_last(
    candidates: Candidates, ranked: Sequence[GroupKey], wanted: int, *, whole_pages: bool
) -> SameWords:
    """Put behind all others the candidates whose words a better one of another file has.

    Args:
        candidates: All candidates.
        ranked: Their keys, best first.
        wanted: Candidates are read until this many with words of their own are found.
        whole_pages: Whether a page shows all of its words, not only a passage.
    """
    own: list[GroupKey] = []
    repeated: list[GroupKey] = []
    first: dict[tuple[str, ...], GroupKey] = {}
    others: dict[GroupKey, tuple[Segment, ...]] = defaultdict(tuple)
    read = 0
    while len(own) < wanted and read < len(ranked):
        batch = ranked[read : read + _AHEAD * wanted]
        shown = _shown(candidates, _alike([*own, *batch], candidates), whole_pages=whole_pages)
        for key in own:  # those of earlier batches
            if key in shown and (words := _words(shown[key])):
                first.setdefault(words, key)
        for key in batch:
            segments = shown.get(key, [])
            words = _words(segments)
            same = first.setdefault(words, key) if words else key
            if same[:2] == key[:2]:  # itself, or another page of the same file
                own.append(key)
            else:
                repeated.append(key)
                others[same] += (segments[0],)
        read += len(batch)
    return SameWords([*own, *ranked[read:], *repeated], others)


def _alike(keys: Sequence[GroupKey], candidates: Candidates) -> list[GroupKey]:
    """Those near enough to one of another file that reading their words is worth its time."""
    if not keys:
        return []
    vectors = np.stack([candidates.vectors[candidates.groups[key].segment_ids[0]] for key in keys])
    numbers: dict[tuple[str, str | None], int] = {}
    files = np.array([numbers.setdefault(key[:2], len(numbers)) for key in keys])
    near = (vectors @ vectors.T >= _ALIKE) & (files[:, None] != files)
    return [key for key, is_alike in zip(keys, near.any(axis=1).tolist(), strict=True) if is_alike]


def _shown(
    candidates: Candidates, keys: Sequence[GroupKey], *, whole_pages: bool
) -> dict[GroupKey, list[Segment]]:
    """The segments that are compared of each: the whole page, or else those retrieved."""
    matched = candidates.matched({key: candidates.groups[key] for key in keys})
    if not whole_pages:
        return matched
    ids = {key: page_id(segments[0]) for key, segments in matched.items()}
    pages = candidates.segments(ids.values())
    return {
        key: [pages[ids[key]]] if ids[key] in pages else segments
        for key, segments in matched.items()
    }


def _words(segments: Sequence[Segment]) -> tuple[str, ...]:
    """The texts without case and spacing, in a fixed order; empty if they are not compared."""
    texts = sorted({" ".join(one.text.casefold().split()) for one in segments} - {""})
    is_text = any(one.modality == "text" for one in segments)
    fewest = 1 if is_text else _FEWEST_OF_MEDIUM
    return tuple(texts) if sum(len(text.split()) for text in texts) >= fewest else ()
