"""Serve over standard input and output, or over HTTP to allowed callers only.

A browser on this machine sends a web page's requests wherever the page says. Two headers reveal
them: `Origin`, the site of the page, and `Host`, the name under which the page found this server.
Both are compared as a whole: the SDK's own check accepts `127.0.0.1:8321@evil.example` for
`127.0.0.1:8321`, and pages of any program on this machine as pages of this server.
"""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import socket
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import anyio
import uvicorn
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mm_rag.errors import InputError
from mm_rag_mcp.sdk import http_app

_SHUTDOWN_SECONDS = 3  # for calls that are still running

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:(?P<port>\d{1,5}))?", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?", re.ASCII)


@contextmanager
def protocol_output() -> Generator[TextIO]:
    """Reserve standard output for the protocol; anything else printed meanwhile goes to stderr.

    Yields:
        A file that writes to the original standard output.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8", newline="\n") as output:
            yield output
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def serve_stdio(server: Server[Any], output: TextIO) -> None:
    """Serve over standard input and output, until the input ends or the process is interrupted.

    Args:
        server: The server, from `make_server`.
        output: The file from `protocol_output`.
    """

    async def serve() -> None:
        async with stdio_server(stdout=anyio.wrap_file(output)) as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    # End the process at once: the thread that waits for input would otherwise keep it alive.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(serve)
    finally:
        signal.signal(signal.SIGINT, before)


def serve_http(
    server: Server[Any],
    host: str,
    port: int,
    *,
    allowed_hosts: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
) -> None:
    """Serve over streamable HTTP at `/mcp`, until the process is interrupted.

    Requests that name a host other than the one it is bound to, or come from a page of another
    site, are refused, so that no web page reaches it through a browser on this machine.

    Args:
        server: The server, from `make_server`.
        host: Address to listen on. Every client that reaches it can read the collection.
        port: Port to listen on; 0 for any free port.
        allowed_hosts: Further names under which it is reached: `mcp.example.org:8443`.
        allowed_origins: Sites whose pages may call it: `https://app.example.org`.

    Raises:
        InputError: The address is not one of this machine, the port is in use, or an allowed host
            or origin is malformed.
    """
    # CheckedCallers replaces the SDK's own checks.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = http_app(server, host, unchecked)
    listener = _listener(host, port)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        CheckedCallers(app, host, port, allowed_hosts, allowed_origins),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    sys.stderr.write(f"Serving at http://{in_url(host)}:{port}/mcp\n")
    uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"Cannot listen on {in_url(host)}:{port} ({error}). Choose another port, or an address "
            "of this machine."
        ) from error


class CheckedCallers:
    """An ASGI app that refuses requests which name another host, or come from another site.

    Args:
        app: The app that answers allowed requests.
        host: Address that the server is bound to. If it is bound to all addresses, it accepts every
            IP address as its name, with any port: a web page cannot choose an IP address as its own
            name.
        port: Port that the server is bound to.
        allowed_hosts: Further names under which it is reached, such as that of a proxy, with the
            port if clients send one: `mcp.example.org`, `mcp.example.org:8443`.
        allowed_origins: Sites whose pages may call it: `https://app.example.org`.

    Raises:
        InputError: A host or an origin is malformed.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
    ) -> None:
        self._app = app
        self._accepts_addresses = host in _ALL_ADDRESSES
        self._hosts = frozenset(_validated(_HOST, "host", "mcp.example.org:8443", allowed_hosts))
        self._origins = frozenset(
            _validated(_ORIGIN, "origin", "https://app.example.org", allowed_origins)
        )
        self._names = frozenset(map(in_url, _names(host)))
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed request to the app; refuse others."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or not self._is_own_name(hosts[0]):
            return PlainTextResponse(
                "This server does not answer to the name in the Host header. Its operator can "
                "allow the name with --allowed-host.\n",
                status_code=421,
            )
        own = {f"http://{hosts[0]}", f"https://{hosts[0]}"}
        origins = {origin.lower() for origin in headers.getlist("origin")}
        if not origins <= own | self._origins:
            return PlainTextResponse(
                "Pages of the site in the Origin header may not call this server. Its operator can "
                "allow the site with --allowed-origin.\n",
                status_code=403,
            )
        return None

    def _is_own_name(self, host: str) -> bool:
        parts = _HOST.fullmatch(host)
        if parts is None:
            return False
        if host in self._hosts:
            return True
        if self._accepts_addresses:
            return parts["name"] in self._names or _is_ip_address(parts["name"])
        return parts["name"] in self._names and int(parts["port"] or 80) == self._port


def in_url(host: str) -> str:
    """A host as URLs have it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def _names(host: str) -> Iterable[str]:
    """Names of a server that is bound to this address."""
    if host in _ALL_ADDRESSES:
        return {*_LOOPBACK, socket.gethostname().lower()}
    return _LOOPBACK if host in _LOOPBACK else {host.lower()}


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _validated(form: re.Pattern[str], what: str, example: str, given: Iterable[str]) -> list[str]:
    values = [value.lower() for value in given]
    for value in values:
        if not form.fullmatch(value):
            raise InputError(
                f"An allowed {what} must be written as clients send it, such as {example!r}, "
                f"without path, user or '*'; got {value!r}."
            )
    return values
