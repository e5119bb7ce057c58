"""Spelling: what an agent may mean by a path that is not written quite as the tools write it.

Chat models copy a result's whole line, quotes and all, write `page 3` for `page-3`, or have the
path on disk from their user. What can mean one thing only is understood.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from mm_rag.agent_tools.place import Place
from mm_rag.words import normalized

_LABEL = re.compile(r"^\[\d+\]\s*")  # of a search result
_AFTER = re.compile(r"(?:\s{2,}\(.*|:\d+(?::.*)?)$", re.DOTALL)  # in the lines of ls and grep
_AROUND = " \t\r\n\"'`*<>\u201c\u201d\u2018\u2019"
_NUMBER = r"(?:pages?|pg?)\.?[\s_=-]*0*(?P<page>\d{1,9})"
_CLOCK = r"\d+(?::\d\d){1,2}"
_PAGE = re.compile(rf"^(?:{_NUMBER}|0*(?P<bare>\d{{1,9}}))$", re.IGNORECASE)
_TIMES = re.compile(rf"^(?P<start>{_CLOCK})(?:\s*[-\u2013]\s*(?P<end>{_CLOCK}))?$")
_LAST = re.compile(
    rf"[\s,;:#(/@]+(?P<place>{_NUMBER}|{_CLOCK}(?:\s*[-\u2013]\s*{_CLOCK})?)\)?$",
    re.IGNORECASE,
)
_MOST = 4_000  # characters that are looked at
_MOST_LAST = 80  # characters of the name of a page or clip, and of what is before it


def cleaned(path: str) -> str:
    """A path as the tree has it: from the root, without `.`, `..` and doubled slashes."""
    return posixpath.normpath("/" + path.strip().lstrip("/"))


def folded(path: str) -> str:
    """Equal for paths that look the same but for upper and lower case."""
    return normalized("NFC", path).casefold()


def spellings(path: str) -> list[str]:
    """Paths that may be meant, the most literal first."""
    path = path[:_MOST]
    bare = _AFTER.sub("", _LABEL.sub("", path.strip(_AROUND))).strip(_AROUND).rstrip(".,;:")
    address = re.sub(r"^file:/+", "/", bare)
    slashes = unquote(address).replace("\\", "/")
    return list(dict.fromkeys(map(cleaned, (path, bare, address, slashes))))


def split(path: str) -> Iterator[tuple[str, str]]:
    """A path as one of a file and the name of a page or clip in it, as far as it may be both."""
    yield posixpath.dirname(path), posixpath.basename(path)
    last = _LAST.search(path, max(1, len(path) - _MOST_LAST))
    if last:
        yield path[: last.start()], last["place"]


def place_meant(places: Sequence[Place], name: str) -> Place | None:
    """The page or clip of a file that a name means; None where it is none, or may be several."""
    meant = [place for place in places if posixpath.basename(place.path) == name]
    if not meant and (page := _PAGE.match(name)):
        number = int(page["page"] or page["bare"])
        meant = [place for place in places if place.shown.page == number]
    elif not meant and (times := _TIMES.match(name)):
        meant = _at(places, _seconds(times["start"]), times["end"])
    return meant[0] if len(meant) == 1 else None


def _at(places: Sequence[Place], start: int, end: str | None) -> list[Place]:
    clips = [(place, *_span(place)) for place in places if place.shown.start is not None]
    if end is not None:
        span = (start, _seconds(end))
        return [place for place, *times in clips if tuple(times) == span]
    begun = [place for place, first, _ in clips if first == start]
    return begun or [place for place, first, last in clips if first <= start < last]


def _span(place: Place) -> tuple[int, int]:
    start = place.shown.start or 0.0
    return round(start), round(start if place.shown.end is None else place.shown.end)


def _seconds(clock: str) -> int:
    seconds = 0
    for part in clock.split(":"):
        seconds = 60 * seconds + int(part)
    return seconds
