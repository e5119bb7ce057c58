"""The connection to a Chroma server, and what its errors mean."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import chromadb
import httpx
from chromadb.api import ClientAPI
from chromadb.errors import ChromaError

from mm_rag.errors import CollectionError, MMRagError

_PORTS = {"http": 8000, "https": 443}
_BY_CLIENT = (
    "Make a client by chromadb.HttpClient(host=..., port=..., headers=...) and pass it instead."
)


def connected(address: str) -> ClientAPI:
    """A client of the server at `http://host:8000`.

    Raises:
        CollectionError: It does not answer, or the address says more than scheme, host and port.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise CollectionError(f"{address} is no address of a server: {error}.") from error
    if not host or "@" in parts.netloc or parts.path.strip("/") or parts.query:
        raise CollectionError(
            f"{_without_secrets(parts.netloc)} cannot be used: the address of a Chroma server is "
            f"a scheme, a host and a port, such as http://localhost:8000. {_BY_CLIENT}"
        )
    secure = parts.scheme.lower() == "https"
    with answering(address):
        return chromadb.HttpClient(host, port or _PORTS[parts.scheme.lower()], ssl=secure)


def _without_secrets(netloc: str) -> str:
    return netloc.rpartition("@")[2] or "It"


def address_of(client: ClientAPI) -> str:
    """Where a client's server is.

    Raises:
        CollectionError: It has none.
    """
    settings = client.get_settings()
    host, port = settings.chroma_server_host, settings.chroma_server_http_port
    if settings.chroma_api_impl != "chromadb.api.fastapi.FastAPI" or not host:
        raise CollectionError(
            "A Collection takes clients made by chromadb.HttpClient only, and this one keeps its "
            "data itself: name its folder instead, Collection('folder'), or ':memory:'."
        )
    if "://" in host:  # Chroma takes whole addresses as hosts, too
        return host
    return f"http{'s' if settings.chroma_server_ssl_enabled else ''}://{host}:{port}"


def hang_up(client: ClientAPI) -> None:
    """Close a client and its connections, which Chroma's own `close` leaves open."""
    parts: list[Any] = [client, getattr(client, "_admin_client", None)]
    parts[0].close()
    for part in parts:
        session = getattr(getattr(part, "_server", None), "_session", None)
        if isinstance(session, httpx.Client):
            session.close()


@contextmanager
def answering(place: str) -> Generator[None]:
    """Say what it means when a server does not do what it is asked.

    Raises:
        CollectionError: It is gone, refuses, or fails.
    """
    try:
        yield
    except MMRagError:  # some are ValueErrors, too
        raise
    except (httpx.HTTPError, OSError) as error:
        raise CollectionError(
            f"The Chroma server {place} does not answer: {error}. Is it running (chroma run)? "
            "What was written before is intact; call again when it is back."
        ) from error
    except (ChromaError, ValueError) as error:
        raise CollectionError(f"The Chroma server {place} refuses: {error}") from error
    except Exception as error:
        if type(error) is not Exception:  # Chroma raises just that for answers it does not know
            raise
        raise CollectionError(f"The Chroma server {place} fails: {error}") from error
