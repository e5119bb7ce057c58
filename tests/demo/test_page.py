"""write_page: one HTML file that needs no other, whatever was found."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import PIL.Image
import pytest

from mm_rag import Hit, Segment
from mm_rag.demo import Answer, write_page
from mm_rag.demo.page import excerpt
from mm_rag.errors import InputError

VOID = {"meta", "img"}
EVIL = "<script>alert('x')</script> & \"quotes\""


class _Outline(HTMLParser):
    """Checks that tags close in order, and collects what a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.data: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "poster")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.data).split())


def _outline(path: Path) -> _Outline:
    outline = _Outline()
    outline.feed(path.read_text(encoding="utf-8"))
    outline.close()
    assert outline.open == []
    return outline


def _picture_hit(folder: Path, *, rank: int = 1, size: tuple[int, int] = (2000, 1000)) -> Hit:
    preview = folder / "preview.webp"
    PIL.Image.new("RGB", size, "teal").save(preview)
    segment = Segment(
        modality="image",
        source=str(folder / "deck.pdf"),
        sha256="0" * 64,
        text="Sold in August: 71.8 thousand tickets",
        media=str(preview),
        preview=str(preview),
        page=3,
    )
    return Hit(segment=segment, rank=rank, score=0.75, scores={"vector": 0.5})


def test_page_shows_question_file_page_score_and_marked_words(tmp_path: Path) -> None:
    answer = Answer(query="How many tickets in August?", hits=[_picture_hit(tmp_path)])
    write_page(tmp_path / "page.html", [answer], title="A title", facts={"files": "6"})
    outline = _outline(tmp_path / "page.html")
    for words in (
        "How many tickets in August?",
        "deck.pdf",
        "page 3",
        "0.75, maybe relevant",
        "vector 0.500",
    ):
        assert words in outline.words
    assert "<mark>tickets</mark>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_page_says_that_nothing_relevant_was_found(tmp_path: Path) -> None:
    doubtful = replace(_picture_hit(tmp_path), score=0.02)
    answers = [
        Answer(query="a", hits=[doubtful]),
        Answer(query="b", hits=[_picture_hit(tmp_path), replace(doubtful, rank=2)]),
        Answer(query='"no such words"', hits=[]),
        Answer(query="nothing", hits=[]),
    ]
    write_page(tmp_path / "page.html", answers)
    words = _outline(tmp_path / "page.html").words
    assert words.count("Nothing relevant found; the nearest are:") == 1
    assert words.count("0.02, probably not relevant") == 1  # the others show a score alone
    assert 'Nothing has the words in quotes ("no such words").' in words
    assert "Nothing found." in words


def test_page_shows_the_signals_in_words(tmp_path: Path) -> None:
    hit = replace(_picture_hit(tmp_path), evidence={"base": -3.0, "meaning": 4.1}, query="tickets")
    write_page(tmp_path / "page.html", [Answer(query="tickets", hits=[hit])])
    words = _outline(tmp_path / "page.html").words
    assert "Meaning (+4.1): much closer to the query than unrelated content" in words


def test_a_question_in_another_language_has_its_meaning_below(tmp_path: Path) -> None:
    answer = Answer(query="Где?", hits=[_picture_hit(tmp_path)], meaning="Where <b>is</b> it?")
    write_page(tmp_path / "page.html", [answer])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h2><span>Где?<small>Where &lt;b&gt;is&lt;/b&gt; it?</small></span></h2>" in text


def test_page_fetches_nothing_and_its_pictures_are_bounded(tmp_path: Path) -> None:
    hits = [_picture_hit(tmp_path, rank=rank) for rank in (1, 2)]
    write_page(tmp_path / "page.html", [Answer(query="?", hits=hits)])
    links = _outline(tmp_path / "page.html").links
    assert len(links) == 2
    sizes = [_picture_in(link).size for link in links]
    assert sizes == [(900, 450), (160, 80)]
    assert not re.search(r"https?://|@import|url\(", (tmp_path / "page.html").read_text("utf-8"))


def test_everything_is_escaped(tmp_path: Path) -> None:
    segment = Segment(modality="text", source=f"/a/{EVIL[:8]}.pdf", sha256="0" * 64, text=EVIL)
    hit = Hit(segment=segment, rank=1, score=1.0, scores={EVIL: 1.0})
    answer = Answer(query=EVIL, hits=[hit])
    write_page(tmp_path / "page.html", [answer], title=EVIL, lead=EVIL, facts={EVIL: EVIL})
    outline = _outline(tmp_path / "page.html")
    assert "script" not in outline.seen
    assert outline.words.count(EVIL) == 8  # title twice, lead, fact, count, question, text, score
    assert "<script>" in outline.words


