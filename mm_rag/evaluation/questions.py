"""Questions, the places that answer them, and the files in which they are written."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from mm_rag.errors import InputError
from mm_rag.segment import Hit

Item = TypeVar("Item")

_LINE = (
    'a JSON object with id, query, and relevant: [{"file": ..., "page": ..., "start": ..., '
    '"end": ..., "grade": ...}], of which only the file is required'
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in a file that is found, or that answers a question.

    A found place matches an answer if file and page are equal and the time spans overlap.

    Attributes:
        file: Path relative to the corpus, with forward slashes; or the id of a document.
        page: 1-based; None for the whole file.
        start: In seconds; None for the whole file.
        end: In seconds; None for the whole file.
        also: Other files with the same content, which match as well.
        grade: Relevance of an answer, 1 or more; an answer of grade 2 gains twice as much.
    """

    file: str
    page: int | None = None
    start: float | None = None
    end: float | None = None
    also: tuple[str, ...] = ()
    grade: int = 1

    def __post_init__(self) -> None:
        """Check the types of values that are read from files.

        Raises:
            InputError: `file` is not a str, `grade` not a positive int, or a page or time not a
                number.
        """
        for name, kinds in _KINDS.items():
            value = cast("object", getattr(self, name))
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise InputError(f"A place has no {name} of {value!r}: it has another type.")
        if self.grade < 1:
            raise InputError(f"The grade of an answer is 1 or more; got {self.grade = }.")

    def matches(self, found: Place) -> bool:
        """Whether a found place is this answer."""
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


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and the places that answer it.

    Attributes:
        id: Unique id.
        query: The text to search with.
        relevant: All places that answer it.
        kind: Kind of the answer, such as `text`, `table` or `photo`; scores are given by kind.
    """

    id: str
    query: str
    relevant: tuple[Place, ...]
    kind: str = "all"


def read_questions(path: str | Path) -> list[Question]:
    """Read questions from JSON lines of `id`, `query`, `relevant` and, optionally, `kind`.

    Raises:
        InputError: The file cannot be read or is empty, a line is invalid, or an id is repeated.
    """
    questions = parsed_lines(Path(path), _question, _LINE)
    if not questions:
        raise InputError(f"There are no questions in {path}. A line is {_LINE}.")
    check_ids(questions)
    return questions


def check_ids(questions: Iterable[Question]) -> None:
    """Check that ids are unique; of two equal ones, only one would be scored.

    Raises:
        InputError: An id is repeated.
    """
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise InputError(f"Two questions have the id {question.id!r}; ids are unique.")
        seen.add(question.id)


def _question(row: dict[str, Any]) -> Question:
    relevant = tuple(Place(**place) for place in row["relevant"])
    if not relevant:
        raise ValueError("relevant is empty")
    return Question(
        id=str(row["id"]),
        query=text_of(row, "query"),
        relevant=relevant,
        kind=str(row.get("kind", "all")),
    )


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 file, gzipped or not, numbered from 1; empty lines are skipped.

    Raises:
        InputError: The file cannot be read.
    """
    number = 0
    opened = gzip.open if path.suffix == ".gz" else Path.open
    try:
        with cast("Any", opened)(path, mode="rt", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read after line {number}: {error}.") from error


def parsed_lines(path: Path, parse: Callable[[dict[str, Any]], Item], wanted: str) -> list[Item]:
    """Parse the JSON object of each line.

    Args:
        path: The file.
        parse: Converts an object; raises ValueError, KeyError or TypeError if it is invalid.
        wanted: Describes a valid line, for the message.

    Raises:
        InputError: The file cannot be read, or a line is invalid.
    """
    found: list[Item] = []
    for number, line in numbered_lines(path):
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("it is no JSON object")
            found.append(parse(cast("dict[str, Any]", row)))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise line_error(path, number, error, wanted) from error
    return found


def line_error(path: Path, number: int, error: Exception, wanted: str) -> InputError:
    """An error that says what is wrong with a line, and describes a valid one."""
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return InputError(f"Line {number} of {path} cannot be used: {what}. A line is {wanted}.")


def text_of(row: dict[str, Any], key: str) -> str:
    """The value of `key`, which must be a str.

    Raises:
        KeyError: It is missing.
        ValueError: It has another type.
    """
    value = row[key]
    if not isinstance(value, str):
        raise ValueError(f"{key} is not a str: {value!r:.60}")
    return value


def place_of(hit: Hit, corpus: Path) -> Place:
    """The place of a Hit, relative to the folder of the corpus."""
    segment, folder = hit.segment, Path(os.path.abspath(corpus))  # sources have no ".." in them
    # The same words on the same page of another file are as good an answer.
    same = [one.source for one in hit.same_words if one.page == segment.page]
    file, *also = (_relative(Path(path), folder) for path in (segment.source, *hit.also, *same))
    return Place(
        file=file, page=segment.page, start=segment.start, end=segment.end, also=tuple(also)
    )


def document_of(hit: Hit) -> Place:
    """The document of a Hit by its id, as `read_beir` names it."""
    return Place(file=hit.segment.source)


def _relative(path: Path, corpus: Path) -> str:
    return (path.relative_to(corpus) if path.is_relative_to(corpus) else path).as_posix()
