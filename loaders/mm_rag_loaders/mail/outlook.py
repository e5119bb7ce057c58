"""An Outlook message (.msg) as a MIME message, so that both are read in one way.

It is a compound file, a small file system ([MS-OXMSG]): each property of the message is a stream of
its own, each recipient and attachment a folder. Messages in the message are folders, too.
"""

from __future__ import annotations

import base64
import email.message
import email.policy
import email.utils
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.header import Header
from typing import Any, BinaryIO

from mm_rag._optional import require
from mm_rag._printing import one_line, printable
from mm_rag.errors import InputError, MissingExtra, UnreadableMedia
from mm_rag_loaders.mail.charsets import decoded_text
from mm_rag_loaders.mail.mime import OnNote
from mm_rag_loaders.mail.rtf import text_of_compressed_rtf
from mm_rag_loaders.mail.texts import Text, fullest

_SUBJECT, _HEADERS, _LOCATION = 0x0037, 0x007D, 0x0094
_BODY, _HTML, _RTF = 0x1000, 0x1013, 0x1009
_SENDERS = ((0x0042, (0x5D02, 0x0065)), (0x0C1A, (0x5D01, 0x0C1F)))  # names and addresses
_DATES = (0x0039, 0x0E06, 0x3007)  # sent, delivered, created
_START, _END = 0x0060, 0x0061
_NAME, _ADDRESSES, _RECIPIENT_TYPE = 0x3001, (0x39FE, 0x3003), 0x0C15
_FILE_NAMES, _DATA, _MIME_TYPE, _METHOD = (0x3707, 0x3704, 0x3001), 0x3701, 0x370E, 0x3705
_CODE_PAGES = (0x3FDE, 0x3FFD)  # of texts, of everything
_RECIPIENTS = {1: "To", 2: "Cc", 3: "Bcc"}
_STRING8, _UNICODE, _BINARY, _OBJECT, _TIME = 0x1E, 0x1F, 0x102, 0x0D, 0x40
_ROOT_HEADER, _EMBEDDED_HEADER, _OTHER_HEADER = 32, 24, 8  # bytes before the properties
_DEEPEST = 10  # messages in messages
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_POLICY = email.policy.compat32

_Path = tuple[str, ...]


def message_of(file: BinaryIO, note: OnNote) -> email.message.Message:
    """Read an Outlook message.

    Raises:
        UnreadableMedia: It is damaged.
        MissingExtra: olefile is not installed.
    """
    olefile = require("olefile", extra="documents", feature="Reading Outlook messages")
    try:
        with olefile.OleFileIO(file) as compound:
            return _Reader(compound, note).message((), _ROOT_HEADER)
    except (InputError, MissingExtra, MemoryError):
        raise
    except Exception as error:  # olefile checks little, and fails in many ways
        raise UnreadableMedia(f"The Outlook message is damaged: {error}.") from error


