"""Tables in Markdown, and their places in docs/."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True)
class Generated:
    """The part of a Markdown page that a program writes, between two comments.

    Attributes:
        page: The file.
        name: Name of this part in the comments.
        command: What a reader runs to write it again, shown in the first comment.
    """

    page: Path
    name: str
    command: str

    @property
    def begin(self) -> str:
        """The comment before the part."""
        return f"<!-- {self.name}: written by `{self.command}` -->\n"

    @property
    def end(self) -> str:
        """The comment after the part."""
        return f"<!-- end of {self.name} -->\n"

    def is_missing(self) -> str:
        """A message if the page lacks the two comments; empty if it has them."""
        text = self.page.read_text(encoding="utf-8") if self.page.is_file() else ""
        if text.count(self.begin) == 1 and self.end in text.partition(self.begin)[2]:
            return ""
        return f"{self.page} lacks the comments {self.begin.strip()} and {self.end.strip()}"

    def inserted(self, text: str, made: str) -> str:
        """The page's text with `made` between the comments."""
        before, _, rest = text.partition(self.begin)
        return before + self.begin + made + self.end + rest.partition(self.end)[2]

    def write(self, made: str) -> None:
        """Replace what stands between the comments."""
        text = self.page.read_text(encoding="utf-8")
        self.page.write_text(self.inserted(text, made), encoding="utf-8")


def as_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; every row has as many cells as there are heads."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def where_measured(*packages: str) -> str:
    """The processor, and the versions of packages."""
    versions = "".join(f"; {name} {version(name)}" for name in packages)
    return f"{processor()}{versions}."


def processor() -> str:
    """Name of the CPU."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
