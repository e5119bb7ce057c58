"""Place: a page, a picture or a clip, with all that a collection has of it."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mm_rag.segment import Segment

_WIDTH = 240  # a transcript may be one line of an hour
_FEWEST_SHARED = 20  # characters; a text may end as the next begins by chance
_UNNUMBERED = "unnumbered"  # what has no page in a file that has some
_LONGEST = 190  # characters; labels of more are cut
_PIECE = re.compile(rf"\S.{{0,{_WIDTH - 1}}}(?=\s|$)|\S{{1,{_WIDTH}}}")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A page, a picture, a clip, or a text without pages.

    Attributes:
        path: Where it is in the tree: `/report.pdf/page-3`, `/talk.mp4/0:30-1:00`, `/photo.jpg`.
        segments: What the collection has of it; never empty.
    """

    path: str
    segments: tuple[Segment, ...]

    @property
    def shown(self) -> Segment:
        """The Segment to look at: the page, the picture, the clip; or its first passage."""
        return next((each for each in self.segments if each.modality != "text"), self.segments[0])

    @property
    def text(self) -> str:
        """All words of it."""
        whole = [segment.text for segment in self.segments if segment.modality != "text"]
        longest = max(whole, key=len, default="")
        return longest or _joined([segment.text for segment in self.segments])

    def lines(self) -> Iterator[str]:
        """Its words, in lines that are short enough to be cited by number."""
        for line in self.text.splitlines():
            yield from (line[start:end] for start, end in pieces(line))


def places_of(path: str, segments: Iterable[Segment]) -> list[Place]:
    """The places of a file, in order.

    Args:
        path: Of the file in the tree.
        segments: Of the file, in the order of its pages and clips.
    """
    groups: dict[Hashable, list[Segment]] = {}
    for segment in segments:
        groups.setdefault(segment.place, []).append(segment)
    found: list[Place] = []
    taken: set[str] = set()
    for together in groups.values():
        name = name_of(together[0]) or (_UNNUMBERED if len(groups) > 1 else "")
        name = _free(name, taken)
        taken.add(name)
        found.append(Place(path=f"{path}/{name}".rstrip("/"), segments=tuple(together)))
    return found


def name_of(segment: Segment) -> str:
    """What a page or clip is called within its file; nothing where the file is all there is."""
    return segment.where.replace(" ", "-")


def shortened(path: str) -> str:
    """A path with `...` for the middle of it if it is very long; it can be opened by that, too."""
    return path if len(path) <= _LONGEST else f"{path[: _LONGEST // 3]}...{path[-_LONGEST // 2 :]}"


def pieces(line: str) -> Iterator[tuple[int, int]]:
    """Where to break a line: the start and end of each piece; one of nothing for an empty line."""
    if len(line) <= _WIDTH:
        yield 0, len(line)
        return
    for piece in _PIECE.finditer(line):
        yield piece.span()


def _joined(passages: Sequence[str]) -> str:
    """The passages of a text, each without what the one before it ends with."""
    text = ""
    for passage in passages:
        longest = min(len(text), len(passage))
        shared = next((n for n in range(longest, 0, -1) if text.endswith(passage[:n])), 0)
        text += passage[shared:] if shared >= _FEWEST_SHARED else f"\n\n{passage}"
    return text.strip()


def _free(name: str, taken: set[str]) -> str:
    """Two frames of an animation may be shown within one second."""
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name}~{number}"
    return free
