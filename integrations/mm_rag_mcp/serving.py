"""Serving: over standard input and output, or over HTTP."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from mm_rag.errors import InputError

_HERE = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("0.0.0.0", "::")
_SHUTDOWN = 3  # seconds that calls are given to end


@contextmanager
def output_kept() -> Generator[int]:
    """Keep standard output for the protocol: what else is printed in the block goes to stderr.

    Yields:
        The descriptor that leads to where standard output did.
    """
    with _output_to(sys.stderr.fileno()) as kept:
        yield kept


def serve_stdio(server: MCPServer, output: int) -> None:
    """Serve over standard input and output, until the input ends.

    Args:
        server: From `make_server`.
        output: The descriptor that `output_kept` yields.
    """
    # While it serves, the SDK sends to stderr what anything prints, unless Python still holds it.
    sys.stdout.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    with _output_to(output):
        server.run("stdio")


def serve_http(server: MCPServer, host: str, port: int) -> None:
    """Serve over streamable HTTP at `/mcp`, until the process is interrupted.

    Requests that name another host than the one it is bound to are refused, so that no web page
    can reach it through a browser on this machine, unless it is bound to all of the machine's.

    Args:
        server: From `make_server`.
        host: Address to listen at. Whoever reaches it can read the collection.
        port: Of the address; 0 for any that is free.

    Raises:
        InputError: The address is not this machine's, or the port is taken.
    """
    listener = _listener(host, port)
    address = f"http://{_in_url(host)}:{listener.getsockname()[1]}/mcp"
    app = server.streamable_http_app(
        host=host, stateless_http=True, transport_security=_security(host)
    )
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=_SHUTDOWN
    )
    sys.stderr.write(f"Serving at {address}\n")
    uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"Nothing can be served at {_in_url(host)}:{port} ({error}). Choose another port or an "
            "address of this machine."
        ) from error


def _security(host: str) -> TransportSecuritySettings | None:
    if host in _HERE or host in _EVERYWHERE:
        return None  # the SDK's own: names of this machine only, or, bound to all, any name
    name = _in_url(host)
    return TransportSecuritySettings(
        allowed_hosts=[f"{name}:*"], allowed_origins=[f"http://{name}:*"]
    )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def _output_to(descriptor: int) -> Generator[int]:
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield before
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
