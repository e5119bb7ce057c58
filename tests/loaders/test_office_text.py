"""The text of Word documents and OpenDocument texts, by its structure."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from PIL import Image, ImageDraw, ImageFont

from mm_rag.segment import Segment
from mm_rag_loaders import LoadedFile, LoadOptions, load_file
from mm_rag_loaders.office import libreoffice
from tests.loaders.test_office import converted, needs_office
from tests.office_made import opendocument

_W14 = 'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"'
_W15 = 'xmlns:w15="http://schemas.microsoft.com/office/word/2012/wordml"'
_SPACES = (
    f"{nsdecls('w', 'a', 'pic', 'r', 'wp', 'm')} {_W14} "
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)


@pytest.fixture
def read(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., LoadedFile]:
    """Loads a file without LibreOffice, which takes seconds: the text only."""
    monkeypatch.setattr(libreoffice, "_PROGRAMS", ("no-such-program",))

    def loaded(*paragraphs: str, name: str = "a.docx", parts: dict[str, str] | None = None):
        path = tmp_path / name
        if paragraphs:
            word(path, *paragraphs, parts=parts)
        return load_file(path, options)

    return loaded


def word(path: Path, *paragraphs: str, parts: dict[str, str] | None = None) -> Path:
    """A Word document that python-docx writes, with further paragraphs and parts as XML."""
    document = docx.Document()
    body = document.element.body
    for inside in paragraphs:
        is_block = inside.startswith(("<w:p>", "<w:tbl>", "<w:sdt><w:sdtContent><w:p>"))
        xml = inside if is_block else f"<w:p>{inside}</w:p>"
        body.insert(len(body) - 1, parse_xml(xml.replace(">", f" {_SPACES}>", 1)))
    document.save(str(path))
    if parts:
        _add_parts(path, parts)
    return path


def _add_parts(path: Path, parts: dict[str, str]) -> None:
    """Add parts of Word, whose type is the stem of their name."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    relations = "".join(
        f'<Relationship Id="x{name}" Type="http://x/relationships/{name}" Target="{name}.xml"/>'
        for name in parts
    )
    rels = "word/_rels/document.xml.rels"
    end = b"</Relationships>"
    members[rels] = members[rels].replace(end, relations.encode() + end)
    with zipfile.ZipFile(path, "w") as archive:
        for name, inside in parts.items():
            root, _, body = inside.partition("|")
            members[f"word/{name}.xml"] = f"<{root} {_SPACES} {_W15}>{body}</{root}>".encode()
        for name, data in members.items():
            archive.writestr(name, data)


