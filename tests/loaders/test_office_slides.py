"""Presentations: slides by their true numbers, with what their print does not show."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Cm

from mm_rag_loaders import LoadedFile, LoadOptions, load_file, redrawn
from mm_rag_loaders.office import libreoffice
from tests.loaders.test_office import needs_office
from tests.office_made import opendocument

_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_P188 = "http://schemas.microsoft.com/office/powerpoint/2018/8/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_DGM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_BLANK = 6


@pytest.fixture
def read(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], LoadedFile]:
    """Loads `a.pptx` without LibreOffice, which takes seconds: the text only."""
    monkeypatch.setattr(libreoffice, "_PROGRAMS", ("no-such-program",))
    return lambda: load_file(tmp_path / "a.pptx", options)


def found(loaded: LoadedFile) -> list[tuple[int | None, str]]:
    return [(segment.page, segment.text) for segment in loaded.segments]


def three_slides(path: Path) -> Path:
    deck: Any = pptx.Presentation()
    for title, body in (("Plan", "Open two depots"), ("Backup", "Velcor may fail"), ("Third", "")):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    deck.slides[0].notes_slide.notes_text_frame.text = "Say aloud: Ingrid objects."
    deck.slides[1]._element.set("show", "0")
    deck.save(str(path))
    return path


def test_notes_and_hidden_slides_are_read_and_marked(
    tmp_path: Path, read: Callable[[], LoadedFile]
) -> None:
    three_slides(tmp_path / "a.pptx")
    loaded = read()
    assert found(loaded) == [
        (1, "Plan\n\nOpen two depots"),
        (1, "Say aloud: Ingrid objects."),
        (2, "Backup\n\nVelcor may fail"),
        (3, "Third"),
    ]
    first, notes, hidden, third = (segment.metadata for segment in loaded.segments)
    assert (first["heading"], first["place"]) == ("Plan", "slide 1")
    assert (notes["heading"], notes["notes"], notes["place"]) == ("Plan > Notes", True, "slide 1")
    assert (hidden["hidden"], hidden["place"]) == (True, "slide 2")
    assert "hidden" not in third
    assert ("hidden", "slide 2 is hidden; it was read") in [
        (note.kind, note.text) for note in loaded.notes
    ]


@pytest.mark.slow
@needs_office
def test_each_slide_has_its_own_picture(tmp_path: Path, options: LoadOptions) -> None:
    path = three_slides(tmp_path / "a.pptx")
    segments = load_file(path, options).segments
    pages = [each for each in segments if each.modality == "image"]
    assert [(page.page, page.text.split("\n")[0]) for page in pages] == [
        (1, "Plan"),
        (2, "Backup"),
        (3, "Third"),
    ]
    assert [page.metadata.get("hidden", False) for page in pages] == [False, True, False]
    pictures = [Path(str(page.media)).read_bytes() for page in pages]
    for page in pages:
        Path(str(page.media)).unlink()
    again = [each for each in redrawn(segments, options) if each.modality == "image"]
    assert [Path(str(page.media)).read_bytes() for page in again] == pictures
    assert again == pages


def test_tables_charts_pictures_and_groups(tmp_path: Path, read: Callable[[], LoadedFile]) -> None:
    deck: Any = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[_BLANK])
    shapes = slide.shapes
    chart: Any = CategoryChartData()
    chart.categories = ["2023", "2024"]
    chart.add_series("Oslo", (1.5, 0.1 + 0.2))
    chart.add_series("Bergen", (4, 7))
    graphic = shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, Cm(1), Cm(12), Cm(8), Cm(4), chart)
    graphic.chart.has_title = True
    graphic.chart.chart_title.text_frame.text = "Passengers"
    table = shapes.add_table(2, 2, Cm(1), Cm(8), Cm(8), Cm(2)).table
    for at, words in enumerate(("Ship", "Price", "Anna", "40")):
        table.cell(at // 2, at % 2).text = words
    for left, words in ((14, "Right"), (1, "Left")):  # the right one is made first
        shapes.add_textbox(Cm(left), Cm(2), Cm(5), Cm(1)).text_frame.text = words
    group = shapes.add_group_shape()
    group.shapes.add_textbox(Cm(1), Cm(6), Cm(5), Cm(1)).text_frame.text = "Lower"
    group.shapes.add_textbox(Cm(1), Cm(5), Cm(5), Cm(0.8)).text_frame.text = "Upper"
    shapes[2]._element.nvSpPr.cNvPr.set("descr", "An arrow")
    deck.save(str(tmp_path / "a.pptx"))
    loaded = read()
    assert found(loaded)[0] == (
        1,
        "Left\n\nRight\n\nPicture: An arrow\n\nUpper\n\nLower\n\n"
        "| Ship | Price |\n|---|---|\n| Anna | 40 |\n\n"
        "Chart: Passengers\n\n"
        "|  | Oslo | Bergen |\n|---|---|---|\n| 2023 | 1.5 | 4 |\n| 2024 | 0.3 | 7 |",
    )
    # The workbook in the file says the same again.
    assert len(loaded.segments) == 1
    assert "the workbooks behind 1 chart were not read: the charts have the values" in [
        note.text for note in loaded.notes
    ]


def with_parts(path: Path, parts: dict[str, tuple[str, str]], slide: str = "") -> None:
    """Add parts to the first slide of a file, by name: last word of the relation's type, and XML.

    A part named `authors` is one of the presentation.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, (kind, xml) in parts.items():
        whole = "uthors" in name
        rels = f"ppt/{'_rels/presentation' if whole else 'slides/_rels/slide1'}.xml.rels"
        target = f"/ppt/{name}.xml"
        relation = f'<Relationship Id="x{name}" Type="http://x/{kind}" Target="{target}"/>'
        end = b"</Relationships>"
        members[rels] = members[rels].replace(end, relation.encode() + end)
        members[f"ppt/{name}.xml"] = xml.encode()
    part = "ppt/slides/slide1.xml"
    members[part] = members[part].replace(b"</p:spTree>", slide.encode() + b"</p:spTree>")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_comments_old_and_new(tmp_path: Path, read: Callable[[], LoadedFile]) -> None:
    three_slides(tmp_path / "a.pptx")
    body = "<p188:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></p188:txBody>"
    parts = {
        "commentAuthors": (
            "commentAuthors",
            f'<p:cmAuthorLst xmlns:p="{_P}"><p:cmAuthor id="0" name="Ann"/></p:cmAuthorLst>',
        ),
        "comments1": (
            "comments",
            f'<p:cmLst xmlns:p="{_P}"><p:cm authorId="0" dt="2024-03-01" idx="1"><p:text>Too dear'
            "</p:text></p:cm></p:cmLst>",
        ),
        "authors": (
            "authors",
            f'<p188:authorLst xmlns:p188="{_P188}"><p188:author id="{{B}}" name="Ben"/>'
            "</p188:authorLst>",
        ),
        "modern1": (
            "comments",
            f'<p188:cmLst xmlns:p188="{_P188}" xmlns:a="{_A}"><p188:cm authorId="{{B}}" '
            f'created="2024-03-02"><p188:replyLst><p188:reply authorId="0">{body.format("No.")}'
            f"</p188:reply></p188:replyLst>{body.format('Is it?')}</p188:cm></p188:cmLst>",
        ),
    }
    with_parts(tmp_path / "a.pptx", parts)
    loaded = read()
    assert [text for page, text in found(loaded) if page == 1][2:] == [
        "Comment by Ann on slide 1: Too dear",
        "Comment by Ben on slide 1: Is it?\nReply by Ann: No.",
    ]
    assert loaded.segments[3].metadata["author"] == "Ben, Ann"


