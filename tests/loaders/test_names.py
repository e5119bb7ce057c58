from __future__ import annotations

import pytest

from mm_rag_loaders.sources import name_in_words, title_from


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("team_photo-2024", "team photo 2024"),
        ("Quarterly Review", "Quarterly Review"),
        ("apollo11_8khz", "apollo11 8khz"),
        ("Übersicht_März", "Übersicht März"),
        ("重庆市地图", "重庆市地图"),
    ],
)
def test_a_name_that_says_something(stem: str, words: str) -> None:
    assert name_in_words(stem) == words


@pytest.mark.parametrize(
    "stem",
    [
        "IMG_20240102_1234",
        "DSC00042",
        "scan 7",
        "Screenshot 2024-01-02 at 10.11.12",
        "untitled",
        "Voice memo 12",
        "9f86d081884c7d659a2feaa0c55ad015",
        "0001",
        "item-0067",
    ],
)
def test_a_name_that_says_nothing(stem: str) -> None:
    assert name_in_words(stem) == ""


@pytest.mark.parametrize(
    "source",
    ["/photos/team_photo.v2.jpg", "https://photos.example/a/team_photo.v2.jpg?size=1#team"],
)
def test_only_the_name_of_a_file_makes_its_title(source: str) -> None:
    assert title_from(source) == "team photo.v2"
