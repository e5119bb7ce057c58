"""The fields above a text: YAML between lines of dashes, or TOML between lines of plus signs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from mm_rag._optional import require
from mm_rag._printing import printable

_FRONT = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)\n(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_MOST_LETTERS = 65_536
_MOST_VALUES = 100
_MOST_FIELD = 1000  # characters
# Other names of the fields that become metadata.
_NAMES: Mapping[str, str] = {
    "author": "author",
    "authors": "author",
    "by": "author",
    "date": "date",
    "published": "date",
    "description": "description",
    "summary": "description",
    "subtitle": "subtitle",
    "keywords": "keywords",
    "tags": "keywords",
    "categories": "categories",
    "category": "categories",
    "lang": "language",
    "language": "language",
}


@dataclass(frozen=True, kw_only=True)
class FrontMatter:
    """The fields of a text.

    Attributes:
        body: The text below them.
        title: Its title; empty if it has no title.
        metadata: The fields that are usual.
        others: The other fields, one a line.
    """

    body: str
    title: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    others: str = ""


def split_front_matter(text: str) -> FrontMatter:
    """Take the fields off a text. What is not well-formed stays in the text."""
    found = _FRONT.match(text[:_MOST_LETTERS])
    fields = _parsed(found[1], found[2]) if found else None
    if found is None or fields is None:
        return FrontMatter(body=text)
    title, metadata, others = "", dict[str, str](), list[str]()
    for name, value in fields.items():
        shown = ", ".join(_values(value))
        if not shown:
            continue
        if name == "title":
            title = shown[:_MOST_FIELD]
        elif name in _NAMES and len(shown) <= _MOST_FIELD:
            metadata.setdefault(_NAMES[name], shown)
        else:
            others.append(f"{printable(name)}: {shown}")
    return FrontMatter(
        body=text[found.end() :], title=title, metadata=metadata, others="\n".join(others)
    )


def _parsed(mark: str, text: str) -> dict[str, Any] | None:
    try:
        if mark == "+++":
            return tomllib.loads(text)
        # References between values could make them huge.
        if re.search(r"(?m)(?:^|[\s:\[,])[&*]\w", text) or text.count("[") > _MOST_VALUES:
            return None
        yaml = require("yaml", extra="documents", feature="Reading the fields of a Markdown file")
        found: Any = yaml.safe_load(text)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    except Exception as error:
        if type(error).__module__.startswith("yaml."):
            return None
        raise
    if not isinstance(found, dict):
        return None
    return {str(name): value for name, value in cast("dict[object, Any]", found).items()}


def _values(value: Any, depth: int = 0) -> Iterator[str]:
    """The scalars in a value, as texts."""
    if isinstance(value, Mapping) and depth < 3:
        for name, inside in list(cast("Mapping[object, Any]", value).items())[:_MOST_VALUES]:
            shown = ", ".join(_values(inside, depth + 1))
            yield f"{name}: {shown}"
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and depth < 3:
        for inside in list(cast("Sequence[Any]", value))[:_MOST_VALUES]:
            yield from _values(inside, depth + 1)
    elif value is not None and not isinstance(value, bytes):
        text = " ".join(printable(str(value)).split())
        if text:
            yield text
