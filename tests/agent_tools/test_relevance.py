"""search: what an agent is told about results that are probably not relevant, and about none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mm_rag import Collection, Hit
from mm_rag.agent_tools import Toolbox
from mm_rag.prompt_content import OPENING


def scored(
    monkeypatch: pytest.MonkeyPatch, collection: Collection, scores: Sequence[float]
) -> None:
    """Make a search return as many hits as there are scores, with these."""
    search = collection.search

    def rescored(query: str, k: int, **options: Any) -> list[Hit]:
        hits = search(query, k, **options)
        return [replace(hit, score=score) for hit, score in zip(hits, scores, strict=False)]

    monkeypatch.setattr(collection, "search", rescored)


def told(toolbox: Toolbox, query: str = "ferry") -> str:
    """What a search says before the first text of a file."""
    return toolbox.search(query).text.partition(OPENING)[2].partition(OPENING)[0]


def test_relevant_results_are_not_doubted(
    toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, toolbox.collection, [0.9, 0.8])
    assert "relevant" not in told(toolbox)
    assert toolbox.search("ferry").scores == (0.9, 0.8)


def test_doubtful_results_are_named_before_all_texts(
    toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, toolbox.collection, [0.9, 0.2, 0.1])
    assert "\nProbably not relevant, only the nearest: [2], [3].\n[1] /" in told(toolbox)


def test_nothing_relevant_is_said_and_the_nearest_are_shown(
    toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, toolbox.collection, [0.2, 0.1])
    said = told(toolbox)
    assert "\nNothing relevant was found. The results below are only the nearest" in said
    assert "say that the collection does not hold the answer." in said
    assert len(toolbox.search("ferry").paths) == 2


def test_a_search_without_results_says_what_nothing_has(
    toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolbox.collection, "search", lambda *_, **__: list[Hit]())  # pyright: ignore
    assert toolbox.search("ferry").text == (
        "Nothing found. Use other words, or look around with ls."
    )
    assert toolbox.search('"night ferry" boat*', path="/notes.txt").text == (
        'Nothing has the words in quotes ("night ferry") and words that begin with boat*. Without '
        "quotes and stars, similar words are found, too. Only /notes.txt was searched. "
        "Use other words, or look around with ls."
    )


def test_other_tools_have_no_scores(toolbox: Toolbox) -> None:
    assert toolbox.open_segment("/2024/ferry.pdf/page-2").scores == ()
