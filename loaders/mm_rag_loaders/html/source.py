"""The text of an HTML page: its encoding, and limits that keep parsing linear."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from mm_rag.media.text_encoding import DecodedText, decoded

_MOST_NESTED = 512  # levels; browsers draw no more either
_MOST_ATTRIBUTES = 256  # of one element; parsers compare each with all before it
_LONG_TAG = 4096  # characters from which attributes are counted
_META_BYTES = 4096
_META = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_:.-]+)")
_ATTRIBUTE = (
    r"[\s/]*+[^\s/>][^\s/>=]*+"
    r"(?:\s*+=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\s>\"'][^\s>]*+)?+)?+"
)
# A comment, or a tag with its attributes. Nothing is scanned twice.
_TAG = re.compile(
    rf"<(?:!--(?:-?>|[\s\S]*?(?:--!?>|\Z))|(/?)([a-zA-Z][^\s/>]*+)((?:{_ATTRIBUTE})*+)[\s/]*+(?:>|\Z))"
)
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_VOID = frozenset(
    """
    area base br col embed hr img input link meta param source track wbr
    """.split()  # noqa: SIM905 - a list of quoted words is harder to read
)
# Elements whose end tags are mostly left out.
_CLOSED_BY_NEXT = frozenset(
    """
    body colgroup dd dt head html li optgroup option p rp rt tbody td tfoot th thead tr
    """.split()  # noqa: SIM905
)
_RAW = frozenset(["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"])
_SELF_CLOSED = re.compile(r"<([a-zA-Z][\w:.-]*)((?:\s[^<>]*)?)/>")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)


def decoded_html(data: bytes, declared: str = "") -> DecodedText:
    """The text of a page.

    Args:
        data: The bytes of the page.
        declared: The encoding according to the message or server that brought it; may be empty.
    """
    head = data[:_META_BYTES]
    found = _META.search(head) or _XML_ENCODING.match(head)
    named = declared or (found[1].decode("ascii") if found else "")
    # What reads as ASCII is not in one of these, whatever it says.
    return decoded(data, declared=None if named.lower().startswith(("utf-16", "utf-32")) else named)


@dataclass(frozen=True)
class LimitedHtml:
    """A page that can be parsed in linear time.

    Attributes:
        text: The page.
        is_flattened: Whether tags were left out because they were nested too deep. No words are
            lost.
        is_cut: Whether attributes were left out because an element had too many.
    """

    text: str
    is_flattened: bool = False
    is_cut: bool = False


def limited_html(text: str) -> LimitedHtml:
    """Leave out tags and attributes that would make a parser's time quadratic.

    A parser looks through the open elements at each tag, so that 100,000 nested ones take it 35
    seconds, and compares each attribute with those before it.
    """
    depth, kept_to = 0, 0
    kept: list[str] = []
    is_flattened = is_cut = False
    raw = _RawText(text)
    at = text.find("<")
    while at >= 0:
        tag = _TAG.match(text, at)
        if tag is None:
            at = text.find("<", at + 1)
            continue
        end = tag.end()
        name = (tag[2] or "").lower()
        if name and name not in _VOID and name not in _CLOSED_BY_NEXT:
            if tag[1]:
                depth = max(0, depth - 1)
            elif name in _RAW:
                end = raw.end(name, end)
            else:
                depth += 1
                if depth > _MOST_NESTED:
                    kept.append(text[kept_to:at])
                    kept_to, is_flattened = end, True
        if name and len(tag[3]) > _LONG_TAG and kept_to <= at:
            shorter = _fewer_attributes(tag[3])
            if shorter != tag[3]:
                kept += [text[kept_to : tag.start(3)], shorter, ">"]
                kept_to, is_cut = tag.end(), True
        at = text.find("<", end)
    if not kept:
        return LimitedHtml(text)
    return LimitedHtml("".join([*kept, text[kept_to:]]), is_flattened, is_cut)


class _RawText:
    """Finds the ends of scripts, styles and titles, whose content is not markup."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._never_ends = set[str]()

    def end(self, name: str, start: int) -> int:
        """Position of the end tag of an element; `start` if it has none."""
        if name in self._never_ends:
            return start
        close = re.compile(rf"</{name}", re.IGNORECASE).search(self._text, start)
        if close is None:
            self._never_ends.add(name)
        return close.start() if close else start


def _fewer_attributes(attributes: str) -> str:
    found = list(islice(_ONE_ATTRIBUTE.finditer(attributes), _MOST_ATTRIBUTES + 1))
    return attributes if len(found) <= _MOST_ATTRIBUTES else attributes[: found[-1].start()]


def html_from_xhtml(text: str) -> str:
    """XHTML as HTML: `<title/>` would otherwise begin an element that the page never ends."""

    def opened(tag: re.Match[str]) -> str:
        if tag[1].lower() in _VOID:
            return tag[0]
        return f"<{tag[1]}{tag[2]}></{tag[1]}>"

    def escaped(section: re.Match[str]) -> str:
        return section[1].replace("&", "&amp;").replace("<", "&lt;")

    return _SELF_CLOSED.sub(opened, _CDATA.sub(escaped, text))


def is_xhtml(text: str) -> bool:
    """Whether a page is written as XML."""
    head = text[:2048].lstrip()
    return head.startswith("<?xml") or 'xmlns="http://www.w3.org/1999/xhtml"' in head
