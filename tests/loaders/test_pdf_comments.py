"""Comments of a PDF are passages of their page, the same with both libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymupdf
import pytest

from mm_rag.extraction.ocr import OCRResult
from mm_rag_loaders.load_options import PDFBackend
from tests.loaders.broken_fonts import with_letters
from tests.loaders.pdfs import BACKENDS, read

LINES = (
    "The tug company pays the fee by May.",
    "Notice is six weeks in writing.",
    "The harbour master decides in all other cases.",
)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> PDFBackend:
    found: PDFBackend = request.param
    return found


def contract() -> tuple[pymupdf.Document, Any]:
    document = pymupdf.open()
    page: Any = document.new_page(width=500, height=400)
    for number, line in enumerate(LINES):
        page.insert_text((50, 100 + 40 * number), line)
    return document, page


def signed(annotation: Any, author: str, text: str = "", date: str = "") -> Any:
    annotation.set_info(title=author, content=text, modDate=date)
    annotation.update()
    return annotation


def test_a_note_is_a_passage_with_its_author_and_date(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    document.set_metadata({"author": "The Harbour Office"})
    note = page.add_text_annot((300, 90), "")
    signed(note, "Okafor", "The penalty clause is missing.", "D:20240131120000Z")
    found = read(document, tmp_path, backend)
    printed, comment = found.passages
    assert printed.text.split("\n\n") == list(LINES)
    assert comment.text == "Comment by Okafor: The penalty clause is missing."
    assert comment.page == 1
    assert comment.metadata["author"] == "Okafor"
    assert comment.metadata["date"] == "2024-01-31T12:00:00+00:00"
    assert printed.metadata["author"] == "The Harbour Office"
    assert found.page.text.count("The penalty clause is missing.") == 1


def test_a_comment_of_unknown_author_is_not_the_documents_authors(
    tmp_path: Path, backend: PDFBackend
) -> None:
    document, page = contract()
    document.set_metadata({"author": "The Harbour Office"})
    signed(page.add_text_annot((300, 90), ""), "", "Says who?")
    comment = read(document, tmp_path, backend).passages[-1]
    assert comment.text == "Comment: Says who?"
    assert "author" not in comment.metadata


@pytest.mark.parametrize(
    ("mark", "kind"),
    [("highlight", "Highlight"), ("underline", "Underline"), ("squiggly", "Underline")],
)
def test_a_marked_word_is_quoted_with_its_comment(
    tmp_path: Path, backend: PDFBackend, mark: str, kind: str
) -> None:
    document, page = contract()
    [place] = page.search_for("six weeks")
    signed(getattr(page, f"add_{mark}_annot")(place), "Miriam", "Make it eight.")
    comment = read(document, tmp_path, backend).texts[-1]
    assert comment == f"{kind} by Miriam on \u201csix weeks\u201d: Make it eight."


def test_a_mark_without_a_comment_does_not_repeat_printed_words(
    tmp_path: Path, backend: PDFBackend
) -> None:
    document, page = contract()
    places = page.search_for("six weeks")
    signed(page.add_highlight_annot(places), "Miriam")
    signed(page.add_underline_annot(places), "Okafor", "six  weeks")  # copied by a program
    assert read(document, tmp_path, backend).page.text.split("\n\n") == list(LINES)


def test_a_deletion_says_what_is_to_be_deleted(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    signed(page.add_strikeout_annot(page.search_for("by May")), "Okafor")
    comment = read(document, tmp_path, backend).texts[-1]
    assert comment == "Deletion by Okafor on \u201cby May.\u201d"


def test_a_replacement_has_the_old_and_the_new_words(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    caret = signed(page.add_caret_annot((150, 175)), "Okafor", "eight")
    old = signed(page.add_strikeout_annot(page.search_for("six")), "Okafor")
    document.xref_set_key(old.xref, "IRT", f"{caret.xref} 0 R")
    document.xref_set_key(old.xref, "RT", "/Group")
    comments = read(document, tmp_path, backend).texts[1:]
    assert comments == ["Replacement by Okafor on \u201csix\u201d: eight"]


def test_replies_follow_what_they_answer(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    low = signed(page.add_text_annot((300, 200), ""), "Ada", "Who is the master?")
    high = signed(page.add_text_annot((300, 90), ""), "Okafor", "Which company?")
    for author, text, above in (("Ben", "Ines Vidal.", low), ("Cy", "Ours.", high)):
        reply = signed(page.add_text_annot((300, 300), ""), author, text)
        document.xref_set_key(reply.xref, "IRT", f"{above.xref} 0 R")
    second = signed(page.add_text_annot((300, 300), ""), "Ada", "Thanks.")
    document.xref_set_key(second.xref, "IRT", f"{reply.xref} 0 R")
    assert read(document, tmp_path, backend).texts[1:] == [
        "Comment by Okafor: Which company?",
        "Reply by Cy to Okafor: Ours.",
        "Reply by Ada to Okafor: Thanks.",
        "Comment by Ada: Who is the master?",
        "Reply by Ben to Ada: Ines Vidal.",
    ]


def test_replies_in_a_circle_end(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    notes = [signed(page.add_text_annot((300, 90), ""), "Ada", f"Note {n}.") for n in range(3)]
    for note, above in zip(notes, notes[1:] + notes[:1], strict=True):
        document.xref_set_key(note.xref, "IRT", f"{above.xref} 0 R")
    assert "Note" in read(document, tmp_path, backend).texts[-1]


def test_a_text_box_is_a_comment_and_not_printed_twice(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    box = page.add_freetext_annot((50, 250, 400, 280), "Sign this before Thursday please, Ada.")
    signed(box, "Okafor", "Sign this before Thursday please, Ada.")
    found = read(document, tmp_path, backend)
    assert found.texts[1:] == ["Comment by Okafor: Sign this before Thursday please, Ada."]
    assert found.page.text.count("Thursday") == 1


def test_a_text_box_that_fills_in_a_form_stays_at_its_place(
    tmp_path: Path, backend: PDFBackend
) -> None:
    document, page = contract()
    page.insert_text((50, 300), "Name:")
    page.add_freetext_annot((90, 288, 300, 310), "Ines Vidal", fontsize=11)
    found = read(document, tmp_path, backend)
    assert "Name: Ines Vidal" in found.page.text
    assert found.page.text.count("Vidal") == 1


def test_stamps_keep_their_words(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    signed(page.add_stamp_annot((300, 250, 450, 300)), "Okafor", "Paid in full on 4 May.")
    found = read(document, tmp_path, backend)
    assert found.texts[-1] == "Stamp by Okafor: Paid in full on 4 May."
    assert "APPROVED" in found.texts[0]


def test_rich_text_is_read_where_there_is_no_plain_one(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    for rich in (
        '<body xmlns="http://www.w3.org/1999/xhtml"><p>Too <b>dear</b>.</p><p>Ask.</p></body>',
        "<body><p>never closed",
        '<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><b><p>&b;</p></b>',
    ):
        note = signed(page.add_text_annot((300, 90), ""), "Ada")
        document.xref_set_key(note.xref, "Contents", "null")
        document.xref_set_key(note.xref, "RC", pymupdf.get_pdf_str(rich))
    assert read(document, tmp_path, backend).texts[1:] == ["Comment by Ada: Too dear.\nAsk."]


def test_a_hidden_comment_says_that_it_is_hidden(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    note = signed(page.add_text_annot((300, 90), ""), "Ada", "Not for them.")
    note.set_flags(2)
    assert read(document, tmp_path, backend).texts[1:] == ["Hidden comment by Ada: Not for them."]


def test_a_mark_on_a_cropped_and_turned_page_is_found(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    signed(page.add_highlight_annot(page.search_for("harbour master")), "Ada", "Who?")
    page.set_cropbox(pymupdf.Rect(40, 60, 480, 300))
    page.set_rotation(90)
    comment = read(document, tmp_path, backend).texts[-1]
    assert comment == "Highlight by Ada on \u201charbour master\u201d: Who?"


def test_damaged_comments_leave_the_page(tmp_path: Path, backend: PDFBackend) -> None:
    document, page = contract()
    note = signed(page.add_text_annot((300, 90), ""), "Ada", "Lost.")
    for key, value in (("QuadPoints", "[/a 1 null]"), ("Rect", "7"), ("IRT", f"{note.xref} 0 R")):
        document.xref_set_key(note.xref, key, value)
    document.xref_set_key(page.xref, "Annots", f"[{note.xref} 0 R 7 null [] 999 0 R (text)]")
    found = read(document, tmp_path, backend)
    assert found.texts[0].split("\n\n") == list(LINES)
    assert found.texts[1:] == ["Comment by Ada: Lost."]


def test_a_date_after_the_author_is_not_part_of_the_name(
    tmp_path: Path, backend: PDFBackend
) -> None:
    document, page = contract()
    for author in ("Okafor, 01/31/24,", "Okafor,", "Okafor, Harbour Office"):
        signed(page.add_text_annot((300, 90), ""), author, "Says who?")
    assert read(document, tmp_path, backend).texts[1:] == [
        "Comment by Okafor: Says who?",
        "Comment by Okafor: Says who?",
        "Comment by Okafor, Harbour Office: Says who?",
    ]


def test_words_that_a_lying_font_gives_are_not_quoted(
    tmp_path: Path, backend: PDFBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(LINES) * 2
    document = with_letters(text, lambda letters: [chr(0xE000 + ord(each)) for each in letters])
    page: Any = document[0]
    signed(page.add_highlight_annot(pymupdf.Rect(40, 40, 300, 60)), "Ada", "Which one?")

    def reads(*_: object) -> OCRResult:
        return OCRResult((), text)

    monkeypatch.setattr("mm_rag_loaders.loader.read_image", reads)
    found = read(document, tmp_path, backend)
    assert found.texts[-1] == "Highlight by Ada: Which one?"
    assert found.texts[0] == text


def test_a_comment_on_an_empty_page_is_read(tmp_path: Path, backend: PDFBackend) -> None:
    document, _ = contract()
    page: Any = document.new_page()
    note = signed(page.add_text_annot((300, 90), ""), "Ada", "This page is still missing.")
    note.set_flags(2)  # so that nothing is drawn
    found = read(document, tmp_path, backend)
    assert found.texts[-1] == "Hidden comment by Ada: This page is still missing."
