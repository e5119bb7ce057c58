"""Equations, charts and diagrams (SmartArt) of Office Open XML as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from mm_rag_loaders.office.blocks import Block, lines, one_paragraph, table_of
from mm_rag_loaders.office.package import (
    Element,
    Package,
    any_attribute,
    child,
    children,
    inside,
    local,
    relation_id,
    value,
)

_MOST_POINTS = 100_000  # of a chart
# Some programs put the name of the picture's file there.
_FILE_NAME = re.compile(r"\S+\.(png|jpe?g|gif|bmp|tiff?|svg|wmf|emf|webp|pdf)", re.IGNORECASE)
_MADE_BY = "description automatically generated"


def equation(element: Element) -> str:
    """An equation (OMML) in one line: `(a+b)/2`, `x^2`, `√(x)`, `∑_(i=1)^n i`."""

    def of(name: str) -> str:
        inner = child(element, name)
        return equation(inner) if inner is not None else ""

    def setting(properties: str, name: str, otherwise: str) -> str:
        is_set = child(element, properties, name) is not None
        return value(element, properties, name) if is_set else otherwise

    match local(element):
        case "t":
            return element.text or ""
        case "f":
            return f"{_grouped(of('num'))}/{_grouped(of('den'))}"
        case "sSup":
            return f"{of('e')}^{_grouped(of('sup'))}"
        case "sSub":
            return f"{of('e')}_{_grouped(of('sub'))}"
        case "sSubSup":
            return f"{of('e')}_{_grouped(of('sub'))}^{_grouped(of('sup'))}"
        case "sPre":
            return f"_{_grouped(of('sub'))}^{_grouped(of('sup'))} {of('e')}"
        case "rad":
            degree = of("deg")
            return f"{f'root {degree} of ' if degree else '√'}({of('e')})"
        case "nary":
            sign = setting("naryPr", "chr", "∫")
            low, high = of("sub"), of("sup")
            limits = (f"_{_grouped(low)}" if low else "") + (f"^{_grouped(high)}" if high else "")
            return f"{sign}{limits} {of('e')}"
        case "d":
            begin, end = setting("dPr", "begChr", "("), setting("dPr", "endChr", ")")
            between = setting("dPr", "sepChr", "|")
            return f"{begin}{between.join(map(equation, children(element, 'e')))}{end}"
        case "m":
            rows = (", ".join(map(equation, children(row, "e"))) for row in children(element, "mr"))
            return f"[{'; '.join(rows)}]"
        case "eqArr":
            return "; ".join(map(equation, children(element, "e")))
        case "limLow":
            return f"{of('e')}_{_grouped(of('lim'))}"
        case "limUpp":
            return f"{of('e')}^{_grouped(of('lim'))}"
        case "func":
            return f"{of('fName')} {of('e')}"
        case name if name.endswith("Pr"):
            return ""
        case _:
            return "".join(map(equation, element))


def _grouped(text: str) -> str:
    return text if len(text) <= 1 or text.isalnum() else f"({text})"


def alternative_text(properties: Element) -> str:
    """The alternative text of a shape or picture; empty if it has none.

    Args:
        properties: Its element `docPr` or `cNvPr`.
    """
    described = any_attribute(properties, "descr") or ""
    title = any_attribute(properties, "title") or ""
    kept = [line for line in lines(described).splitlines() if _MADE_BY not in line.lower()]
    described, title = one_paragraph(" ".join(kept)), one_paragraph(title)
    described = "" if _FILE_NAME.fullmatch(described) else described
    return (
        f"{title}: {described}"
        if title and described and title != described
        else described or title
    )


def picture_text(properties: Element) -> str:
    """The alternative text of a picture, said to be one; empty if it has none."""
    text = alternative_text(properties)
    return f"Picture: {text}" if text else ""


def chart_blocks(package: Package, part: str, number: int) -> list[Block]:
    """The blocks of a chart: its title, and a table of its categories and values.

    Args:
        package: The file.
        part: Name of the part with the chart.
        number: For the table.
    """
    root = package.tree(part)
    if root is None:
        return []
    title = _title(root)
    found = [Block("caption", f"Chart: {title}" if title else "Chart", is_attached=True)]
    extended = list(inside(root, "chartData"))
    rows = _extended_rows(extended[0]) if extended else _chart_rows(root)
    axes = [_title(axis) for axis in root.iter("{*}valAx", "{*}catAx", "{*}dateAx")]
    if named := [axis for axis in axes if axis]:
        found.append(Block("text", f"Axes: {', '.join(named)}", is_attached=True))
    return [*found, *table_of(rows, number, attached=True)]


def _title(element: Element) -> str:
    """The title of a chart or an axis, which stands before those of its parts."""
    chart = child(element, "chart") if local(element) == "chartSpace" else element
    title = child(chart, "title")
    if title is None:
        return ""
    words = (text.text or "" for text in title.iter("{*}t", "{*}v"))
    return one_paragraph(" ".join(islice(words, 100)))


def _chart_rows(root: Element) -> list[list[str]]:
    series = list(inside(root, "ser"))
    names, columns = list[str](), list[dict[int, str]]()
    categories: dict[int, str] = {}
    for number, each in enumerate(series, 1):
        named = child(each, "tx")
        values = _points(named) if named is not None else {}
        names.append(" ".join(values.values()) or f"Series {number}")
        along = child(each, "cat")
        along = child(each, "xVal") if along is None else along
        if along is not None:
            categories |= _points(along)
        height = child(each, "val")
        height = child(each, "yVal") if height is None else height
        columns.append(_points(height) if height is not None else {})
        if (size := child(each, "bubbleSize")) is not None:
            names.append(f"{names[-1]} (size)")
            columns.append(_points(size))
    return _rows(categories, names, columns)


def _rows(
    categories: dict[int, str], names: Sequence[str], columns: Sequence[dict[int, str]]
) -> list[list[str]]:
    if not columns:
        return []
    places = sorted(set(categories).union(*columns))
    # Each place of each series takes memory, whether or not it has a value.
    places = places[: max(1, _MOST_POINTS // len(columns))]
    body = [
        [categories.get(at, str(at + 1)), *(column.get(at, "") for column in columns)]
        for at in places
    ]
    return [["", *names], *body]


def _points(element: Element) -> dict[int, str]:
    """The cached values of a series by their places; several levels of categories in one."""
    levels = list(inside(element, "lvl")) or [element]
    found: dict[int, str] = {}
    for level in reversed(levels):
        last = ""
        points = {
            _place(point): _value(point) for point in islice(inside(level, "pt"), _MOST_POINTS)
        }
        if level is not levels[0]:  # outer levels name their first place only
            for at in sorted(found.keys() | points.keys()):
                last = points.get(at, last)
                points[at] = last
        found = {at: f"{found.get(at, '')} {text}".strip() for at, text in points.items()} | {
            at: text for at, text in found.items() if at not in points
        }
    if not found:
        texts = (each.text or "" for each in element.iter("{*}v"))
        found = dict(enumerate(islice(texts, _MOST_POINTS)))
    return {at: _short(text) for at, text in found.items()}


def _place(point: Element) -> int:
    try:
        return max(0, int(any_attribute(point, "idx") or 0))
    except ValueError:
        return 0


def _value(point: Element) -> str:
    value = child(point, "v")
    return (point.text if value is None else value.text) or ""


def _short(text: str) -> str:
    """A value without the noise of binary fractions: `"0.30000000000000004"` as `"0.3"`."""
    if len(text) > 15 and "." in text:
        try:
            return f"{float(text):.12g}"
        except ValueError:
            return text
    return text


def _extended_rows(data: Element) -> list[list[str]]:
    """The rows of a chart of 2016 and later, such as a waterfall or a treemap."""
    names, columns = list[str](), list[dict[int, str]]()
    categories: dict[int, str] = {}
    for number, each in enumerate(children(data, "data"), 1):
        for dimension in each:
            points = _points(dimension)
            if local(dimension) == "strDim":
                categories |= points
            elif local(dimension) == "numDim":
                names.append(f"Series {number}")
                columns.append(points)
    return (
        _rows(categories, names, columns) if columns else [[text] for text in categories.values()]
    )


def diagram_blocks(package: Package, element: Element, part_of: dict[str, str]) -> list[Block]:
    """The blocks of a diagram: its texts in order, indented by their level.

    Args:
        package: The file.
        element: The element `relIds` of the diagram.
        part_of: Names of parts by the ids of the relations to them.
    """
    root = package.tree(part_of.get(relation_id(element, "dm"), ""))
    if root is None:
        return []
    texts: dict[str, str] = {}
    for point in inside(root, "pt"):
        words = " ".join(text.text or "" for text in inside(point, "t"))
        texts[point.get("modelId", "")] = one_paragraph(words)
    links = [each for each in inside(root, "cxn") if each.get("type", "parOf") == "parOf"]
    links.sort(key=lambda each: _number(each.get("srcOrd")))
    below: dict[str, list[str]] = {}
    for each in links:
        below.setdefault(each.get("srcId", ""), []).append(each.get("destId", ""))
    lower = {name for names in below.values() for name in names}
    tops = [name for name in texts if name not in lower]
    written = list(_indented(tops, below, texts))
    if not written:
        return []
    return [Block("text", "Diagram:\n" + "\n".join(written), is_attached=True)]


def _indented(
    tops: Sequence[str], below: dict[str, list[str]], texts: dict[str, str]
) -> Iterator[str]:
    waiting, seen = [(name, 0) for name in reversed(tops)], set[str]()
    while waiting:
        name, level = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if text := texts.get(name):
            yield f"{'  ' * min(level, 10)}- {text}"
        deeper = level + 1 if texts.get(name) else level
        waiting += [(each, deeper) for each in reversed(below.get(name, []))]


def _number(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0
