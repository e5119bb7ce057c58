"""Unusual queries: the library, the agents' tools and the command line answer them all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm_rag import Collection, Segment
from mm_rag.agent_tools import Tool, Toolbox
from mm_rag.testing import fake_encoder
from tests.cli.typed import run

LETTER = "Dear Sir, the mooring rope of the ferry is worn. Please send a new one. " * 200
QUERIES = {
    "stop words": "what is the of and to",
    "one word 10,000 times": "rope " * 10_000,
    "10,000 words": " ".join(f"word{n}" for n in range(10_000)),
    "an unclosed quote": 'the "mooring rope',
    "three quotes": 'the "mooring" rope"',
    "only a star": "rope *",
    "emoji": "🦀 🎉 👩‍👩‍👧",
    "mixed scripts": "rope веревка 绳子 ロープ الحبل รอบ",
    "a whole document": LETTER,
    "syntax of other engines": 'title:(rope) AND NOT "x"~2 ^3 [a TO b] {!} /re/',
    "control characters": "rope\x00\x1b[31m\u202e\ud800",
}
NO_WORDS = {"punctuation": "?!... --- (*)", "quotes": '""', "blanks": " \t\n ", "a star": "*"}


@pytest.fixture(scope="module")
def collection() -> Iterator[Collection]:
    texts = [LETTER, "Bicycles travel free of charge.", "Bread rests for hours.", "🎉 party"]
    with Collection(":memory:", encoder=fake_encoder()) as made:
        made.add(
            Segment(modality="text", source=f"/files/{n}.txt", sha256=f"{n:064}", text=text)
            for n, text in enumerate(texts)
        )
        yield made


@pytest.mark.parametrize("name", QUERIES)
def test_a_search_ranks_what_there_is(collection: Collection, name: str) -> None:
    hits = collection.search(QUERIES[name])
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert all(0.0 <= hit.score <= 1.0 for hit in hits)
    assert all(hit.explain().isprintable() or "\n" in hit.explain() for hit in hits)
    assert collection.search(QUERIES[name], threshold=1.0) == []
    if name in ("one word 10,000 times", "an unclosed quote", "a whole document"):
        assert hits[0].segment.text == LETTER


@pytest.mark.parametrize("name", NO_WORDS)
def test_a_query_without_words_finds_nothing(collection: Collection, name: str) -> None:
    assert collection.search(NO_WORDS[name]) == []


@pytest.mark.parametrize("name", [*QUERIES, *NO_WORDS])
def test_an_agent_is_answered(collection: Collection, name: str) -> None:
    result = Tool(Toolbox(collection).search)(query={**QUERIES, **NO_WORDS}[name])
    assert len(result.text) < 40_000
    assert result.paths or "Use other words, or look around with ls." in result.text
    if name in ("punctuation", "quotes", "a star"):
        assert "Nothing found: the query has no words, only punctuation." in result.text


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "in"
    folder.mkdir()
    (folder / "letter.txt").write_text(LETTER, encoding="utf-8")
    library = folder.parent / "library"
    assert run("index", folder, "-c", library, "--json").exit_code == 0
    return library


@pytest.mark.slow
@pytest.mark.parametrize("name", ["10,000 words", "an unclosed quote", "emoji", "quotes"])
def test_the_command_line_answers(library: Path, name: str) -> None:
    query = {**QUERIES, **NO_WORDS}[name].replace("\x00", "").replace("\ud800", "")
    done = run("search", query, "-c", library, "--no-rerank", "--explain")
    assert done.exit_code == 0, done.output
    assert "letter.txt" in done.output or done.output.startswith("Nothing")


@pytest.mark.slow
def test_the_command_line_answers_in_json(library: Path) -> None:
    query = ("search", '"no such words"', "-c", library, "--json")
    assert json.loads(run(*query).stdout) == []
    explained = json.loads(run(*query, "--explain").stdout)
    assert explained["hits"] == []
    assert explained["seconds"]["total"] > 0
