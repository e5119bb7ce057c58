"""Labels of photos: words for what is sure, and silence for everything else."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.models._meta import (
    _IMAGENET_CATEGORIES,  # pyright: ignore[reportPrivateUsage]
)

from mm_rag.errors import MissingExtra
from mm_rag.extraction import picture_labels
from mm_rag.extraction.efficientnet import Recognised
from mm_rag.extraction.picture_labels import PictureLabels, label_line, labels
from mm_rag.media.image import open_image
from tests.photos_made import CLOCK_LABELS, LIGHT_LABELS, clock, traffic_light


def test_a_thing_is_named_with_broader_words() -> None:
    found = labels(clock())
    assert found == PictureLabels(("analogue clock",), ("clock", "measuring instrument"))
    assert found.text == CLOCK_LABELS


def test_a_word_is_said_once() -> None:
    assert labels(traffic_light()) == PictureLabels(("traffic light",), ("traffic light",))
    assert labels(traffic_light()).text == LIGHT_LABELS


@pytest.mark.parametrize("colour", ["white", "black", "grey", "blue", "red"])
def test_nothing_is_said_of_a_blank_picture(colour: str) -> None:
    assert labels(Image.new("RGB", (300, 200), colour)) == PictureLabels()


def sees(monkeypatch: pytest.MonkeyPatch, **probabilities: float) -> None:
    """Have the network see some of ImageNet's classes, with underscores for spaces."""
    found = np.zeros(1000, np.float32)
    for name, probability in probabilities.items():
        found[_IMAGENET_CATEGORIES.index(name.replace("_", " "))] = probability

    def recognise(views: Sequence[Image.Image]) -> Recognised:
        empty = np.zeros((len(views), 1280), np.float32)
        return Recognised(np.tile(found, (len(views), 1)), empty)

    monkeypatch.setattr(picture_labels, "recognise", recognise)


def test_a_group_is_named_where_no_class_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    sees(monkeypatch, beagle=0.2, whippet=0.15, pug=0.1)
    assert labels(clock()).text == "This picture probably shows dog, mammal, animal."


def test_groups_that_share_a_broader_one_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    sees(monkeypatch, beagle=0.2, lion=0.15, jay=0.1)
    assert labels(clock()).text == "This picture probably shows animal."


def test_two_things_are_named_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    sees(monkeypatch, orange=0.32, lemon=0.36, fig=0.31)
    expected = (
        "This picture probably shows lemon, orange, citrus fruit, fruit, food, food and drink."
    )
    assert labels(clock()).text == expected


def test_a_thing_that_belongs_to_two_groups_has_both(monkeypatch: pytest.MonkeyPatch) -> None:
    sees(monkeypatch, tractor=0.9)
    assert (
        labels(clock()).text
        == "This picture probably shows tractor, farm machine, machine, vehicle."
    )


@pytest.mark.parametrize(
    "name", ["web_site", "book_jacket", "menu", "comic_book", "crossword_puzzle", "envelope"]
)
def test_a_page_is_never_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sees(monkeypatch, **{name: 0.9}, pug=0.1)
    assert labels(clock()).text == ""


def test_a_picture_with_much_text_has_no_labels() -> None:
    assert label_line(clock(), "one two three four five six seven eight") == CLOCK_LABELS
    assert label_line(clock(), "one two three four five six seven eight nine") == ""


def test_every_class_has_words_like_those_of_imagenet() -> None:
    """Hold the table against the names that torchvision has, in their order."""
    names = picture_labels._vocabulary().things  # pyright: ignore[reportPrivateUsage]
    assert len(names) == len(_IMAGENET_CATEGORIES) == 1000
    alike = [
        bool(words(own) & words(published))
        for own, published in zip(names, _IMAGENET_CATEGORIES, strict=True)
    ]
    assert sum(alike) > 800
    for start in range(0, 1000, 20):  # no line was left out
        assert any(alike[start : start + 20])


def words(name: str) -> set[str]:
    return set(re.findall("[a-z]{3,}", name.lower()))


def test_the_words_of_a_picture_in_another_mode_or_size_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "clock.png"
    drawn = clock()
    grey = np.asarray(drawn.convert("L")).astype(np.uint16) * 257
    alpha = drawn.convert("RGBA")
    for picture in (
        drawn.convert("P"),
        alpha,
        Image.fromarray(grey),
        drawn.resize((3000, 3000)),
    ):
        picture.save(path)
        assert labels(open_image(path)).text == CLOCK_LABELS
    drawn.convert("CMYK").save(path.with_suffix(".jpg"))
    assert labels(open_image(path.with_suffix(".jpg"))).text == CLOCK_LABELS


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 5000), (20_000, 200)])
def test_a_picture_of_any_shape_is_looked_at(size: tuple[int, int]) -> None:
    assert labels(Image.new("RGB", size, "grey")) == PictureLabels()


def missing(_: object) -> Recognised:
    raise MissingExtra("Recognising what photos show needs other weights")


def test_without_the_network_a_warning_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(picture_labels, "recognise", missing)
    monkeypatch.setattr(picture_labels._warn_once, "_is_logged", False)  # pyright: ignore[reportPrivateUsage]
    with caplog.at_level(logging.WARNING):
        assert label_line(clock(), "") == label_line(traffic_light(), "") == ""
    assert caplog.messages == [
        "Photos are not labelled: Recognising what photos show needs other weights"
    ]


def test_what_is_missing_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_labels, "recognise", missing)
    errors: list[MissingExtra] = []
    assert label_line(clock(), "", errors.append) == ""
    assert [str(error) for error in errors] == ["Recognising what photos show needs other weights"]
