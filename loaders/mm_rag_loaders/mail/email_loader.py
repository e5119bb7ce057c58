"""EmailLoader: messages (EML, MSG) and mailboxes (mbox) as passages, with their attachments."""

from __future__ import annotations

import email.message
import re
from collections.abc import Iterator
from typing import ClassVar

from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.loader import Loader, Member, SourceFile
from mm_rag_loaders.mail.mailbox import MOST_MESSAGE_BYTES, RawMessage, messages
from mm_rag_loaders.mail.mime import (
    Attachment,
    Body,
    Headers,
    OnNote,
    body_of,
    headers_of,
    parsed,
)
from mm_rag_loaders.mail.outlook import message_of
from mm_rag_loaders.mail.texts import Block, blocks_of
from mm_rag_loaders.outcome import NoteKind
from mm_rag_loaders.passages import TextPart, passages_of
from mm_rag_loaders.unpacking import MemberNames, Scratch, safe_name, scratch_folder

_OUTLOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAILBOX = b"From "
# A message of Apple Mail (.emlx) begins with its number of bytes; properties follow it.
_BYTE_COUNT = re.compile(rb"[ \t]*(\d{1,10})[ \t]*\r?\n")
# A message with none of these has no attachments; finding them is faster than parsing it.
_MAY_HAVE_FILES = re.compile(
    rb"multipart/|content-disposition|^content-type:\s*(?!text/)\w|^begin [0-7]{3} ",
    re.IGNORECASE | re.MULTILINE,
)
_MOST_SUBJECT = 80  # characters of a subject in a place
_MOST_PEOPLE = 300  # characters of addresses in metadata; the text has all


