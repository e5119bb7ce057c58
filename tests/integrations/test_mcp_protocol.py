"""The MCP server as clients of any SDK see it: JSON over standard input and output.

It knows no SDK, so it also runs where release 1 of the SDK is installed:
`pip install 'mcp<2'`, then `pytest tests/integrations/test_mcp_protocol.py`.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from mm_rag import Collection, Segment
from mm_rag.agent_tools import Toolbox
from mm_rag_mcp import resources
from mm_rag_mcp.resources import list_resources, read_resource

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]

TOOLS = ["search", "open_segment", "ls", "cat", "grep", "find"]
CLI = "from mm_rag.cli import app; app()"


class Client:
    """A server process and a client that sends it messages."""

    def __init__(self, place: Path, *more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLI, "mcp", "--collection", str(place), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        self._sent = 0

    def send(self, method: str, **params: Any) -> None:
        assert self.process.stdin is not None
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if not method.startswith("notifications/"):
            self._sent += 1
            message["id"] = self._sent
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> Any:
        self.send(method, **params)
        assert self.process.stdout is not None
        answer = json.loads(self.process.stdout.readline())
        assert answer["id"] == self._sent
        return answer


INITIALIZE: dict[str, Any] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


@pytest.fixture(scope="module")
def client(collection: Collection) -> Iterator[Client]:
    client = Client(collection.path)
    try:
        greeting = client.ask("initialize", **INITIALIZE)["result"]
        assert {"tools", "resources", "prompts"} <= greeting["capabilities"].keys()
        assert greeting["serverInfo"]["name"] == "mm-rag"
        client.send("notifications/initialized")
        yield client
    finally:
        client.process.kill()
        client.process.communicate()


def test_tools_are_listed_and_called(client: Client, slide_of: Callable[[bytes], str]) -> None:
    tools = client.ask("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == [
        "search",
        "open_segment",
        "ls",
        "cat",
        "grep",
        "find",
    ]
    assert all(tool["annotations"]["readOnlyHint"] for tool in tools)
    assert tools[0]["inputSchema"]["required"] == ["query"]
    question = {"query": "Which supplier may be late?", "k": 1}
    found = client.ask("tools/call", name="search", arguments=question)["result"]
    assert not found.get("isError")
    [picture] = [block for block in found["content"] if block["type"] == "image"]
    assert slide_of(base64.b64decode(picture["data"])) == "red"
    wrong = client.ask("tools/call", name="cat", arguments={"path": "/nowhere"})["result"]
    assert wrong["isError"]
    assert "There is nothing at /nowhere" in wrong["content"][0]["text"]


def test_every_page_and_picture_is_a_resource(
    client: Client, slide_of: Callable[[bytes], str]
) -> None:
    listed = client.ask("resources/list")["result"]
    assert "nextCursor" not in listed
    uris = [each["uri"] for each in listed["resources"]]
    pages = [f"mm-rag:///deck.pdf/page-{number}" for number in range(1, 5)]
    assert uris == [*pages, "mm-rag:///sunset.png"]
    assert listed["resources"][1]["name"] == "deck.pdf/page-2"
    assert listed["resources"][1]["description"].startswith("Our team. Twelve engineers")
    words, picture = client.ask("resources/read", uri=uris[1])["result"]["contents"]
    assert words["uri"] == picture["uri"] == uris[1]
    assert "Twelve engineers" in words["text"]
    assert slide_of(base64.b64decode(picture["blob"])) == "green"


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("resources/read", {"uri": "mm-rag:///gone.pdf"}, "There is nothing at /gone.pdf"),
        ("resources/read", {"uri": "mm-rag:///../../etc/passwd"}, "There is nothing at"),
        ("resources/read", {"uri": "file:///etc/passwd"}, "begin with mm-rag://"),
        ("resources/list", {"cursor": "nonsense"}, "This cursor is not from this server"),
        ("prompts/get", {"name": "sing"}, "there are answer, summarize"),
        ("prompts/get", {"name": "answer"}, "needs its argument question"),
    ],
)
def test_what_cannot_be_is_an_error_that_says_why(
    client: Client, method: str, params: dict[str, Any], message: str
) -> None:
    error = client.ask(method, **params)["error"]
    assert error["code"] == -32602
    assert message in error["message"]


def test_prompts_are_listed_and_filled_in(client: Client) -> None:
    prompts = client.ask("prompts/list")["result"]["prompts"]
    assert [prompt["name"] for prompt in prompts] == ["answer", "summarize"]
    assert [prompt["arguments"][0]["name"] for prompt in prompts] == ["question", "path"]
    question = "Who works in {Oslo}?"
    got = client.ask("prompts/get", name="answer", arguments={"question": question})["result"]
    [message] = got["messages"]
    assert message["role"] == "user"
    assert message["content"]["text"].endswith(f"Question: {question}")


def test_it_serves_over_http(collection: Collection) -> None:
    server = Client(collection.path, "--http", "--port", "0")
    try:
        assert server.process.stderr is not None
        address = server.process.stderr.readline().removeprefix("Serving at ").strip()
        accept = {"Accept": "application/json, text/event-stream"}
        sent = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
        answered = httpx.post(address, json=sent, headers=accept, timeout=60)
        assert answered.status_code == 200
        assert '"name":"mm-rag"' in answered.text
        stranger = httpx.post(address, json=sent, headers={**accept, "Host": "attacker.example"})
        assert stranger.status_code == 421
    finally:
        server.process.kill()
        server.process.communicate()


def toolbox_of(*files: str) -> Toolbox:
    """Files of three pages each."""
    segments = [
        Segment(modality="text", source=name, sha256=str(n) * 64, text=f"words {page}", page=page)
        for n, name in enumerate(files)
        for page in (1, 2, 3)
    ]
    collection = Collection(":memory:")
    collection.add(segments)
    return Toolbox(collection)


@pytest.fixture
def pages() -> Iterator[Toolbox]:
    """Three files, one with a name that must be quoted in a URI."""
    toolbox = toolbox_of("/files/a.pdf", "/files/b.pdf", "/files/c d%?#é.pdf")
    with toolbox.collection:
        yield toolbox


def test_long_lists_come_in_parts(pages: Toolbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_PER_PAGE", 4)
    parts: list[list[str]] = []
    cursor: str | None = None
    while cursor is not None or not parts:
        listed = list_resources(pages, cursor)
        parts.append([each["uri"] for each in listed["resources"]])
        cursor = listed.get("nextCursor")
    assert [len(part) for part in parts] == [4, 4, 1]
    uris = [uri for part in parts for uri in part]
    assert len(set(uris)) == 9
    assert uris[3] == "mm-rag:///b.pdf/page-1"
    assert unquote(uris[8]) == "mm-rag:///c d%?#é.pdf/page-3"
    for uri in uris:
        assert f"words {uri[-1]}" in read_resource(pages, uri)["contents"][0]["text"]


def test_a_file_that_is_taken_out_meanwhile_breaks_no_list(
    pages: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_PER_PAGE", 4)
    cursor = list_resources(pages, None)["nextCursor"]
    with toolbox_of("/files/a.pdf", "/files/c.pdf").collection as collection:
        uris = [each["uri"] for each in list_resources(Toolbox(collection), cursor)["resources"]]
    assert uris == [f"mm-rag:///c.pdf/page-{number}" for number in (1, 2, 3)]
