"""Parse addresses of media: scheme, host and local path, without opening or resolving anything."""

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
# One scheme, or several before slashes, as in "view-source:http://".
_BEGIN = re.compile(
    r"[\x00-\x20]*(?P<scheme>([a-z][a-z0-9+.-]*:)+(?=[/\\])|[a-z][a-z0-9+.-]*:|)(?P<slashes>[/\\]*)",
    re.IGNORECASE,
)
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")
# Scheme, user, host, port and the rest, split in the same way as in httpx.
_WEB = re.compile(
    r"(?P<before>https?://(?:[^/?#]*@)?)(?P<host>\[[^/?#@]*\]|[^/?#@:]*)(?P<after>(?::\d*)?([/?#].*)?)",
    re.IGNORECASE | re.DOTALL,
)


def shown(address: str) -> str:
    """An address for messages, without user, password and query."""
    return re.split(r"[?#]", without_user(address))[0][:300]


def without_user(address: str) -> str:
    """An address without user and password, even if it is malformed.

    Of a `data:` address only the declared type is left.
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
    # The password contains a slash, or was truncated.
    if "@" in rest:
        return begin[0] + rest[rest.rindex("@") + 1 :]
    return begin[0] + authority.partition(":")[0] + rest[len(authority) :]


def scheme_of(address: str, policy: MediaPolicy) -> str:
    """The scheme of an address, in lower case.

    Raises:
        SourceForbidden: The policy does not allow the scheme.
        InputError: There is no scheme.
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
    """The path in a `file:` address; None for a web address.

    Whether the file may be opened is not checked here.

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
    """A web address with its host in canonical form, so that all libraries read it in the same way.

    Args:
        address: An absolute address, or the target of a redirect.
        policy: Which `schemes` are allowed.
        base: The address that redirects to it.

    Raises:
        SourceForbidden: The policy does not allow the scheme, the address names a file, or its host
            is neither a name nor an IP address.
        InputError: It is malformed.
    """
    import httpx

    try:
        if base is not None and "\\" not in address:
            address = str(base.join(address))
        if scheme_of(address, policy) == "file":
            raise SourceForbidden(f"{shown(address)!r} is not opened: the web does not name files.")
        parts = _WEB.fullmatch(address)
        # Some parsers treat a backslash as a slash, and what follows it as a path.
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
