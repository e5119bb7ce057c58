"""Search and open_segment with several Segments per page, and without stored pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_rag import Collection, Encoder
from mm_rag.agent_tools import Toolbox, ToolResult
from mm_rag.prompt_content import Picture
from tests.collection.conftest import BagOfWords
from tests.media_made import make_pdf

GONE = "[picture cannot be shown: its file is missing or damaged]"


@pytest.fixture
def ferry(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return make_pdf(made / "ferry.pdf", ["The ferry leaves at seven.", "Bicycles travel free."])


def pictures(result: ToolResult) -> int:
    return sum(isinstance(block, Picture) for block in result.blocks)


def test_words_of_a_page_and_of_its_passage_are_said_once(ferry: Path, tmp_path: Path) -> None:
    with Collection(tmp_path / "made", encoder=Encoder(modules=[BagOfWords()])) as collection:
        collection.sync(ferry.parent)
        result = Toolbox(collection).search("ferry leaves at seven")
    assert result.text.count("leaves at seven") == 1


def test_pictures_that_are_not_kept_are_drawn_again(ferry: Path, tmp_path: Path) -> None:
    encoder = Encoder(modules=[BagOfWords()])
    with Collection(tmp_path / "made", encoder=encoder, assets="reference") as collection:
        collection.sync(ferry.parent)
        toolbox = Toolbox(collection)
        assert pictures(toolbox.search("ferry", k=2)) == 2
        assert pictures(toolbox.open_segment("/ferry.pdf/page-2")) == 1
        ferry.unlink()
        found, opened = toolbox.search("ferry", k=2), toolbox.open_segment("/ferry.pdf/page-2")
    for result in (found, opened):
        assert pictures(result) == 0
        assert GONE in result.text
        assert "Bicycles travel free." in result.text
        assert str(tmp_path) not in result.text
