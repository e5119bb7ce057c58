"""OwnFiles: the files that a collection owns, named relative to its folder."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mm_rag.record import FIELDS, Value, segment_to_metadata
from mm_rag.segment import Segment

_ASSETS = "assets/"
_KEPT = re.compile(r"[/\\]assets[/\\]([0-9a-f]{2})[/\\](\1[0-9a-f]{62}(?:\.[A-Za-z0-9]+)?)$")
"""The end of the path of a picture or of word boxes that a collection keeps (`AssetStore`)."""


@dataclass(frozen=True)
class OwnFiles:
    """Makes the paths of a collection's own files relative to its folder, and absolute again.

    So a collection that is copied, renamed or mounted elsewhere finds its pictures. Paths outside
    of the folder stay absolute.

    Attributes:
        folder: The collection's folder, absolute.
    """

    folder: Path

    def stored(self, segment: Segment) -> Segment:
        """The Segment as the catalog stores it: own files relative to the folder."""
        return self._with(segment, self._relative)

    def found(self, segment: Segment) -> Segment:
        """The Segment as users get it: all paths absolute."""
        return self._with(segment, self._absolute)

    def _with(self, segment: Segment, changed: Callable[[str], str]) -> Segment:
        old = {name: getattr(segment, name) for name in ("media", "preview", "boxes")}
        new = {name: None if path is None else changed(path) for name, path in old.items()}
        return segment if new == old else replace(segment, **new)

    def _relative(self, path: str) -> str:
        kept = _KEPT.search(path)
        if kept is None:
            return path
        name = f"{_ASSETS}{kept[1]}/{kept[2]}"
        is_own = Path(path).is_relative_to(self.folder) or (self.folder / name).is_file()
        return name if is_own else path

    def _absolute(self, path: str) -> str:
        if path.startswith(_ASSETS):
            return str(self.folder / path)
        # Formats before 4 have absolute paths, and the collection may have moved since.
        relative = self._relative(path)
        return path if relative is path else str(self.folder / relative)


def holds_segment(
    segment: Segment, document: str | None, metadata: Mapping[str, Any] | None, uri: str | None
) -> bool:
    """Whether a record of Chroma is this Segment, wherever the collection was when it was written.

    A record may hold more, such as another program's lists.
    """
    held = metadata or {}
    expected = segment_to_metadata(segment)
    return (
        (document or "") == segment.text
        and all(name in held and _is_same(value, held[name]) for name, value in expected.items())
        and not any(name in held and name not in expected for name in FIELDS)
        and _is_same(segment.media or "", uri or "")
    )


def _is_same(expected: Value, held: Any) -> bool:
    if expected == held:
        return True
    if isinstance(expected, str) and isinstance(held, str):
        one, other = _KEPT.search(expected), _KEPT.search(held)
        return one is not None and other is not None and one[2] == other[2]
    if isinstance(expected, int | float) and isinstance(held, int | float):
        return math.isclose(expected, held)  # Chroma makes large whole numbers floats
    return isinstance(expected, float) and not math.isfinite(expected)  # which it does not store
