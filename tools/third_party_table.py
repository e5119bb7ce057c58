"""The table of models in THIRD_PARTY.md: `python -m tools.third_party_table` writes it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.markdown import Generated, as_table
from mm_rag.packaged import MODELS, PackagedModel

TABLE = Generated(
    Path(__file__).parents[1] / "THIRD_PARTY.md", "models", "python -m tools.third_party_table"
)


def table() -> str:
    """A row for each built-in model, in the order of the table in the code."""
    heads = ("model", "gives", "licence", "package that carries it", "original")
    return as_table(heads, [_row(model) for model in MODELS])


def _row(model: PackagedModel) -> tuple[str, ...]:
    packages = dict.fromkeys(f"`{file.requirement}`" for file in model.files)
    origin = f"<{model.origin}>"
    return f"`{model.name}`", model.gives, model.licence, " ".join(packages), origin


if __name__ == "__main__":
    TABLE.write(table())
