"""Change a copy of a document so that its print does not show deleted words."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

from mm_rag_loaders.office.package import DAMAGE

_BLOCK = 1024**2
_MOST_BYTES = 128 * 1024**2  # of a part that is changed in memory
_DELETED = re.compile(rb"<\w+:(del|moveFrom|tracked-changes)[ >]")
_SETTINGS = re.compile(rb"<(\w+):settings\b[^>]*>")
_VIEW = re.compile(rb"<\w+:revisionView\b[^>]*/>")
_TRACKED = re.compile(rb"<text:tracked-changes\b.*?</text:tracked-changes>", re.DOTALL)
_DOCUMENTS = ("word/document.xml", "content.xml")


def final_copy(document: Path) -> Path | None:
    """Write a copy that is shown with all changes accepted.

    Args:
        document: A text of Word (.docx) or OpenDocument (.odt).

    Returns:
        The copy, in the same folder; None if nothing was deleted, or if it cannot be changed.
    """
    copy = document.with_name(f"final{document.suffix}")
    try:
        with zipfile.ZipFile(document) as archive:
            if not any(_has_deletions(archive, name) for name in _DOCUMENTS):
                return None
            with zipfile.ZipFile(copy, "w") as target:
                for part in archive.infolist():
                    _copy_part(archive, part, target)
    except DAMAGE:
        return None
    return copy


def _has_deletions(archive: zipfile.ZipFile, name: str) -> bool:
    if name not in archive.namelist():
        return False
    before = b""
    with archive.open(name) as reader:
        while block := reader.read(_BLOCK):
            if _DELETED.search(before + block):
                return True
            before = block[-100:]
    return False


def _copy_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, target: zipfile.ZipFile) -> None:
    is_changed = part.filename in ("word/settings.xml", "content.xml")
    if not is_changed or part.file_size > _MOST_BYTES:
        with archive.open(part) as source, target.open(part.filename, "w") as written:
            shutil.copyfileobj(source, written)
        return
    data = archive.read(part)
    if part.filename == "content.xml":
        # What was deleted lies there only; the text has marks where it was.
        data = _TRACKED.sub(b"", data)
    else:
        view = rb'\g<0><\1:revisionView \1:markup="0" \1:insDel="0"/>'
        data = _SETTINGS.sub(view, _VIEW.sub(b"", data), count=1)
    target.writestr(part.filename, data)