class _Storage:
    """The properties of a message, a recipient or an attachment."""

    def __init__(self, compound: Any, path: _Path, header: int) -> None:
        self._compound, self._path = compound, path
        self._fixed: dict[int, bytes] = {}
        self._kinds: dict[int, int] = {}
        entries = self._stream("__properties_version1.0")[header:]
        for at in range(0, len(entries) - 15, 16):
            kind, number = struct.unpack_from("<HH", entries, at)
            self._kinds.setdefault(number, kind)
            self._fixed.setdefault(number, entries[at + 8 : at + 16])
        self.codec = next((f"cp{page}" for n in _CODE_PAGES if (page := self.number(n))), "")
        self.codec = self.codec.replace("cp65001", "utf-8").replace("cp20127", "us-ascii")

    def text(self, *numbers: int) -> str:
        """The first of these properties that is a text with letters."""
        for number in numbers:
            if data := self._stream(f"__substg1.0_{number:04X}{_UNICODE:04X}"):
                return printable(data.decode("utf-16-le", "replace")).strip("\0")
            if data := self._stream(f"__substg1.0_{number:04X}{_STRING8:04X}"):
                return printable(decoded_text(data.rstrip(b"\0"), self.codec)[0])
        return ""

    def binary(self, number: int) -> bytes:
        """A property of bytes; empty if it is missing."""
        return self._stream(f"__substg1.0_{number:04X}{_BINARY:04X}")

    def number(self, number: int) -> int:
        """A property that is a whole number of 32 bits; 0 if it is missing."""
        held = self._fixed.get(number, b"")
        return int.from_bytes(held[:4], "little") if self._kinds.get(number) != _TIME else 0

    def time(self, *numbers: int) -> datetime | None:
        """The first of these properties that is a point in time."""
        for number in numbers:
            ticks = int.from_bytes(self._fixed.get(number, b""), "little")
            if self._kinds.get(number) == _TIME and 0 < ticks < 2**61:
                return _EPOCH + timedelta(microseconds=ticks // 10)
        return None

    def below(self, name: str) -> _Path:
        """The path of a folder in it."""
        return (*self._path, name)

    def _stream(self, name: str) -> bytes:
        path = [*self._path, name]
        if not self._compound.exists(path):
            return b""
        try:
            with self._compound.openstream(path) as stream:
                return stream.read()
        except OSError:
            return b""


class _Reader:
    def __init__(self, compound: Any, note: OnNote) -> None:
        self._compound, self._note = compound, note
        self._folders = [tuple(path) for path in compound.listdir(streams=False, storages=True)]

    def message(self, path: _Path, header: int, depth: int = 0) -> email.message.Message:
        held = _Storage(self._compound, path, header)
        message = email.message.Message(policy=_POLICY)
        for name, value in self._headers(held, path):
            message[name] = value if value.isascii() else Header(value, "utf-8").encode()
        message["Content-Type"] = "multipart/mixed"
        parts = [part for text in self._texts(held) if (part := _text_part(text))]
        parts += self._attachments(path, depth)
        for part in parts:
            message.attach(part)
        if not parts:
            message.set_payload([])
        return message

    def _headers(self, held: _Storage, path: _Path) -> Iterator[tuple[str, str]]:
        """The headers from the properties, which have names even where the sent ones have none."""
        for name, addresses in _SENDERS:
            sender = _address(held.text(name), held.text(*addresses))
            if sender:
                yield "From", sender
                break
        recipients: dict[str, list[str]] = {}
        for folder in self._children(path, "__recip_version1.0_#"):
            each = _Storage(self._compound, folder, _OTHER_HEADER)
            kind = _RECIPIENTS.get(each.number(_RECIPIENT_TYPE) & 0xF, "To")
            address = _address(each.text(_NAME), each.text(*_ADDRESSES))
            recipients.setdefault(kind, []).append(address)
        yield from ((kind, ", ".join(filter(None, all_))) for kind, all_ in recipients.items())
        if sent := _sent_date(held):
            yield "Date", sent
        if subject := one_line(held.text(_SUBJECT), " "):
            yield "Subject", subject

    def _texts(self, held: _Storage) -> list[Text]:
        alternatives = [[Text("plain", held.text(_BODY))]]
        html = held.binary(_HTML)
        source = decoded_text(html, held.codec)[0] if html else held.text(_HTML)
        alternatives.append([Text("html", source)])
        found = fullest(alternatives)
        if not found and (rtf := held.binary(_RTF)):
            try:
                found = [text_of_compressed_rtf(rtf)]
            except ValueError as error:
                self._note("damaged", f"the text of the message is damaged RTF: {error}")
            except MissingExtra as error:
                self._note("missing reader", f"the text of the message was not read: {error}")
        when = [held.time(_START), held.time(_END)]
        lines = [
            f"{name}: {_shown(time)}"
            for name, time in zip(("Start", "End"), when, strict=True)
            if time
        ]
        return [*([Text("plain", "\n".join(lines))] if lines else []), *found]

    def _attachments(self, path: _Path, depth: int) -> Iterator[email.message.Message]:
        for folder in self._children(path, "__attach_version1.0_#"):
            held = _Storage(self._compound, folder, _OTHER_HEADER)
            name = one_line(held.text(*_FILE_NAMES), " ")
            inner = held.below(f"__substg1.0_{_DATA:04X}{_OBJECT:04X}")
            if inner in self._folders:
                if depth >= _DEEPEST:
                    self._note("limit", f"messages below level {_DEEPEST} were left out")
                    continue
                if not self._compound.exists([*inner, "__properties_version1.0"]):
                    self._note(
                        "unsupported", f"{name or 'an object'} is not a file and was left out"
                    )
                    continue
                forwarded = email.message.Message(policy=_POLICY)
                forwarded["Content-Type"] = "message/rfc822"
                forwarded.set_payload([self.message(inner, _EMBEDDED_HEADER, depth + 1)])
                if name:
                    _set_name(forwarded, name)
                yield forwarded
                continue
            data = held.binary(_DATA)
            if not data:
                self._note(
                    "unsupported", f"{name or 'an attachment'} is only a link and was not read"
                )
                continue
            part = email.message.Message(policy=_POLICY)
            kind = held.text(_MIME_TYPE)
            part["Content-Type"] = (
                kind if kind.isascii() and "/" in kind else "application/octet-stream"
            )
            _set_name(part, name or "attachment")
            part["Content-Transfer-Encoding"] = "base64"
            part.set_payload(base64.encodebytes(data).decode("ascii"))
            yield part

    def _children(self, path: _Path, prefix: str) -> list[_Path]:
        depth = len(path)
        return sorted(
            folder
            for folder in self._folders
            if len(folder) == depth + 1 and folder[:depth] == path and folder[-1].startswith(prefix)
        )


def _text_part(text: Text) -> email.message.Message | None:
    if not text.text.strip():
        return None
    part = email.message.Message(policy=_POLICY)
    subtype = "html" if text.kind == "html" else "plain"
    part["Content-Type"] = f"text/{subtype}; charset=utf-8"
    part["Content-Transfer-Encoding"] = "8bit"
    data = text.text.encode("utf-8", "replace")
    part.set_payload(data.decode("ascii", "surrogateescape"))
    return part


def _set_name(part: email.message.Message, name: str) -> None:
    part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", name))


def _address(name: str, address: str) -> str:
    name, address = one_line(name, " ").strip(), one_line(address, " ").strip()
    if not address or address.startswith("/") or address == name:  # an address of Exchange
        return name
    return f"{name} <{address}>" if name else address


def _sent_date(held: _Storage) -> str:
    when = held.time(*_DATES)
    return email.utils.format_datetime(when) if when else ""


def _shown(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
