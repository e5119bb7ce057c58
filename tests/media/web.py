"""The web for tests: servers whose answers are said by a dict, names and machines of our choice."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import pytest

PUBLIC = "93.184.216.34"

# Hosts of addresses that lead to this machine, its network or its cloud, however they are written.
INSIDE = (
    "169.254.169.254", "127.0.0.1", "0x7f000001", "0X7F000001", "0177.0.0.1", "017700000001",
    "2130706433", "127.1", "127.0.1", "0x7f.1", "0", "0x", "0.0.0.0", "127.0.0.1.", "127.0.0.1:80",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:a9fe:a9fe]", "[::1]", "[::]",
    "[::127.0.0.1]", "[fe80::1]", "[fec0::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]",
    "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::1]",
    "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "1.1.1.1@127.0.0.1", "ann:secret@169.254.169.254:80", "1.1.1.1:80@127.1", "a@b@127.0.0.1",
    "127\u30020\u30020\u30021", "127\uff610\uff610\uff611", "\uff11\uff12\uff17.0.0.1",
    "\u2460\u2461\u2466.0.0.1",
    "localhost", "LocalHost", "localhost.", "a.localhost", "\uff4cocalhost", "localhost:8000",
    "printer.local", "db.localdomain", "nas.home.arpa", "router.lan", "intranet", "wiki.corp",
    "metadata.google.internal", "metadata.google.internal.", "METADATA.google.internal", "metadata",
    "api.default.svc", "api.default.svc.cluster.local",
)  # fmt: skip

# Neither a name nor a number, though somebody might take them for one.
NO_HOSTS = (
    "[localhost]", "[metadata.google.internal]", "[127.0.0.1]", "[fe80::1%25eth0]", "127.0.0.256",
    "1.2.3.4.5", "08.0.0.1", "127.0.0.0x1g.1", "0x100000000", "4294967296", "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1", "localhost..", "a..example", "localhost%00.example", "\u2025.example",
)  # fmt: skip

Answer: TypeAlias = bytes | str | int
"""A body, where to go instead, or a status."""


@contextmanager
def served(answers: Mapping[str, Answer]) -> Generator[str]:
    """The address, without a slash at its end, of a server on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.split("?")[0], 404)
            if isinstance(answer, str):
                self.send_response(302)
                self.send_header("Location", answer)
            else:
                self.send_response(200 if isinstance(answer, bytes) else answer)
            self.end_headers()
            if isinstance(answer, bytes):
                self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: the output of tests is for what fails."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Wire:
    """What was asked and connected to, of a web in which nothing else exists.

    Attributes:
        names: The addresses that each lookup of a name gives; the last holds for all that follow.
        machines: Where a machine with this address really listens.
        asked: The names that were looked up, in order.
        connected: The addresses that somebody tried to connect to, in order.
    """

    names: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict[str, Any])
    machines: Mapping[str, tuple[str, int]] = field(default_factory=dict[str, Any])
    asked: list[str] = field(default_factory=list[str])
    connected: list[str] = field(default_factory=list[str])

    @property
    def silent(self) -> bool:
        """Whether nobody asked or connected to anything."""
        return not self.asked and not self.connected

    def look_up(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        """In place of `socket.getaddrinfo`."""
        answers = self.names.get(host)
        self.asked.append(host)
        if answers is None:
            raise socket.gaierror(-2, "Name or service not known")
        found = answers[min(self.asked.count(host), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found]

    def connect(self, address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        """In place of `socket.create_connection`."""
        self.connected.append(address[0])
        if address[0] not in self.machines:
            raise ConnectionRefusedError(111, "Connection refused")
        made = socket.socket()
        made.connect(self.machines[address[0]])
        return made


def wired(
    monkeypatch: pytest.MonkeyPatch,
    names: Mapping[str, Sequence[Sequence[str]]] | None = None,
    machines: Mapping[str, tuple[str, int]] | None = None,
) -> Wire:
    """Put a web of our own in place of the real one, without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    wire = Wire(names or {}, machines or {})
    monkeypatch.setattr(socket, "getaddrinfo", wire.look_up)
    monkeypatch.setattr(socket, "create_connection", wire.connect)
    return wire


def listening(address: str) -> tuple[str, int]:
    """Where a server of `served` listens, for `Wire.machines`."""
    host, _, port = address.removeprefix("http://").partition(":")
    return host, int(port)
