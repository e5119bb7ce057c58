from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.typed import indexed
from tests.media_made import make_pdf

PAGES = (
    "The ferry to the northern island leaves at seven in the morning.",
    "Bicycles travel free of charge on weekdays.",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    make_pdf(made / "ferry.pdf", PAGES)
    return made


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection that is only searched: two documents of two pages, which lie beside it."""
    made = tmp_path_factory.mktemp("library") / "documents"
    made.mkdir()
    make_pdf(made / "ferry.pdf", PAGES)
    make_pdf(made / "bakery.pdf", ["Sourdough bread rests for hours.", "The oven is lit at four."])
    return indexed(made)
