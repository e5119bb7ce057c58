"""Section: a page, a picture or a clip of a file, with all Segments of it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mm_rag.segment import Segment, place_in_words

_LINE_WIDTH = 240  # characters; the transcript of an hour may be a single line
_MIN_OVERLAP = 20  # characters; shorter overlaps of passages may be chance
_UNNUMBERED = "unnumbered"  # Segments without a page, in a file that has pages
_MAX_PATH = 190  # characters; item labels are cut at 200
_LINE_PIECE = re.compile(rf"\S.{{0,{_LINE_WIDTH - 1}}}(?=\s|$)|\S{{1,{_LINE_WIDTH}}}")

PAGE_NUMBER = r"(?:pages?|pg?)\.?[\s_=-]*0*(?P<page>\d{1,9})"
CLOCK_TIME = r"\d+(?::\d\d){1,2}"
_PAGE = re.compile(rf"^(?:{PAGE_NUMBER}|0*(?P<bare>\d{{1,9}}))$", re.IGNORECASE)
_TIME_SPAN = re.compile(
    rf"^(?P<start>{CLOCK_TIME})(?:\s*[-\u2013]\s*(?P<end>{CLOCK_TIME}))?$",
)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A page, a picture, a clip, or a text without pages.

    Attributes:
        path: Path in the file tree: `/report.pdf/page-3`, `/talk.mp4/0:30-1:00`, `/photo.jpg`.
        segments: Its Segments; never empty.
    """

    path: str
    segments: tuple[Segment, ...]

    @property
    def main(self) -> Segment:
        """The Segment to look at: the page, picture or clip, or else the first passage."""
        return next((each for each in self.segments if each.modality != "text"), self.segments[0])

    @property
    def text(self) -> str:
        """Its whole text."""
        whole = [segment.text for segment in self.segments if segment.modality != "text"]
        longest = max(whole, key=len, default="")
        return longest or _joined([segment.text for segment in self.segments])

    def lines(self) -> Iterator[str]:
        """Its text in numbered lines; long lines are broken."""
        for line in self.text.splitlines():
            yield from (line[start:end] for start, end in line_pieces(line))


def sections_of(path: str, segments: Iterable[Segment]) -> list[Section]:
    """Group the Segments of a file into sections, in order.

    Args:
        path: Path of the file in the tree.
        segments: Segments of the file, in the order of its pages and clips.
    """
    groups: dict[Hashable, list[Segment]] = {}
    for segment in segments:
        groups.setdefault(segment.place, []).append(segment)
    found: list[Section] = []
    taken: set[str] = set()
    for group in groups.values():
        name = section_name(group[0]) or (_UNNUMBERED if len(groups) > 1 else "")
        name = _unique(name, taken)
        taken.add(name)
        found.append(Section(path=f"{path}/{name}".rstrip("/"), segments=tuple(group)))
    return found


def section_name(segment: Segment) -> str:
    """Name of a Segment's page or clip in its file; empty where the file has only one section."""
    return place_in_words(segment.page, segment.start, segment.end).replace(" ", "-")


def section_named(sections: Sequence[Section], name: str) -> Section | None:
    """The section that a name means: `page-3`, `p. 3`, `3`, `0:30-1:00`, or a time within a clip.

    Returns:
        None if no section matches, or several do.
    """
    found = [section for section in sections if posixpath.basename(section.path) == name]
    if not found and (page := _PAGE.match(name)):
        number = int(page["page"] or page["bare"])
        found = [section for section in sections if section.main.page == number]
    elif not found and (span := _TIME_SPAN.match(name)):
        found = _clips_at(sections, _seconds(span["start"]), span["end"])
    return found[0] if len(found) == 1 else None


def shortened(path: str) -> str:
    """Replace the middle of a very long path by `...`; it can still be opened."""
    return (
        path if len(path) <= _MAX_PATH else f"{path[: _MAX_PATH // 3]}...{path[-_MAX_PATH // 2 :]}"
    )


def line_pieces(line: str) -> Iterator[tuple[int, int]]:
    """Start and end of each piece into which a long line is broken at spaces."""
    if len(line) <= _LINE_WIDTH:
        yield 0, len(line)
        return
    for piece in _LINE_PIECE.finditer(line):
        yield piece.span()


def _joined(passages: Sequence[str]) -> str:
    """Join passages, leaving out the start of each that overlaps with the one before."""
    text = ""
    for passage in passages:
        longest = min(len(text), len(passage))
        overlap = next((n for n in range(longest, 0, -1) if text.endswith(passage[:n])), 0)
        text += passage[overlap:] if overlap >= _MIN_OVERLAP else f"\n\n{passage}"
    return text.strip()


def _unique(name: str, taken: set[str]) -> str:
    """Append `~2`, `~3`, ...: two frames of an animation may fall within one second."""
    number, unique = 2, name
    while unique in taken:
        number, unique = number + 1, f"{name}~{number}"
    return unique


def _clips_at(sections: Sequence[Section], start: int, end: str | None) -> list[Section]:
    """Clips with this span, or if `end` is None those that start at or contain `start`."""
    clips = [(each, *_span(each)) for each in sections if each.main.start is not None]
    if end is not None:
        span = (start, _seconds(end))
        return [section for section, *times in clips if tuple(times) == span]
    starting = [section for section, first, _ in clips if first == start]
    return starting or [section for section, first, last in clips if first <= start < last]


def _span(section: Section) -> tuple[int, int]:
    start = section.main.start or 0.0
    return round(start), round(start if section.main.end is None else section.main.end)


def _seconds(clock: str) -> int:
    seconds = 0
    for part in clock.split(":"):
        seconds = 60 * seconds + int(part)
    return seconds