def run(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def texts(loaded: LoadedFile) -> list[str]:
    return [segment.text for segment in loaded.segments]


def one_with(loaded: LoadedFile, key: str) -> Segment:
    (found,) = (segment for segment in loaded.segments if segment.metadata.get(key))
    return found


def test_without_libreoffice_the_text_is_read_and_the_file_is_incomplete(
    read: Callable[..., LoadedFile],
) -> None:
    loaded = read(run("The harbour was rebuilt in 1913."))
    assert (loaded.state, loaded.incomplete) == ("loaded", True), loaded.notes
    assert texts(loaded) == ["The harbour was rebuilt in 1913."]
    assert [note.kind for note in loaded.notes] == ["missing reader"]
    assert "the picture of each page was not read" in loaded.notes[0].text


def test_headings_are_a_path_and_tables_stay_tables(
    tmp_path: Path, read: Callable[..., LoadedFile]
) -> None:
    document = docx.Document()
    document.core_properties.title = "Ferries of the north"
    document.core_properties.author = "Ada Whitcombe"
    document.add_heading("Costs", 1)
    document.add_heading("Year 2024", 2)
    table = document.add_table(rows=3, cols=3)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "Ship"
    table.cell(0, 2).text = "Price | net"
    table.cell(1, 0).merge(table.cell(2, 0)).text = "Ferry"
    table.cell(1, 1).text, table.cell(1, 2).text = "Anna", "40"
    table.cell(2, 1).text = "Berta"
    nested = table.cell(2, 2).add_table(rows=2, cols=2)
    for at, words in enumerate(("hull", "30", "engine", "21")):
        nested.cell(at // 2, at % 2).text = words
    document.save(str(tmp_path / "a.docx"))
    loaded = read()
    (passage,) = loaded.segments
    assert passage.title == "Ferries of the north"
    assert passage.metadata["author"] == "Ada Whitcombe"
    assert passage.metadata["heading"] == "Costs > Year 2024"
    assert passage.text == (
        "Costs\n\nYear 2024\n\n"
        "| Ship | Ship | Price \\| net |\n|---|---|---|\n"
        "| Ferry | Anna | 40 |\n| Ferry | Berta | hull, 30; engine, 21 |"
    )


def test_comments_have_their_author_words_and_replies(
    read: Callable[..., LoadedFile],
) -> None:
    comments = (
        '<w:comment w:id="1" w:author="Ann Lee" w:date="2024-03-01T10:00:00Z">'
        f'<w:p w14:paraId="AA">{run("August at best: strike in Antwerp.")}</w:p></w:comment>'
        '<w:comment w:id="2" w:author="Ben">'
        f'<w:p w14:paraId="BB">{run("Then we wait.")}</w:p></w:comment>'
        f'<w:comment w:id="7" w:author="Eve"><w:p>{run("Nowhere anchored.")}</w:p></w:comment>'
    )
    replies = (
        '<w15:commentEx w15:paraId="AA" w15:done="1"/>'
        '<w15:commentEx w15:paraId="BB" w15:paraIdParent="AA" w15:done="0"/>'
    )
    marks = '<w:commentRangeStart w:id="{0}"/>{1}<w:commentRangeEnd w:id="{0}"/>{2}'
    reference = '<w:r><w:commentReference w:id="1"/></w:r><w:r><w:commentReference w:id="2"/></w:r>'
    loaded = read(
        run("The boilers come ") + marks.format(1, run("in June"), reference) + run("."),
        run("Next."),
        parts={"comments": f"w:comments|{comments}", "commentsExtended": f"w15:ex|{replies}"},
    )
    assert texts(loaded) == [
        "The boilers come in June.\n\nNext.",
        'Comment by Ann Lee on "in June": August at best: strike in Antwerp.\n'
        "Reply by Ben: Then we wait.",
        "Comment by Eve: Nowhere anchored.",
    ]
    comment = loaded.segments[1].metadata
    assert comment["author"] == "Ann Lee, Ben"
    assert (comment["comment"], comment["resolved"]) == (True, True)
    assert comment["date"] == "2024-03-01T10:00:00Z"


def test_a_comment_of_python_docx(tmp_path: Path, read: Callable[..., LoadedFile]) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("The delivery is planned for ")
    june = paragraph.add_run("June")
    document.add_comment(june, text="Procurement says August.", author="Reviewer")
    document.save(str(tmp_path / "a.docx"))
    assert texts(read()) == [
        "The delivery is planned for June",
        'Comment by Reviewer on "June": Procurement says August.',
    ]


def test_notes_stand_with_the_words_that_they_belong_to(read: Callable[..., LoadedFile]) -> None:
    note = "<w:{0} w:id='2'><w:p><w:r><w:{0}Ref/></w:r>{1}</w:p></w:{0}>"
    skipped = '<w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>'
    loaded = read(
        run("Silver is dear") + '<w:r><w:footnoteReference w:id="2"/></w:r>' + run("."),
        run("Tin is not") + '<w:r><w:endnoteReference w:id="2"/></w:r>',
        parts={
            "footnotes": f"w:footnotes|{skipped}{note.format('footnote', run('31 dollars.'))}",
            "endnotes": f"w:endnotes|{note.format('endnote', run('Since 1985.'))}",
        },
    )
    assert texts(loaded) == [
        "Silver is dear [1].\n\nFootnote 1: 31 dollars.\n\nTin is not [i]\n\nEndnote i: Since 1985."
    ]


def test_tracked_changes_are_resolved_and_noted(read: Callable[..., LoadedFile]) -> None:
    by = 'w:id="1" w:author="Ann" w:date="2024-01-01T00:00:00Z"'
    deleted = "<w:r><w:delText>{}</w:delText></w:r>"
    row = "<w:tr>{}<w:tc><w:p>{}</w:p></w:tc></w:tr>"
    loaded = read(
        run("The rent is ")
        + f"<w:del {by}>{deleted.format('700')}</w:del><w:ins {by}>{run('830')}</w:ins>"
        + f"<w:moveFrom {by}>{run(' moved')}</w:moveFrom>"
        + run(" pounds"),
        f"<w:moveTo {by.replace('Ann', 'Ben')}>{run('moved here')}</w:moveTo>",
        f"<w:tbl>{row.format('', run('kept'))}"
        f"{row.format(f'<w:trPr><w:del {by}/></w:trPr>', run('gone'))}</w:tbl>",
    )
    assert texts(loaded) == ["The rent is 830 pounds\n\nmoved here\n\n| kept |\n|---|"]
    assert [note.text for note in loaded.notes if note.kind == "changes"] == [
        "tracked changes were read as accepted: 3 deletions and 2 insertions by Ann, Ben; "
        "deleted words were left out"
    ]


def test_hidden_text_is_read_apart_and_noted(read: Callable[..., LoadedFile]) -> None:
    hidden = "<w:r><w:rPr><w:vanish/></w:rPr><w:t>Only for the board.</w:t></w:r>"
    shown = '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t xml:space="preserve">All. </w:t></w:r>'
    loaded = read(shown + hidden, hidden.replace("Only", "Also"))
    assert texts(loaded) == ["All.", "Only for the board.\nAlso for the board."]
    assert one_with(loaded, "hidden").metadata["heading"] == "Hidden text"
    assert ("hidden", "it has hidden text, which was read") in [
        (note.kind, note.text) for note in loaded.notes
    ]


def test_text_boxes_and_alternative_texts_are_read_once(read: Callable[..., LoadedFile]) -> None:
    box = f"<w:txbxContent><w:p>{run('Ends in May')}</w:p></w:txbxContent>"
    drawing = (
        '<w:drawing><wp:inline><wp:docPr id="1" name="Box 1" descr="A map of the pier"/>'
        f"<a:graphic><a:graphicData><wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></a:graphicData>"
        "</a:graphic></wp:inline></w:drawing>"
    )
    old = (
        f'<w:pict><v:shape alt="A map of the pier"><v:textbox>{box}</v:textbox></v:shape></w:pict>'
    )
    both = f'<mc:Choice Requires="wps">{drawing}</mc:Choice><mc:Fallback>{old}</mc:Fallback>'
    loaded = read(
        run("Works") + f"<w:r><mc:AlternateContent>{both}</mc:AlternateContent></w:r>",
        run("Later"),
    )
    assert texts(loaded) == ["Works\n\nPicture: A map of the pier\n\nEnds in May\n\nLater"]


def test_lists_show_their_numbers(tmp_path: Path, read: Callable[..., LoadedFile]) -> None:
    document = docx.Document()
    for text in ("first", "second"):
        document.add_paragraph(text, style="List Number")
    document.add_paragraph("point", style="List Bullet")
    document.save(str(tmp_path / "a.docx"))
    assert texts(read()) == ["1. first\n2. second\n- point"]


def test_numbers_of_several_levels(read: Callable[..., LoadedFile]) -> None:
    level = (
        '<w:lvl w:ilvl="{}"><w:start w:val="1"/><w:numFmt w:val="{}"/>'
        '<w:lvlText w:val="{}"/></w:lvl>'
    )
    levels = level.format(0, "upperRoman", "%1.") + level.format(1, "lowerLetter", "%1.%2)")
    numbering = (
        f'<w:abstractNum w:abstractNumId="3">{levels}</w:abstractNum>'
        '<w:num w:numId="5"><w:abstractNumId w:val="3"/></w:num>'
    )

    def entry(at: int, text: str) -> str:
        numbered = f'<w:numPr><w:ilvl w:val="{at}"/><w:numId w:val="5"/></w:numPr>'
        return f"<w:pPr>{numbered}</w:pPr>{run(text)}"

    path = word_with_numbering(numbering)
    loaded = read(entry(0, "one"), entry(1, "below"), entry(1, "more"), entry(0, "two"), parts=path)
    assert texts(loaded) == ["I. one\n  I.a) below\n  I.b) more\nII. two"]


def word_with_numbering(numbering: str) -> dict[str, str]:
    # The relation comes after that of python-docx's own part, and the last one counts.
    return {"numbering": f"w:numbering|{numbering}"}


def test_fields_ticks_symbols_and_equations(read: Callable[..., LoadedFile]) -> None:
    box = (
        '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:default w:val="0"/>'
        '<w:checked w:val="{}"/></w:checkBox></w:ffData></w:fldChar></w:r>'
        "<w:r><w:instrText>FORMCHECKBOX</w:instrText></w:r>"
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    control = (
        f"<w:sdt><w:sdtPr><w14:checkbox/></w:sdtPr><w:sdtContent>{run('☒')}</w:sdtContent></w:sdt>"
    )
    link = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF x</w:instrText></w:r>'
        f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{run("page 7")}'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    fraction = (
        "<m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r>"
        "</m:den></m:f></m:oMath>"
    )
    tick = '<w:r><w:sym w:font="Wingdings" w:char="F0FC"/></w:r>'
    loaded = read(
        box.format(1) + run(" insured") + box.format(0) + run(" rented"),
        control + run(" agreed ") + tick,
        run("See ") + link,
        run("Mean: ") + fraction,
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>In a control</w:t></w:r></w:p></w:sdtContent></w:sdt>",
    )
    assert texts(loaded) == [
        "☒ insured☐ rented\n\n☒ agreed ✓\n\nSee page 7\n\nMean: (a+b)/2\n\nIn a control"
    ]


def test_headers_and_footers_are_read_once(tmp_path: Path, read: Callable[..., LoadedFile]) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Confidential"
    document.sections[0].footer.paragraphs[0].text = "BW-2231"
    document.add_paragraph("Text")
    document.add_section()
    document.sections[1].header.is_linked_to_previous = False
    document.sections[1].header.paragraphs[0].text = "Confidential"
    document.save(str(tmp_path / "a.docx"))
    assert texts(read()) == ["Text", "Header: Confidential\nFooter: BW-2231"]


@pytest.mark.parametrize(
    ("inside", "shown"),
    [
        (
            '<text:h text:outline-level="1">Costs</text:h><text:p>Tin<text:note '
            'text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body>'
            "<text:p>Since 1985.</text:p></text:note-body></text:note> is<text:s text:c='2'/>cheap."
            "</text:p>",
            ["Costs\n\nTin [1] is cheap.\n\nFootnote 1: Since 1985."],
        ),
        (
            '<text:p><office:annotation office:name="a"><dc:creator>Ann</dc:creator>'
            "<text:p>Why?</text:p></office:annotation>in June"
            '<office:annotation-end office:name="a"/>.</text:p>',
            ["in June.", 'Comment by Ann on "in June": Why?'],
        ),
        (
            "<text:tracked-changes><text:changed-region><text:deletion><office:change-info>"
            "<dc:creator>Ann</dc:creator></office:change-info><text:p>gone</text:p></text:deletion>"
            "</text:changed-region></text:tracked-changes><text:p>kept</text:p>",
            ["kept"],
        ),
        (
            "<table:table><table:table-row><table:table-cell table:number-columns-spanned='2'>"
            "<text:p>Ship</text:p></table:table-cell><table:covered-table-cell/></table:table-row>"
            "<table:table-row><table:table-cell><text:p>Anna</text:p></table:table-cell>"
            "<table:table-cell><text:p>40</text:p></table:table-cell></table:table-row>"
            "<table:table-row><table:table-cell table:number-columns-repeated='16384'/>"
            "</table:table-row></table:table>",
            ["| Ship |  |\n|---|---|\n| Anna | 40 |"],
        ),
        (
            "<text:section><text:p><draw:frame><svg:title>Map</svg:title><svg:desc>The pier"
            "</svg:desc></draw:frame></text:p></text:section><text:p><draw:frame><draw:text-box>"
            "<text:p>In a box</text:p></draw:text-box></draw:frame></text:p>",
            ["Picture: Map: The pier\n\nIn a box"],
        ),
        ("<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>", ["- one"]),
    ],
)
def test_opendocument_texts(
    tmp_path: Path, read: Callable[..., LoadedFile], inside: str, shown: list[str]
) -> None:
    inside = inside.replace("<dc:creator>", '<dc:creator xmlns:dc="http://purl.org/dc/">')
    opendocument(tmp_path / "a.odt", "text", inside)
    loaded = read(name="a.odt")
    assert texts(loaded) == shown, loaded.reason
    assert any(note.kind == "changes" for note in loaded.notes) == ("tracked" in inside)


@pytest.mark.slow
@needs_office
def test_passages_are_on_the_pages_where_they_begin(tmp_path: Path, options: LoadOptions) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Confidential report"
    for chapter in range(1, 4):
        document.add_heading(f"Chapter {chapter}", 1)
        paragraph = document.add_paragraph()
        for at in range(8):
            words = " ".join(f"word{chapter}x{at}x{n}" for n in range(60))
            paragraph = document.add_paragraph(f"{words}. Begin{chapter}x{at}.")
        last = paragraph.add_run(f" Last{chapter}")
        document.add_comment(last, text=f"Remark {chapter}", author="Ann")
    document.add_picture(str(picture_of_words(tmp_path, "Depth QX77")))
    document.save(str(tmp_path / "a.docx"))
    segments = load_file(tmp_path / "a.docx", options).segments
    pages = {each.page: each.text for each in segments if each.modality == "image"}
    assert len(pages) > 2
    passages = [each for each in segments if each.modality == "text"]
    for passage in passages:
        beginning = passage.text.removeprefix("# ").split()[0]
        if "word" in beginning:
            assert beginning in pages[passage.page]
    for chapter in range(1, 4):
        (remark,) = (each for each in passages if f"Remark {chapter}" in each.text)
        assert f"Last{chapter}" in remark.text
        assert remark.metadata["heading"] == f"Chapter {chapter}"
        for at in range(8):
            assert sum(f"Begin{chapter}x{at}." in each.text for each in passages) in (1, 2)
    assert sum("Confidential report" in each.text for each in passages) == 1
    # Words on a picture are read from the page, and once.
    assert sum("QX77" in each.text for each in passages) == 1


def picture_of_words(folder: Path, words: str) -> Path:
    picture = Image.new("RGB", (900, 260), "white")
    font = ImageFont.load_default(72)
    ImageDraw.Draw(picture).text((40, 80), words, fill="black", font=font)
    path = folder / f"{words}.png"
    picture.save(path)
    return path


@pytest.mark.slow
@needs_office
@pytest.mark.parametrize("suffix", ["docx", "odt", "doc"])
def test_deleted_words_are_not_on_the_pictures(
    tmp_path: Path, options: LoadOptions, suffix: str
) -> None:
    by = 'w:id="1" w:author="Ann" w:date="2024-01-01T00:00:00Z"'
    gone = f"<w:del {by}><w:r><w:delText>sevenhundred</w:delText></w:r></w:del>"
    new = f"<w:ins {by}>{run('eighthundred')}</w:ins>"
    path = word(tmp_path / "a.docx", run("The rent is ") + gone + new + run(" pounds."))
    if suffix != "docx":
        path = converted(path, suffix, tmp_path)
    loaded = load_file(path, options)
    assert texts(loaded) == ["The rent is eighthundred pounds."] * 2
    assert "changes" in [note.kind for note in loaded.notes]
