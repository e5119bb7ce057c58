"""Releases 1 and 2 of the MCP SDK, which implement the same protocol with different classes.

Adapters of frameworks (langchain-mcp-adapters, llama-index-tools-mcp) require release 1. The rest
of the server uses the protocol's messages as plain dicts; only this file depends on the release.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, TypeAlias

from mcp import types
from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mm_rag._threads import run_in_thread
from mm_rag.errors import InputError, MMRagError

Message: TypeAlias = Mapping[str, Any]
"""Parameters of a request, or a result, with the names of the protocol: `{"mimeType": ...}`."""

Handler: TypeAlias = Callable[[Message], Message]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_METHODS = {
    "tools/list": ("list_tools", "ListTools"),
    "tools/call": ("call_tool", "CallTool"),
    "resources/list": ("list_resources", "ListResources"),
    "resources/read": ("read_resource", "ReadResource"),
    "prompts/list": ("list_prompts", "ListPrompts"),
    "prompts/get": ("get_prompt", "GetPrompt"),
}
"""Method of the protocol -> name of the handler (release 2) and prefix of the SDK's types."""


def make_sdk_server(
    name: str, release: str, instructions: str, handlers: Mapping[str, Handler]
) -> Server[Any]:
    """Make a server with the installed release of the SDK.

    Args:
        name: Name of the server, for clients.
        release: Version of the server, for clients.
        instructions: Description of the server for chat models.
        handlers: Functions by method (`tools/list`), called in threads. An MMRagError that one
            raises becomes a protocol error.
    """
    if _is_release_1():
        server: Any = Server(name, version=release, instructions=instructions)
        for method, handler in handlers.items():
            _register_in_release_1(server, _METHODS[method][1], handler)
        return server
    given: dict[str, Any] = {
        f"on_{_METHODS[method][0]}": _release_2_handler(_METHODS[method][1], handler)
        for method, handler in handlers.items()
    }
    return Server(name, version=release, instructions=instructions, **given)


def http_app(server: Server[Any], host: str, security: TransportSecuritySettings | None) -> Any:
    """Make an ASGI app that serves over streamable HTTP at `/mcp`, without sessions.

    Args:
        server: The server, from `make_sdk_server`.
        host: Address that the app is bound to.
        security: Hosts and origins that requests may name. None: the names of this machine if the
            app is bound to a loopback address, otherwise any.
    """
    if not _is_release_1():
        return server.streamable_http_app(
            host=host, stateless_http=True, transport_security=security
        )
    if security is None and host in _LOOPBACK:
        names = [f"{name}:*" for name in ("127.0.0.1", "localhost", "[::1]")]
        security = TransportSecuritySettings(
            allowed_hosts=names, allowed_origins=[f"http://{name}" for name in names]
        )
    sessions = StreamableHTTPSessionManager(app=server, stateless=True, security_settings=security)

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncGenerator[None]:
        async with sessions.run():
            yield

    return Starlette(routes=[Route("/mcp", _Endpoint(sessions))], lifespan=running)


class _Endpoint:
    """The sessions as an ASGI app. Starlette would treat a function as a request handler."""

    def __init__(self, sessions: StreamableHTTPSessionManager) -> None:
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._sessions.handle_request(scope, receive, send)


def _is_release_1() -> bool:
    return version("mcp").startswith("1.")


def _release_2_handler(kind: str, handler: Handler) -> Callable[..., Awaitable[Any]]:
    result_type = getattr(types, f"{kind}Result")

    async def handle(_: object, params: Any) -> Any:
        return result_type.model_validate(await _call(handler, params))

    return handle


def _register_in_release_1(server: Any, kind: str, handler: Handler) -> None:
    sdk: Any = types
    result_type = getattr(types, f"{kind}Result")

    async def handle(request: Any) -> Any:
        return sdk.ServerResult(result_type.model_validate(await _call(handler, request.params)))

    server.request_handlers[getattr(types, f"{kind}Request")] = handle


async def _call(handler: Handler, params: Any) -> Message:
    given = params.model_dump(mode="json", by_alias=True, exclude_none=True) if params else {}
    try:
        return await run_in_thread(handler, given)
    except MMRagError as error:
        code = types.INVALID_PARAMS if isinstance(error, InputError) else types.INTERNAL_ERROR
        raise _protocol_error(code, str(error)) from error


def _protocol_error(code: int, message: str) -> Exception:
    if _is_release_1():
        from mcp.shared import exceptions

        sdk: Any = exceptions
        return sdk.McpError(types.ErrorData(code=code, message=message))
    from mcp import MCPError

    return MCPError(code=code, message=message)
