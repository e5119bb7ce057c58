"""Form fields of a page by their names and tooltips: values, ticks, choices and signatures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mm_rag._printing import one_line
from mm_rag.boxes import Box
from mm_rag_loaders.pdf.objects import box, entry, inherited, items, kind_of, name, said, text
from mm_rag_loaders.pdf.page import PDFWord, iso_date

_PUSHBUTTON, _RADIO, _PASSWORD = 1 << 16, 1 << 15, 1 << 13  # flags of fields
_MOST = 5000  # fields of a page
_MOST_DEPTH = 32
_MOST_NAME = 200  # letters
_NO_STATE = ("", "Off")
# Names of ticked states that only say that the box is ticked.
_PLAIN_STATE = re.compile(
    r"(?:yes|on|true|checked|selected|ja|oui|s[ií]|sim|tak|da|x|(?:choice|option|btn)?\s*\d*)\Z",
    re.IGNORECASE,
)
# Names that programs give: "Text12", "f1_02", "Check Box 7", "undefined_3".
_MEANINGLESS = re.compile(
    r"(?:topmostsubform|form|page|untitled|undefined|field|feld|fill|text(?:box|field|feld)?|txt"
    r"|check ?box|kontrollk\w+|radio ?(?:button)?|group|button|[a-z]{1,2})?"
    r"[\W\d_]*(?:[a-z]{0,2}[\d_]+)*\Z",
    re.IGNORECASE,
)
_AROUND = " .,:;_\u2026\u25b6\u25ba"  # printed names
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NEAR = 200.0  # points from a field to the words that name it
_ABOVE = 14.0


@dataclass(frozen=True, kw_only=True)
class FormField:
    """A field, with all its boxes on a page.

    Attributes:
        caption: Its tooltip, or its name in words; empty if the name was given by a program.
        value: `yes` and `no` for a single box to tick, else what was filled in or chosen.
        places: Boxes on the page, in PDF coordinates; that of the chosen button first.
        is_tick: Whether it consists of boxes to tick.
        is_chosen_by_place: Whether the value is to be taken from the words beside the first box.
    """

    caption: str
    value: str
    places: tuple[Box, ...]
    is_tick: bool = False
    is_chosen_by_place: bool = False


@dataclass
class _Found:
    source: Any
    widgets: list[Any] = field(default_factory=list[Any])


@dataclass(frozen=True, kw_only=True)
class PageForm:
    """The form fields of a page.

    Attributes:
        fields: From top to bottom, without buttons that do something.
        ticks: Positions in the page's list of annotations of boxes to tick, whose drawn words are
            letters of a symbol font.
        ticked: Boxes that are ticked, in PDF coordinates.
    """

    fields: tuple[FormField, ...]
    ticks: frozenset[int]
    ticked: tuple[Box, ...]


def form_of(page: Any) -> PageForm:
    """The form fields of a page of pikepdf."""
    found: dict[str, _Found] = {}
    ticks: set[int] = set()
    ticked: list[Box] = []
    for at, widget in enumerate(items(entry(page, "/Annots"), _MOST)):
        if name(widget, "/Subtype") != "Widget":
            continue
        if _is_tick(widget):
            ticks.add(at)
            place = box(entry(widget, "/Rect"))
            if place and name(widget, "/AS") not in _NO_STATE:
                ticked.append(place)
        full_name = _full_name(widget)
        found.setdefault(full_name or f"#{at}", _Found(widget)).widgets.append(widget)
    fields = [each for key, one in found.items() if (each := _field(key, one))]
    ordered = sorted(fields, key=lambda each: (-each.places[0][3], each.places[0][0]))
    return PageForm(fields=tuple(ordered), ticks=frozenset(ticks), ticked=tuple(ticked))


def _full_name(widget: Any) -> str:
    parts: list[str] = []
    for _ in range(_MOST_DEPTH):
        if kind_of(widget) != "dictionary":
            break
        if part := said(widget, "/T"):
            parts.append(part)
        widget = entry(widget, "/Parent")
    return one_line(".".join(reversed(parts)))


def _is_tick(widget: Any) -> bool:
    is_button = str(inherited(widget, "/FT")) == "/Btn"
    return is_button and not _flags(widget) & _PUSHBUTTON


def _flags(widget: Any) -> int:
    found = inherited(widget, "/Ff")
    return found if isinstance(found, int) else 0


def _field(full_name: str, found: _Found) -> FormField | None:
    places = [place for widget in found.widgets if (place := box(entry(widget, "/Rect")))]
    if not places:
        return None
    caption = _caption(full_name, found.source)
    kind = str(inherited(found.source, "/FT"))
    value = inherited(found.source, "/V")
    match kind:
        case "/Btn" if not _flags(found.source) & _PUSHBUTTON:
            return _ticked(caption, found)
        case "/Tx" if not _flags(found.source) & _PASSWORD:
            return FormField(caption=caption, value=text(value), places=tuple(places))
        case "/Ch":
            chosen = "; ".join(_choices(found.source, value))
            return FormField(caption=caption, value=chosen, places=tuple(places))
        case "/Sig" if kind_of(value) == "dictionary":
            return FormField(
                caption=caption or "Signature", value=_signature(value), places=tuple(places)
            )
        case _:
            return None


def _caption(full_name: str, source: Any) -> str:
    tooltip = inherited(source, "/TU")
    if words := " ".join(text(tooltip).split()):
        return words
    last = re.sub(r"\[\d+\]", "", full_name.rpartition(".")[2]).strip("#")
    if _MEANINGLESS.match(last):
        return ""
    return in_words(last)


def in_words(field_name: str) -> str:
    """`dateOfBirth` as `Date Of Birth`."""
    words = " ".join(_CAMEL.sub(" ", field_name).replace("_", " ").split())[:_MOST_NAME]
    return words[:1].upper() + words[1:]


def _ticked(caption: str, found: _Found) -> FormField | None:
    options = [text(option) for option in items(inherited(found.source, "/Opt"))]
    states = [name(widget, "/AS") for widget in found.widgets]
    places = [box(entry(widget, "/Rect")) for widget in found.widgets]
    chosen = [at for at, state in enumerate(states) if state not in _NO_STATE and places[at]]
    first = [place for at in chosen if (place := places[at])]
    ordered = (*first, *(place for place in places if place and place not in first))
    is_radio = bool(_flags(found.source) & _RADIO) or len(found.widgets) > 1
    if not chosen:
        value = "" if is_radio else "no"
        return FormField(caption=caption, value=value, places=ordered, is_tick=True)
    state = states[chosen[0]]
    number = int(state) if state.isascii() and state.isdigit() and len(state) < 5 else -1
    word = options[number] if 0 <= number < len(options) else state
    is_plain = _PLAIN_STATE.match(word) is not None
    value = "yes" if is_plain and not is_radio else word
    if not is_radio and not is_plain:
        value = f"yes ({word})"
    return FormField(
        caption=caption,
        value=value,
        places=ordered,
        is_tick=True,
        is_chosen_by_place=is_radio and is_plain,
    )


def _choices(source: Any, value: Any) -> Iterator[str]:
    """The chosen options as the list shows them."""
    shown: dict[str, str] = {}
    for option in items(inherited(source, "/Opt")):
        pair = [text(each) for each in items(option)]
        if len(pair) == 2:
            shown[pair[0]] = pair[1]
    chosen = [text(each) for each in items(value)] if kind_of(value) == "array" else [text(value)]
    yield from (shown.get(each, each) for each in chosen if each)


def _signature(value: Any) -> str:
    words = "signed"
    for key, before in (("/Name", "by"), ("/M", "on"), ("/Location", "in"), ("/Reason", "reason:")):
        known = " ".join(said(value, key).split())
        if known := iso_date(known) if key == "/M" else known:
            words += f" {before} {known}"
    return words


def written(
    fields: Sequence[FormField], places: Sequence[Sequence[Box]], words: Sequence[PDFWord]
) -> list[str]:
    """Lines of the form `Caption: value`, of the fields that were filled in.

    Boxes that are not ticked are given if they have a name and anything else was filled in.

    Args:
        fields: Fields of a page.
        places: The boxes of each field, in the words' coordinates.
        words: The words printed on the page, in reading order.
    """
    if not any(each.value not in ("", "no") for each in fields):
        return []
    lines: list[str] = []
    all_boxes = [place for boxes in places for place in boxes]
    labels = [word for word in words if not any(_is_in(word.box, place) for place in all_boxes)]
    for each, boxes in zip(fields, places, strict=True):
        value = each.value
        if value == "no" and not each.caption:
            continue
        if each.is_chosen_by_place:
            value = _beside(boxes[0], labels, all_boxes, is_tick=True) or value
        if value:
            # A field without a name of its own has one in print.
            caption = each.caption or _beside(boxes[-1], labels, all_boxes, is_tick=each.is_tick)
            lines.append(f"{caption}: {value}" if caption else value)
    return lines


def _is_in(word: Box, place: Box) -> bool:
    x, y = (word[0] + word[2]) / 2, (word[1] + word[3]) / 2
    return place[0] <= x <= place[2] and place[1] <= y <= place[3]


def _beside(place: Box, words: Sequence[PDFWord], others: Sequence[Box], *, is_tick: bool) -> str:
    """The printed words that name a field: before it or above it, or after a box to tick."""
    x0, y0, x1, y1 = place
    row = [word for word in words if y0 < (word.box[1] + word.box[3]) / 2 < y1]
    if is_tick:
        right = min(
            (each[0] for each in others if each[0] >= x1 and _share_row(each, place)),
            default=x1 + _NEAR,
        )
        after = sorted((w for w in row if x1 - 2 <= w.box[0] < right), key=lambda w: w.box[0])
        if found := _run(after, x1, 1):
            return " ".join(found).strip(_AROUND)
    left = max(
        (each[2] for each in others if each[2] <= x0 and _share_row(each, place)), default=0.0
    )
    before = sorted(
        (w for w in row if left <= w.box[0] and w.box[2] <= x0 + 2), key=lambda w: -w.box[2]
    )
    if found := _run(before, x0, -1):
        return " ".join(reversed(found)).strip(_AROUND)
    above = [w for w in words if y0 - _ABOVE < w.box[3] <= y0 + 2 and x0 - 2 <= w.box[0] < x1]
    return " ".join(word.text for word in above).strip(_AROUND)


def _share_row(a: Box, b: Box) -> bool:
    return min(a[3], b[3]) > max(a[1], b[1])


def _run(words: Sequence[PDFWord], edge: float, way: int) -> list[str]:
    """Words that follow each other closely from an edge on."""
    found: list[str] = []
    most = _NEAR
    for word in words:
        near, far = (word.box[0], word.box[2]) if way > 0 else (word.box[2], word.box[0])
        if (near - edge) * way > most:
            break
        found.append(word.text)
        edge, most = far, 1.2 * (word.box[3] - word.box[1])
    return found
