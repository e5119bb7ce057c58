"""Fetch media from the web: bounded in size and time, and never from private networks."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import time
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

from mm_rag._temporary import TemporaryFolder
from mm_rag.content import Url
from mm_rag.errors import SourceForbidden, UnreadableMedia
from mm_rag.media.access import check_bytes
from mm_rag.media.addresses import local_path, parsed_url, shown
from mm_rag.media.hosts import IPAddress, is_inside, is_public, parse_host
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

if TYPE_CHECKING:  # slow to import, and most media are files
    import httpx

_SILENCE = 20.0  # seconds without an answer
_LONGEST = 900.0  # seconds for a medium
_MOST_REDIRECTS = 5
_MOST_ADDRESSES = 4  # addresses of one host that are tried
_UNPACKED = 1024**2  # bytes at a time
_TOO_LONG = "takes too long to fetch (MediaPolicy.max_load_seconds)."
_HEADERS = {"User-Agent": "mm-rag", "Accept": "*/*", "Accept-Encoding": "identity"}


@contextmanager
def fetched(url: Url, policy: MediaPolicy = DEFAULT_POLICY) -> Generator[Path]:
    """Fetch a medium into a file, which is deleted after the `with` block.

    Redirects are followed, and each address on the way is checked like the first. The connection is
    made to the IP address that was checked, whatever the name resolves to a moment later.

    Args:
        url: A web address; no `file:` address.
        policy: From where media may be fetched, and limits.

    Raises:
        SourceForbidden: The policy does not allow the address, or a redirect.
        InputError: The address is malformed.
        UnreadableMedia: It cannot be reached, or does not answer with a medium.
        MediaTooLarge: The medium is over the policy's `max_bytes`.
    """
    first = parsed_url(url.address, policy)
    with TemporaryFolder() as folder:
        path = folder.path / _file_name(url.address)
        deadline = time.monotonic() + min(_LONGEST, policy.max_load_seconds)
        with _network_errors(url.address, deadline):
            _download(first, path, policy, deadline)
        yield path


def fetch_bytes(url: Url, policy: MediaPolicy = DEFAULT_POLICY) -> bytes:
    """Fetch the bytes of a medium.

    Raises:
        InputError: As for `fetched`.
        UnreadableMedia: As for `fetched`.
        MediaTooLarge: As for `fetched`.
    """
    with fetched(url, policy) as path:
        return path.read_bytes()


@contextmanager
def written(data: bytes, policy: MediaPolicy = DEFAULT_POLICY) -> Generator[Path]:
    """Write the bytes of a medium to a file, which is deleted after the `with` block.

    Raises:
        UnreadableMedia: There are no bytes, or they cannot be written.
        MediaTooLarge: They are over the policy's `max_bytes`.
    """
    check_bytes(len(data), "The medium", policy)
    if not data:
        raise UnreadableMedia("The medium is empty (0 bytes).")
    with TemporaryFolder() as folder:
        path = folder.path / "medium"
        try:
            path.write_bytes(data)
        except OSError as error:
            raise UnreadableMedia(
                f"The medium cannot be kept while it is read: {error.strerror}."
            ) from error
        yield path


@contextmanager
def local_file(
    source: Path | Url | bytes, policy: MediaPolicy = DEFAULT_POLICY
) -> Generator[tuple[Path, MediaPolicy]]:
    """The path of a medium: a file itself, or a temporary file for bytes and web addresses.

    Yields:
        The path, which is not opened yet, and the policy to open it with: without `roots` for a
        temporary file, which lies outside of them.

    Raises:
        SourceForbidden: As for `fetched`.
        InputError: As for `fetched`.
        UnreadableMedia: As for `fetched`.
        MediaTooLarge: As for `fetched`.
    """
    if isinstance(source, Path):
        yield source, policy
    elif isinstance(source, bytes):
        with written(source, policy) as path:
            yield path, replace(policy, roots=None)
    elif (named := local_path(source, policy)) is not None:
        yield named, policy
    else:
        with fetched(source, policy) as path:
            yield path, replace(policy, roots=None)


def _download(url: httpx.URL, path: Path, policy: MediaPolicy, deadline: float) -> None:
    for _ in range(_MOST_REDIRECTS + 1):
        with _answer(url, policy, deadline) as response:
            location = response.headers.get("location")
            if not (response.is_redirect and location):
                _write(response, path, shown(str(url)), policy, deadline)
                return
            url = parsed_url(location, policy, url)
    raise UnreadableMedia(f"{shown(str(url))} redirects more than {_MOST_REDIRECTS} times.")


@contextmanager
def _answer(url: httpx.URL, policy: MediaPolicy, deadline: float) -> Generator[httpx.Response]:
    """The response to a request, without its body."""
    addresses = allowed_addresses(url, policy)
    proxy = proxy_for(url)
    with _client(proxy, deadline) as client:
        # A proxy resolves names itself.
        requests = [_request(client, url, one) for one in addresses[:_MOST_ADDRESSES] if not proxy]
        if proxy:
            requests = [client.build_request("GET", url, headers=_HEADERS)]
        response = _first_answer(client, requests)
        try:
            yield response
        finally:
            response.close()


def allowed_addresses(url: httpx.URL, policy: MediaPolicy) -> list[str]:
    """Resolve the host of a URL, and check that the policy allows all of its IP addresses.

    A refused host name is not resolved.

    Args:
        url: The URL to fetch, from `parsed_url`.
        policy: Its `hosts` and `private_hosts` apply.

    Returns:
        IP addresses in the order to try them; none if only the proxy can resolve the name.

    Raises:
        SourceForbidden: The host is not one of `hosts`, or an address is private or reserved.
        UnreadableMedia: The name cannot be resolved.
    """
    host = parse_host(_bracketed(url.host))
    _check_listed(host, policy)
    if isinstance(host, str):
        if is_inside(host) and not policy.private_hosts:
            raise _private(host, "a name of this machine or its private network")
        found = _looked_up(url, host)
    else:
        found = [host]
    for address in found:
        if not is_public(address) and not policy.private_hosts:
            what = "an address of this machine or its private network, or a reserved one"
            raise _private(str(host), what if address is host else f"{address}, {what}")
    return [str(address) for address in found]


def _bracketed(host: str) -> str:
    """The host with the brackets of IPv6, which httpx removes."""
    return f"[{host}]" if ":" in host else host


def _check_listed(host: IPAddress | str, policy: MediaPolicy) -> None:
    name = str(host)
    if policy.hosts is None or name in policy.hosts:
        return
    is_name = isinstance(host, str)
    if not (is_name and any(name.endswith(f".{listed}") for listed in policy.hosts)):
        raise SourceForbidden(
            f"Nothing is fetched from {name}: it is not one of MediaPolicy.hosts. Add it there if "
            "media may be fetched from it."
        )


def _looked_up(url: httpx.URL, host: str) -> list[IPAddress]:
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if proxy_for(url):
            return []
        raise UnreadableMedia(f"There is no host {host!r} to fetch from: {error}.") from error
    return [ipaddress.ip_address(place) for place in dict.fromkeys(str(p[4][0]) for p in places)]


def _private(host: str, what: str) -> SourceForbidden:
    return SourceForbidden(
        f"Nothing is fetched from {host}: it is {what}. MediaPolicy(private_hosts=True) allows it; "
        "then anyone who can name an address can read what this machine can reach."
    )


def proxy_for(url: httpx.URL) -> str | None:
    """The proxy for this URL in the environment; None for a direct connection."""
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


@contextmanager
def _client(proxy: str | None, deadline: float) -> Generator[httpx.Client]:
    """An HTTP client with the given proxy or none, whatever the environment says.

    Its connections are closed at the deadline: a slow server that sends a few bytes now and then
    would never time out.
    """
    import httpx

    try:
        transport = httpx.HTTPTransport(proxy=proxy)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise UnreadableMedia(
            "Nothing can be fetched through the proxy that the environment names: it is malformed, "
            f"or needs a package that is not installed ({type(error).__name__})."
        ) from error
    end = threading.Timer(max(0.0, deadline - time.monotonic()), transport.close)
    end.daemon = True
    end.start()
    try:
        with httpx.Client(timeout=_SILENCE, transport=transport) as client:
            yield client
    finally:
        end.cancel()


def _request(client: httpx.Client, url: httpx.URL, address: str) -> httpx.Request:
    return client.build_request(
        "GET",
        url.copy_with(host=address),
        headers={**_HEADERS, "Host": url.netloc.decode("ascii")},
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )


def _first_answer(client: httpx.Client, requests: list[httpx.Request]) -> httpx.Response:
    """The response of the first address that can be reached."""
    import httpx

    for request in requests[:-1]:
        try:
            return client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    return client.send(requests[-1], stream=True)


def _write(
    response: httpx.Response, path: Path, name: str, policy: MediaPolicy, deadline: float
) -> None:
    if response.status_code != 200:
        raise UnreadableMedia(
            f"{name} answers {response.status_code} {response.reason_phrase}.".replace(" .", ".")
        )
    claimed = response.headers.get("content-length", "")
    check_bytes(int(claimed) if claimed.isdecimal() else 0, name, policy)
    size = 0
    with path.open("wb") as file:
        for piece in _unpacked(response, name):
            size += len(piece)
            check_bytes(size, name, policy)
            if time.monotonic() > deadline:
                raise UnreadableMedia(f"{name} {_TOO_LONG}")
            file.write(piece)
    if size == 0:
        raise UnreadableMedia(f"{name} is empty (0 bytes).")


def _unpacked(response: httpx.Response, name: str) -> Iterator[bytes]:
    """The body in pieces of bounded size, decompressed if the server compresses it unasked.

    httpx would decompress each piece at once, whatever its size.
    """
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed in ("identity", ""):
        yield from response.iter_raw()
        return
    if packed not in ("gzip", "x-gzip", "deflate"):
        raise UnreadableMedia(f"{name} is sent packed ({packed[:40]!r}) without being asked.")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        for piece in response.iter_raw():
            left = piece
            while left and not unpacker.eof:
                yield unpacker.decompress(left, _UNPACKED)
                left = unpacker.unconsumed_tail
    except zlib.error as error:
        raise UnreadableMedia(f"{name} is sent packed, and damaged: {error}.") from error


def _file_name(address: str) -> str:
    """A file name made from the last part of the address, for messages."""
    last = shown(address).rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w.-]", "_", last)[-60:].lstrip(".") or "medium"


@contextmanager
def _network_errors(address: str, deadline: float) -> Generator[None]:
    import httpx

    name = shown(address)
    try:
        yield
    except httpx.HTTPError as error:
        if time.monotonic() > deadline:
            raise UnreadableMedia(f"{name} {_TOO_LONG}") from error
        reason = str(error).strip().rstrip(".") or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            reason = f"no answer within {_SILENCE:.0f} s"
        raise UnreadableMedia(f"{name} cannot be fetched: {reason}.") from error
    except httpx.InvalidURL as error:  # target of a redirect, such as `mailto:`
        raise UnreadableMedia(f"{name} redirects to a text that is no address.") from error
    except OSError as error:
        raise UnreadableMedia(
            f"{name} cannot be kept while it is read: {error.strerror}."
        ) from error
