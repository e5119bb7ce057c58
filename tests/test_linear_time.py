"""Untrusted text is read in time that grows with its length, not with the square of it.

Each text is tried at two sizes. Four times the text may take up to ten times as long, which leaves
room for a busy machine; the square would take sixteen times. What takes less than 50 ms of the
processor passes in any case.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from mm_rag.agent_tools.tool import lines_result
from mm_rag.boxes import WordBox, find_words
from mm_rag.collection.lexical.query import analyzed_query, parse_query
from mm_rag.extraction.subtitles import read_subtitle_file
from mm_rag.media.image import image_metadata
from mm_rag.prompt_content import Budget
from mm_rag.words import plain_words

_MOST_GROWTH = 10.0
_TOO_SHORT_TO_TELL = 0.05  # seconds
_TRIES = 3


def seconds(work: Callable[[Any], object], given: Any) -> float:
    start = time.process_time()
    work(given)
    return time.process_time() - start


def assert_linear(work: Callable[[Any], object], make: Callable[[int], Any], size: int) -> None:
    small, large = make(size), make(4 * size)
    short = long = 0.0
    for _ in range(_TRIES):
        short, long = seconds(work, small), seconds(work, large)
        if long < max(_TOO_SHORT_TO_TELL, _MOST_GROWTH * short):
            return
    raise AssertionError(f"{short:.3f} s became {long:.3f} s for four times the text")


HOSTILE = ["<", "<a", "</a", "{", '"', "\u201c", "\u00ab", "&", "&#1", "(", "[", " ", "1.", "a"]


@pytest.fixture
def subtitles(tmp_path: Path) -> Callable[[int, str], Path]:
    def write(size: int, piece: str) -> Path:
        path = tmp_path / f"{size}.srt"
        words = piece * (size // len(piece))
        path.write_text(f"1\n00:00:01,000 --> 00:00:02,000\n{words}\n\n")
        return path

    return write


@pytest.mark.parametrize("piece", [piece for piece in HOSTILE if piece.isascii()])
def test_subtitles(subtitles: Callable[[int, str], Path], piece: str) -> None:
    assert_linear(read_subtitle_file, lambda size: subtitles(size, piece), 10_000)


def _titled(count: int, title: Callable[[int], str]) -> bytes:
    items = "".join(title(number) for number in range(count))
    info = PngImagePlugin.PngInfo()
    info.add_itxt(
        "XML:com.adobe.xmp",
        '<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f"{items}</x:xmpmeta>",
    )
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def test_titles_of_a_picture() -> None:
    def many(count: int) -> bytes:
        return _titled(count, lambda number: f"<dc:title>{number}</dc:title>")

    assert_linear(image_metadata, many, 2000)
    assert image_metadata(many(8000)).text.startswith("0\n1\n2\n")


def test_titles_within_titles() -> None:
    def nested(depth: int) -> bytes:
        ends = "<dc:title>" * depth, "</dc:title>" * depth
        return _titled(1, lambda _: f"{ends[0]}<rdf:li>deep</rdf:li>{ends[1]}")

    assert_linear(image_metadata, nested, 1000)
    assert image_metadata(nested(3)).text == "deep"


@pytest.mark.parametrize("piece", [*HOSTILE, "a\u0301\u0316", "\u0301\u0316", "\uff9e\u0316"])
def test_words(piece: str) -> None:
    assert_linear(plain_words, lambda size: piece * (size // len(piece)), 4000)
    assert_linear(
        lambda text: analyzed_query(parse_query(text), "english"),
        lambda size: piece * (size // len(piece)),
        2500,
    )


PAGES: dict[str, tuple[Callable[[int], list[str]], Callable[[int], str]]] = {
    "quotes that do not end": (lambda _: ["a"], lambda size: "\u201c" * size),
    "corners that do not end": (lambda _: ["a"], lambda size: "\u00ab" * size),
    "quotes of one word": (lambda size: ["a"] * size, lambda size: '"a" ' * size),
    "one word of one letter": (lambda size: ["a" * size], lambda _: "a " * 500),
    "words of one letter": (lambda size: ["a"] * size, lambda _: "a " * 500),
    "pairs of letters": (lambda size: ["aa"] * size, lambda _: "a aa aa aa " * 125),
    "nothing found": (lambda size: ["b"] * size, lambda _: "b b b c " * 125),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_words_on_a_page(name: str) -> None:
    page, words = PAGES[name]

    def made(size: int) -> tuple[list[WordBox], str]:
        return [WordBox(word, (0, 0, 1, 1)) for word in page(size)], words(size)

    assert_linear(lambda given: find_words(*given), made, 5000)


@pytest.mark.parametrize("piece", [*HOSTILE, "</content>", "< content", "\n", "```\n"])
def test_what_tools_answer(piece: str) -> None:
    assert_linear(
        lambda text: lines_result([text, text], Budget(tokens=2000)),
        lambda size: piece * (size // len(piece)),
        4000,
    )
