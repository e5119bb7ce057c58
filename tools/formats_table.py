"""The table of file formats in the README: `python -m tools.formats_table` writes it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.markdown import Generated, as_table
from mm_rag.media.formats import (
    MEDIA_FORMATS,
    OFFICE_FORMATS,
    PACKAGE_FORMATS,
    TEXT_FORMATS,
    Format,
)
from mm_rag_loaders.read import LOADERS

TABLE = Generated(
    Path(__file__).parents[1] / "README.md", "formats", "python -m tools.formats_table"
)
_FORMATS = (*MEDIA_FORMATS, *OFFICE_FORMATS, *TEXT_FORMATS, *PACKAGE_FORMATS)
_MOST_SUFFIXES = 8


def table() -> str:
    """A row for each kind of file that a loader reads, in the order of the loaders."""
    return as_table(
        ("files", "suffixes", "what becomes searchable"),
        [(*_named(kind), loader.becomes) for kind, loader in LOADERS.items()],
    )


def _named(kind: str) -> tuple[str, str]:
    """Names and suffixes of the formats of a kind."""
    formats = [each for each in _FORMATS if each.kind == kind]
    names = dict.fromkeys(_without_article(each) for each in formats)
    suffixes = list(dict.fromkeys(suffix for each in formats for suffix in each.suffixes))
    shown = " ".join(f"`{suffix}`" for suffix in suffixes[:_MOST_SUFFIXES])
    return ", ".join(names), shown + (" ..." if len(suffixes) > _MOST_SUFFIXES else "")


def _without_article(named: Format) -> str:
    return named.name.removeprefix("a ").removeprefix("an ")


if __name__ == "__main__":
    TABLE.write(table())
