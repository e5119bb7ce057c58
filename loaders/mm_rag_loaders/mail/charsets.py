"""Decode the text of messages, whose declared charsets are often missing or wrong."""

from __future__ import annotations

import codecs
import re

from mm_rag.media.text_encoding import decoded

# Programs write these names and mean their supersets, as browsers know (WHATWG Encoding Standard).
_MEANT = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "iso-8859-8-i": "iso-8859-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "big5": "big5hkscs",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "unicode-1-1-utf-7": "utf-7",
    "utf8mb4": "utf-8",
}
# Codecs of Python that are not charsets of messages; some of them are slow.
_NO_CHARSETS = frozenset(
    ["idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"]
)
_UNKNOWN = frozenset(["", "unknown", "unknown-8bit", "x-unknown", "8bit", "binary", "default"])
_ASCII = frozenset(["ascii", "us-ascii", "ansi_x3.4-1968"])


def decoded_text(data: bytes, charset: str = "") -> tuple[str, str]:
    """Decode bytes, by their charset if it fits, or else by what they look like.

    UTF-8 is recognised whatever the charset says: other texts are not valid UTF-8 by chance.

    Returns:
        The text, and a remark if it is not decoded as declared: "declared as us-ascii, read as
        UTF-8"; empty if it is.
    """
    declared = charset.strip().strip("\"'").lower()
    name = re.sub(r"\*.*", "", declared)  # a language may follow it
    if data.isascii() and not _is_escaped(name, data):
        return data.decode("ascii"), ""
    meant = _MEANT.get(name.replace("_", "-") if name not in _MEANT else name, name)
    codec = None if name in _ASCII else _codec(meant)
    for guess in (codec, "utf-8") if _is_escaped(name, data) else ("utf-8", codec):
        if guess is None:
            continue
        try:
            text = data.decode(guess)
        except (UnicodeError, ValueError):
            continue
        agrees = guess == codec or name in _UNKNOWN
        return text, "" if agrees else f"declared as {declared}, read as UTF-8"
    if codec is not None and codec != "utf-8":
        return data.decode(codec, "replace"), f"damaged text in {declared}"
    if codec == "utf-8" and _mostly_utf8(data):
        return data.decode("utf-8", "replace"), "damaged text in UTF-8"
    found = decoded(data)
    return (
        found.text,
        "" if name in _UNKNOWN else f"declared as {declared}, read as {found.encoding}",
    )


def _is_escaped(name: str, data: bytes) -> bool:
    """Whether ASCII bytes may stand for other letters: ISO-2022, HZ and UTF-7."""
    return b"\x1b" in data or name.startswith(("utf-7", "unicode-1-1", "hz", "utf-16", "utf-32"))


def _codec(name: str) -> str | None:
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return None if found.replace("_", "-") in _NO_CHARSETS else found


def _mostly_utf8(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    broken = text.count("\N{REPLACEMENT CHARACTER}")
    return broken <= sum(not letter.isascii() for letter in text) / 2
