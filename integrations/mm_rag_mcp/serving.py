"""Serving: over standard input and output, or over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import anyio
import uvicorn
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings

from mm_rag.errors import InputError
from mm_rag_mcp.callers import CheckedCallers, in_url
from mm_rag_mcp.sdk import http_app

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


def serve_http(
    server: Server[Any],
    host: str,
    port: int,
    *,
    allowed_hosts: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
) -> None:
    """Serve over streamable HTTP at `/mcp`, until the process is interrupted.

    Requests that name another host than the one it is bound to, or come from a page of another
    site, are refused, so that no web page reaches it through a browser on this machine.

    Args:
        server: From `make_server`.
        host: Address to listen at. Whoever reaches it can read the collection.
        port: Of the address; 0 for any that is free.
        allowed_hosts: More names that it is reached under: `mcp.example.org:8443`.
        allowed_origins: Sites whose pages may call it: `https://app.example.org`.

    Raises:
        InputError: The address is not this machine's, the port is taken, or an allowed host or
            origin is none.
    """
    # Its own checks are left out for those of CheckedCallers.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = http_app(server, host, unchecked)
    listener = _listener(host, port)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        CheckedCallers(app, host, port, allowed_hosts, allowed_origins),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_SHUTDOWN,
    )
    sys.stderr.write(f"Serving at http://{in_url(host)}:{port}/mcp\n")
    uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"Nothing can be served at {in_url(host)}:{port} ({error}). Choose another port, or "
            "an address of this machine."
        ) from error
