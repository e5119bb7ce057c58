"""Addresses: what they mean, in one spelling, before anything is opened or asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mm_rag.content import Url
from mm_rag.errors import InputError, SourceForbidden
from mm_rag.media.hosts import parse_host
from mm_rag.media.policy import SCHEMES, MediaPolicy

if TYPE_CHECKING:
    import httpx

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
# One scheme, or several before slashes: "view-source:http://".
_BEGIN = re.compile(
    r"[\x00-\x20]*(?P<scheme>([a-z][a-z0-9+.-]*:)+(?=[/\\])|[a-z][a-z0-9+.-]*:|)(?P<slashes>[/\\]*)",
    re.IGNORECASE,
)
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")
# The same parts as in httpx: scheme, user, host, port, and the rest.
_WEB = re.compile(
    r"(?P<before>https?://(?:[^/?#]*@)?)(?P<host>\[[^/?#@]*\]|[^/?#@:]*)(?P<after>(?::\d*)?([/?#].*)?)",
    re.IGNORECASE | re.DOTALL,
)


def shown(address: str) -> str:
    """An address for a message, without the secrets in it: no user, no password, no query."""
    return re.split(r"[?#]", without_user(address))[0][:300]


def without_user(address: str) -> str:
    """An address without user and password, however oddly it is written; else as it is.

    Of a `data:` address only what it claims to be is left.
    """
    begin = _BEGIN.match(address)
    assert begin
    scheme, rest = begin["scheme"].lower(), address[begin.end() :]
    if scheme == "data:":
        return f"{begin[0]}{rest.partition(',')[0][:100]},..."
    if scheme == "file:" and begin["slashes"] != "//":
        return address
    authority = re.split(r"[/\\?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return begin[0] + rest[authority.rindex("@") + 1 :]
    if _HOST_AND_PORT.fullmatch(authority):
        return address
    # A password with a slash in it, or one that was cut off in the middle.
    if "@" in rest:
        return begin[0] + rest[rest.rindex("@") + 1 :]
    return begin[0] + authority.partition(":")[0] + rest[len(authority) :]


def scheme_of(address: str, policy: MediaPolicy) -> str:
    """The scheme of an address, in lower case: of those that the policy allows.

    Raises:
        SourceForbidden: The policy does not allow it.
        InputError: There is none.
    """
    found = _SCHEME.match(address)
    if found is None:
        raise InputError(
            f"{shown(address)!r} is no address: addresses begin with http:// or https://."
        )
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        raise SourceForbidden(
            f"{shown(address)!r} is not opened: addresses begin with http:// or https://."
        )
    if scheme not in policy.schemes:
        raise SourceForbidden(
            f"{shown(address)!r} is not opened: {scheme!r} is not one of MediaPolicy.schemes "
            f"({', '.join(sorted(policy.schemes)) or 'none'}). Add it there if such addresses may "
            "be opened."
        )
    return scheme


def local_path(url: Url, policy: MediaPolicy) -> Path | None:
    """The file that a `file:` address names; None for an address of the web.

    Whether that file may be opened is not asked here.

    Raises:
        SourceForbidden: The policy does not allow the scheme, or it names another machine.
        InputError: It names no file.
    """
    if scheme_of(url.address, policy) != "file":
        return None
    try:
        parts = urlsplit(url.address)
        path = url2pathname(parts.path)
    except (ValueError, OSError) as error:
        raise InputError(f"{shown(url.address)!r} names no file.") from error
    if parts.netloc.lower() not in ("", "localhost") or parts.path.startswith("//"):
        raise SourceForbidden(
            f"{shown(url.address)!r} is not opened: it names a file of another machine. Files of "
            "this one begin with file:///."
        )
    if "\0" in path or not Path(path).is_absolute():
        raise InputError(f"{shown(url.address)!r} names no file: give an absolute path.")
    return Path(path)


def parsed_url(address: str, policy: MediaPolicy, base: httpx.URL | None = None) -> httpx.URL:
    """An address of the web, with its host in one spelling, so that everybody reads it alike.

    Args:
        address: Absolute, or where `base` redirects to.
        policy: Its `schemes` count.
        base: What redirects to it.

    Raises:
        SourceForbidden: The policy does not allow the scheme, it names a file, or what it has for
            a host is neither a name nor a number.
        InputError: It is malformed.
    """
    import httpx

    try:
        if base is not None and "\\" not in address:
            address = str(base.join(address))
        if scheme_of(address, policy) == "file":
            raise SourceForbidden(f"{shown(address)!r} is not opened: the web does not name files.")
        parts = _WEB.fullmatch(address)
        # Some take a backslash for a slash, and what follows it for a path.
        if parts is None or not parts["host"] or "\\" in parts["before"]:
            raise InputError(f"{shown(address)!r} is no address that can be fetched.")
        return httpx.URL(f"{parts['before']}{_host(parts['host'])}{parts['after']}")
    except httpx.InvalidURL as error:
        raise InputError(f"{shown(address)!r} is no address that can be fetched.") from error


def _host(text: str) -> str:
    try:
        host = parse_host(text)
    except ValueError as error:
        raise SourceForbidden(
            f"Nothing is fetched from {text[:100]!r}, which is neither the name of a machine nor "
            "its number."
        ) from error
    return f"[{host}]" if ":" in str(host) else str(host)
