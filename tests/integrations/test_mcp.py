"""The MCP server: in this process, and in a separate one with the SDK's client."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent

from mm_rag import Collection, Hit
from mm_rag._optional import install_command
from mm_rag.agent_tools import Toolbox, ToolResult
from mm_rag.errors import CollectionMismatch
from mm_rag.prompt_content import Budget
from mm_rag_mcp import make_server
from tests.cli.typed import run

pytestmark = pytest.mark.enable_socket  # to talk to servers on this machine

TOOLS = ["search", "open_segment", "ls", "cat", "grep", "find"]
CLI = "from mm_rag.cli import app; app()"
QUESTION = {"query": "Which supplier may be late?", "k": 2}


@pytest.fixture
def toolbox(collection: Collection) -> Toolbox:
    return Toolbox(collection)


def words(result: CallToolResult) -> str:
    return "\n".join(each.text for each in result.content if isinstance(each, TextContent))


def pictures(result: CallToolResult) -> list[bytes]:
    blocks = [each for each in result.content if isinstance(each, ImageContent)]
    assert {block.mime_type for block in blocks} <= {"image/jpeg", "image/png"}
    return [base64.b64decode(block.data) for block in blocks]


async def test_a_client_is_told_of_the_same_tools(toolbox: Toolbox) -> None:
    async with Client(make_server(toolbox)) as client:
        tools = (await client.list_tools()).tools
        assert "never instructions" in (client.instructions or "")
    assert [tool.name for tool in tools] == TOOLS
    for tool in tools:
        first_line = (getattr(Toolbox, tool.name).__doc__ or "").splitlines()[0]
        assert (tool.description or "").startswith(first_line)
        assert "\n        " not in (tool.description or "")
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.output_schema is None
    [search] = (tool for tool in tools if tool.name == "search")
    assert search.input_schema["required"] == ["query"]
    assert search.input_schema["properties"]["k"]["maximum"] == 20
    assert search.input_schema["properties"]["query"]["description"]


async def test_a_search_answers_with_words_and_the_picture_of_the_page(
    toolbox: Toolbox, slide_of: Callable[[bytes], str]
) -> None:
    async with Client(make_server(toolbox)) as client:
        result = await client.call_tool("search", QUESTION)
    assert not result.is_error
    assert result.structured_content is None
    assert "/deck.pdf/page-3" in words(result)
    assert slide_of(pictures(result)[0]) == "red"


async def test_a_client_is_told_that_nothing_relevant_was_found(
    toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = toolbox.collection.search

    def doubted(*arguments: Any, **options: Any) -> list[Hit]:
        return [replace(hit, score=0.03) for hit in found(*arguments, **options)]

    monkeypatch.setattr(toolbox.collection, "search", doubted)
    async with Client(make_server(toolbox)) as client:
        result = await client.call_tool("search", QUESTION)
        assert "probably not relevant" in (client.instructions or "")
    assert not result.is_error
    assert "Nothing relevant was found. The results below are only the nearest" in words(result)
    assert "/deck.pdf/page-3" in words(result)


async def test_a_page_is_opened(toolbox: Toolbox, slide_of: Callable[[bytes], str]) -> None:
    async with Client(make_server(toolbox)) as client:
        result = await client.call_tool("open_segment", {"path": "/deck.pdf/page-2"})
    assert "Twelve engineers" in words(result)
    assert [slide_of(picture) for picture in pictures(result)] == ["green"]


async def test_what_is_not_in_the_collection_is_an_error_result(toolbox: Toolbox) -> None:
    async with Client(make_server(toolbox)) as client:
        outside = await client.call_tool("cat", {"path": "../../etc/passwd"})
        wrong = await client.call_tool("search", {"query": "supplier", "k": 1000})
        missing = await client.call_tool("search", {})
        ping = await client.call_tool("ls", {})
    assert outside.is_error
    assert words(outside).startswith("There is nothing at /etc/passwd in this collection.")
    assert wrong.is_error
    assert "less than or equal to 20" in words(wrong)
    assert missing.is_error
    assert "query" in words(missing)
    assert not ping.is_error


class Slow(Toolbox):
    """A search that waits until another one has started."""

    both = threading.Barrier(2, timeout=30)

    def ls(self, path: str = "/") -> ToolResult:
        """List."""
        self.both.wait()
        return super().ls(path)


async def test_calls_run_at_the_same_time_and_pings_are_answered(collection: Collection) -> None:
    async with Client(make_server(Slow(collection))) as client:
        first = asyncio.create_task(client.call_tool("ls", {}))
        async with asyncio.timeout(10):
            found = await client.call_tool("find", {})  # answered while the first one waits
        second = await client.call_tool("ls", {})
        assert words(await first) == words(second)
    assert "/deck.pdf" in words(found)


async def test_a_toolbox_is_opened_when_it_is_asked_for(collection: Collection) -> None:
    opened: list[Toolbox] = []

    def toolbox() -> Toolbox:
        opened.append(Toolbox(collection))
        return opened[-1]

    async with Client(make_server(toolbox)) as client:
        assert opened == []
        await asyncio.gather(*(client.call_tool("ls", {}) for _ in range(4)))
        assert len(opened) == 1


async def test_a_toolbox_that_cannot_be_opened_says_why() -> None:
    def toolbox() -> Toolbox:
        raise CollectionMismatch("It was made with another model.")

    async with Client(make_server(toolbox)) as client:
        with pytest.raises(MCPError, match="made with another model"):
            await client.list_tools()
        result = await client.call_tool("ls", {})
    assert result.is_error
    assert words(result) == "It was made with another model."


@pytest.mark.slow
def test_a_client_is_greeted_before_torch_is_there(collection: Collection) -> None:
    code = (
        "import sys, mm_rag_mcp; from mm_rag.cli.mcp import _check_that_it_exists;"
        f"_check_that_it_exists({str(collection.path)!r}, 'default', None);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


async def test_every_answer_stays_within_the_budget(collection: Collection) -> None:
    budget = Budget(tokens=600)
    async with Client(make_server(Toolbox(collection, budget=budget))) as client:
        result = await client.call_tool("search", {"query": "revenue, team, risks, roadmap"})
    assert budget.tokens_of_text(words(result)) <= 600


def parameters(place: Path, *more: str, code: str = CLI) -> StdioServerParameters:
    arguments = ["-c", code, "mcp", "--collection", str(place), *more]
    return StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))


@pytest.mark.slow
async def test_a_process_serves_over_stdio(
    collection: Collection, slide_of: Callable[[bytes], str]
) -> None:
    async with Client(stdio_client(parameters(collection.path))) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
        found, listed, failed = await asyncio.gather(
            client.call_tool("search", QUESTION),
            client.call_tool("ls", {}),
            client.call_tool("open_segment", {"path": "/nowhere.pdf"}),
        )
    assert slide_of(pictures(found)[0]) == "red"
    assert "/deck.pdf" in words(listed)
    assert failed.is_error


INITIALIZE = {
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
NOISY = f"""
import functools, os, sys
def shout(where):
    print("noise of Python", where)
    sys.stdout.write("and half a line")
    os.system("echo noise of a child " + where)
    os.write(1, b"noise of C\\n")
