"""The names of the files in a ZIP archive, which are in UTF-8 only if a flag says so.

Without the flag they are in code page 437 by the standard. Windows writes them in the code page of
its language, macOS in UTF-8; a field of Info-ZIP may hold the name in UTF-8.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence

_IS_UTF8 = 0x800
_UNICODE_PATH = 0x7075
_KANA = re.compile("[\u3040-\u30ff]{2}")
_ALONE = re.compile(
    r"(?<=[A-Za-z])[^\x00-\x7f](?![^\x00-\x7f])"
    r"|(?<![^\x00-\x7f])[^\x00-\x7f](?=[A-Za-z])"
)
_CAPITAL_INSIDE = re.compile("[\u0430-\u044f\u0451][\u0410-\u042f\u0401]")
_CODE_PAGES = ("cp932", "gb18030", "cp949", "big5", "cp866", "cp1251", "cp850", "cp437")
# Scripts of the letters for which a code page is used, by the beginning of their Unicode names.
_SCRIPTS = {
    "cp932": ("HIRAGANA", "KATAKANA", "CJK", "FULLWIDTH", "IDEOGRAPHIC"),
    "gb18030": ("CJK", "FULLWIDTH", "IDEOGRAPHIC"),
    "cp949": ("HANGUL", "FULLWIDTH"),
    "big5": ("CJK", "FULLWIDTH", "IDEOGRAPHIC"),
    "cp866": ("CYRILLIC",),
    "cp1251": ("CYRILLIC",),
    "cp850": ("LATIN",),
    "cp437": ("LATIN",),
}


def names_of(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The names of all files, in order."""
    raw = [_bytes_of(entry) for entry in entries]
    unknown = [data for data in raw if data is not None and not data.isascii()]
    codec = _codec_of(unknown) if unknown else "cp437"
    return [
        _unicode_path(entry, data)
        or (entry.filename if data is None else data.decode(codec, "replace"))
        for entry, data in zip(entries, raw, strict=True)
    ]


def _bytes_of(entry: zipfile.ZipInfo) -> bytes | None:
    """The name's bytes; None if it is said to be UTF-8."""
    if entry.flag_bits & _IS_UTF8:
        return None
    return entry.orig_filename.encode("cp437", "replace")


def _unicode_path(entry: zipfile.ZipInfo, raw: bytes | None) -> str:
    extra, at = entry.extra, 0
    while raw is not None and at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        held = extra[at + 4 : at + 4 + size]
        if kind == _UNICODE_PATH and len(held) > 5:
            is_current = struct.unpack_from("<I", held, 1)[0] == zlib.crc32(raw)
            return held[5:].decode("utf-8", "replace") if is_current else ""
        at += 4 + size
    return ""


def _codec_of(names: Sequence[bytes]) -> str:
    """The code page in which names are most like words."""
    data = b"\n".join(names)[:20_000]
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    return max(_CODE_PAGES, key=lambda codec: _likeness(data, codec))


def _likeness(data: bytes, codec: str) -> float:
    """Score the letters beyond ASCII as words in the script of a code page.

    1 if all belong to the script. In the code pages of East Asia, two bytes are often a letter by
    chance: kana in a row are not, and a Chinese text is not written in the first thousand Hangul
    only; a single ideograph beside a Latin letter is.
    """
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return 0.0
    letters = [letter for letter in text if not letter.isascii()]
    fitting = sum(unicodedata.name(letter, "").startswith(_SCRIPTS[codec]) for letter in letters)
    if codec == "cp932" and _KANA.search(text):
        return 2.0
    if codec == "cp949" and fitting == len(letters) >= 3 and not _ALONE.search(text):
        return 1.5
    by_chance = 0
    if codec not in ("cp437", "cp850"):
        by_chance = len(_ALONE.findall(text)) + len(_CAPITAL_INSIDE.findall(text))
    return (fitting - by_chance) / max(1, len(letters))
