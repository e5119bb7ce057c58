"""SvgLoader: drawings as pictures, with their title, description and texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from xml.etree.ElementTree import Element, ParseError, tostring

from PIL import Image

from mm_rag._optional import require
from mm_rag._printing import printable
from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.media.image import shrunk_to
from mm_rag.media.text_encoding import decoded
from mm_rag.segment import Segment
from mm_rag_loaders.loader import Loader, SourceFile, read_picture

_MOST_BYTES = 32 * 1024**2
_MOST_NESTED = 200
_MOST_ELEMENTS = 200_000  # that are drawn
_ENTITY = re.compile(r"<!ENTITY\s+([\w.-]{1,100})\s+(\"[^\"&%<]{0,1000}\"|'[^'&%<]{0,1000}')\s*>")
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*(\[[^\]]*\]\s*)?>", re.IGNORECASE)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_OUTSIDE = re.compile(r"url\(\s*[\"']?(?!\s*#)|@import", re.IGNORECASE)
_NEVER_DRAWN = frozenset(["script", "foreignObject", "iframe", "audio", "video", "animate", "set"])
_TEXTS = frozenset(["title", "desc", "text"])
_MOST_SIDE = 8192  # pixels


class SvgLoader(Loader):
    """Reads SVG drawings. Nothing to which they refer is opened, and no script runs."""

    becomes: ClassVar[str] = "the drawing as a picture, with its title, description and texts"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the drawing, or its texts if it cannot be drawn.

        Raises:
            UnreadableMedia: It is damaged, or there is nothing in it.
        """
        root = _root(file)
        texts = _texts(root)
        title = next((text for name, text in texts if name == "title"), "")
        words = "\n".join(dict.fromkeys(text for _, text in texts))
        picture = self._drawn(root, file)
        if picture is None:
            if not words:
                raise UnreadableMedia(f"{file.name} has no words in it, and cannot be drawn.")
            yield file.text_segment(words, title=title, part=0)
            return
        if not any(name == "text" for name, _ in texts):
            words = "\n".join(filter(None, [words, read_picture(picture, file).text]))
        path = str(self.options.assets.write(picture))
        yield Segment(
            modality="image",
            source=file.source,
            sha256=file.sha256,
            text=words,
            title=title or file.name_in_words,
            media=path,
            preview=path,
            mime_type=self.options.assets.picture_mime,
        )

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield the segments with the drawing drawn again.

        Raises:
            UnreadableMedia: It can no longer be drawn.
        """
        picture = self._drawn(_root(file), file)
        for segment in segments:
            if segment.modality != "image":
                yield segment
                continue
            if picture is None:
                raise UnreadableMedia(f"{file.name} cannot be drawn.")
            path = str(self.options.assets.write(picture))
            yield replace(segment, media=path, preview=path)

    def _drawn(self, root: Element, file: SourceFile) -> Image.Image | None:
        try:
            mupdf: Any = require("pymupdf", extra="pdf", feature="Drawing SVG")
        except MissingExtra as error:
            file.note_missing("the drawing", error)
            return None
        if _is_bomb(root):
            file.note("limit", "not drawn: its elements are nested or repeated too often")
            return None
        if _without_references(root):
            file.note("limit", "files, addresses and scripts to which it refers were left out")
        try:
            with mupdf.open(stream=tostring(root), filetype="svg") as document:
                page = document[0]
                width, height = float(page.rect.width), float(page.rect.height)
                zoom = min(
                    (self.options.page_pixels / max(1.0, width * height)) ** 0.5,
                    _MOST_SIDE / max(1.0, width, height),
                )
                shot = page.get_pixmap(matrix=mupdf.Matrix(zoom, zoom), alpha=False)
                picture = Image.frombytes("RGB", (shot.width, shot.height), shot.samples)
        except (RuntimeError, ValueError, OSError, IndexError) as error:
            file.note("damaged", f"not drawn: {' '.join(str(error).split())[:200]}")
            return None
        return shrunk_to(picture, self.options.page_pixels)


def _root(file: SourceFile) -> Element:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if file.opened.size > _MOST_BYTES:
        raise UnreadableMedia(f"{file.name} is over {_MOST_BYTES:,} bytes.")
    with file.opened.reader() as reader:
        text = decoded(reader.read()).text
    head = text[:65_536]
    named = {name: value[1:-1] for name, value in _ENTITY.findall(head)}
    text = _DECLARATION.sub("", _DOCTYPE.sub("", head, count=1)) + text[65_536:]
    for name, value in named.items():
        text = text.replace(f"&{name};", value)
        if len(text) > 2 * _MOST_BYTES:
            raise UnreadableMedia(f"{file.name} has entities that are too large.")
    try:
        root: Element = fromstring(text)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise UnreadableMedia(f"{file.name} is damaged: {error}.") from error
    return root


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _texts(root: Element) -> list[tuple[str, str]]:
    """Names and words of titles, descriptions and texts, in order."""
    found: list[tuple[str, str]] = []
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if _name(element) in _TEXTS:
            lines = [part.text or "" for part in element.iter() if _name(part) != "style"]
            spans = any(_name(part) == "tspan" for part in element)
            whole = " ".join(lines) if spans else "".join(element.itertext())
            words = printable(" ".join(whole.split()))
            if words:
                found.append((_name(element), words))
        else:
            waiting += reversed(list(element))
    return found


def _is_bomb(root: Element) -> bool:
    """Whether drawing it would take too long: deep nesting, or references to references."""
    sizes: dict[str, int] = {}
    levels = [(root, 1)]
    uses = Counter[str]()
    count = 0
    while levels:
        element, depth = levels.pop()
        count += 1
        if depth > _MOST_NESTED or count > _MOST_ELEMENTS:
            return True
        if _name(element) == "use":
            uses[_target(element)] += 1
        elif (name := element.get("id")) is not None:
            # What refers to something that refers to something else may be drawn exponentially.
            inside = 0
            for inner in element.iter():
                inside += 1
                if inside > 1000 or (_name(inner) == "use" and element is not root):
                    inside = _MOST_ELEMENTS
                    break
            sizes[name] = inside
        levels += [(child, depth + 1) for child in element]
    return sum(sizes.get(name, 0) * number for name, number in uses.items()) > _MOST_ELEMENTS // 2


def _target(element: Element) -> str:
    for name, value in element.attrib.items():
        if name.rpartition("}")[2] == "href":
            return value.strip().removeprefix("#")
    return ""


def _without_references(root: Element) -> bool:
    """Remove what leads out of the drawing; whether there was any."""
    found = False
    for element in root.iter():
        for child in list(element):
            if _name(child) in _NEVER_DRAWN:
                element.remove(child)
                found = True
        for name, value in list(element.attrib.items()):
            is_link = name.rpartition("}")[2] in ("href", "src")
            is_inside = value.lstrip().lower().startswith(("#", "data:image/"))
            if (is_link and not is_inside) or _OUTSIDE.search(value):
                del element.attrib[name]
                found = found or _name(element) != "a"
        if _name(element) == "style" and _OUTSIDE.search(element.text or ""):
            element.text = ""
            found = True
    return found