class EmailLoader(Loader):
    """Reads messages and mailboxes: headers, what is new, what is quoted, attachments."""

    becomes: ClassVar[str] = (
        "headers and text of each message, what it quotes apart; attachments and pictures as files "
        "of their own"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the passages of a message, or of each message of a mailbox.

        Raises:
            UnreadableMedia: It is damaged, or has neither headers nor text.
        """
        if not _is_mailbox(file):
            message = _read_message(file, file.note)
            found = list(_passages(message, file, self.options.passage_words, note=file.note))
            if not found:
                raise UnreadableMedia(
                    f"{file.path.name} has neither the headers nor the text of a message."
                )
            yield from found
            return
        notes = _MailboxNotes(file)
        for raw in self._messages(file):
            note = notes.of_message(raw.number)
            if raw.is_cut:
                note("limit", f"only its first {MOST_MESSAGE_BYTES:,} bytes were read")
            message = _parsed(raw, note)
            if message is not None:
                yield from _passages(
                    message, file, self.options.passage_words, page=raw.number, note=note
                )
        notes.finish()

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the attachments; those of a mailbox in a folder for each message."""
        names = MemberNames()
        with scratch_folder() as scratch:
            if not _is_mailbox(file):
                body = body_of(_read_message(file, _no_note), _no_note)
                for attachment in body.attachments:
                    yield _member(attachment, names.unique(attachment.name), scratch)
                return
            for raw in self._messages(file):
                if not _MAY_HAVE_FILES.search(raw.data):
                    continue
                message = _parsed(raw, _no_note)
                if message is None:
                    continue
                for attachment in body_of(message, _no_note).attachments:
                    name = f"message-{raw.number}/{safe_name(attachment.name)}"
                    yield _member(attachment, names.unique(name), scratch)

    def _messages(self, file: SourceFile) -> Iterator[RawMessage]:
        most = self.options.policy.max_members
        with file.opened.reader() as reader:
            for raw in messages(reader):
                if raw.number > most:
                    file.note(
                        "limit",
                        f"only the first {most:,} messages were read (MediaPolicy.max_members)",
                    )
                    return
                yield raw


def _is_mailbox(file: SourceFile) -> bool:
    with file.opened.reader() as reader:
        return reader.read(len(_MAILBOX)) == _MAILBOX


def _read_message(file: SourceFile, note: OnNote) -> email.message.Message:
    with file.opened.reader() as reader:
        head = reader.read(64)
        reader.seek(0)
        if head.startswith(_OUTLOOK):
            return message_of(reader, note)
        data = reader.read(MOST_MESSAGE_BYTES + 1)
    if len(data) > MOST_MESSAGE_BYTES:
        note("limit", f"only the first {MOST_MESSAGE_BYTES:,} bytes were read")
        data = data[:MOST_MESSAGE_BYTES]
    if count := _BYTE_COUNT.match(data):
        data = data[count.end() :][: int(count[1])]
    return parsed(data)


def _parsed(raw: RawMessage, note: OnNote) -> email.message.Message | None:
    try:
        return parsed(raw.data)
    except UnreadableMedia as error:
        note("damaged", f"not read: {error}")
        return None


def _passages(
    message: email.message.Message,
    file: SourceFile,
    max_words: int,
    *,
    note: OnNote,
    page: int | None = None,
) -> Iterator[Segment]:
    """The passages of a message: first what is new, with the headers, then what is quoted."""
    headers, body = headers_of(message), body_of(message, note)
    head = _head(headers, body)
    blocks = _blocks(body, file)
    if hidden := sum(block.hidden for block in blocks):
        note("hidden", f"hidden elements were left out: {hidden:,} letters")
    new = [part for block in blocks if not block.quoted for part in block.parts]
    quoted = [part for block in blocks if block.quoted for part in block.parts]
    if not head and not new and not quoted:
        head = headers.subject
    metadata = _metadata(headers, page)
    part = 0
    for parts, marks in (([TextPart("text", head), *new], {}), (quoted, {"quoted": True})):
        for passage in passages_of(parts, max_words=max_words, nested=True):
            yield file.text_segment(
                passage.text,
                title=headers.subject,
                page=page,
                part=part,
                heading=passage.heading,
                **metadata,
                **marks,
            )
            part += 1


def _blocks(body: Body, file: SourceFile) -> list[Block]:
    try:
        return blocks_of(body.texts)
    except MissingExtra as error:
        file.note_missing("text in HTML", error)
        return []


def _head(headers: Headers, body: Body) -> str:
    lines = [f"{name}: {value}" for name, value in headers.lines]
    names = [safe_name(each.name) for each in body.attachments]
    if names:
        lines.append(f"Attachments: {', '.join(names)}")
    return "\n".join(lines)


def _metadata(headers: Headers, page: int | None) -> dict[str, Scalar]:
    found = {
        "author": _shortened(headers.author, _MOST_PEOPLE),
        "to": _shortened(headers.to, _MOST_PEOPLE),
        "date": headers.date,
    }
    if page is not None:
        subject = _shortened(headers.subject, _MOST_SUBJECT)
        found["place"] = f"message {page}: {subject}".rstrip(": ")
    return {name: value for name, value in found.items() if value}


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rstrip() + "..."


def _member(attachment: Attachment, name: str, scratch: Scratch) -> Member:
    path, _ = scratch.written(name, [attachment.content()])
    return Member(name, path)


def _no_note(kind: NoteKind, text: str) -> None:
    """Note nothing: `segments` has already noted it."""


class _MailboxNotes:
    """Notes about messages of a mailbox: the first of each text, then how many more there are."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._seen: dict[tuple[NoteKind, str], int] = {}

    def of_message(self, number: int) -> OnNote:
        """The function that notes something about a message."""

        def note(kind: NoteKind, text: str) -> None:
            key = (kind, text)
            self._seen[key] = self._seen.get(key, 0) + 1
            if self._seen[key] == 1:
                self._file.note(kind, f"message {number}: {text}")

        return note

    def finish(self) -> None:
        """Note how many further messages there are for each text."""
        for (kind, text), count in self._seen.items():
            if count > 1:
                more = "1 further message" if count == 2 else f"{count - 1:,} further messages"
                self._file.note(kind, f"{more}: {text}")
