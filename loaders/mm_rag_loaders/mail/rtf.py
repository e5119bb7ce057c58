r"""The text of a message that Outlook keeps as compressed RTF only.

Outlook wraps HTML in RTF ([MS-OXRTFEX]): the tags stand in groups that other programs skip, and
what stands for them in RTF is switched off by `\htmlrtf`. The HTML is taken out again. Other RTF
becomes plain text. No RTF library with a permissive licence reads the wrapped HTML.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace

from mm_rag._optional import require
from mm_rag_loaders.mail.texts import Text

_TOKEN = re.compile(
    r"\\([A-Za-z]{1,32})(-?\d{1,9})? ?|\\'([0-9A-Fa-f]{2})|\\(.)|([{}])|([^\\{}\r\n]+)|[\r\n]+",
    re.DOTALL,
)
_SKIPPED = frozenset(
    """
    colortbl datastore datafield field filetbl fldinst fonttbl footer generator header info
    listoverridetable listtable object objdata pict rsidtbl stylesheet themedata xmlnstbl
    """.split()  # noqa: SIM905 - easier to read
) - {"field"}
_LETTERS = {
    "par": "\n",
    "line": "\n",
    "row": "\n",
    "page": "\n",
    "sect": "\n",
    "cell": " | ",
    "tab": "\t",
    "bullet": "\u2022",
    "endash": "\u2013",
    "emdash": "\u2014",
    "lquote": "\u2018",
    "rquote": "\u2019",
    "ldblquote": "\u201c",
    "rdblquote": "\u201d",
}
_SIGNS = {"~": "\xa0", "_": "-", "\\": "\\", "{": "{", "}": "}"}
_MOST_BYTES = 32 * 1024**2


def text_of_compressed_rtf(data: bytes) -> Text:
    """The text, or the HTML, in compressed RTF.

    Raises:
        ValueError: It is damaged.
        MissingExtra: compressed-rtf is not installed.
    """
    library = require("compressed_rtf", extra="documents", feature="Reading RTF of Outlook")
    if int.from_bytes(data[4:8], "little") > _MOST_BYTES:
        raise ValueError("it is too large")
    try:
        return text_of_rtf(library.decompress(data).decode("latin-1"))
    except (IndexError, TypeError, KeyError) as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True)
class _Group:
    r"""The state inside a pair of braces.

    Attributes:
        skips: Whether nothing in it is shown.
        is_tag: Whether it is a piece of the wrapped HTML.
        is_off: Whether `\htmlrtf` is on.
        fallback: Letters that stand for a Unicode one in older programs.
    """

    skips: bool = False
    is_tag: bool = False
    is_off: bool = False
    fallback: int = 1


def text_of_rtf(rtf: str) -> Text:
    """The text, or the HTML, in RTF."""
    is_html = "\\fromhtml" in rtf[:4096]
    found: list[str] = []
    held = bytearray()
    codec = "cp1252"
    group, groups = _Group(), list[_Group]()
    to_skip, starred = 0, False

    def flush() -> None:
        if held:
            found.append(bytes(held).decode(codec, "replace"))
            held.clear()

    for match in _TOKEN.finditer(rtf):
        word, number, code, sign, brace, words = match.groups()
        if code is None:
            flush()
        if brace == "{":
            groups.append(group)
            to_skip = 0
            continue
        if brace == "}":
            group = groups.pop() if groups else group
            to_skip = 0
            continue
        if sign == "*":
            starred = True
            continue
        if starred:
            group = replace(group, is_tag=word == "htmltag", skips=word != "htmltag")
            starred = False
            continue
        if word:
            if word in _SKIPPED:
                group = replace(group, skips=True)
            elif word == "htmlrtf":
                group = replace(group, is_off=number != "0")
            elif word == "ansicpg":
                codec = _codec(number or "")
            elif word == "uc":
                group = replace(group, fallback=int(number or 1))
            elif word == "u" and number and not group.skips and not group.is_off:
                found.append(chr(int(number) % 65_536))
                to_skip = group.fallback
            elif word in _LETTERS and not group.skips and not group.is_off:
                found.append(_LETTERS[word])
            continue
        if group.skips or group.is_off:
            continue
        if code is not None:
            if to_skip:
                to_skip -= 1
            else:
                held.append(int(code, 16))
        elif sign:
            found.append(_SIGNS.get(sign, ""))
        elif words:
            found.append(words[to_skip:])
            to_skip = max(0, to_skip - len(words))
    flush()
    text = "".join(found).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Text("html" if is_html else "plain", text)


def _codec(number: str) -> str:
    try:
        return codecs.lookup(f"cp{number}").name
    except LookupError:
        return "cp1252"
