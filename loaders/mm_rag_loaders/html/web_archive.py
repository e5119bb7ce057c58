"""Pages that a browser saved with their pictures in one file (MHTML)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import PurePosixPath
from urllib.parse import urljoin, urlsplit

_FIRST = re.compile(rb"\s*[A-Za-z-]{2,40}:")
_HEAD_BYTES = 8192
_MOST_PARTS = 10_000


@dataclass(frozen=True, kw_only=True)
class WebArchive:
    """A saved page.

    Attributes:
        page: The bytes of the page.
        encoding: Its encoding as the archive says.
        address: Address from which it came; empty if the archive does not say.
        pictures: Its pictures, by address and by content id (`cid:...`).
    """

    page: bytes
    encoding: str
    address: str
    pictures: Mapping[str, bytes]

    def picture(self, source: str) -> tuple[str, bytes] | None:
        """Name and bytes of a picture to which the page refers."""
        for address in (source, urljoin(self.address, source)):
            if data := self.pictures.get(address):
                name = PurePosixPath(urlsplit(address).path).name
                return name or "picture", data
        return None


def is_web_archive(data: bytes) -> bool:
    """Whether a file is a saved page in one file."""
    head = data[:_HEAD_BYTES].replace(b"\r\n", b"\n").lstrip().partition(b"\n\n")[0]
    return _FIRST.match(head) is not None and b"multipart/related" in head.lower()


def read_web_archive(data: bytes) -> WebArchive | None:
    """Take apart a saved page; None if there is no page in it."""
    message = message_from_bytes(data)
    page: Message | None = None
    pictures: dict[str, bytes] = {}
    for number, part in enumerate(message.walk()):
        if number > _MOST_PARTS:
            break
        kind = part.get_content_type()
        if kind in ("text/html", "application/xhtml+xml"):
            page = page or part
        elif kind.startswith("image/"):
            body = _body(part)
            for name in (_header(part, "Content-Location"), _content_id(part)):
                if name and body:
                    pictures.setdefault(name, body)
    if page is None:
        return None
    return WebArchive(
        page=_body(page),
        encoding=page.get_content_charset() or "",
        address=_header(page, "Content-Location") or _header(message, "Snapshot-Content-Location"),
        pictures=pictures,
    )


def _body(part: Message) -> bytes:
    body = part.get_payload(decode=True)
    return body if isinstance(body, bytes) else b""


def _header(part: Message, name: str) -> str:
    return "".join(str(part.get(name, "")).split())


def _content_id(part: Message) -> str:
    found = _header(part, "Content-ID").strip("<>")
    return f"cid:{found}" if found else ""