def test_diagrams_have_their_order(tmp_path: Path, read: Callable[[], LoadedFile]) -> None:
    three_slides(tmp_path / "a.pptx")
    frame = (
        f'<p:graphicFrame xmlns:p="{_P}"><a:graphic xmlns:a="{_A}"><a:graphicData>'
        f'<dgm:relIds xmlns:dgm="{_DGM}" xmlns:r="{_R}" r:dm="xdata1"/></a:graphicData></a:graphic>'
        "</p:graphicFrame>"
    )
    point = '<dgm:pt modelId="{}"><dgm:t><a:p><a:r><a:t>{}</a:t></a:r></a:p></dgm:t></dgm:pt>'
    names = {"2": "Second", "1": "First", "3": "Below the first"}
    points = "".join(point.format(*item) for item in names.items())
    link = '<dgm:cxn srcId="{}" destId="{}" srcOrd="{}"/>'
    links = "".join(link.format(*each) for each in (("0", "1", 0), ("0", "2", 1), ("1", "3", 0)))
    data = (
        f'<dgm:dataModel xmlns:dgm="{_DGM}" xmlns:a="{_A}"><dgm:ptLst><dgm:pt modelId="0" '
        f'type="doc"/>{points}</dgm:ptLst><dgm:cxnLst>{links}</dgm:cxnLst></dgm:dataModel>'
    )
    with_parts(tmp_path / "a.pptx", {"data1": ("diagramData", data)}, frame)
    assert found(read())[0] == (
        1,
        "Plan\n\nOpen two depots\n\nDiagram:\n- First\n  - Below the first\n- Second",
    )


def test_embedded_files_are_read_as_files_of_their_own(
    tmp_path: Path, read: Callable[[], LoadedFile]
) -> None:
    inner: Any = pptx.Presentation()
    inner.slides.add_slide(inner.slide_layouts[5]).shapes.title.text = "Inner deck"
    inner.save(str(tmp_path / "inner.pptx"))
    deck: Any = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Outer deck"
    slide.shapes.add_ole_object(
        str(tmp_path / "inner.pptx"), "PowerPoint.Show.12", Cm(1), Cm(5), Cm(4), Cm(4)
    )
    deck.save(str(tmp_path / "a.pptx"))
    outer, within = read().segments
    assert (outer.text, outer.member) == ("Outer deck", None)
    assert (within.text, within.page) == ("Inner deck", 1)
    assert within.member is not None
    assert within.member.endswith(".pptx")
    assert within.source == outer.source


def test_opendocument_presentations(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libreoffice, "_PROGRAMS", ("no-such-program",))
    box = (
        '<draw:frame {} svg:x="1cm" svg:y="{}cm" svg:width="4cm" svg:height="1cm"><draw:text-box>'
        "<text:p>{}</text:p></draw:text-box></draw:frame>"
    )
    spaces = (
        'xmlns:p="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    )
    comment = (
        f"<office:annotation {spaces}><dc:creator>Ann</dc:creator><text:p>Too dear</text:p>"
        "</office:annotation>"
    )
    aloud = box.format('p:class="notes"', 1, "Say aloud")
    notes = f"<p:notes {spaces}>{aloud}</p:notes>"
    title = box.format(f'{spaces} p:class="title"', 1, "Plan")
    page = f"<draw:page>{box.format('', 9, 'lower')}{box.format('', 5, 'upper')}{title}"
    path = opendocument(tmp_path / "a.odp", "presentation", f"{page}{notes}{comment}</draw:page>")
    loaded = load_file(path, options)
    assert found(loaded) == [
        (1, "Plan\n\nupper\n\nlower"),
        (1, "Say aloud"),
        (1, "Comment by Ann on slide 1: Too dear"),
    ]
    assert loaded.segments[1].metadata["heading"] == "Plan > Notes"