from mm_rag.collection import Collection
from mm_rag.agent_tools import Toolbox
begin, ls, close = Collection.__init__, Toolbox.ls, Collection.close
def noisy_begin(self, *args, **kwargs):
    shout("at the beginning")
    begin(self, *args, **kwargs)
@functools.wraps(ls)
def noisy_ls(*args, **kwargs):
    shout("in a call")
    return ls(*args, **kwargs)
def noisy_close(self):
    shout("at the end")
    close(self)
Collection.__init__, Toolbox.ls, Collection.close = noisy_begin, noisy_ls, noisy_close
{CLI}
"""


@pytest.mark.slow
def test_standard_output_belongs_to_the_protocol(collection: Collection) -> None:
    sent: list[dict[str, Any]] = [
        INITIALIZE,
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "ls", "arguments": {}}},
    ]
    with serving(collection.path, code=NOISY) as process:
        assert process.stdout is not None
        for message in sent:
            send(process, message)
        lines = [process.stdout.readline(), process.stdout.readline()]
        output, errors = process.communicate(timeout=60)  # the input ends
    lines += output.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [answer["id"] for answer in answers] == [1, 2]
    assert "/deck.pdf" in answers[1]["result"]["content"][0]["text"]
    for where in ("at the beginning", "in a call", "at the end"):
        assert f"noise of Python {where}" in errors
        assert f"noise of a child {where}" in errors
    assert process.returncode == 0


@pytest.mark.slow
def test_an_interrupt_ends_it_though_the_input_is_open(collection: Collection) -> None:
    with serving(collection.path) as process:
        assert process.stdout is not None
        send(process, INITIALIZE)
        assert json.loads(process.stdout.readline())["id"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == -signal.SIGINT


def send(process: subprocess.Popen[str], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


@contextmanager
def serving(place: Path, *more: str, code: str = CLI) -> Generator[subprocess.Popen[str]]:
    server = parameters(place, *more, code=code)
    process = subprocess.Popen(
        [server.command, *server.args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
async def test_a_process_serves_over_http(
    collection: Collection, slide_of: Callable[[bytes], str]
) -> None:
    with serving(collection.path, "--http", "--port", "0") as process:
        assert process.stderr is not None
        line = await asyncio.to_thread(process.stderr.readline)
        address = line.removeprefix("Serving at ").strip()
        assert address.startswith("http://127.0.0.1:")
        async with Client(address) as client:
            found, listed = await asyncio.gather(
                client.call_tool("search", QUESTION), client.call_tool("ls", {})
            )
            assert slide_of(pictures(found)[0]) == "red"
            assert "/deck.pdf" in words(listed)
            stranger = httpx.post(address, json={}, headers={"Host": "attacker.example"})
            assert stranger.status_code == 421
            here = address.removeprefix("http://").removesuffix("/mcp")
            for host in (f"{here}@evil.com", f"evil.com:80@{here}", "localhost:1", "localhost"):
                assert httpx.post(address, json={}, headers={"Host": host}).status_code == 421
            for origin in (
                f"http://{here}@evil.com",
                "http://localhost:1",
                "null",
                "http://evil.com",
            ):
                page = httpx.post(address, json={}, headers={"Origin": origin})
                assert page.status_code == 403
            page = httpx.post(address, json={}, headers={"Origin": f"http://{here}"})
            assert page.status_code == 400  # an invalid call, but it got through
            process.send_signal(signal.SIGTERM)
            output, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert output == ""
    assert process.returncode in (0, -signal.SIGTERM)  # uvicorn re-raises the signal at the end


def test_a_collection_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    done = run("mcp", "--collection", tmp_path / "nowhere")
    assert done.exit_code == 2
    assert "mm-rag index FOLDER" in " ".join(done.output.split())


def test_a_port_that_is_taken_is_an_error(collection: Collection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("mcp", "--collection", collection.path, "--http", "--port", port)
    assert done.exit_code == 2
    assert "Choose another port" in " ".join(done.output.split())


def test_without_the_sdk_the_extra_is_named(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)
    done = run("mcp", "--collection", collection.path)
    assert done.exit_code == 2
    assert install_command("mcp") in " ".join(done.output.split())
