"""Which HTTP requests are answered: those that name this server, and no web page of another one.

A browser on this machine sends a page's requests wherever the page says. Two headers give them
away: `Origin`, the site that the page is of, and `Host`, under which name the page found this
server. Both are compared whole: the SDK's own check takes `127.0.0.1:8321@evil.example` for
`127.0.0.1:8321`, and pages of any other program on this machine for pages of this server.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mm_rag.errors import InputError

_HERE = frozenset({"127.0.0.1", "localhost", "::1"})
_EVERYWHERE = frozenset({"0.0.0.0", "::"})
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:(?P<port>\d{1,5}))?", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?", re.ASCII)


class CheckedCallers:
    """An ASGI app that refuses requests which name another host, or come from another site.

    Args:
        app: What answers the others.
        host: Address that the server is bound to. Bound to all addresses, it also answers under any
            number, whichever port leads to it: a page cannot choose a number as its own name.
        port: Of that address.
        allowed_hosts: More names that it is reached under, such as that of a proxy before it, with
            the port where one is sent: `mcp.example.org`, `mcp.example.org:8443`.
        allowed_origins: Sites whose pages may call it: `https://app.example.org`.

    Raises:
        InputError: A host or an origin is none.
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
        self._takes_numbers = host in _EVERYWHERE
        self._hosts = frozenset(_checked(_HOST, "host", "mcp.example.org:8443", allowed_hosts))
        self._origins = frozenset(
            _checked(_ORIGIN, "origin", "https://app.example.org", allowed_origins)
        )
        self._names = frozenset(map(in_url, _names(host)))
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or not self._is_named(hosts[0]):
            return PlainTextResponse(
                "This server is not known under the name in the Host header. Whoever runs it can "
                "allow the name: --allowed-host.\n",
                status_code=421,
            )
        own = {f"http://{hosts[0]}", f"https://{hosts[0]}"}
        origins = {origin.lower() for origin in headers.getlist("origin")}
        if not origins <= own | self._origins:
            return PlainTextResponse(
                "Pages of the site in the Origin header may not call this server. Whoever runs it "
                "can allow the site: --allowed-origin.\n",
                status_code=403,
            )
        return None

    def _is_named(self, host: str) -> bool:
        parts = _HOST.fullmatch(host)
        if parts is None:
            return False
        if host in self._hosts:
            return True
        if self._takes_numbers:
            return parts["name"] in self._names or _is_number(parts["name"])
        return parts["name"] in self._names and int(parts["port"] or 80) == self._port


def in_url(host: str) -> str:
    """A host as it stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _names(host: str) -> Iterable[str]:
    """What a server that is bound to this address is called."""
    if host in _EVERYWHERE:
        return {*_HERE, socket.gethostname().lower()}
    return _HERE if host in _HERE else {host.lower()}


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _checked(form: re.Pattern[str], what: str, example: str, given: Iterable[str]) -> list[str]:
    values = [value.lower() for value in given]
    for value in values:
        if not form.fullmatch(value):
            raise InputError(
                f"An allowed {what} is written as programs send it, such as {example!r}, without "
                f"path, user or '*'; got {value!r}."
            )
    return values
