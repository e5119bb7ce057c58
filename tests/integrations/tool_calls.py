"""Calls of the agent tools and checks of their schemas, the same for both frameworks."""

from __future__ import annotations

import inspect
from typing import Any

from mm_rag.agent_tools import Toolbox

QUESTION = "Which quarter had the best revenue?"
EXAMPLES: dict[str, dict[str, Any]] = {
    "search": {"query": QUESTION, "k": 2},
    "open_segment": {"path": "/deck.pdf/page-3"},
    "ls": {},
    "cat": {"path": "/deck.pdf"},
    "grep": {"pattern": "batter"},
    "find": {"pattern": "*.pdf"},
}
MISTAKES = [
    ("open_segment", {"path": "/../../etc/passwd"}, "nothing at /etc/passwd"),
    ("cat", {"path": "/etc/passwd"}, "nothing at /etc/passwd"),
    ("open_segment", {"path": "/deck.pdf/page-9"}, "page-1 to page-4"),
    ("search", {"query": "x", "modality": "smell"}, "modality: Input should be 'text', 'image'"),
    ("search", {"query": "x", "k": 0}, "k: Input should be greater than or equal to 1"),
    ("search", {"query": "x", "top_k": 3}, "top_k: Extra inputs are not permitted"),
    ("search", {}, "query: Field required"),
]


def assert_described(function: dict[str, Any], name: str) -> None:
    """The schema has the name, docstring and arguments of the Toolbox's method."""
    method = getattr(Toolbox, name)
    assert function["name"] == name
    assert function["description"] == inspect.getdoc(method)
    arguments = function["parameters"]["properties"]
    assert list(arguments) == list(inspect.signature(method).parameters)[1:]
    assert all(argument["description"] for argument in arguments.values())


def assert_bounds_of_search(parameters: dict[str, Any]) -> None:
    """The schema has the required arguments, bounds and choices of `search`."""
    assert parameters["required"] == ["query"]
    k = parameters["properties"]["k"]
    assert (k["default"], k["minimum"], k["maximum"]) == (5, 1, 20)
    modality, nothing = parameters["properties"]["modality"]["anyOf"]
    assert modality["enum"] == ["text", "image", "audio", "video"]
    assert nothing["type"] == "null"
