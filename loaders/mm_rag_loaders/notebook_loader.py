"""NotebookLoader: Jupyter notebooks cell by cell, with their outputs and pictures."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

from mm_rag._printing import printable
from mm_rag.errors import UnreadableMedia
from mm_rag.media.text_encoding import decoded
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.documents import (
    Document,
    Headings,
    Picture,
    document_segments,
    headings_after,
)
from mm_rag_loaders.html import html_page
from mm_rag_loaders.loader import Loader, Member, SourceFile
from mm_rag_loaders.local_pictures import picture_members
from mm_rag_loaders.markup.markdown import markdown_document
from mm_rag_loaders.passages import TextPart

_MOST_BYTES = 512 * 1024**2
_MOST_OUTPUT = 20_000  # characters of one output: about 20 passages
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_PICTURES: Mapping[str, str] = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
}
# Names of the kinds of outputs in notebooks of format 3.
_OLD_KINDS: Mapping[str, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
    "html": "text/html",
    "latex": "text/latex",
    "text": "text/plain",
}
_EMPTY_TEXT = re.compile(r"<[\w.]*(Figure|Axes|IPython\.core\.display)[^\n]{0,500}>\s*\Z")


@dataclass
class _Cell:
    """A cell: its parts, and the pictures in it by the name under which they are found."""

    document: Document
    inside: dict[str, tuple[str, bytes]] = field(default_factory=dict[str, tuple[str, bytes]])
    notes: list[str] = field(default_factory=list[str])


class NotebookLoader(Loader):
    """Reads notebooks of the formats 3 and 4. No code is run."""

    becomes: ClassVar[str] = (
        "each cell: Markdown, code with its language, outputs as text and tables; its pictures"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the passages of the cells in order.

        Raises:
            UnreadableMedia: It is damaged, or has neither words nor pictures.
            MissingExtra: A parser is not installed.
        """
        notebook = _notebook(file)
        above: Headings = ()
        found = False
        for number, cell in enumerate(_cells(notebook), start=1):
            if number > self.options.policy.max_pages:
                file.note("limit", f"only the first {number - 1} cells were read (max_pages)")
                break
            for note in cell.notes:
                file.note("limit", f"cell {number}: {note}")
            found = found or bool(cell.document.parts or cell.document.pictures)
            yield from document_segments(
                replace(cell.document, title=_title(notebook)),
                file,
                self.options.passage_words,
                page=number,
                place=f"cell {number}",
                above=above,
            )
            above = headings_after(above, cell.document.parts)
        if not found:
            raise UnreadableMedia(f"{file.name} has no words in it.")

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the pictures that cells show, and those that lie beside the notebook."""
        above: Headings = ()
        pictures: list[Picture] = []
        inside: dict[str, tuple[str, bytes]] = {}
        for number, cell in enumerate(_cells(_notebook(file)), start=1):
            if number > self.options.policy.max_pages:
                break
            path = " > ".join(text for _, text in headings_after(above, cell.document.parts))
            inside |= {
                f"{number}:{key}": (f"cell-{number}-{name}", data)
                for key, (name, data) in cell.inside.items()
            }
            for picture in cell.document.pictures:
                name = f"{number}:{picture.source}"
                source = name if picture.source in cell.inside else picture.source
                pictures.append(replace(picture, source=source, heading=path))
            above = headings_after(above, cell.document.parts)
        yield from picture_members(pictures, file, self.options.policy, inside.get)


def _notebook(file: SourceFile) -> dict[str, Any]:
    if file.opened.size > _MOST_BYTES:
        raise UnreadableMedia(f"{file.name} is over {_MOST_BYTES:,} bytes.")
    with file.opened.reader() as reader:
        data = reader.read()
    try:
        found: Any = json.loads(decoded(data).text)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deep"
        raise UnreadableMedia(f"{file.name} is damaged: {reason}.") from error
    if not isinstance(found, dict):
        raise UnreadableMedia(f"{file.name} is not a notebook.")
    return cast("dict[str, Any]", found)


def _title(notebook: Mapping[str, Any]) -> str:
    title = _mapping(notebook, "metadata").get("title")
    if isinstance(title, str) and title.strip():
        return " ".join(printable(title).split())
    for cell in _raw_cells(notebook)[:5]:
        heading = re.match(r"\s*#[ \t]+(.+)", _text(cell.get("source")))
        if cell.get("cell_type") == "markdown" and heading:
            return " ".join(printable(heading[1]).split())
    return ""


def _language(notebook: Mapping[str, Any]) -> str:
    about = _mapping(notebook, "metadata")
    names = (
        _mapping(about, "language_info").get("name"),
        _mapping(about, "kernelspec").get("language"),
    )
    return next((printable(name)[:40] for name in names if isinstance(name, str) and name), "")


def _raw_cells(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        sheets = _dicts(notebook.get("worksheets"))
        cells = [cell for sheet in sheets for cell in _dicts(sheet.get("cells"))]
    return _dicts(cast("list[Any]", cells))


def _cells(notebook: Mapping[str, Any]) -> Iterator[_Cell]:
    language = _language(notebook)
    for cell in _raw_cells(notebook):
        kind = cell.get("cell_type")
        source = printable(_text(cell.get("source", cell.get("input"))))
        if kind == "markdown":
            yield _markdown_cell(source, cell)
        elif kind == "heading":
            level = cell.get("level")
            level = level if isinstance(level, int) and 1 <= level <= 6 else 1
            parts = [TextPart("heading", source, level)] if source.strip() else []
            yield _Cell(Document(parts=parts))
        elif kind == "code":
            yield _code_cell(source, cell, language or str(cell.get("language") or ""))
        else:
            parts = [TextPart("text", source)] if source.strip() else []
            yield _Cell(Document(parts=parts))


def _markdown_cell(source: str, cell: Mapping[str, Any]) -> _Cell:
    document = markdown_document(source)
    found = _Cell(document or Document(parts=[TextPart("text", source)]))
    for name, bundle in _mapping(cell, "attachments").items():
        for kind, suffix in _PICTURES.items():
            data = _bytes(_mapping({"bundle": bundle}, "bundle").get(kind), kind)
            if data:
                known = name if name.lower().endswith(suffix) else f"{name}{suffix}"
                found.inside[f"attachment:{name}"] = (known, data)
    return found


def _code_cell(source: str, cell: Mapping[str, Any], language: str) -> _Cell:
    metadata: dict[str, Scalar] = {"language": language} if language else {}
    parts = [TextPart("text", source.rstrip())] if source.strip() else []
    found = _Cell(Document(parts=parts, metadata=metadata))
    pictures: list[Picture] = []
    for output in _dicts(cell.get("outputs")):
        bundle = _bundle(output)
        parts += _output_parts(output, bundle, found)
        for kind, suffix in _PICTURES.items():
            data = _bytes(bundle.get(kind), kind)
            if data:
                name = f"output-{len(found.inside) + 1}{suffix}"
                found.inside[name] = (name, data)
                pictures.append(Picture(source=name))
                break
    found.document = replace(found.document, parts=parts, pictures=pictures)
    return found


def _bundle(output: Mapping[str, Any]) -> dict[str, Any]:
    """The output by MIME types."""
    data = output.get("data")
    if isinstance(data, dict):
        return cast("dict[str, Any]", data)
    return {kind: output[old] for old, kind in _OLD_KINDS.items() if old in output}


def _output_parts(
    output: Mapping[str, Any], bundle: Mapping[str, Any], cell: _Cell
) -> Iterator[TextPart]:
    kind = output.get("output_type")
    if kind in ("error", "pyerr"):
        # The traceback repeats the code of the cell, and names files of the author's machine.
        what = ": ".join(filter(None, [_text(output.get("ename")), _text(output.get("evalue"))]))
        yield from _cut([TextPart("text", _plain(what))], cell)
    elif kind == "stream":
        yield from _cut([TextPart("text", _plain(_text(output.get("text"))))], cell)
    elif "text/html" in bundle and "<table" in _text(bundle["text/html"]):
        html = _text(bundle["text/html"])
        yield from _cut(html_page(html[: 50 * _MOST_OUTPUT], main_only=False).parts, cell)
    elif "text/markdown" in bundle:
        document = markdown_document(printable(_text(bundle["text/markdown"])[:_MOST_OUTPUT]))
        yield from _cut(document.parts if document else [], cell)
    elif "text/plain" in bundle or "text/latex" in bundle:
        text = _plain(_text(bundle.get("text/plain") or bundle.get("text/latex")))
        is_shown = any(picture in bundle for picture in _PICTURES)
        if not (is_shown and _EMPTY_TEXT.match(text)):
            yield from _cut([TextPart("text", text)], cell)
    elif "text/html" in bundle:
        html = _text(bundle["text/html"])
        yield from _cut(html_page(html[: 50 * _MOST_OUTPUT], main_only=False).parts, cell)
    elif bundle and not any(picture in bundle for picture in _PICTURES):
        cell.notes.append("an interactive output was left out")


def _cut(parts: Sequence[TextPart], cell: _Cell) -> Iterator[TextPart]:
    """The parts of an output, without what is too long."""
    room = _MOST_OUTPUT
    for part in parts:
        text = part.text.rstrip()
        if text.strip() and room > 0:
            yield TextPart(part.kind, text[:room], part.level)
        if len(text) > room:
            cell.notes.append(f"output cut after {_MOST_OUTPUT:,} characters")
            return
        room -= len(text)


def _plain(text: str) -> str:
    return printable(_COLOUR.sub("", text))


def _text(value: Any) -> str:
    """A text, which notebooks may keep as a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in cast("list[Any]", value) if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _bytes(value: Any, kind: str) -> bytes:
    text = _text(value)
    if not text or kind == "image/svg+xml":
        return text.encode()
    try:
        return base64.b64decode("".join(text.split()))
    except ValueError:
        return b""


def _mapping(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    found = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", each) for each in found if isinstance(each, dict)]
