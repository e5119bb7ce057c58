"""Title, author and dates that office files say of themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mm_rag.errors import UnreadableMedia
from mm_rag.segment import Scalar
from mm_rag_loaders.office.blocks import one_paragraph
from mm_rag_loaders.office.package import Package, local

_CORE, _META = "docProps/core.xml", "meta.xml"
_NAMES = {
    "title": "title",
    "creator": "author",
    "initial-creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "keyword": "keywords",
    "created": "created",
    "creation-date": "created",
    "modified": "modified",
}
_MOST_LETTERS = 1000
_FILE_NAME = re.compile(r"\.(docx?|docm|dotx?|odt|odp|rtf|pptx?|pptm|ppsx?|potx?)$", re.IGNORECASE)
_DEFAULTS = ("powerpoint presentation", "powerpoint-präsentation", "présentation powerpoint")
_MEANINGLESS = ("python-docx", "unknown", "anonymous", "microsoft office user")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?")


@dataclass(frozen=True)
class Properties:
    """Title, author and dates of a file.

    Attributes:
        title: Empty if it has none that means anything.
        metadata: `author`, `subject`, `keywords`, `created` and `modified`, where they are known.
    """

    title: str = ""
    metadata: dict[str, Scalar] = field(default_factory=dict[str, Scalar])


def properties_of(package: Package) -> Properties:
    """The properties of an office file; empty ones if they are damaged."""
    found: dict[str, str] = {}
    try:
        root = package.tree(_CORE)
        root = package.tree(_META) if root is None else root
    except UnreadableMedia:
        return Properties()
    for element in root.iter("{*}*") if root is not None else ():
        name = _NAMES.get(local(element), "")
        text = one_paragraph(element.text or "")[:_MOST_LETTERS]
        if name in ("created", "modified"):
            date = _DATE.match(text)
            text = date[0] if date else ""
        if not name or not text or text.lower() in _MEANINGLESS:
            continue
        found[name] = f"{found[name]}, {text}" if name == "keywords" in found else text
    title = found.pop("title", "")
    is_default = title.lower().startswith(_DEFAULTS) or _FILE_NAME.search(title)
    letters = sum(map(str.isalpha, title))
    return Properties("" if is_default or letters < 4 else title, dict(found))
