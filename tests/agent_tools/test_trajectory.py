"""Trajectory of the examples: searches, citations, and their fusion."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest

from mm_rag.agent_tools import Tool, Toolbox
from mm_rag.errors import InputError
from tests.examples.example import example

pytestmark = pytest.mark.slow

FERRY = "/2024/ferry.pdf"

Trajectory: TypeAlias = Any  # examples are not a package


@pytest.fixture
def trajectory(toolbox: Toolbox) -> Trajectory:
    return example("agent_trajectory").Trajectory(toolbox)


def cited(*paths: str) -> list[Any]:
    cited_path = example("agent_trajectory").CitedPath
    return [cited_path(path=path, reason=f"see {path}") for path in paths]


def test_its_search_is_the_toolboxs_to_an_agent(toolbox: Toolbox, trajectory: Trajectory) -> None:
    recorded, own = Tool(trajectory.search), Tool(toolbox.search)
    assert recorded.name == own.name == "search"
    assert recorded.description == own.description
    assert recorded.arguments.model_json_schema() == own.arguments.model_json_schema()
    assert inspect.signature(trajectory.search) == inspect.signature(toolbox.search)


def test_a_search_answers_as_the_toolbox_does_and_is_remembered(
    toolbox: Toolbox, trajectory: Trajectory
) -> None:
    result = trajectory.search("Bicycles travel free", k=2)
    assert result == toolbox.search("Bicycles travel free", k=2)
    assert len(result.paths) == 2
    found = trajectory.results()
    assert tuple(each.path for each in found) == result.paths
    assert tuple(each.segment for each in found) == result.segments


def test_a_search_that_failed_is_not_remembered(trajectory: Trajectory) -> None:
    with pytest.raises(InputError, match="nothing at /nowhere"):
        trajectory.search("bicycles", path="/nowhere")
    assert trajectory.results() == []


def test_a_thought_is_no_search(trajectory: Trajectory) -> None:
    assert trajectory.think("I know nothing yet.").text
    assert trajectory.results() == []


def test_what_the_agent_cites_is_the_result(trajectory: Trajectory) -> None:
    trajectory.search("mind the gap")
    answer = trajectory.final_results(cited(f"{FERRY}/page-2", "/quay.jpg", f"{FERRY}/page-2"))
    assert f"{FERRY}/page-2" in answer.text
    fares, quay = trajectory.results()
    assert (fares.path, fares.cited) == (f"{FERRY}/page-2", True)
    assert fares.reason == f"see {FERRY}/page-2"
    assert fares.segment.modality == "image"
    assert fares.segment.page == 2
    assert quay.path == "/quay.jpg"
    assert trajectory.results(k=1) == [fares]


def test_an_agent_may_think_again(trajectory: Trajectory) -> None:
    trajectory.final_results(cited(f"{FERRY}/page-1"))
    trajectory.final_results(cited(f"{FERRY}/page-3"))
    assert [each.path for each in trajectory.results()] == [f"{FERRY}/page-3"]


def test_a_path_that_does_not_exist_is_an_error_and_nothing_is_cited(
    trajectory: Trajectory,
) -> None:
    with pytest.raises(InputError, match=r"no page-9 in /2024/ferry\.pdf.*page-1 to page-3") as one:
        trajectory.final_results(cited(f"{FERRY}/page-1", f"{FERRY}/page-9", "/other.pdf"))
    assert "/other.pdf" in str(one.value)
    assert "Call final_results again" in str(one.value)
    assert trajectory.results() == []


def test_a_whole_document_is_no_citation(trajectory: Trajectory) -> None:
    with pytest.raises(InputError, match="3 pages or clips: name one"):
        trajectory.final_results(cited(FERRY))


def test_arguments_come_from_a_chat_model(trajectory: Trajectory) -> None:
    tool = Tool(trajectory.final_results)
    tool(citations=[{"path": f"{FERRY}/page-1", "reason": "It has the departures."}])
    assert [each.reason for each in trajectory.results()] == ["It has the departures."]
    with pytest.raises(InputError, match=r"final_results was not run.*path"):
        tool(citations=[{"page": 1}])


@pytest.mark.parametrize("ends", ["without a word", "with nothing"])
def test_without_citations_all_searches_are_fused(trajectory: Trajectory, ends: str) -> None:
    queries = ("Bicycles travel free on weekdays", "ninety days", "mind the gap")
    rankings = [trajectory.search(query, k=3).paths for query in queries]
    if ends == "with nothing":
        trajectory.final_results([])
    expected: dict[str, float] = {}
    for ranking in rankings:
        for rank, path in enumerate(ranking, start=1):
            expected[path] = expected.get(path, 0.0) + 1 / (60 + rank)
    results = trajectory.results()
    assert {each.path: each.score for each in results} == pytest.approx(expected)
    assert [each.score for each in results] == sorted(expected.values(), reverse=True)
    assert not any(each.cited for each in results)
    assert len({each.path for each in results}) == len(results)
    assert f"{FERRY}/page-1" in {each.path for each in results}


def test_a_search_made_again_and_again_counts_once(trajectory: Trajectory) -> None:
    trajectory.search("ninety days", k=3)
    once = trajectory.results()
    for _ in range(5):
        trajectory.search("ninety days", k=3)
    assert trajectory.results() == once


def test_it_may_be_used_by_many_threads(trajectory: Trajectory) -> None:
    queries = [f"{word} number {n}" for n in range(8) for word in ("ferry", "fares", "office")]
    with ThreadPoolExecutor(8) as threads:
        found = {result.paths for result in threads.map(trajectory.search, queries)}
    assert {each.path for each in trajectory.results(100)} == {
        path for one in found for path in one
    }
