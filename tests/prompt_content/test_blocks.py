"""blocks_of stays within the budget and uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PILImage
from PIL import ImageDraw

from mm_rag.errors import InputError
from mm_rag.prompt_content import Budget, Item, Words, blocks_of
from mm_rag.segment import Hit, Segment
from tests.prompt_content.counting import NO_ROOM, data, kinds, pictures, tokens, words

PROSE = "The harbour office keeps a ledger of every vessel that enters. " * 400


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Five pages of 1000 x 1300 pixels that are all different, each with 300 words."""
    folder = tmp_path_factory.mktemp("pages")
    found: list[Item] = []
    for number in range(5):
        picture = PILImage.new("RGB", (1000, 1300), "white")
        lines = "\n".join(f"Line {line} of page {number}" for line in range(80))
        ImageDraw.Draw(picture).multiline_text((50, 50), lines, fill="black")
        path = folder / f"page-{number}.png"
        picture.save(path)
        found.append(_item(path, label=f"[{number + 1}] report.pdf", text="word " * 300))
    return found


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Two pictures of noise, which compress badly."""
    folder = tmp_path_factory.mktemp("noisy")
    paths = [folder / f"{number}.png" for number in range(2)]
    for path in paths:
        PILImage.effect_noise((600, 600), 200).convert("RGB").save(path)
    return [_item(path) for path in paths]


def _item(path: Path, *, label: str = "[1] photo", text: str = "", **metadata: Any) -> Item:
    known = {"modality": "image", "media": str(path), "mime_type": "image/png"}
    return Item(label=label, text=text, metadata=known | metadata)


def _words_item(text: str, label: str = "[1] notes.txt") -> Item:
    return Item(label=label, text=text, metadata={})


@pytest.mark.parametrize("most", [20, 100, 300, 700, 1500, 2500, 4000, 8000, 20_000])
def test_five_pages_stay_within_the_tokens(pages: list[Item], most: int) -> None:
    blocks = blocks_of(pages, most)
    assert 0 < tokens(blocks) <= most


def test_five_pages_fit_into_the_usual_budget(pages: list[Item]) -> None:
    blocks = blocks_of(pages)
    assert kinds(blocks) == "WP" * 5
    assert [text.split("\n")[0] for text in words(blocks)] == [item.label for item in pages]
    assert tokens(blocks) > 0.8 * Budget().tokens  # the budget is used


def test_a_large_budget_cuts_nothing(pages: list[Item]) -> None:
    blocks = blocks_of(pages, Budget(tokens=50_000, bytes=100_000_000))
    assert [picture.size for picture in pictures(blocks)] == [(1000, 1300)] * 5
    assert all(picture.format == "PNG" for picture in pictures(blocks))
    assert not any("cut" in text for text in words(blocks))


def test_the_last_pictures_give_way_before_all_become_illegible(pages: list[Item]) -> None:
    blocks = blocks_of(pages, 2500)
    assert kinds(blocks) == "WPWPWPWPWW"
    assert words(blocks)[-1] == NO_ROOM
    assert all(picture.width * picture.height > 190_000 for picture in pictures(blocks))


def test_items_whose_label_does_not_fit_are_counted() -> None:
    items = [_words_item("some words", f"[{number}] notes.txt") for number in range(100)]
    blocks = blocks_of(items, 200)
    assert tokens(blocks) <= 200
    shown = len(blocks) - 1
    assert 5 < shown < 50
    assert words(blocks)[-1] == f"[{100 - shown} more left out: no room]"


@pytest.mark.parametrize("most", [100, 20_000, 60_000, 200_000, 1_000_000])
def test_bytes_are_bounded(noisy: list[Item], most: int) -> None:
    blocks = blocks_of(noisy, Budget(tokens=20_000, bytes=most))
    assert data(blocks) <= most
    assert len(pictures(blocks)) + words(blocks).count(NO_ROOM) == 2


def test_a_picture_over_its_bytes_is_compressed_and_not_left_out(noisy: list[Item]) -> None:
    blocks = blocks_of(noisy[:1], Budget(tokens=20_000, bytes=100_000))
    (picture,) = pictures(blocks)
    assert picture.format == "JPEG"
    assert 0.5 * 100_000 < data(blocks) <= 100_000


def test_text_is_cut_at_a_word_and_says_so() -> None:
    (block,) = blocks_of([_words_item(PROSE)], 200)
    assert isinstance(block, Words)
    label, *kept, note = block.text.split("\n")
    assert label == "[1] notes.txt"
    text = " ".join(kept)
    assert PROSE.startswith(text + " ")
    missing = len(PROSE.split()) - len(text.split())
    assert note == f"[... cut: {missing:,} more words]"
    assert 150 < tokens([block]) <= 200


def test_a_text_that_is_cut_begins_with_what_was_found() -> None:
    page = " ".join(f"word{number}" for number in range(3000))
    found = "word2000 word2001 word2002"
    item = Item(label="[1] a.pdf, page 3", text=page, metadata={"matched": found})
    [cut] = words(blocks_of([item], 400))
    assert cut.startswith(f"[1] a.pdf, page 3\n{found}\n[...]\nword0 word1 ")
    assert cut.endswith(" more words]")
    [whole] = words(blocks_of([item], 40_000))
    assert whole == f"[1] a.pdf, page 3\n{page}"


def test_text_without_spaces_is_cut_anywhere() -> None:
    text = "去年渔民在河口附近发现了污染的迹象" * 100
    (block,) = blocks_of([_words_item(text)], 200)
    assert isinstance(block, Words)
    _, kept, note = block.text.split("\n")
    assert text.startswith(kept)
    assert note == f"[... cut: {len(text) - len(kept):,} more characters]"


def test_what_short_texts_leave_goes_to_long_ones() -> None:
    short = [_words_item("few words") for _ in range(9)]
    blocks = blocks_of([*short, _words_item(PROSE)], 2000)
    assert tokens(blocks[-1:]) > 1500


def test_words_leave_pictures_half(pages: list[Item]) -> None:
    page = Item(label="[1] report.pdf", text=PROSE, metadata=pages[0].metadata)
    blocks = blocks_of([page], 2000)
    assert kinds(blocks) == "WP"
    assert 900 <= tokens(blocks[1:]) <= 1050


def test_what_small_pictures_leave_goes_to_large_ones(pages: list[Item], tmp_path: Path) -> None:
    icons = [_icon(tmp_path / f"{number}.png") for number in range(4)]
    (_, page) = blocks_of([pages[0], *icons], 3500)[:2]
    assert tokens([page]) > 1100


def _icon(path: Path) -> Item:
    PILImage.effect_noise((64, 64), 50).save(path)
    return _item(path)


def test_nothing_is_enlarged(tmp_path: Path) -> None:
    path = tmp_path / "icon.bmp"
    PILImage.new("RGB", (20, 10), "red").save(path)
    (picture,) = pictures(blocks_of([_item(path)], 8000))
    assert picture.size == (20, 10)


def test_an_endless_strip_is_made_no_longer_than_providers_take(tmp_path: Path) -> None:
    path = tmp_path / "strip.png"
    PILImage.new("RGB", (60, 20_000), "red").save(path)
    (picture,) = pictures(blocks_of([_item(path)], 50_000))
    assert max(picture.size) <= 8000


def test_counters_of_ones_own_are_obeyed(pages: list[Item]) -> None:
    def per_picture(width: int, height: int) -> int:
        return 258

    budget = Budget(tokens=1000, tokens_of_text=len, tokens_of_picture=per_picture)
    blocks = blocks_of(pages, budget)
    taken = sum(map(len, words(blocks))) + 258 * len(pictures(blocks))
    assert taken <= 1000
    assert pictures(blocks)[0].size == (1000, 1300)


def test_a_number_is_one_of_tokens() -> None:
    assert blocks_of([_words_item(PROSE)], 100) == blocks_of(
        [_words_item(PROSE)], Budget(tokens=100)
    )


def test_a_budget_for_nothing_gives_nothing() -> None:
    assert blocks_of([_words_item(PROSE)], 1) == []


def test_no_items_are_no_blocks() -> None:
    assert blocks_of([]) == []


def test_an_endless_label_is_cut() -> None:
    (block,) = blocks_of([_words_item("words", "a\n" * 10_000)], 1000)
    assert isinstance(block, Words)
    assert block.text.endswith("...\nwords")
    assert len(block.text) < 220


@pytest.mark.parametrize("name", ["tokens", "bytes", "frames"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "8000", None, True])
def test_a_budget_is_of_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"Budget.{name}"):
        Budget(**{name: value})


def test_a_budget_counts_with_functions() -> None:
    with pytest.raises(InputError, match="tokens_of_text"):
        Budget(tokens_of_text=3)  # pyright: ignore[reportArgumentType]


def test_a_segment_and_a_hit_are_items(pages: list[Item]) -> None:
    known: dict[str, Any] = {"media": pages[0].metadata["media"], "mime_type": "image/png"}
    segment = Segment(modality="image", source="/a.pdf", sha256="0", text="hello", **known)
    hit = Hit(segment=segment, rank=1, score=1)
    for item in (Item.of_segment(segment, "[1] a.pdf"), Item.of_hit(hit, "[1] a.pdf")):
        blocks = blocks_of([item])
        assert kinds(blocks) == "WP"
        assert blocks[0] == Words(text="[1] a.pdf\nhello")
