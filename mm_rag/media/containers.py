"""Recognise files that contain others: messages, mailboxes, archives, and packages of programs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mm_rag.media.formats import PACKAGE_FORMATS, TEXT_FORMATS, by_suffix

PROGRAM_PACKAGE = "application/x-program-package"
"""MIME type of a ZIP that is a program, or the document of one."""

ARCHIVE_SUFFIXES = frozenset(
    suffix for each in PACKAGE_FORMATS if each.kind == "archive" for suffix in each.suffixes
)

_TEXTS = by_suffix(TEXT_FORMATS)
_MAIL_SUFFIXES = frozenset([".eml", ".emlx", ".mbox", ".mbx", ".msg"])
_MAILBOX = re.compile(rb"From .*\r?\n(?=[!-9;-~]+:)")
_BYTE_COUNT = re.compile(rb"[ \t]*\d{1,10}[ \t]*\r?\n")  # of Apple Mail, before the headers
_HEADERS = re.compile(rb"(?:([!-9;-~]+)[ \t]*:.*\r?\n|[ \t].*\r?\n)*")
_NAME = re.compile(rb"^([!-9;-~]+)[ \t]*:", re.MULTILINE)
_MAIL_HEADERS = frozenset(
    [
        *(b"from", b"to", b"date", b"subject", b"message-id", b"received", b"return-path"),
        *(b"mime-version", b"delivered-to", b"content-type", b"reply-to", b"cc"),
    ]
)
_ENOUGH_HEADERS = 3  # of a file whose name says nothing

_PACKAGE_SUFFIXES = frozenset(
    [
        *(".aab", ".apk", ".appx", ".crx", ".ear", ".egg", ".ipa", ".jar", ".msix", ".npz"),
        *(".nupkg", ".vsix", ".war", ".whl", ".xap", ".xapk", ".xpi"),
    ]
)
_PACKAGE_PARTS = re.compile(
    r"META-INF/MANIFEST\.MF|AndroidManifest\.xml|\[Content_Types\]\.xml|[^/]+\.dist-info/WHEEL"
    r"|Payload/[^/]+\.app/Info\.plist"
)


def is_message(head: bytes, suffix: str) -> bool:
    """Whether a file is an email or a mailbox, by its headers and its name.

    Files of mail programs have any names or none. A text that is named so is a text, even if it
    begins with headers.

    Args:
        head: Its first bytes.
        suffix: Suffix of its name, in lower case.
    """
    is_named = suffix in _MAIL_SUFFIXES
    if suffix and suffix in _TEXTS and not is_named:
        return False
    start = _BYTE_COUNT.sub(b"", head, count=1) if suffix == ".emlx" else head
    mailbox = _MAILBOX.match(start)
    headers = _HEADERS.match(start, mailbox.end() if mailbox else 0)
    names = {name.lower() for name in _NAME.findall(headers[0] if headers else b"")}
    return len(names & _MAIL_HEADERS) >= (1 if is_named or mailbox else _ENOUGH_HEADERS)


def is_program_package(names: Iterable[str], suffix: str) -> bool:
    """Whether a ZIP is a program or the document of one, with nothing that people read as files.

    Args:
        names: Names of the files in it.
        suffix: Suffix of its name, in lower case.
    """
    return suffix in _PACKAGE_SUFFIXES or any(_PACKAGE_PARTS.fullmatch(name) for name in names)
