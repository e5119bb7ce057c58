"""Take a MIME message apart: its headers, the texts of its body and its attachments.

Messages break every rule of the standards: charsets that do not exist, raw bytes in headers, parts
without an end. The parser's policy is `compat32`, which raises no errors and decodes nothing by
itself; headers are decoded here. The newer policies fail for some damaged headers, and take
seconds for one with 10,000 addresses.
"""

from __future__ import annotations

import binascii
import email.message
import email.parser
import email.policy
import email.utils
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from mm_rag._printing import one_line, printable
from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag_loaders.mail.charsets import decoded_text
from mm_rag_loaders.mail.inline import PGP_MESSAGE, without_files, without_signature
from mm_rag_loaders.mail.rtf import text_of_compressed_rtf
from mm_rag_loaders.mail.smime import signed_content
from mm_rag_loaders.mail.texts import Text, fullest, unflowed
from mm_rag_loaders.mail.tnef import PackedFile, unpacked
from mm_rag_loaders.outcome import NoteKind

OnNote = Callable[[NoteKind, str], None]

SHOWN_HEADERS = ("From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Date", "Subject")
"""Headers that are searched and shown, in this order."""

_INVITATION = "invitation.ics"
_MOST_HEADER = 100_000  # characters of one header
_DEEPEST = 40  # parts in parts; mail programs write up to five levels
_ENCODED_WORD = re.compile(
    r"=\?(?P<charset>[^?\s]{1,80})\?(?P<coding>[bBqQ])\?(?P<text>[^?]*)\?=", re.DOTALL
)
_BLANKS = re.compile(r"\s+")
_BODY_TYPES = frozenset(
    ["text/plain", "text/html", "text/enriched", "text/rfc822-headers", "message/delivery-status"]
)
_HTML = re.compile(r"\s*(<!doctype html|<html)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_AS_IT_IS = email.policy.compat32.clone(max_line_length=0)
_SIGNATURES = frozenset(
    ["application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"]
)
_SMIME = frozenset(["application/pkcs7-mime", "application/x-pkcs7-mime"])
_SUFFIXES = {
    "message/rfc822": ".eml",
    "message/global": ".eml",
    "text/calendar": ".ics",
    "text/html": ".html",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/csv": ".csv",
    "text/xml": ".xml",
    "text/rtf": ".rtf",
    "text/richtext": ".rtf",
    "application/rtf": ".rtf",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/zip": ".zip",
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/pjpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/tiff": ".tiff",
    "image/bmp": ".bmp",
    "image/webp": ".webp",
    "image/heic": ".heic",
    "image/svg+xml": ".svg",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/amr": ".amr",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
}


@dataclass(frozen=True)
class Attachment:
    """A file in a message.

    Attributes:
        name: Its name as the message gives it, or one made from its type. It may be any text.
        content: Decodes its bytes.
    """

    name: str
    content: Callable[[], bytes]


@dataclass
class Body:
    """The content of a message.

    Attributes:
        texts: The texts, in order. Of alternatives there is only one.
        attachments: The files, in order.
    """

    texts: list[Text] = field(default_factory=list[Text])
    attachments: list[Attachment] = field(default_factory=list[Attachment])

    def add(self, other: Body) -> None:
        """Append the content of a part."""
        self.texts += other.texts
        self.attachments += other.attachments


@dataclass(frozen=True)
class Headers:
    """The headers of a message that people read.

    Attributes:
        lines: Name and value of each header in `SHOWN_HEADERS`, but for the subject.
        subject: The subject; empty if it is missing.
        author: Name of the sender, or else the address.
        to: Recipients, separated by commas.
        date: Date in ISO 8601; empty if it is missing or invalid.
    """

    lines: tuple[tuple[str, str], ...]
    subject: str
    author: str
    to: str
    date: str


def parsed(data: bytes) -> email.message.Message:
    """Parse the bytes of a message.

    Raises:
        UnreadableMedia: Its parts are nested too deeply.
    """
    parser = email.parser.BytesParser(policy=email.policy.compat32)
    try:
        return parser.parsebytes(data)
    except RecursionError as error:
        raise UnreadableMedia("The parts of the message are nested too deeply.") from error


def headers_of(message: email.message.Message) -> Headers:
    """The headers of a message that people read, decoded."""
    lines: list[tuple[str, str]] = []
    for name in SHOWN_HEADERS:
        values = [value for each in _raw(message, name) if (value := header_text(each))]
        if values:
            lines.append((name, ", ".join(values)))
    found = dict(lines)
    sender = found.get("From") or found.get("Sender", "")
    return Headers(
        lines=tuple(line for line in lines if line[0] != "Subject"),
        subject=found.get("Subject", ""),
        author=_author(sender),
        to=found.get("To", ""),
        date=_iso_date(found.get("Date", "")),
    )


def header_text(value: str) -> str:
    """A header as text: encoded words and raw bytes decoded, on one line."""
    value = value[:_MOST_HEADER]
    if any(
        "\udc80" <= letter <= "\udcff" for letter in value
    ):  # raw bytes, as the parser keeps them
        value, _ = decoded_text(value.encode("utf-8", "surrogateescape"))
    if "=?" in value:
        value = _words_decoded(value)
    return printable(one_line(_BLANKS.sub(" ", value).strip()))


def body_of(message: email.message.Message, note: OnNote) -> Body:
    """The texts and attachments of a message.

    Args:
        message: The message.
        note: Called with what was left out or changed.
    """
    found = _body(message, note, depth=0)
    if any(len(str(value)) > _MOST_HEADER for _, value in message.raw_items()):
        note("limit", f"a header is longer than {_MOST_HEADER:,} characters; the rest was left out")
    events = [each for each in found.attachments if each.name.lower().endswith(".ics")]
    named = {each.content() for each in events if each.name != _INVITATION}
    # Invitations come twice: to be shown, and to be saved.
    twice = [each for each in events if each.name == _INVITATION and each.content() in named]
    found.attachments = [each for each in found.attachments if each not in twice]
    return found


def _raw(message: email.message.Message, name: str) -> Iterator[str]:
    wanted = name.lower()
    for key, value in message.raw_items():
        if key.lower() == wanted:
            yield str(value)


def _words_decoded(value: str) -> str:
    """Decode encoded words, also inside quotes and without space between them.

    Words that follow each other are decoded together: a letter may be cut in two.
    """
    texts: list[str] = []
    charset, held, end = "", b"", 0
    for match in _ENCODED_WORD.finditer(value):
        between = value[end : match.start()]
        if between.strip() or match["charset"] != charset:
            texts.append(decoded_text(held, charset)[0])
            held = b""
        if between.strip() or not end:
            texts.append(between)
        charset, end = match["charset"], match.end()
        held += _bytes_of_word(match["coding"], match["text"])
    return "".join([*texts, decoded_text(held, charset)[0], value[end:]])


def _bytes_of_word(coding: str, text: str) -> bytes:
    if coding in "qQ":
        return binascii.a2b_qp(text.encode("ascii", "replace"), header=True)
    letters = re.sub(r"[^A-Za-z0-9+/]", "", text).encode()
    return binascii.a2b_base64(letters[: len(letters) - (len(letters) % 4 == 1)] + b"===")


def _author(sender: str) -> str:
    try:
        pairs = email.utils.getaddresses([sender])
    except (ValueError, IndexError):
        return sender
    name, address = pairs[0] if pairs else ("", "")
    return name or address or sender


def _iso_date(text: str) -> str:
    try:
        found = email.utils.parsedate_to_datetime(text)
        return found.isoformat() if 1970 <= found.year <= 2200 else ""
    except (TypeError, ValueError, IndexError, OverflowError):
        pass
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _body(part: email.message.Message, note: OnNote, depth: int) -> Body:
    kind = part.get_content_type()
    if depth > _DEEPEST:
        note("limit", f"parts of the message below level {_DEEPEST} were left out")
        return Body()
    if kind == "message/external-body":
        note("unsupported", "an attachment lies elsewhere and was not fetched")
        return Body()
    if part.is_multipart():
        return _multipart(part, kind, note, depth)
    if kind in _SMIME:
        return _smime(part, note, depth)
    if kind in _SIGNATURES:
        return Body()
    if kind == "application/ms-tnef" or file_name(part).lower() == "winmail.dat":
        return _tnef(part, note)
    if _is_text_of_body(part, kind):
        return _without_inline(Body(texts=_texts(part, kind, note)), note)
    if kind.startswith("multipart/"):  # without a boundary
        return Body(texts=_texts(part, "text/plain", note))
    return Body(attachments=[_attachment(part, kind)])


def _multipart(part: email.message.Message, kind: str, note: OnNote, depth: int) -> Body:
    parts = cast("list[email.message.Message]", part.get_payload())
    if kind in ("message/rfc822", "message/global", "message/news"):
        return Body(attachments=[_forwarded(part, parts[0])])
    if kind.startswith("message/"):  # a report of delivery: blocks of headers
        blocks = (str(block.as_string()).strip() for block in parts)
        return Body(texts=[Text("plain", "\n\n".join(filter(None, blocks)))])
    if kind == "multipart/encrypted":
        note("unsupported", "the message is encrypted (PGP) and was not read")
        return Body()
    bodies = [_body(each, note, depth + 1) for each in parts]
    if kind == "multipart/alternative":
        return _fullest(bodies)
    whole = Body()
    for body in bodies:
        whole.add(body)
    return whole


def _fullest(alternatives: list[Body]) -> Body:
    """The alternative that says most, with the attachments of all."""
    best = fullest([body.texts for body in alternatives if body.texts])
    return Body(best, [each for body in alternatives for each in body.attachments])


def _is_text_of_body(part: email.message.Message, kind: str) -> bool:
    if kind not in _BODY_TYPES:
        return False
    is_attached = part.get_content_disposition() == "attachment"
    return not is_attached and not file_name(part)


def _texts(part: email.message.Message, kind: str, note: OnNote) -> list[Text]:
    data = payload(part)
    text, remark = decoded_text(data, _charset(part))
    if remark:
        note("encoding", f"text of the message: {remark}")
    if not text.strip():
        return []
    if kind == "text/html" or _HTML.match(text):
        return [Text("html", text)]
    if kind == "text/enriched":
        return [Text("plain", _TAG.sub("", text))]
    if str(part.get_param("format", "")).lower() == "flowed":
        text = unflowed(text, keeps_space=str(part.get_param("delsp", "")).lower() != "yes")
    return [Text("plain", text)]


def _without_inline(body: Body, note: OnNote) -> Body:
    """A body without inline signatures and uuencoded files, which become attachments."""
    found = Body()
    for text in body.texts:
        if text.kind == "html":
            found.texts.append(text)
            continue
        if PGP_MESSAGE in text.text:
            note("unsupported", "the message is encrypted (PGP) and was not read")
            continue
        words, files = without_files(without_signature(text.text))
        found.texts += [Text("plain", words)] if words.strip() else []
        found.attachments += [Attachment(name, lambda data=data: data) for name, data in files]
    return found


def _charset(part: email.message.Message) -> str:
    try:
        found = part.get_param("charset", "")
        return str(found[2] if isinstance(found, tuple) else found)
    except (ValueError, IndexError):
        return ""


def payload(part: email.message.Message) -> bytes:
    """The decoded bytes of a part; what can be decoded, if its encoding is damaged."""
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def file_name(part: email.message.Message) -> str:
    """The file name of a part as text; empty if it has none."""
    try:
        name = part.get_filename("")
    except (ValueError, LookupError, TypeError, IndexError):
        return ""
    return header_text(name)


def _attachment(part: email.message.Message, kind: str) -> Attachment:
    name = file_name(part)
    if not name:
        stem = {"image": "picture", "audio": "recording", "video": "video"}.get(
            part.get_content_maintype(), "attachment"
        )
        name = _INVITATION if kind == "text/calendar" else stem + _SUFFIXES.get(kind, "")
    elif "." not in name:
        name += _SUFFIXES.get(kind, "")
    return Attachment(name, lambda: payload(part))


def _forwarded(part: email.message.Message, message: email.message.Message) -> Attachment:
    subject = headers_of(message).subject or "message"
    name = file_name(part) or subject
    name = re.sub(r"\.(eml|msg)$", "", name, flags=re.IGNORECASE)
    return Attachment(f"{name}.eml", lambda: as_bytes(message))


def as_bytes(message: email.message.Message) -> bytes:
    """A message in a message as a file."""
    try:
        return message.as_bytes(policy=_AS_IT_IS)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        # Some damaged parts cannot be written again: keep the headers and the text.
        lines = [f"{key}: {header_text(str(value))}" for key, value in message.raw_items()]
        return "\n".join([*lines, "", ""]).encode() + payload(message)


def _smime(part: email.message.Message, note: OnNote, depth: int) -> Body:
    """The content of a signed message; of an encrypted one nothing."""
    try:
        data = signed_content(payload(part))
    except ValueError:
        note("damaged", "the signed part of the message is damaged and was not read")
        return Body()
    except MissingExtra as error:
        note("missing reader", f"the signed part of the message was not read: {error}")
        return Body()
    if data is None:
        note("unsupported", "the message is encrypted (S/MIME) and was not read")
        return Body()
    return _body(parsed(data), note, depth + 1)


def _tnef(part: email.message.Message, note: OnNote) -> Body:
    """The text and the files in a `winmail.dat`."""
    found = unpacked(payload(part))
    if found.is_damaged:
        note("damaged", "winmail.dat is damaged; what comes before the damage was read")
    alternatives = [[Text("plain", found.text)]]
    if found.html:
        alternatives.append([Text("html", decoded_text(found.html)[0])])
    texts = fullest(alternatives)
    if not texts and found.rtf:
        try:
            texts = [text_of_compressed_rtf(found.rtf)]
        except (ValueError, MissingExtra) as error:
            note("damaged", f"the text in winmail.dat was not read: {error}")
    return Body(texts, [_packed(file) for file in found.files if file.data])


def _packed(file: PackedFile) -> Attachment:
    if not file.is_message:
        return Attachment(header_text(file.name) or "attachment", lambda: file.data)
    name = header_text(file.name) or "message"
    return Attachment(f"{name}.eml", lambda: _around_tnef(file.data))


def _around_tnef(data: bytes) -> bytes:
    """A message with nothing but a `winmail.dat`."""
    head = b"Content-Type: application/ms-tnef\nContent-Transfer-Encoding: base64\n\n"
    return head + binascii.b2a_base64(data)
