"""Decode the bytes of a text: its encoding is detected, and a note says what was assumed.

`decoded` takes bytes. `open_text` opens a file of any size as a stream, after one pass over it that
finds the encoding. A text that is mostly UTF-8 stays UTF-8, and what is not valid is replaced.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO, TypeAlias

from mm_rag.media.access import OpenedFile

# UTF-32 first: its mark in little-endian order begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# What is looked for: not EBCDIC, in which any binary file is a text, and not UTF-7.
_WIDE = ("utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le")
_ESCAPED = ("hz", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_ext", "iso2022_kr")
_LEGACY = (
    *(f"cp{number}" for number in range(1250, 1259)),
    *(f"iso8859-{number}" for number in (*range(1, 10), 13, 14, 15, 16)),
    *("big5hkscs", "cp932", "cp949", "euc_jis_2004", "euc_kr", "gb18030", "johab", "tis-620"),
    *("koi8-r", "koi8-u", "cp437", "cp737", "cp775", "cp850", "cp852", "cp855", "cp857", "cp858"),
    *("cp862", "cp864", "cp866", "cp874"),
    *("mac-cyrillic", "mac-greek", "mac-latin2", "mac-roman", "mac-turkish"),
)
# An encoding is read as the one that contains it: many a page or mail names the older one and means
# the newer one. `euc_jis_2004` and its like are what the detector says for the usual ones.
_CONTAINING = {
    "big5": "big5hkscs",
    "euc_jis_2004": "euc_jp",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso2022_jp_2": "iso2022_jp",
    "iso2022_jp_2004": "iso2022_jp",
    "iso2022_jp_ext": "iso2022_jp",
    "iso8859-1": "cp1252",
    "iso8859-11": "cp874",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "tis-620": "cp874",
}
_NAMES = {
    "big5hkscs": "Big5",
    "cp874": "Windows-874",
    "cp932": "Shift-JIS",
    "cp949": "EUC-KR",
    "euc_jp": "EUC-JP",
    "iso2022_jp": "ISO-2022-JP",
    "iso2022_kr": "ISO-2022-KR",
    "johab": "Johab",
    "mac-cyrillic": "Mac Cyrillic",
    "mac-greek": "Mac Greek",
    "mac-latin2": "Mac Central European",
    "mac-roman": "Mac Roman",
    "mac-turkish": "Mac Turkish",
    "utf-16-be": "UTF-16BE",
    "utf-16-le": "UTF-16LE",
    "utf-32-be": "UTF-32BE",
    "utf-32-le": "UTF-32LE",
}
# Codecs that are not encodings of files, and ASCII, which is asked about only if it was wrong.
_NOT_DECLARED = frozenset(
    {"ascii", "charmap", "idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined"}
    | {"unicode-escape", "utf-7"}
)

_CHUNK = 1024**2  # bytes
_HEAD = 65_536  # bytes in which UTF-16 and UTF-32 are looked for
_WINDOW = 32_768  # bytes that the detector sees of a chunk, from its first letter beyond ASCII on
_SAMPLE = 4 * _WINDOW  # bytes that it sees of a file
_WIDE_HEAD = 8192  # bytes in which UTF-16 without spaces and line ends is looked for
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_HIGH_BYTES = bytes(range(128, 256))
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# In these encodings all bytes are ASCII, with escapes before and after the other letters.
_ESCAPES = re.compile(rb"\x1b\$|\x1b\([IJ]|~\{")
CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\x08"))
"""Control characters that texts have by accident only: not tabs, line ends, form feeds, backspaces
and escapes."""
_BLANKED = bytes(32 if byte in CONTROL_BYTES else byte for byte in range(256))
# Share of control bytes from which UTF-16 and UTF-32 are tried: there, every letter of most scripts
# has a byte below 32. A text in another encoding has few, unless a crash left a block of NUL in it.
_WIDE_CONTROLS = 0.05
# Share of valid sequences from which a text is UTF-8 with errors. Of 2,000 texts in 50 other
# encodings none had over 0.5, and of those with over 60 letters beyond ASCII none over 0.34.
_MOSTLY = 0.66
_NO_MATCH = "ascii"  # what the detector answers if nothing fits
_FEW_ERRORS = 0.01  # share of letters that an encoding may get wrong

_OTHER = "\u0370-\u06ff\u0e00-\u0e7f"
_OTHER_ALPHABET = re.compile(rf"[{_OTHER}]+")
_MIXED_WORD = re.compile(rf"[A-Za-z][{_OTHER}]|[{_OTHER}][A-Za-z]")
# A text with few letters beyond ASCII, such as English with curly quotes, fits equally well to
# several encodings. Then the one counts in which most of these characters stand where they belong.
_WESTERN = ("cp1252", "iso8859-15", "mac-roman", "cp850", "cp437")
_CLOSE = 0.0005
_NEAR = 0.03
_SMALL, _LARGE = "a-zß-öø-ÿœ", "A-ZÀ-ÖØ-ÝŒ"
_IN_PLACE = re.compile(
    # ruff: noqa: RUF001
    rf"(?<=[{_SMALL}])[ß-ïñ-öø-üÿœ]|(?<=\b[{_LARGE}])[ß-ïñ-öø-üÿœ]|\b[ß-ïñ-öø-üœ](?=[{_SMALL} ])"
    rf"|(?<![{_SMALL}])[À-ÖØ-ÜŒ](?=\w)"
    r"|(?<=\w)’|(?<=\S)”(?!\w)|(?<![^\s(\[—–-])[‘“„‚«¿¡](?=\w)|(?<=\S)»(?!\w)"
    r"|(?<=\w)[–—](?=\w)|(?<![^ \n])[–—•·](?![^\s\d])|(?<=[\w\s.,])…|…(?=\w)"
    r"|[€£¥](?=\s?\d)|(?<=\d)\s?[€£¥¢]|(?<=\d)\s?[°º²³](?!\d)|[©®™]|(?<=[a-z])[²³]"
    r"|(?<![^\s\d])[×÷±]|µ(?=[a-zA-Z])|[½¼¾](?!\w)|§(?=[\s§\d])|\xa0",
    re.MULTILINE,
)

_Chunks: TypeAlias = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, kw_only=True)
class TextEncoding:
    """Decoded bytes of a text.

    Attributes:
        encoding: Name that people use: "UTF-8", "Windows-1251", "Shift-JIS".
        codec: Name of Python's codec; `utf-8-sig` or `utf-16`, for example, if there is a mark.
        is_guessed: Whether only statistics say so: no mark, no declaration, and not UTF-8.
        replaced: Number of letters that could not be read; each became U+FFFD.
    """

    encoding: str
    codec: str
    is_guessed: bool = False
    replaced: int = 0

    @property
    def note(self) -> str:
        """One line for a report if the text is not flawless UTF-8; otherwise empty."""
        notes: list[str] = []
        if self.encoding != "UTF-8":
            guessed = " (guessed)" if self.is_guessed else ""
            notes.append(f"not UTF-8: read as {self.encoding}{guessed}")
        if self.replaced:
            letters = "letter is" if self.replaced == 1 else "letters are"
            notes.append(
                f"{self.replaced:,} {letters} not valid {self.encoding} and shown as {_REPLACEMENT}"
            )
        return "; ".join(notes)


@dataclass(frozen=True, kw_only=True)
class DecodedText(TextEncoding):
    """A text, and how its bytes were read.

    Attributes:
        text: The whole text, without the mark. Control characters and line ends are kept.
    """

    text: str


@dataclass(frozen=True, kw_only=True)
class OpenedText(TextEncoding):
    """A stream of text, and how its bytes are read.

    Attributes:
        stream: The text, to be closed by the caller.
    """

    stream: TextIO


def decoded(data: bytes, *, declared: str | None = None) -> DecodedText:
    """Decode the bytes of a text.

    Args:
        data: All bytes.
        declared: The encoding that the text or its envelope names. It is ignored if no such
            encoding is known, or if the bytes prove it wrong.
    """
    found = _encoding_of(lambda: iter([data]), declared)
    return DecodedText(text=data.decode(found.codec, "replace"), **vars(found))


def open_text(
    file: OpenedFile, *, declared: str | None = None, newline: str | None = None
) -> OpenedText:
    """Open a text file of any size as a stream, after one or two passes over it. Memory stays flat.

    Args:
        file: The file.
        declared: As for `decoded`.
        newline: As for Python's `open`: None makes all line ends alike, "" keeps them, as `csv`
            needs.
    """
    found = _encoding_of(lambda: _chunks(file), declared)
    stream = io.TextIOWrapper(file.reader(), found.codec, "replace", newline)
    return OpenedText(stream=stream, **vars(found))


def text_encoding(file: OpenedFile, *, declared: str | None = None) -> TextEncoding:
    """Find the encoding of a text file without reading its text. Memory stays flat."""
    return _encoding_of(lambda: _chunks(file), declared)


def _chunks(file: OpenedFile) -> Iterator[bytes]:
    with file.reader() as reader:
        while chunk := reader.read(_CHUNK):
            yield chunk


def _encoding_of(chunks: _Chunks, declared: str | None) -> TextEncoding:
    head = next(chunks(), b"")[:_HEAD]
    for mark, codec in _MARKS.items():
        if head.startswith(mark):
            with_mark = "utf-8-sig" if codec == "utf-8" else codec[: len("utf-16")]
            return TextEncoding(
                encoding=_name(codec), codec=with_mark, replaced=_replaced(with_mark, chunks)
            )
    if codec := wide_codec(head):
        return _read_as(codec, chunks, is_guessed=True)
    survey = _Survey(chunks())
    codec = _declared_codec(declared)
    if codec and _fits(codec, survey, chunks):
        return _read_as(codec, chunks, is_guessed=False)
    if survey.has_escapes and (codec := _detect(survey.sample, _ESCAPED)):
        return _read_as(codec, chunks, is_guessed=True)
    if survey.is_mostly_utf8:
        return TextEncoding(encoding="UTF-8", codec="utf-8", replaced=survey.invalid)
    return _read_as(_legacy_codec(survey.sample, head), chunks, is_guessed=True)


class _Survey:
    """Counts and a sample of a text, from one pass over it.

    Attributes:
        valid: Number of letters beyond ASCII that are valid UTF-8.
        invalid: Number of places that are not valid UTF-8.
        sample: Its first lines with bytes beyond ASCII, from different places if it is long.
        has_escapes: Whether an escape announces Japanese, Korean or Chinese written with ASCII.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.valid = self.invalid = 0
        self.sample = b""
        self.has_escapes = False
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for chunk in chunks:
            if not chunk.isascii() or decoder.getstate()[0]:
                self._count(decoder.decode(chunk), chunk)
                self._take_sample(chunk)
            elif not self.sample:
                self._look_for_escapes(chunk)
        self.invalid += len(decoder.decode(b"", final=True))

    @property
    def is_mostly_utf8(self) -> bool:
        return self.valid >= _MOSTLY * (self.valid + self.invalid)

    def _count(self, text: str, chunk: bytes) -> None:
        # A text may have U+FFFD of its own, from an earlier reader.
        invalid = max(0, text.count(_REPLACEMENT) - chunk.count(_REPLACEMENT.encode()))
        self.invalid += invalid
        self.valid += len(text) - invalid - len(chunk.translate(None, _HIGH_BYTES))

    def _take_sample(self, chunk: bytes) -> None:
        first = _NOT_ASCII.search(chunk)
        if first is None or len(self.sample) >= _SAMPLE:
            return
        # From the start of a line: no letter of several bytes is cut in two there. Or from the
        # start of the file, where a page or a feed may declare its encoding.
        line = chunk.rfind(b"\n", 0, first.start()) + 1
        if line or not self.sample:
            start = line if first.start() > _WINDOW // 2 else 0
            self.sample += chunk[start : start + _WINDOW]

    def _look_for_escapes(self, chunk: bytes) -> None:
        if escape := _ESCAPES.search(chunk):
            self.has_escapes = True
            start = max(0, escape.start() - _WINDOW // 2)
            self.sample = chunk[start : start + _WINDOW]


def _declared_codec(declared: str | None) -> str:
    """Python's codec for a declared encoding; empty if it is unknown."""
    name = (declared or "").strip().strip("\"'").lower()
    names = (name, name.removeprefix("x-"), name.removesuffix("-i").removesuffix("-e"))
    windows = re.sub(r"^(x-)?windows-", "cp", name).replace("cp31j", "cp932")
    for each in (*names, windows):
        try:
            codec = codecs.lookup(each).name
            b"".decode(codec)  # an error for codecs from bytes to bytes
        except (LookupError, ValueError):
            continue
        return "" if codec in _NOT_DECLARED else codec
    return ""


def _fits(codec: str, survey: _Survey, chunks: _Chunks) -> bool:
    """Whether the bytes of a text agree with the encoding that it declares."""
    if codec.startswith(("iso2022", "hz")):
        return survey.has_escapes
    # UTF-16 was looked for: a page whose declaration can be read as ASCII has another encoding.
    # What is valid UTF-8 is so by chance only in other encodings.
    is_utf8 = survey.is_mostly_utf8 and not survey.invalid
    if is_utf8 or codec.startswith("utf-"):
        return False
    codec = _CONTAINING.get(codec, codec)
    return _replaced(codec, chunks) <= _FEW_ERRORS * (survey.valid + survey.invalid)


def wide_codec(head: bytes) -> str:
    """The codec of UTF-16 or UTF-32 without a mark, by the first bytes of a file; else empty.

    Chinese, Japanese and Korean without any space may be missed.
    """
    controls = len(head) - len(head.translate(None, CONTROL_BYTES))
    if controls <= _WIDE_CONTROLS * len(head):
        return ""
    codec = _in_right_order(_detect(head, _WIDE), head)
    if not codec:
        return ""
    text = head.decode(codec, "ignore")
    return codec if sum(map(is_strange, text)) <= _FEW_ERRORS * len(text) else ""


def _in_right_order(codec: str, head: bytes) -> str:
    """UTF-16 with the byte order in which the letters come from fewer blocks of 256."""
    if not codec.startswith("utf-16"):
        return codec
    even, odd = len(set(head[::2])), len(set(head[1::2]))
    return codec if even == odd else "utf-16-be" if even < odd else "utf-16-le"


def is_strange(letter: str) -> bool:
    """Whether a character is a control, unassigned, for private use or U+FFFD."""
    if letter.isprintable() or letter.isspace():
        return letter == _REPLACEMENT
    return unicodedata.category(letter) != "Cf"


def _legacy_codec(sample: bytes, head: bytes) -> str:
    """The codec that fits best to bytes that are not UTF-8; Windows-1252 if none fits."""
    start = head[:_WIDE_HEAD]
    if (codec := _detect(start, (*_WIDE, *_LEGACY))) in _WIDE:
        return _in_right_order(codec, start)
    # Control characters make the detector see a binary file, and so does "BM" or "MZ" at the start.
    ranked = _ranked(b" " + sample.translate(_BLANKED), _LEGACY)
    readings = {codec: sample.decode(codec, "replace") for codec in (*ranked, *_WESTERN)}
    likely = {codec: ranked[codec] for codec in ranked if not _mixes_alphabets(readings[codec])}
    best = max(likely.values(), default=0.0)
    letters = sum(not letter.isascii() for letter in readings["cp1252"])
    if likely.get("cp1252", 0.0) >= best - _NEAR and _in_place(readings["cp1252"]) == letters:
        return "cp1252"
    close = [codec for codec in _WESTERN if likely.get(codec, 0.0) >= best - _CLOSE]
    if close:
        return max(close, key=lambda codec: (_in_place(readings[codec]), likely.get(codec, 0.0)))
    return next(iter(likely), "cp1252")


def _mixes_alphabets(text: str) -> bool:
    """Whether most words with Greek, Cyrillic, Hebrew, Arabic or Thai have Latin letters too."""
    words = len(_OTHER_ALPHABET.findall(text))
    return words > 0 and len(_MIXED_WORD.findall(text)) > words / 2


def _in_place(text: str) -> int:
    """Number of letters and signs beyond ASCII that stand where Western texts have them."""
    return sum(1 for _ in _IN_PLACE.finditer(text))


def _detect(sample: bytes, codecs_tried: tuple[str, ...]) -> str:
    """The codec that fits best to a sample; empty if none does."""
    return next(iter(_ranked(sample, codecs_tried)), "")


def _ranked(sample: bytes, codecs_tried: tuple[str, ...]) -> dict[str, float]:
    """The codecs that fit to a sample, the best first, with the detector's confidence."""
    # Imported only for texts that are not UTF-8.
    import chardet

    found = chardet.detect_all(
        sample,
        ignore_threshold=True,
        max_bytes=max(1, len(sample)),
        include_encodings=(*codecs_tried, _NO_MATCH),
        no_match_encoding=_NO_MATCH,
        compat_names=False,
    )
    return {
        each["encoding"]: each["confidence"] for each in found if each["encoding"] in codecs_tried
    }


def _read_as(codec: str, chunks: _Chunks, *, is_guessed: bool) -> TextEncoding:
    replaced = _replaced(codec, chunks)
    containing = _CONTAINING.get(codec, codec)
    if containing != codec and (fewer := _replaced(containing, chunks)) <= replaced:
        codec, replaced = containing, fewer
    return TextEncoding(
        encoding=_name(codec), codec=codec, is_guessed=is_guessed, replaced=replaced
    )


def _replaced(codec: str, chunks: _Chunks) -> int:
    """Number of places that a codec cannot decode."""
    decoder = codecs.getincrementaldecoder(codec)("replace")
    count = sum(decoder.decode(chunk).count(_REPLACEMENT) for chunk in chunks())
    return count + decoder.decode(b"", final=True).count(_REPLACEMENT)


def _name(codec: str) -> str:
    """The name that people use for a codec."""
    windows = re.sub(r"^cp(?=125\d)", "Windows-", codec)
    return _NAMES.get(codec) or windows.replace("iso8859", "iso-8859").upper().replace(
        "WINDOWS", "Windows"
    )
