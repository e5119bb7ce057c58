"""Phrases that make prose hard to read, counted; the counts may only shrink.

`python -m tests.test_plain_english` writes tests/plain_english.json again, and refuses to raise a
count. A phrase may be right in one place, which is why most counts are not 0.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COUNTS = Path(__file__).with_suffix("").with_name("plain_english.json")
AREAS = {
    "library": ("mm_rag",),
    "loaders": ("loaders",),
    "integrations": ("integrations",),
    "docs": ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"),
}
# The phrase, and how to write instead.
PHRASES = {
    "nobody": (r"\bnobody\b", "name the subject, or use the passive"),
    "whoever": (r"\bwhoever\b", "name the subject"),
    "who": (r"\bwhom?\b", "programs, models and files are 'that' or 'which'"),
    "he": (r"\b(he|him|his|she|her)\b", "programs, models and files are 'it'"),
    "is none": (
        r"(?-i:\b(is|are|was|were) none\b)",
        "say what there is not: 'there is no reranker'",
    ),
    "is no": (r"(?<!there )\b(is|are|was|were) no \w", "'is not a', 'has no', 'without'"),
    "is told": (r"\b(is|are|was|were|be|been) told\b", "'receives', 'is given', 'reports'"),
    "amiss": (r"\b(amiss|nonsense)\b", "'wrong', 'invalid'"),
    "makes no sense": (r"\bmakes? no sense\b", "'is invalid', and why"),
    "becomes of": (r"\b(becomes?|became|comes?|came) of\b", "'result', 'outcome'"),
    "docstring: As `x`.": (r'"""As `', "begin with a verb: 'Do the same as `x`, ...'"),
    "docstring: Of ...": (r'"""Of ', "begin with a verb, or with the noun described"),
    "docstring: What ...": (r'"""(What|Who|Whose|Where|How) ', "begin with a verb or a noun"),
    "docstring: They ...": (r'"""(They|It|Its|So|With|Without) ', "begin with a verb or a noun"),
    "field: Of ...": (
        r"^ {4,12}\w+: (Of|That|Those|What|Where|How|Who|With) ",
        "begin with the noun: 'Number of pages', 'Folder for pictures'",
    ),
}


def files(area: str) -> Iterator[Path]:
    for name in AREAS[area]:
        path = ROOT / name
        if path.is_file():
            yield path
        yield from (found for found in path.rglob("*") if found.suffix in (".py", ".md"))


def found(phrase: str, area: str) -> list[str]:
    """Where a phrase stands, as `path:line`."""
    pattern = re.compile(PHRASES[phrase][0], re.IGNORECASE | re.MULTILINE)
    places: list[str] = []
    for path in sorted(files(area)):
        text = path.read_text(encoding="utf-8")
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            places.append(f"{path.relative_to(ROOT)}:{line}")
    return places


def counted() -> dict[str, dict[str, int]]:
    return {phrase: {area: len(found(phrase, area)) for area in AREAS} for phrase in PHRASES}


def allowed() -> dict[str, dict[str, int]]:
    return json.loads(COUNTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("phrase", PHRASES)
def test_phrases_only_become_fewer(phrase: str, area: str) -> None:
    places, limit = found(phrase, area), allowed()[phrase][area]
    _, advice = PHRASES[phrase]
    assert len(places) <= limit, f"{limit} are allowed. {advice}:\n" + "\n".join(places)
    assert len(places) == limit, "Fewer than noted: run `python -m tests.test_plain_english`."


def main() -> None:
    new = counted()
    if COUNTS.is_file():
        more = [
            f"{phrase} in {area}: {count}, {limit} are allowed"
            for phrase, limits in allowed().items()
            for area, limit in limits.items()
            if phrase in new and (count := new[phrase][area]) > limit
        ]
        if more:
            sys.exit("\n".join(more))
    COUNTS.write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
