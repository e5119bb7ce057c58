"""Vectors on a Chroma server, for a collection whose folder holds everything else.

Each collection has one Chroma collection of its own on the server, named `<name>-<random>`, so
that folders never share one. `ServerRecord` in the folder says which one it is. Both sides hold the
same token, which every write session renews: where the tokens differ, the folder or the server was
copied or restored from a backup, and the vectors there are not the ones in the catalog.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import chromadb
import httpx
from chromadb.api import ClientAPI
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT
from chromadb.errors import ChromaError, NotFoundError

from mm_rag.collection.catalog import Entry
from mm_rag.collection.store import BREADTH, VectorStore, Where
from mm_rag.errors import CollectionError, InputError, MMRagError

_TOKEN = "mm_rag_token"
_PORTS = {"http": 8000, "https": 443}
_CLIENT = 'chroma=chromadb.HttpClient(host="...", port=..., headers={...})'
_BYTES = 20_000_000  # of one request; Chroma refuses 40 MB
_BYTES_PER_NUMBER = 22  # of a float32 written as JSON
_ROWS = 1_000  # in one request or answer


@dataclass(frozen=True, kw_only=True)
class ServerRecord:
    """Which Chroma collection holds a folder's vectors; `<folder>/<name>/chroma-server.json`.

    Attributes:
        url: `http://host:port`; never with credentials.
        tenant: Chroma's tenant.
        database: Chroma's database.
        collection: The name of the Chroma collection.
        token: What the Chroma collection's metadata should hold.
        next_token: What it may hold instead, where the renewal of the token was interrupted.
        obsolete: A Chroma collection of this folder that is to be deleted; empty for none.
    """

    url: str
    tenant: str
    database: str
    collection: str
    token: str
    next_token: str = ""
    obsolete: str = ""

    def write(self, path: Path) -> None:
        """Replace the file at once.

        Raises:
            CollectionError: It cannot be written.
        """
        new = path.with_name(f"{path.name}.new")
        try:
            new.write_text(json.dumps(asdict(self), indent=2) + "\n")
            new.replace(path)
        except OSError as error:
            raise CollectionError(f"{path} cannot be written: {error.strerror}.") from error


def read_record(path: Path) -> ServerRecord | None:
    """The record in a file; None where there is no such file.

    Raises:
        CollectionError: The file is damaged.
    """
    try:
        fields: Any = json.loads(path.read_bytes())
        if not all(isinstance(value, str) for value in fields.values()):
            raise TypeError("a value is not a string")
        return ServerRecord(**fields)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CollectionError(
            f"{path} is damaged: {error}. It says which Chroma server holds the vectors. Delete it "
            "and open the collection with chroma=...: the vectors are uploaded again from the "
            "catalog, without encoding."
        ) from error


def address_of(chroma: str | ClientAPI) -> str:
    """The address of a server as `scheme://host:port`.

    Raises:
        InputError: It is not such an address, or not a client of `chromadb.HttpClient`.
    """
    if not isinstance(chroma, str):
        return _address_of_client(chroma)
    try:
        parts = urlsplit(chroma)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"chroma is not the address of a server: {error}.") from error
    is_plain = scheme in _PORTS and "@" not in parts.netloc
    if not is_plain or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise InputError(
            f"chroma={_without_credentials(parts.netloc)!r} cannot be used: the address of a "
            "Chroma server is a scheme, a host and a port, such as http://localhost:8000. For "
            f"credentials: {_CLIENT}"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port or _PORTS[scheme]}"


def _address_of_client(client: ClientAPI) -> str:
    if not isinstance(client, ClientAPI):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            "chroma is the address of a Chroma server or a client made by chromadb.HttpClient; "
            f"got a {type(client).__name__}."
        )
    settings = client.get_settings()
    host, port = settings.chroma_server_host, settings.chroma_server_http_port
    if settings.chroma_api_impl != "chromadb.api.fastapi.FastAPI" or not host:
        raise InputError(
            "chroma is a client made by chromadb.HttpClient, and this one keeps its data itself. "
            "Leave it out: Collection('folder') has a Chroma of its own in the folder."
        )
    if "://" in host:  # Chroma accepts whole addresses as hosts
        parts = urlsplit(host)
        return f"{parts.scheme}://{_without_credentials(parts.netloc)}"
    return f"http{'s' if settings.chroma_server_ssl_enabled else ''}://{host}:{port}"


def _without_credentials(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def connect(
    url: str, *, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE
) -> ClientAPI:
    """A client of the server at `address_of(...)`.

    Chroma reads credentials from the environment: CHROMA_CLIENT_AUTH_PROVIDER and
    CHROMA_CLIENT_AUTH_CREDENTIALS.

    Raises:
        CollectionError: The server does not answer, or refuses.
    """
    parts = urlsplit(url)
    with answering(url):
        return chromadb.HttpClient(
            parts.hostname or "",
            parts.port or _PORTS[parts.scheme],
            ssl=parts.scheme == "https",
            tenant=tenant,
            database=database,
        )


def connect_again(client: ClientAPI, url: str) -> ClientAPI:
    """Another client of the same server with the same credentials, for a forked child.

    Raises:
        CollectionError: The server does not answer, or refuses.
    """
    with answering(url):
        return chromadb.Client(
            client.get_settings(), tenant=client.tenant, database=client.database
        )


def disconnect(client: ClientAPI) -> None:
    """Close a client and its connections, which Chroma's own `close` leaves open."""
    parts: list[Any] = [client, getattr(client, "_admin_client", None)]
    parts[0].close()
    for part in parts:
        session = getattr(getattr(part, "_server", None), "_session", None)
        if isinstance(session, httpx.Client):
            session.close()


