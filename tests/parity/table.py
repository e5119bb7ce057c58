"""The tables of families in docs/: `python -m tests.parity.table` writes them."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.markdown import DOCS, Generated
from tests.parity.families import FAMILIES, Family
from tests.parity.rerankers import RERANKERS

TABLES: dict[Generated, Sequence[Family]] = {
    Generated(DOCS / "models.md", "families", "make families"): FAMILIES,
    Generated(DOCS / "rerankers.md", "rerankers", "make families"): RERANKERS,
}

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


def _row(family: Family, names: list[str]) -> str:
    taken = " | ".join("yes" if name in family.modalities else "" for name in names)
    models = ", ".join(f"`{model}`" for model in family.models)
    about = "; ".join(filter(None, [models, family.note]))
    trust = "; needs `trust_remote_code=True`" if family.trust_remote_code else ""
    return f"| {family.name} | {taken} | {about}{trust} |\n"


if __name__ == "__main__":
    for place, families in TABLES.items():
        place.write(table(families))
