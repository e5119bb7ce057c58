"""Tell texts from binary files, also where a text begins like a picture or a program."""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from itertools import pairwise
from typing import BinaryIO

from mm_rag.media.text_encoding import CONTROL_BYTES, decoded, is_strange, wide_codec

_WIDEST = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_SAMPLE = 8192  # bytes that are decoded if they are not UTF-8
_TAIL = 65_536  # bytes at the end of a file that are looked at if its beginning is ambiguous
# Between fields and records, and the end of a file of DOS.
_SEPARATORS = b"\x1a\x1c\x1d\x1e\x1f"
_OTHER_CONTROLS = bytes(set(CONTROL_BYTES) - set(_SEPARATORS) - {0}) + b"\x7f"
_MOST_SEPARATORS = 0.2
# Every tenth byte of compressed data is a control character, and more of programs.
_MOST_CONTROLS = 0.01
_MOST_STRANGE = 0.1
_NUL_RUN = re.compile(rb"\0+")
_BOXES = range(0x2500, 0x25A0)  # lines and blocks of DOS
# ruff: noqa: RUF001
_SIGNS = frozenset("$+<=>^`|~¢£¤¥§©®°±²³µ¶·¹º×÷€№™\t\n\r\f\v\x08\x1b")
_READABLE = 0.9  # share of letters, digits, spaces and usual signs; random bytes have less
_MOST_JUMPS = 0.15  # share of small letters before a capital one; random letters have 0.25 and more

_PDF = re.compile(rb"\s*%PDF-\d")
_PDF_LINE = re.compile(rb"(^|[\r\n])\s*%PDF-\d")
_PDF_OBJECT = re.compile(rb"\d+ \d+ obj\b")
_RTF = re.compile(rb"\{\\rtf\d*\s*[\\{]")
_RTF_VERSION = re.compile(rb"\{\\rtf\d")
_POSTSCRIPT = re.compile(rb"^%%\w+|\bshowpage\b", re.MULTILINE)
_XPM = re.compile(rb"/\* XPM \*/\s*static\b")
_XBM = re.compile(rb"\bstatic\s+(unsigned\s+|const\s+)*(char|short)\s+\w+_bits\b")
_PNM = re.compile(rb"P([1-6])\s+(?:#[^\n]*\n\s*)*(\d{1,6})\s+(\d{1,6})\s(?:\s*(\d{1,5})\s)?")


def is_plain_text(head: bytes) -> bool:
    """Whether a file that starts with these bytes is text, in whatever encoding.

    Some control characters are allowed: separators, and what a crash or an old editor left.
    """
    if head.startswith(_MARKS):
        text = head[:_SAMPLE].decode("utf-32" if head[:4] in _WIDEST else "utf-16", "replace")
        return _strange(text) <= _MOST_STRANGE * len(text)
    if wide_codec(head):
        return True
    if not _has_few_controls(head):
        return False
    rest = _NUL_RUN.sub(b" ", head)
    sample = decoded(rest)
    if not sample.is_guessed:
        return b"\0" not in head or bool(rest.strip())
    return _is_readable(decoded(rest[:_SAMPLE]).text)


def _strange(text: str) -> int:
    return sum(map(is_strange, text))


def _has_few_controls(head: bytes) -> bool:
    others = len(head) - len(head.translate(None, _OTHER_CONTROLS))
    separators = len(head) - len(head.translate(None, _SEPARATORS))
    if b"\0" in head:
        # A crash leaves blocks of NUL in a log. Binary files have other controls too.
        runs = len(_NUL_RUN.findall(head))
        return others == separators == 0 and runs <= max(2, _MOST_CONTROLS * len(head))
    return others <= max(1, _MOST_CONTROLS * len(head)) and separators <= max(
        1, _MOST_SEPARATORS * len(head)
    )


def _is_readable(text: str) -> bool:
    """Whether a text in a guessed encoding consists of words and not of random characters."""
    usual = sum(
        letter.isalnum()
        or letter.isspace()
        or letter in _SIGNS
        or ord(letter) in _BOXES
        or unicodedata.category(letter)[0] in "PM"
        for letter in text
    )
    pairs = [pair for pair in pairwise(text) if pair[0].islower()]
    jumps = sum(after.isupper() for _, after in pairs)
    return usual >= _READABLE * len(text) and jumps <= max(2, _MOST_JUMPS * len(pairs))


def is_text_in_spite_of(mime: str, head: bytes, file: BinaryIO, *, is_named_so: bool) -> bool:
    """Whether a file is text although its first bytes are those of another format.

    Formats that are binary have control characters. A text in one of those that are text
    themselves must also be built like it.

    Args:
        mime: The format that the first bytes indicate.
        head: The first bytes.
        file: The opened file; its position afterwards is undefined.
        is_named_so: Whether the name is that of a text: then less speaks for the format.
    """
    size = file.seek(0, io.SEEK_END)
    if not _is_flawless(head):
        return False
    if size > len(head):
        file.seek(max(len(head), size - _TAIL))
        if not _is_flawless(file.read(_TAIL)):
            return False
    return not _is_built_like(mime, head, size, is_named_so=is_named_so)


def _is_flawless(data: bytes) -> bool:
    """Whether bytes are text without any control character, but for the end of a DOS file."""
    data = data.rstrip(b"\x1a\r\n")
    return data.translate(None, CONTROL_BYTES) == data and is_plain_text(data)


def _is_built_like(mime: str, head: bytes, size: int, *, is_named_so: bool) -> bool:
    match mime:
        case "application/pdf":
            if _PDF.match(head):
                return not is_named_so or _PDF_OBJECT.search(head) is not None
            start = None if is_named_so else _PDF_LINE.search(head[:1024])
            return start is not None and _PDF_OBJECT.search(head) is not None
        case "application/rtf":
            return (_RTF if is_named_so else _RTF_VERSION).match(head) is not None
        case "application/postscript":
            return _POSTSCRIPT.search(head) is not None
        case "image/x-xpixmap":
            return _XPM.match(head) is not None
        case "image/x-xbitmap":
            return _XBM.search(head) is not None
        case "image/x-portable-anymap":
            return _is_anymap(head, size)
        case _:
            return False


def _is_anymap(head: bytes, size: int) -> bool:
    found = _PNM.match(head)
    if found is None:
        return False
    variant, width, height = int(found[1]), int(found[2]), int(found[3])
    if variant <= 3:
        return not head[found.end() :].translate(None, b"0123456789 \t\r\n")
    depth = 2 if int(found[4] or 0) > 255 else 1
    row = {4: (width + 7) // 8, 5: width * depth, 6: 3 * width * depth}[variant]
    return size == found.end() + row * height