@pytest.mark.slow
def test_verdicts_are_shown_where_somebody_judged(tmp_path: Path) -> None:
    hits = [_picture_hit(tmp_path, rank=rank) for rank in (1, 2)]
    answers = [
        Answer(query="first", hits=hits, right=[True, False]),
        Answer(query="second", hits=hits, right=[False, True]),
        Answer(query="third", hits=hits),
    ]
    write_page(tmp_path / "page.html", answers)
    words = _outline(tmp_path / "page.html").words
    assert words.count("✓ right") == 1
    assert words.count("✗ not on top") == 1
    assert words.count("✓") == 2


def test_a_recording_shows_its_time_and_plays_its_clip(tmp_path: Path) -> None:
    recording = tmp_path / "radio.opus"
    recording.write_bytes(b"OggS not really")
    segment = Segment(
        modality="audio",
        source=str(recording),
        sha256="0" * 64,
        media=str(recording),
        mime_type="audio/ogg",
        start=26.0,
        end=3661.5,
    )
    hit = Hit(segment=segment, rank=1, score=1.0)
    write_page(tmp_path / "page.html", [Answer(query="?", hits=[hit])])
    outline = _outline(tmp_path / "page.html")
    assert "0:26-1:01:02" in outline.words
    assert "No words were read here." in outline.words
    head, _, fragment = outline.links[0].partition("#")
    assert fragment == "t=26.00,3661.50"
    assert base64.b64decode(head.removeprefix("data:audio/ogg;base64,")) == b"OggS not really"


def test_a_large_recording_is_not_put_into_the_page(tmp_path: Path) -> None:
    recording = tmp_path / "long.opus"
    recording.write_bytes(bytes(2_000_000))
    segment = Segment(
        modality="audio", source=str(recording), sha256="0" * 64, media=str(recording)
    )
    answer = Answer(query="?", hits=[Hit(segment=segment, rank=1, score=1.0)])
    write_page(tmp_path / "page.html", [answer])
    assert _outline(tmp_path / "page.html").links == []


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_a_missing_picture_does_not_cost_the_page(tmp_path: Path, damage: str) -> None:
    hit = _picture_hit(tmp_path)
    if damage == "gone":
        (tmp_path / "preview.webp").unlink()
    else:
        (tmp_path / "preview.webp").write_bytes(b"RIFF....WEBP")
    write_page(tmp_path / "page.html", [Answer(query="?", hits=[hit])])
    outline = _outline(tmp_path / "page.html")
    assert "img" not in outline.seen
    assert "svg" in outline.seen


def test_no_hits_and_no_folder_are_said_plainly(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", [Answer(query="Anything?", hits=[])])
    assert "Nothing found." in _outline(tmp_path / "page.html").words
    with pytest.raises(InputError, match="nowhere"):
        write_page(tmp_path / "nowhere" / "page.html", [])


def test_every_hit_is_judged_or_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Judge every hit"):
        Answer(query="?", hits=[_picture_hit(tmp_path)], right=[True, False])


def test_excerpt_is_the_part_that_answers() -> None:
    text = "start " + "filler " * 200 + "the mooring ropes cost 179 dollars " + "filler " * 200
    pieces = excerpt(text, "How much was the mooring rope?", length=20)
    shown = "".join(words for words, _ in pieces)
    assert "the mooring ropes cost 179 dollars" in shown
    assert [words for words, wanted in pieces if wanted] == ["mooring", "ropes"]
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert len(shown.split()) == 22


def test_excerpt_of_a_short_text_is_all_of_it() -> None:
    assert excerpt("one\ntwo", "what?") == [("one", False), (" ", False), ("two", False)]
    assert excerpt("", "what?") == []


def test_excerpt_of_a_table_is_its_words() -> None:
    pieces = excerpt("| Line | Price |\n|---|---|\n| North | $4 |", "price of the North line")
    assert "".join(words for words, _ in pieces) == "Line Price North $4"
    assert [words for words, wanted in pieces if wanted] == ["Line", "Price", "North"]


def _picture_in(link: str) -> PIL.Image.Image:
    head, _, data = link.partition(",")
    assert head == "data:image/webp;base64"
    return PIL.Image.open(io.BytesIO(base64.b64decode(data)))
