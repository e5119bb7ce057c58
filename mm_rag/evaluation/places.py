"""Places: what is found, and what would have been right.

A found place counts when file and page match and the spans overlap.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mm_rag.errors import InputError
from mm_rag.segment import Hit


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file, and where in it.

    Attributes:
        file: Path relative to the corpus, with forward slashes; or the id of a document.
        page: 1-based; None for the whole file.
        start: In seconds; None for the whole file.
        end: In seconds.
        also: Other files with the same content, which are as right.
        grade: As an answer: how good it is, 1 or more; an answer of grade 2 gains twice as much.
    """

    file: str
    page: int | None = None
    start: float | None = None
    end: float | None = None
    also: tuple[str, ...] = ()
    grade: int = 1

    def __post_init__(self) -> None:
        """Check what comes out of files that people wrote.

        Raises:
            InputError: The file is no text, the grade no whole number above 0, or a page or time
                no number.
        """
        for name, kinds in _KINDS.items():
            value = cast("object", getattr(self, name))
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise InputError(f"A place has no {name} of {value!r}.")
        if self.grade < 1:
            raise InputError(f"An answer has a grade of 1 or more; got {self.grade = }.")

    def matches(self, found: Place) -> bool:
        """Whether a found place shows this one."""
        if self.file not in (found.file, *found.also) or self.page not in (None, found.page):
            return False
        if self.start is None or self.end is None or found.start is None or found.end is None:
            return True
        return found.start < self.end and self.start < found.end


_SECONDS = (int, float, type(None))
_KINDS: dict[str, type | tuple[type, ...]] = {
    "file": str,
    "page": (int, type(None)),
    "start": _SECONDS,
    "end": _SECONDS,
    "grade": int,
}


def place_of(hit: Hit, corpus: Path) -> Place:
    """Where a Hit is, relative to the folder of the corpus."""
    segment, folder = hit.segment, Path(os.path.abspath(corpus))  # sources have no ".." in them
    file, *also = (_relative(Path(path), folder) for path in (segment.source, *hit.also))
    return Place(
        file=file, page=segment.page, start=segment.start, end=segment.end, also=tuple(also)
    )


def document_of(hit: Hit) -> Place:
    """The document that a Hit is or is a passage of, by its id, as `read_beir` names it."""
    return Place(file=hit.segment.source)


def _relative(path: Path, corpus: Path) -> str:
    return (path.relative_to(corpus) if path.is_relative_to(corpus) else path).as_posix()
