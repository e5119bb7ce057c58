"""Web pages: main content, tables, lists, pictures beside them, encodings and hostile pages."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mm_rag.media import MediaPolicy
from mm_rag.media.image import image_info
from mm_rag_loaders import HtmlLoader, LoadedFile, LoadOptions, load_file
from mm_rag_loaders.html import html_parts
from tests.loaders.pictures import sign

needs_pandoc = pytest.mark.skipif(shutil.which("pandoc") is None, reason="needs pandoc")

PAGE = """<!doctype html><html lang="en"><head><title>Harbour report &mdash; Trust</title>
<meta name="author" content="Ada Whitcombe">
<meta property="article:published_time" content="2024-03-01">
<script>document.write("<p>scripted</p>")</script><style>p { color: red }</style></head>
<body><header><a href="/">Home</a><nav><ul><li><a href="/a">Products</a><li><a href="/b">Team</a>
</ul></nav></header>
<div id="cookie-banner">We use cookies. <button>Accept</button></div>
<main><h1>Harbour report</h1><p>The wall is <b>long</b>. See <a href="https://example.org/plan">the
plan</a>.</p><h2>Costs</h2>
<table><caption>Costs by year</caption><thead><tr><th rowspan="2">Item<th colspan="2">2024
<tr><th>Q1<th>Q2</thead><tr><td rowspan="2">Stone<td>1|0<td>20<tr><td>30<td>40
<tr><td>Fees<td><table><tr><td>pilot<td>5<tr><td>tug<td>6</table><td>50</table>
<ul><li>one<li>two<ul><li>two a</ul></ul><ol start="3"><li>third</ol>
<dl><dt>Berth<dd>A place for a ship</dl>
<pre><code>def f():
    return 1 &lt; 2</code></pre>
