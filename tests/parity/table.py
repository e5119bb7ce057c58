"""The README's table of families: `python -m tests.parity.table` writes it anew."""

from __future__ import annotations

from pathlib import Path

from tests.parity.families import FAMILIES, Family

README = Path(__file__).parents[2] / "README.md"
BEGIN = "<!-- families: written by `make families` -->\n"
END = "<!-- end of families -->\n"
_TAKEN = ("text", "image", "audio", "video", "image+text", "message")
_HEADS = ("text", "image", "audio", "video", "together", "chat")


def table() -> str:
    """One row per family, in the order of the tests."""
    head = f"| family | {' | '.join(_HEADS)} | published as |\n"
    return head + "|---" * (len(_HEADS) + 2) + "|\n" + "".join(map(_row, FAMILIES))


def written(readme: str) -> str:
    """The README with the table in its place."""
    before, rest = readme.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def _row(family: Family) -> str:
    taken = " | ".join("yes" if name in family.modalities else "" for name in _TAKEN)
    models = ", ".join(f"`{model.split('/')[-1]}`" for model in family.models)
    about = "; ".join(filter(None, [models, family.note]))
    trust = "; needs `trust_remote_code=True`" if family.trust_remote_code else ""
    return f"| {family.name} | {taken} | {about}{trust} |\n"


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
