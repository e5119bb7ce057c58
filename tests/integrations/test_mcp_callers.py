"""Which requests reach the MCP server over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from starlette.responses import PlainTextResponse

from mm_rag.errors import InputError
from mm_rag_mcp.serving import CheckedCallers

_HERE = ("127.0.0.1:8321", "localhost:8321", "[::1]:8321", "LOCALHOST:8321")


async def status(
    headers: Sequence[tuple[str, str]],
    bound: str = "127.0.0.1",
    port: int = 8321,
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
) -> int:
    app = CheckedCallers(PlainTextResponse("in"), bound, port, hosts, origins)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        request = client.build_request("POST", "/mcp", headers=list(headers))
        return (await client.send(request)).status_code


@pytest.mark.parametrize("host", _HERE)
async def test_the_names_of_this_machine_with_the_port(host: str) -> None:
    assert await status([("Host", host)]) == 200
    assert await status([("Host", host), ("Origin", f"http://{host}")]) == 200


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8321@evil.com", "evil.com@127.0.0.1:8321", "localhost:8321.evil.com"),
        *("127.0.0.1:8322", "127.0.0.1", "localhost", "evil.com:8321", "127.0.0.1:8321:80", ""),
        *(
            "127.0.0.1:",
            "127.0.0.1:*",
            "localhost:8321/",
            "127.0.0.1.evil.com:8321",
            "localhost.:8321",
        ),
        *(
            "127.0.0.1:08321x",
            "[::1",
            "::1:8321",
            "127.0.0.1:8321,evil.com",
            "10.0.0.1:8321",
        ),
    ],
)
async def test_no_other_host(host: str) -> None:
    assert await status([("Host", host)]) == 421


@pytest.mark.parametrize(
    "origin",
    [
        *("http://127.0.0.1:8321@evil.com", "http://127.0.0.1:8322", "http://localhost:3000"),
        *("http://localhost", "http://localhost:8321", "http://evil.com", "null", "file://", ""),
        *("http://127.0.0.1:8321.evil.com", "http://127.0.0.1:8321/", "ftp://127.0.0.1:8321"),
    ],
)
async def test_no_page_of_another_site(origin: str) -> None:
    assert await status([("Host", "127.0.0.1:8321"), ("Origin", origin)]) == 403


async def test_headers_are_sent_once() -> None:
    twice = [("Host", "127.0.0.1:8321"), ("Host", "evil.com")]
    assert await status(twice) == 421
    own, other = ("Origin", "http://127.0.0.1:8321"), ("Origin", "http://evil.com")
    assert await status([("Host", "127.0.0.1:8321"), own, other]) == 403


async def test_what_is_allowed_besides() -> None:
    hosts, origins = ["MCP.example.org", "b.example:8443"], ["https://app.example.org"]
    for host in ("mcp.example.org", "b.example:8443", "127.0.0.1:8321"):
        assert await status([("Host", host)], hosts=hosts) == 200
        page = [("Host", host), ("Origin", "https://app.example.org")]
        assert await status(page, hosts=hosts, origins=origins) == 200
        assert await status(page, hosts=hosts) == 403
    for host in ("b.example", "mcp.example.org:1", "a.mcp.example.org"):
        assert await status([("Host", host)], hosts=hosts) == 421


async def test_bound_to_a_name_or_to_port_80() -> None:
    assert await status([("Host", "box.example:8321")], bound="box.example") == 200
    assert await status([("Host", "127.0.0.1:8321")], bound="box.example") == 421
    assert await status([("Host", "[fd00::1]:8321")], bound="fd00::1") == 200
    assert await status([("Host", "localhost")], port=80) == 200


async def test_bound_to_all_addresses_names_have_to_be_allowed() -> None:
    for host in ("127.0.0.1:80", "192.168.1.7:9000", "[fd00::1]:8321", "localhost:5", "10.0.0.1"):
        assert await status([("Host", host)], bound="0.0.0.0") == 200
        page = [("Host", host), ("Origin", "http://evil.com")]
        assert await status(page, bound="0.0.0.0") == 403
    for host in ("evil.com", "evil.com:8321", "10.0.0.1:80@evil.com", "1.2.3.4.5", "0x7f.1"):
        assert await status([("Host", host)], bound="::") == 421
    assert await status([("Host", "a.example")], bound="::", hosts=["a.example"]) == 200


@pytest.mark.parametrize("wrong", ["http://a.example", "a.example/", "*", "a@b", "", "a.example:x"])
def test_hosts_that_are_none(wrong: str) -> None:
    with pytest.raises(InputError, match="An allowed host must be written as clients send it"):
        CheckedCallers(PlainTextResponse("in"), "127.0.0.1", 1, [wrong])


@pytest.mark.parametrize("wrong", ["a.example", "https://a.example/", "*", "https://a@b", ""])
def test_origins_that_are_none(wrong: str) -> None:
    with pytest.raises(InputError, match="An allowed origin must be written as clients send it"):
        CheckedCallers(PlainTextResponse("in"), "127.0.0.1", 1, [], [wrong])