<details><summary>More</summary>Only shown when clicked</details>
<div hidden>secret one</div><div style="display: none">secret two</div>
</main><footer>Copyright Trust. All rights reserved.</footer></body></html>"""


def here(options: LoadOptions, **limits: object) -> LoadOptions:
    return replace(options, workers=0, policy=MediaPolicy(**limits))  # type: ignore[arg-type]


def loaded(path: Path, options: LoadOptions, page: str | bytes) -> LoadedFile:
    path.write_bytes(page.encode() if isinstance(page, str) else page)
    return load_file(path, here(options))


def words(file: LoadedFile) -> str:
    return "\n\n".join(segment.text for segment in file.segments)


def notes(file: LoadedFile) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in file.notes]


def test_the_main_content_of_a_page_is_read_by_its_structure(
    tmp_path: Path, options: LoadOptions
) -> None:
    file = loaded(tmp_path / "page.html", options, PAGE)
    assert words(file) == (
        "Harbour report\n\nThe wall is long. See the plan.\n\nCosts\n\nCosts by year\n\n"
        "| Item | 2024 Q1 | 2024 Q2 |\n|---|---|---|\n| Stone | 1\\|0 | 20 |\n| Stone | 30 | 40 |\n"
        "| Fees | pilot, 5; tug, 6 | 50 |\n\n- one\n- two\n  - two a\n\n3. third\n\n"
        "Berth: A place for a ship\n\ndef f():\n    return 1 < 2\n\nMore\n\nOnly shown when clicked"
    )
    [segment] = file.segments
    assert segment.title == "Harbour report \N{EM DASH} Trust"
    assert segment.metadata == {
        "author": "Ada Whitcombe",
        "date": "2024-03-01",
        "language": "en",
        "heading": "Harbour report",
        "links": "https://example.org/plan",
    }
    assert notes(file) == [
        (
            "hidden",
            "menus, banners, and the site's header and footer were left out: 68 letters",
        ),
        ("hidden", "hidden elements were left out: 18 letters"),
    ]


def test_headings_are_a_path(tmp_path: Path, options: LoadOptions) -> None:
    body = "".join(f"<h2>Part {n}</h2><h3>Detail {n}</h3><p>{'word ' * 140}</p>" for n in (1, 2))
    file = loaded(tmp_path / "a.html", options, f"<h1>Report</h1>{body}")
    assert [s.metadata["heading"] for s in file.segments] == [
        "Report > Part 1 > Detail 1",
        "Report > Part 2 > Detail 2",
    ]


@pytest.mark.parametrize(
    "body",
    [
        "<div class='menu'><a href=/a>Chapter one of the harbour</a></div>",
        "<nav><a href=/a>Chapter one of the harbour</a></nav>",
        "<footer>Chapter one of the harbour</footer>",
        "<div class=cookie-law>Chapter one of the harbour</div>",
    ],
)
def test_a_page_that_seems_to_be_all_menu_is_read_whole(
    tmp_path: Path, options: LoadOptions, body: str
) -> None:
    file = loaded(tmp_path / "a.html", options, f"<body>{body}</body>")
    assert words(file) == "Chapter one of the harbour"
    assert notes(file) == []


@pytest.mark.parametrize(
    ("encoding", "head", "text"),
    [
        ("utf-8", "", "Größe der Fläche"),
        ("utf-8-sig", "<meta charset=latin-1>", "Größe der Fläche"),
        ("utf-16", "", "Größe der Fläche"),
        ("cp1252", "<meta charset=iso-8859-1>", "Größe \N{EM DASH} Fläche"),
        ("cp1251", "<meta charset='windows-1251'>", "Протокол собрания"),
        ("shift_jis", "<meta http-equiv=x content='text/html; charset=Shift_JIS'>", "東京湾の水質"),
        ("gb18030", "<meta charset=gb2312>", "北京的地铁"),
        ("euc_kr", "<meta charset=euc-kr>", "부산 항구"),
        ("utf-8", "<meta charset=latin-1>", "Größe der Fläche"),
    ],
)
def test_a_page_is_decoded_as_it_says_unless_it_is_utf8(
    tmp_path: Path, options: LoadOptions, encoding: str, head: str, text: str
) -> None:
    page = f"<html><head>{head}</head><body><p>{text}</p></body></html>"
    assert words(loaded(tmp_path / "a.html", options, page.encode(encoding))) == text


def test_xhtml_is_not_swallowed_by_an_empty_title(tmp_path: Path, options: LoadOptions) -> None:
    page = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/>'
        '<script src="a.js"/></head><body><a id="x"/><p>Kept <![CDATA[a < b]]></p></body></html>'
    )
    assert words(loaded(tmp_path / "a.xhtml", options, page)) == "Kept a < b"


@pytest.mark.slow
def test_pictures_beside_and_in_a_page_belong_to_it(tmp_path: Path, options: LoadOptions) -> None:
    folder = tmp_path / "site"
    (folder / "pics").mkdir(parents=True)
    sign("LIGHTHOUSE").save(folder / "pics" / "the sign.png")
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(buffer, "PNG")
    inside = base64.b64encode(buffer.getvalue()).decode()
    page = (
        "<h1>Signs</h1><figure><img src='pics/the%20sign.png?v=2' alt='A sign'>"
        "<figcaption>Fig. 1: at the pier</figcaption></figure>"
        f"<img src='data:image/png;base64,{inside}'>"
        "<img src='https://example.org/x.png'><img src='//example.org/y.png'><img src='gone.png'>"
        "<img src='file:///etc/hostname'>"
    )
    file = loaded(folder / "a.html", options, page)
    pictures = [segment for segment in file.segments if segment.modality == "image"]
    assert [segment.member for segment in pictures] == ["pics/the sign.png", "picture-2.png"]
    assert pictures[0].text == "A sign\nFig. 1: at the pier\n\nLIGHTHOUSE"
    assert pictures[0].metadata["heading"] == "Signs"
    assert pictures[0].source == str(folder / "a.html")
    assert pictures[1].media
    assert image_info(Path(pictures[1].media)).width == 64
    assert notes(file) == [
        (
            "limit",
            "2 pictures (https://example.org/x.png, //example.org/y.png) are on the web and not "
            "fetched",
        ),
        ("damaged", "1 picture (gone.png) is missing"),
        ("limit", "1 picture (file:///etc/hostname) is outside of the folder and not read"),
    ]


def test_a_page_opens_nothing_outside_of_its_folder(tmp_path: Path, options: LoadOptions) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "notes.txt").write_text("other notes")
    page = (
        f"<p>Page</p><img src='../secret.png'><img src='link.png'><img src='notes.txt'>"
        f"<img src='{tmp_path}/secret.png'><iframe src='notes.txt'></iframe>"
        "<object data='notes.txt'></object><link rel=stylesheet href='notes.txt'>"
    )
    file = loaded(folder / "a.html", options, page)
    assert words(file) == "Page"
    assert notes(file) == [
        (
            "limit",
            f"3 pictures (../secret.png, link.png, {tmp_path}/secret.png) are outside of the "
            "folder and not read",
        ),
        ("damaged", "1 picture (notes.txt) is damaged or not of a known format"),
    ]


@pytest.mark.slow
def test_a_picture_in_the_folder_that_was_searched_is_read(
    tmp_path: Path, options: LoadOptions
) -> None:
    from mm_rag_loaders import load

    (tmp_path / "pages").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "ferry.png")
    (tmp_path / "pages" / "a.html").write_text("<p>Page</p><img src='../ferry.png'>")
    found = load(tmp_path, here(options))
    assert [s.member for s in found if s.source.endswith(".html")] == [None, "../ferry.png"]


def test_small_pictures_are_left_out_with_a_note(tmp_path: Path, options: LoadOptions) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "icon.png")
    file = loaded(tmp_path / "a.html", options, "<p>Page</p><img src=icon.png>")
    assert len(file.segments) == 1
    assert notes(file) == [("limit", "1 picture (icon.png) is smaller than 32 pixels and left out")]


@pytest.mark.slow
def test_a_page_saved_with_its_pictures_in_one_file(tmp_path: Path, options: LoadOptions) -> None:
    from email.message import EmailMessage

    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    message = EmailMessage()
    message["From"] = "<Saved by Blink>"
    message["Snapshot-Content-Location"] = "https://example.org/a/page.html"
    message["Subject"] = "A page"
    message.set_content(
        "<meta charset=utf-8><title>Café</title><p>Über den Hafen</p>"
        "<img src='../h.png' alt='Map'>",
        subtype="html",
        charset="cp1252",
        cte="quoted-printable",
    )
    message.make_related()
    message.add_related(buffer.getvalue(), "image", "png")
    parts = list(message.iter_parts())
    parts[0]["Content-Location"] = "https://example.org/a/page.html"
    parts[1]["Content-Location"] = "https://example.org/h.png"
    file = loaded(tmp_path / "page.mht", options, message.as_bytes())
    text, picture = file.segments
    assert (text.title, text.text) == ("Café", "Über den Hafen\n\nMap")
    assert (picture.member, picture.text) == ("h.png", "Map")


@needs_pandoc
def test_a_page_made_by_pandoc(tmp_path: Path, options: LoadOptions) -> None:
    source = (
        "---\ntitle: Ferry lines\nauthor: Ines Vidal\nlang: en\n---\n\n# Fares\n\n"
        "| Line | Fare |\n|------|-----:|\n| North | 12 |\n\nSee[^1].\n\n[^1]: Only in summer.\n"
    )
    made = subprocess.run(
        ["pandoc", "-s", "--toc", "-f", "markdown", "-t", "html"],
        input=source.encode(),
        capture_output=True,
        check=True,
    )
    file = loaded(tmp_path / "a.html", options, made.stdout)
    [segment] = file.segments
    assert (segment.title, segment.metadata["author"]) == ("Ferry lines", "Ines Vidal")
    for expected in ("Fares", "| Line | Fare |\n|---|---|\n| North | 12 |", "See[1].", "in summer"):
        assert expected in segment.text


def test_a_page_without_words_is_unreadable(tmp_path: Path, options: LoadOptions) -> None:
    file = loaded(tmp_path / "a.html", options, "<html><script>1</script></html>")
    assert (file.state, file.reason) == ("unreadable", "a.html has no words in it.")


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 100_000 + "the end",
        "<ul><li>" * 50_000 + "the end",
        "<table><tr><th>" * 30_000 + "the end",
        "<p " + " ".join(f'a{n}="<b {n}"' for n in range(200_000)) + ">the end",
        "<a b='" * 100_000 + "'>the end",
        "<!--" * 100_000 + "--><p>the end",
        "<title>" * 50_000 + "</title><p>the end",
        "<table>" + ("<tr>" + "<td colspan=1000 rowspan=60000>" * 300) * 10 + "<tr><td>the end",
    ],
    ids=["divs", "lists", "tables", "attributes", "quotes", "comments", "titles", "spans"],
)
@pytest.mark.slow
def test_hostile_pages_are_read_in_linear_time(page: str) -> None:
    started = time.process_time()
    parts = html_parts(page)
    assert parts[-1].text.rstrip("|- \n").endswith("the end")
    assert time.process_time() - started < 10


def test_a_page_that_is_nested_too_deep_keeps_its_words(
    tmp_path: Path, options: LoadOptions
) -> None:
    page = "".join(f"<div>w{n} " for n in range(1000))
    file = loaded(tmp_path / "a.html", options, page)
    assert "w998" in words(file)
    assert "w999" in words(file)
    assert notes(file) == [
        ("limit", "elements nested deeper than 512 levels were read as if they were not")
    ]


def test_a_page_cut_in_a_tag_keeps_what_is_before_it(tmp_path: Path, options: LoadOptions) -> None:
    file = loaded(tmp_path / "a.html", options, "<p>The harbour <b class='x")
    assert words(file) == "The harbour"


def test_the_body_of_a_message_is_read_whole() -> None:
    parts = html_parts("<nav>Menu</nav><p>Hello</p><footer>Regards</footer>".encode("utf-16"))
    assert [part.text for part in parts] == ["Menu", "Hello", "Regards"]


def test_the_loader_is_public(tmp_path: Path, options: LoadOptions) -> None:
    (tmp_path / "a.htm").write_text("<p>Hello")
    assert [segment.text for segment in HtmlLoader(options).load(tmp_path / "a.htm")] == ["Hello"]
