"""Serving: over standard input and output, or over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TextIO

import anyio
import uvicorn
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings

from mm_rag.errors import InputError
from mm_rag_mcp.sdk import http_app

_HERE = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("0.0.0.0", "::")
_SHUTDOWN = 3  # seconds that calls are given to end


@contextmanager
def protocol_output() -> Generator[TextIO]:
    """Keep standard output for the protocol: what else is printed in the block goes to stderr.

    Yields:
        What leads to where standard output did.
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
        server: From `make_server`.
        output: From `protocol_output`.
    """

    async def serve() -> None:
        async with stdio_server(stdout=anyio.wrap_file(output)) as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    # At once: else the thread that waits for input would keep the process until there is some.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(serve)
    finally:
        signal.signal(signal.SIGINT, before)


def serve_http(server: Server[Any], host: str, port: int) -> None:
    """Serve over streamable HTTP at `/mcp`, until the process is interrupted.

    Requests that name another host than the one it is bound to are refused, so that no web page
    reaches it through a browser on this machine. Bound to all addresses, it takes any name.

    Args:
        server: From `make_server`.
        host: Address to listen at. Whoever reaches it can read the collection.
        port: Of the address; 0 for any that is free.

    Raises:
        InputError: The address is not this machine's, or the port is taken.
    """
    listener = _listener(host, port)
    address = f"http://{_in_url(host)}:{listener.getsockname()[1]}/mcp"
    app = http_app(server, host, _security(host))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=_SHUTDOWN
    )
    sys.stderr.write(f"Serving at {address}\n")
    uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"Nothing can be served at {_in_url(host)}:{port} ({error}). Choose another port, or "
            "an address of this machine."
        ) from error


def _security(host: str) -> TransportSecuritySettings | None:
    if host in (*_HERE, *_EVERYWHERE):
        return None  # the SDK's own: the names of this machine; bound to all addresses, any
    name = _in_url(host)
    return TransportSecuritySettings(
        allowed_hosts=[f"{name}:*"], allowed_origins=[f"http://{name}:*"]
    )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
