"""Reading files of JSON objects or of rows, line by line, with errors that name the line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from mm_rag.errors import InputError

Item = TypeVar("Item")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file, gzipped or not, with their numbers from 1; empty ones left out.

    Raises:
        InputError: It cannot be read.
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
    """What `parse` makes of each line's JSON object.

    Args:
        path: The file.
        parse: Raises ValueError, KeyError or TypeError for what is not as it should be.
        wanted: What a line needs, for the message.

    Raises:
        InputError: The file cannot be read, or a line is not as it should be.
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
    """What is wrong with a line, and what one looks like."""
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return InputError(f"Line {number} of {path} cannot be used: {what}. A line is {wanted}.")


def text_of(row: dict[str, Any], key: str) -> str:
    """A value that has to be text.

    Raises:
        KeyError: It is missing.
        ValueError: It is something else.
    """
    value = row[key]
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text but {value!r:.60}")
    return value
