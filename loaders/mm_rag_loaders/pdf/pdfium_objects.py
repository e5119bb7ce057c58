"""What else is on a page, as pdfium gives it: lines drawn, pictures, links, annotations."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.pdfium_text import Corner
from mm_rag_loaders.pdf.raw import Picture, around

_Matrix: TypeAlias = tuple[float, float, float, float, float, float]
_Point: TypeAlias = tuple[float, float]

_MOST_OBJECTS = 50_000  # of a page; a map may have a million
_MOST_DEPTH = 8
_MOST_SEGMENTS = 500  # of a path; one with more is a drawing
_MOST_LINKS = 1000
_MOST_URL_BYTES = 4096
_THIN = 3.0  # points: a rectangle that is drawn as a line
_STRAIGHT = 0.5  # points


@dataclass
class Drawn:
    """What is drawn on a page besides text, in points from the corner of its visible part.

    Attributes:
        rules: Straight lines along the page's edges.
        outlines: How many paths there are.
        pictures: With their resolution.
    """

    rules: list[Box] = field(default_factory=list[Box])
    outlines: int = 0
    pictures: list[Picture] = field(default_factory=list[Picture])


def drawn_on(pdfium: Any, page: Any, corner: Corner) -> Drawn:
    """The first 50,000 things that are drawn on a page.

    Args:
        pdfium: `pypdfium2.raw`.
        page: A page of it.
        corner: Of the visible part of the page.
    """
    found = Drawn()
    # PDF's y runs up.
    upright: _Matrix = (1, 0, 0, -1, -corner[0], corner[1])
    for item, kind, matrix in islice(_objects(pdfium, page, upright), _MOST_OBJECTS):
        if kind == pdfium.FPDF_PAGEOBJ_PATH and _is_visible(pdfium, item):
            found.outlines += 1
            found.rules += _rules(_segments(pdfium, item, matrix))
        elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            found.pictures.append(_picture(pdfium, item, matrix))
    return found


def links_on(pdfium: Any, document: Any, page: Any) -> list[str]:
    """The addresses that a page links to, each once."""
    found: dict[str, None] = {}
    at, link = ctypes.c_int(0), pdfium.FPDF_LINK()
    buffer = ctypes.create_string_buffer(_MOST_URL_BYTES)
    while len(found) < _MOST_LINKS and pdfium.FPDFLink_Enumerate(page, at, link):
        action = pdfium.FPDFLink_GetAction(link)
        if action and pdfium.FPDFAction_GetType(action) == pdfium.PDFACTION_URI:
            size = pdfium.FPDFAction_GetURIPath(document, action, buffer, _MOST_URL_BYTES)
            if 1 < size <= _MOST_URL_BYTES:
                found[buffer.value.decode("utf-8", "replace").strip()] = None
    return [address for address in found if address]


def has_annotations(pdfium: Any, page: Any) -> bool:
    """Whether it has form fields, comments or stamps; links do not count."""
    passive = (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP)
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        pdfium.FPDFPage_CloseAnnot(annotation)
        if kind not in passive:
            return True
    return False


def _objects(pdfium: Any, page: Any, upright: _Matrix) -> Iterator[tuple[Any, int, _Matrix]]:
    """Every object, what is inside of others included, with the matrix that leads to the page."""
    count, get = pdfium.FPDFPage_CountObjects, pdfium.FPDFPage_GetObject
    todo = [(get(page, number), upright, 0) for number in range(count(page))][::-1]
    count, get = pdfium.FPDFFormObj_CountObjects, pdfium.FPDFFormObj_GetObject
    raw = pdfium.FS_MATRIX()
    while todo:
        item, outer, depth = todo.pop()
        kind = pdfium.FPDFPageObj_GetType(item)
        pdfium.FPDFPageObj_GetMatrix(item, raw)
        matrix = _times((raw.a, raw.b, raw.c, raw.d, raw.e, raw.f), outer)
        yield item, kind, matrix
        if kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _MOST_DEPTH:
            inner = [(get(item, n), matrix, depth + 1) for n in range(max(0, count(item)))]
            todo += inner[::-1]


def _times(inner: _Matrix, outer: _Matrix) -> _Matrix:
    a, b, c, d, e, f = inner
    x, y = _moved((e, f), outer)
    p, q, r, s = outer[:4]
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, x, y)


def _moved(point: _Point, matrix: _Matrix) -> _Point:
    x, y = point
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _picture(pdfium: Any, item: Any, matrix: _Matrix) -> Picture:
    corners = [_moved(corner, matrix) for corner in ((0, 0), (1, 0), (0, 1), (1, 1))]
    width, height = ctypes.c_uint(), ctypes.c_uint()
    pdfium.FPDFImageObj_GetImagePixelSize(item, width, height)
    points = math.hypot(matrix[0], matrix[1]) or 1.0
    return Picture(around([(*corner, *corner) for corner in corners]), width.value / points)


def _is_visible(pdfium: Any, path: Any) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(path, fill, stroke)
    return bool(fill.value or stroke.value)


def _segments(pdfium: Any, path: Any, matrix: _Matrix) -> list[tuple[_Point, _Point]]:
    """The straight lines of a path; none of a path that has many, or curves."""
    count = pdfium.FPDFPath_CountSegments(path)
    found: list[tuple[_Point, _Point]] = []
    if not 2 <= count <= _MOST_SEGMENTS:
        return found
    x, y = ctypes.c_float(), ctypes.c_float()
    start = last = (0.0, 0.0)
    for number in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(path, number)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        point = _moved((x.value, y.value), matrix)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            start = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            found.append((last, point))
        else:
            return []
        last = point
        if pdfium.FPDFPathSegment_GetClose(segment) and last != start:
            found.append((last, start))
    return found


def _rules(segments: list[tuple[_Point, _Point]]) -> list[Box]:
    """Those along the page's edges; a thin rectangle is one."""
    boxes = [around([(*a, *a), (*b, *b)]) for a, b in segments]
    if not boxes:
        return []
    whole = around(boxes)
    if min(whole[2] - whole[0], whole[3] - whole[1]) <= _THIN:
        return [whole]
    return [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) <= _STRAIGHT]