@contextmanager
def answering(url: str) -> Generator[None]:
    """Translate what Chroma's client raises.

    Raises:
        CollectionError: The server cannot be reached, refuses, or fails.
    """
    try:
        with _reaching(url):
            yield
    except MMRagError:  # some are ValueErrors, too
        raise
    except (ChromaError, ValueError) as error:
        raise CollectionError(f"The Chroma server {url} refuses: {error}") from error
    except Exception as error:
        if type(error) is not Exception:  # Chroma raises exactly that for unknown answers
            raise
        raise CollectionError(f"The Chroma server {url} fails: {error}") from error


@contextmanager
def _reaching(url: str) -> Generator[None]:
    try:
        yield
    except (httpx.HTTPError, OSError) as error:
        raise CollectionError(
            f"The Chroma server {url} does not answer: {error}. Is it running (chroma run)? "
            "Everything written before is intact; try again when it is back."
        ) from error


@dataclass(frozen=True, kw_only=True)
class ServerCollection:
    """The Chroma collection of one folder, and its token.

    Attributes:
        client: Of the server.
        file: Of the `ServerRecord`.
        url: Of the server, for messages.
    """

    client: ClientAPI
    file: Path
    url: str

    @property
    def record(self) -> ServerRecord:
        """The record as it is now: another process may have replaced it.

        Raises:
            CollectionError: There is none, or it is damaged.
        """
        record = read_record(self.file)
        if record is None:
            raise CollectionError(f"{self.file} was deleted. Open the collection again.")
        return record

    def create(self, name: str, obsolete: str = "") -> None:
        """Make an empty Chroma collection of a new name, and record it.

        Args:
            name: What the name begins with.
            obsolete: A Chroma collection that it replaces, and that is then deleted.

        Raises:
            CollectionError: The server does not answer, or refuses.
        """
        with answering(self.url):
            record = ServerRecord(
                url=self.url,
                tenant=str(self.client.tenant),
                database=str(self.client.database),
                collection=f"{name[:40]}-{uuid.uuid4().hex[:16]}",
                token=uuid.uuid4().hex,
                obsolete=obsolete,
            )
            # `create_collection` refuses a name that is taken: nothing is ever overwritten.
            create_collection(self.client, record.collection, {_TOKEN: record.token})
        record.write(self.file)

    def is_at(self, record: ServerRecord) -> bool:
        """Whether a record names this server, tenant and database."""
        here = (self.url, str(self.client.tenant), str(self.client.database))
        return here == (record.url, record.tenant, record.database)

    def note_address(self) -> None:
        """Record that the server is reached here from now on.

        Raises:
            CollectionError: The record cannot be written.
        """
        here = {
            "url": self.url,
            "tenant": str(self.client.tenant),
            "database": str(self.client.database),
        }
        replace(self.record, **here).write(self.file)

    def is_ours(self) -> bool:
        """Whether the server has the recorded collection, with the recorded token.

        Raises:
            CollectionError: The server does not answer, or the record is damaged.
        """
        record = self.record
        while True:
            held = self._token_of(record.collection)
            if held is not None and held in (record.token, record.next_token):
                return True
            # Another process may have renewed the token between the two looks.
            before, record = record, self.record
            if record == before:
                return False

    def renew_token(self) -> None:
        """Change the token on both sides, so that no copy of the folder takes them for its own.

        Raises:
            CollectionError: The server does not answer, or the record cannot be written.
        """
        record, token = self.record, uuid.uuid4().hex
        replace(record, next_token=token).write(self.file)
        with answering(self.url):
            collection = self.client.get_collection(record.collection, embedding_function=None)
            collection.modify(metadata={_TOKEN: token})
            if record.obsolete:
                self._delete(record.obsolete)
        replace(record, token=token, next_token="", obsolete="").write(self.file)

    def begin_anew(self, name: str) -> None:
        """Leave the recorded Chroma collection for a new, empty one; delete it if it is ours.

        Args:
            name: What the new name begins with.

        Raises:
            CollectionError: The server does not answer, or refuses.
        """
        if obsolete := self.record.obsolete:
            with answering(self.url):
                self._delete(obsolete)
        self.create(name, obsolete=self.record.collection if self.is_ours() else "")

    def open(self, *, read_only: bool) -> ServerVectorStore:
        """The vectors.

        Raises:
            CollectionError: The server does not answer, or the collection is not there.
        """
        return ServerVectorStore(self.client, self.record.collection, self.url, read_only=read_only)

    def _token_of(self, collection: str) -> str | None:
        """The token on the server; None where there is no such collection."""
        with answering(self.url):
            try:
                found = self.client.get_collection(collection, embedding_function=None)
            except NotFoundError:
                return None
            return str((found.metadata or {}).get(_TOKEN))

    def _delete(self, collection: str) -> None:
        try:
            self.client.delete_collection(collection)
        except NotFoundError:
            return


