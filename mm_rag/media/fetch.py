"""Fetching a medium from the web: bounded, and never from where outsiders cannot look."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from mm_rag.content import Url
from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media.hosts import is_proxied, public_addresses
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

_SILENCE = 20.0  # seconds without an answer
_LONGEST = 900.0  # seconds for the whole of a medium
_MOST_REDIRECTS = 5
_HEADERS = {"User-Agent": "mm-rag", "Accept": "*/*", "Accept-Encoding": "identity"}


@contextmanager
def fetched(url: Url, policy: MediaPolicy = DEFAULT_POLICY) -> Generator[Path]:
    """A medium of the web as a file, which is gone after the `with` block.

    Redirects are followed; each address on the way is checked like the first. The connection goes
    to the very machine that was checked, whatever the name resolves to a moment later.

    Args:
        url: Where it is.
        policy: Whether and from where media are fetched, and how many bytes at most.

    Raises:
        InputError: The address is malformed, or the policy forbids it.
        UnreadableMedia: It cannot be reached, or does not answer with a medium.
        MediaTooLarge: It is over the policy's `max_bytes`.
    """
    with tempfile.TemporaryDirectory(prefix="mm-rag-") as folder:
        path = Path(folder) / _file_name(url.address)
        with _network_errors(url.address):
            _download(_parsed(url.address), path, policy)
        yield path


def fetch_bytes(url: Url, policy: MediaPolicy = DEFAULT_POLICY) -> bytes:
    """The bytes of a medium of the web.

    Raises:
        InputError: As for `fetched`.
        UnreadableMedia: As for `fetched`.
        MediaTooLarge: As for `fetched`.
    """
    with fetched(url, policy) as path:
        return path.read_bytes()


@contextmanager
def local_file(source: Path | Url, policy: MediaPolicy = DEFAULT_POLICY) -> Generator[Path]:
    """A file as it is, an address as the file that is fetched from it.

    Raises:
        InputError: As for `fetched`.
        UnreadableMedia: As for `fetched`.
        MediaTooLarge: As for `fetched`.
    """
    if isinstance(source, Path):
        yield source
        return
    with fetched(source, policy) as path:
        yield path


def shown(address: str) -> str:
    """An address for a message, without the secrets in it: no password, no query."""
    return re.sub(r"//[^/@]*@", "//", address.split("?")[0].split("#")[0])[:300]


def _download(url: httpx.URL, path: Path, policy: MediaPolicy) -> None:
    for _ in range(_MOST_REDIRECTS + 1):
        with _answer(url, policy) as response:
            location = response.headers.get("location")
            if not (response.is_redirect and location):
                _write(response, path, url, policy)
                return
            url = _parsed(location, url)
    raise UnreadableMedia(f"{shown(str(url))} redirects more than {_MOST_REDIRECTS} times.")


@contextmanager
def _answer(url: httpx.URL, policy: MediaPolicy) -> Generator[httpx.Response]:
    """What a URL answers, unread."""
    addresses = public_addresses(url, policy)
    # A proxy resolves names itself. Without one the environment's rules for proxies, which are
    # about names, must not be applied to the numbers that the names are replaced with.
    direct: dict[str, httpx.BaseTransport | None] = {"http://": None, "https://": None}
    proxied = is_proxied(url)
    with httpx.Client(timeout=_SILENCE, mounts={} if proxied else direct) as client:
        requests = [_request(client, url, address) for address in addresses]
        if proxied:
            requests = [client.build_request("GET", url, headers=_HEADERS)]
        response = _first_answer(client, requests)
        try:
            yield response
        finally:
            response.close()


def _request(client: httpx.Client, url: httpx.URL, address: str) -> httpx.Request:
    return client.build_request(
        "GET",
        url.copy_with(host=address),
        headers={**_HEADERS, "Host": url.netloc.decode("ascii")},
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )


def _first_answer(client: httpx.Client, requests: list[httpx.Request]) -> httpx.Response:
    """The answer of the first machine that can be reached."""
    for request in requests[:-1]:
        try:
            return client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    return client.send(requests[-1], stream=True)


def _write(response: httpx.Response, path: Path, url: httpx.URL, policy: MediaPolicy) -> None:
    name = shown(str(url))
    if response.status_code != 200:
        raise UnreadableMedia(
            f"{name} answers {response.status_code} {response.reason_phrase}.".replace(" .", ".")
        )
    _check_size(int(response.headers.get("content-length") or 0), name, policy)
    size, deadline = 0, time.monotonic() + _LONGEST
    with path.open("wb") as file:
        for piece in response.iter_bytes():
            size += len(piece)
            _check_size(size, name, policy)
            if time.monotonic() > deadline:
                raise UnreadableMedia(f"{name} takes longer than {_LONGEST:.0f} s to fetch.")
            file.write(piece)
    if size == 0:
        raise UnreadableMedia(f"{name} is empty (0 bytes).")


def _check_size(size: int, name: str, policy: MediaPolicy) -> None:
    if size > policy.max_bytes:
        raise MediaTooLarge(
            f"{name} has {size:,} bytes or more; MediaPolicy.max_bytes allows {policy.max_bytes:,}."
        )


def _parsed(address: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        url = base.join(address) if base else httpx.URL(address)
    except httpx.InvalidURL as error:
        raise InputError(f"{shown(address)!r} is no address: {error}.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InputError(
            f"{shown(address)!r} is not fetched: addresses begin with http:// or https://."
        )
    return url


def _file_name(address: str) -> str:
    """The last part of the address, so that messages about the file name it."""
    last = shown(address).rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w.-]", "_", last)[-80:].lstrip(".") or "medium"


@contextmanager
def _network_errors(address: str) -> Generator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        raise UnreadableMedia(
            f"{shown(address)} cannot be fetched: no answer within {_SILENCE:.0f} s."
        ) from error
    except httpx.HTTPError as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise UnreadableMedia(f"{shown(address)} cannot be fetched: {reason}.") from error
    except OSError as error:
        raise UnreadableMedia(
            f"{shown(address)} cannot be kept while it is read: {error.strerror}."
        ) from error
