"""Control characters reach neither pages nor messages, and queries of any length are answered."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm_rag import Collection, Segment
from mm_rag.agent_tools import Toolbox, tools_of
from mm_rag.boxes import WordBox, find_words
from mm_rag.demo.page import Answer, write_page
from mm_rag.errors import InputError, MMRagError
from mm_rag.prompt_content import defused
from mm_rag.segment import Hit

ESCAPES = "\x1b[31mred\x07\x9b2J\u202edrawkcab\udc80"


@pytest.fixture(scope="module")
def collection() -> Iterator[Collection]:
    with Collection(":memory:") as made:
        made.add([Segment(modality="text", source="/a.txt", sha256="0" * 64, text="a red bus")])
        yield made


def test_messages_have_no_control_characters() -> None:
    for kind in (MMRagError, InputError):
        assert str(kind(ESCAPES)) == "\ufffd[31mred\ufffd\ufffd2J\ufffddrawkcab\ufffd"
    assert str(InputError("two\nlines\tand a tab")) == "two\nlines\tand a tab"


@pytest.mark.slow
def test_errors_of_tools_have_none_either(collection: Collection) -> None:
    for tool in tools_of(Toolbox(collection)):
        for arguments in ({"path": ESCAPES}, {"pattern": f"({ESCAPES}"}, {ESCAPES: ESCAPES}):
            try:
                said = tool(**arguments).text
            except InputError as error:
                said = str(error)
            assert "\x1b" not in said
            assert "\x9b" not in said


def test_a_page_has_none(tmp_path: Path) -> None:
    segment = Segment(modality="text", source=f"/{ESCAPES}", sha256="0" * 64, text=ESCAPES)
    hits = [Hit(segment=segment, rank=1, score=1.0)]
    write_page(tmp_path / "a.html", [Answer(query=ESCAPES, hits=hits)], title=ESCAPES, lead=ESCAPES)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "\ufffd[31mred" in page
    assert not set(page) & set("\x1b\x07\x9b\u202e")


def test_words_shown_to_models_have_none() -> None:
    assert "\x1b" not in defused(ESCAPES)


@pytest.mark.slow
def test_a_query_of_megabytes_is_cut_and_said_to_be(
    collection: Collection, caplog: pytest.LogCaptureFixture
) -> None:
    query = "red bus " * 400_000

    (hit,) = collection.search(query)
    assert hit.segment.text == "a red bus"
    assert "3,200,000 characters; only the first 100,000" in caplog.text

    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert "only the first 100,000" in Toolbox(collection).search(query).text
        assert "only the first" not in Toolbox(collection).search("red bus").text
    assert find_words([WordBox("bus", (0, 0, 1, 1))], query)
