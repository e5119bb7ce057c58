"""The README's tables of families: `python -m tests.parity.table` writes them anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.parity.families import FAMILIES, Family
from tests.parity.rerankers import RERANKERS

README = Path(__file__).parents[2] / "README.md"
TABLES: dict[str, Sequence[Family]] = {"families": FAMILIES, "rerankers": RERANKERS}
"""By the name that stands in the comments around a table."""

_HEADS = {
    "text": "text",
    "image": "image",
    "audio": "audio",
    "video": "video",
    "image+text": "together",
    "message": "chat",
}


def table(families: Sequence[Family]) -> str:
    """One row per family, in the order of the tests; a column for what any of them takes."""
    taken = [name for name in _HEADS if any(name in family.modalities for family in families)]
    head = f"| family | {' | '.join(_HEADS[name] for name in taken)} | published as |\n"
    rows = "".join(_row(family, taken) for family in families)
    return head + "|---" * (len(taken) + 2) + "|\n" + rows


def written(readme: str) -> str:
    """The README with the tables in their places."""
    for name, families in TABLES.items():
        begin = f"<!-- {name}: written by `make families` -->\n"
        end = f"<!-- end of {name} -->\n"
        before, rest = readme.split(begin)
        readme = before + begin + table(families) + end + rest.split(end)[1]
    return readme


def _row(family: Family, names: list[str]) -> str:
    taken = " | ".join("yes" if name in family.modalities else "" for name in names)
    models = ", ".join(f"`{model}`" for model in family.models)
    about = "; ".join(filter(None, [models, family.note]))
    trust = "; needs `trust_remote_code=True`" if family.trust_remote_code else ""
    return f"| {family.name} | {taken} | {about}{trust} |\n"


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
