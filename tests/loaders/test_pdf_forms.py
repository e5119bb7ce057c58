"""Form fields of a PDF are read by their names, the same with both libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymupdf
import pytest

from mm_rag_loaders.load_options import PDFBackend
from tests.loaders.pdfs import BACKENDS, read

TEXT, TICK, RADIO, BUTTON, CHOICE, LIST, SIGNATURE = (
    int(vars(pymupdf)[f"PDF_WIDGET_TYPE_{kind}"])
    for kind in (
        "TEXT",
        "CHECKBOX",
        "RADIOBUTTON",
        "BUTTON",
        "COMBOBOX",
        "LISTBOX",
        "SIGNATURE",
    )
)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> PDFBackend:
    found: PDFBackend = request.param
    return found


def sheet() -> tuple[pymupdf.Document, Any]:
    document = pymupdf.open()
    page: Any = document.new_page(width=500, height=400)
    page.insert_text((50, 50), "Application for a mooring permit")
    return document, page


def add(
    page: Any, kind: int, name: str, value: object, place: tuple[float, ...], **more: Any
) -> Any:
    widget: Any = pymupdf.Widget()
    widget.field_type, widget.field_name, widget.field_value = kind, name, value
    widget.rect = pymupdf.Rect(place)
    for key, each in more.items():
        setattr(widget, key, each)
    page.add_widget(widget)
    return widget


def form_lines(found: Any) -> list[str]:
    """The lines of the passage with the form fields."""
    [passage] = [each for each in found.passages if each.metadata.get("heading") == "Form fields"]
    return passage.text.splitlines()


def test_values_ticks_and_choices_have_their_names(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = sheet()
    for top, label in ((80, "Applicant"), (110, "Vessel"), (140, "Class"), (170, "Insured")):
        page.insert_text((50, top), label)
    add(page, TEXT, "applicant", "Ines Vidal", (150, 66, 300, 84))
    add(page, TEXT, "Text12", "Kingfisher", (150, 96, 300, 114))  # a name given by a program
    add(
        page,
        CHOICE,
        "vesselClass",
        "Trawler",
        (150, 126, 300, 144),
        choice_values=["Trawler", "Tug"],
    )
    add(page, TICK, "insured", True, (150, 156, 300, 174))
    found = read(document, tmp_path, backend)
    assert form_lines(found) == [
        "Applicant: Ines Vidal",
        "Vessel: Kingfisher",
        "Vessel Class: Trawler",
        "Insured: yes",
    ]
    assert "Insured yes" in found.page.text
    assert "Applicant Ines Vidal" in found.page.text
    assert found.page.text.count("Ines Vidal") == 1


def test_a_tooltip_is_the_name(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = sheet()
    add(page, TEXT, "f1_02", "1972", (150, 66, 300, 84), field_label="Year in which she was built")
    assert form_lines(read(document, tmp_path, backend)) == ["Year in which she was built: 1972"]


def test_a_box_that_is_not_ticked_says_no(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = sheet()
    add(page, TICK, "insured", False, (150, 66, 164, 80))
    page.insert_text((170, 78), "has a crew")
    add(page, TICK, "Check Box 7", True, (150, 90, 164, 104))
    page.insert_text((170, 102), "has an engine")
    found = read(document, tmp_path, backend)
    assert form_lines(found) == ["Insured: no", "has an engine: yes"]
    assert "yes has an engine" in found.page.text


def test_an_empty_form_has_no_values(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = sheet()
    add(page, TICK, "insured", False, (150, 66, 164, 80))
    add(page, TEXT, "applicant", "", (150, 96, 300, 114))
    found = read(document, tmp_path, backend)
    assert found.texts == ["Application for a mooring permit"]


def radio(document: pymupdf.Document, page: Any, states: tuple[str, ...], chosen: str) -> None:
    """Radio buttons of one field, from top to bottom, with words beside them."""
    kids: list[int] = []
    parent = document.get_new_xref()
    for number in range(len(states)):
        widget = add(page, TICK, f"x{number}", True, (150, 80 + 30 * number, 164, 94 + 30 * number))
        page.insert_text((170, 92 + 30 * number), ("by card", "in cash", "by cheque")[number])
        kids.append(widget.xref)
    form = document.xref_get_key(document.pdf_catalog(), "AcroForm")
    for xref, state in zip(kids, states, strict=True):
        on = document.xref_get_key(xref, "AP/N/Yes")[1]
        document.xref_set_key(xref, "AP", f"<</N<</{state} {on}>>>>")
        document.xref_set_key(xref, "AS", f"/{state if state == chosen else 'Off'}")
        document.xref_set_key(xref, "Parent", f"{parent} 0 R")
        for key in ("T", "V", "FT", "Ff"):
            document.xref_set_key(xref, key, "null")
    listed = " ".join(f"{xref} 0 R" for xref in kids)
    document.update_object(parent, f"<</FT/Btn/Ff 32768/T(payment)/V/{chosen}/Kids[{listed}]>>")
    assert form[0] != "null"


@pytest.mark.parametrize(
    ("states", "chosen", "value"),
    [
        (("card", "cash", "cheque"), "cash", "cash"),
        (("0", "1", "2"), "2", "by cheque"),  # named by the words beside it
        (("card", "cash", "cheque"), "none", None),
    ],
)
def test_radio_buttons_say_what_was_chosen(
    tmp_path: Path, backend: PDFBackend, states: tuple[str, ...], chosen: str, value: str | None
) -> None:
    document, page = sheet()
    add(page, TEXT, "applicant", "Ines Vidal", (150, 56, 300, 74))
    radio(document, page, states, chosen)
    lines = form_lines(read(document, tmp_path, backend))
    assert lines[1:] == ([f"Payment: {value}"] if value else [])


def test_the_shown_word_of_a_choice_is_given(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = sheet()
    field = add(page, LIST, "port", "Oslo", (150, 66, 300, 120), choice_values=["Oslo", "Bergen"])
    for key, value in (("Opt", "[[(o)(Oslo)][(b)(Bergen)][(t)(Troms\\370)]]"), ("V", "[(b)(t)]")):
        for xref in (field.xref, parent_of(document, field.xref)):
            document.xref_set_key(xref, key, value)
    assert form_lines(read(document, tmp_path, backend)) == ["Port: Bergen; Troms\u00f8"]


def parent_of(document: pymupdf.Document, xref: int) -> int:
    kind, value = document.xref_get_key(xref, "Parent")
    return int(value.split()[0]) if kind == "xref" else xref


def test_a_signature_says_who_signed_when(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = sheet()
    field = add(page, TEXT, "approval", "", (150, 66, 300, 84))
    signature = document.get_new_xref()
    document.update_object(
        signature,
        "<</Type/Sig/Filter/Adobe.PPKLite/Name(Ada Whitcombe)/M(D:20240131120000Z)"
        "/Location(Stornoway)/Reason(I agree)/Contents<00>>>",
    )
    for xref in (field.xref, parent_of(document, field.xref)):
        document.xref_set_key(xref, "FT", "/Sig")
        document.xref_set_key(xref, "V", f"{signature} 0 R")
    assert form_lines(read(document, tmp_path, backend)) == [
        "Approval: signed by Ada Whitcombe on 2024-01-31T12:00:00+00:00 in Stornoway "
        "reason: I agree"
    ]


def test_passwords_and_buttons_are_left_out(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = sheet()
    add(page, TEXT, "applicant", "Ines Vidal", (150, 56, 300, 74))
    add(page, TEXT, "secret", "sesame", (150, 96, 300, 114), field_flags=1 << 13)
    add(page, BUTTON, "send", "Send", (150, 126, 300, 144), button_caption="Send")
    assert form_lines(read(document, tmp_path, backend)) == ["Applicant: Ines Vidal"]


def test_fields_in_a_circle_end(tmp_path: Path) -> None:
    document, page = sheet()
    field = add(page, TEXT, "applicant", "Ines Vidal", (150, 66, 300, 84))
    document.xref_set_key(field.xref, "Parent", f"{field.xref} 0 R")
    # MuPDF gives up such a page.
    found = read(document, tmp_path, "pdfium")
    assert "Application for a mooring permit" in found.page.text