def create_collection(client: ClientAPI, name: str, metadata: dict[str, Any]) -> Any:
    """Make a Chroma collection for vectors of ours."""
    return client.create_collection(
        name,
        embedding_function=None,
        configuration={"hnsw": {"space": "cosine", "ef_search": BREADTH}},
        metadata=metadata,
    )


class ServerVectorStore(VectorStore):
    """Segments with their vectors in a Chroma collection of a server.

    Args:
        client: Of the server.
        name: Of the Chroma collection, which exists.
        url: Of the server, for messages.
        read_only: Whether writing is an error.

    Raises:
        CollectionError: There is no such Chroma collection, or the server does not answer.
    """

    def __init__(self, client: ClientAPI, name: str, url: str, *, read_only: bool) -> None:
        self._read_only = read_only
        super().__init__(client, name, url, changing=self._checked_writing, closes=False)
        self._batch = min(self._batch, _ROWS)

    def _opened(self) -> Any:
        return self._client.get_collection(self._name, embedding_function=None)

    def recreate(self) -> None:
        """Delete all records, so that vectors may have another dimension."""
        metadata = dict(self._collection.metadata or {})
        with self._changing(), self._errors():
            self._client.delete_collection(self._name)
            self._collection = create_collection(self._client, self._name, metadata)

    def put(self, entries: Sequence[Entry]) -> None:
        """Add Segments in requests that the server accepts."""
        portion, size = list[Entry](), 0
        for entry in entries:
            more = entry.vector.size * _BYTES_PER_NUMBER + 4 * len(entry.segment.text) + 4_000
            if portion and size + more > _BYTES:
                super().put(portion)
                portion, size = [], 0
            portion.append(entry)
            size += more
        super().put(portion)

    @contextmanager
    def _checked_writing(self) -> Generator[None]:
        if self._read_only:
            raise CollectionError(
                f"Vectors at {self._place} are to be written, and the collection's folder cannot "
                "be written to. Open the collection once where it can."
            )
        yield

    @contextmanager
    def _errors(self, where: Where | None = None) -> Generator[None]:
        with super()._errors(where), _reaching(self._place):
            yield
