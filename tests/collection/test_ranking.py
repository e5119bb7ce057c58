"""Modalities are ranked fairly, however far from each other a model puts them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PILImage

from mm_rag import Collection, Image, Segment, Text
from mm_rag.collection.search.calibration import Calibration
from mm_rag.content import Mixed
from tests.collection.conftest import segment
from tests.collection.seeing import seeing, seen

RIGHT, WRONG = 0.75, 0.6  # cosines before the gap lowers those to pictures
NEAR, QUESTIONS = 15, 12  # texts that are nearly right, of each question


def word(n: int) -> str:
    """Digits would be words that questions and pictures share."""
    return "".join("abcdefghij"[int(digit)] for digit in str(n))


def asked(n: int) -> str:
    return f"question{word(n)}"


def planned() -> dict[str, tuple[str, float]]:
    near = {f"picture{word(n)}": (asked(n), RIGHT) for n in range(QUESTIONS)}
    for n in range(QUESTIONS):
        near |= {f"text{word(n)}near{word(m)}": (asked(n), WRONG) for m in range(NEAR)}
    return near


def texts(n: int) -> Iterator[Segment]:
    near = [line for line in planned() if line.startswith("text")]
    yield from (segment(line, number) for number, line in enumerate(near))
    yield from (segment(f"other{word(m)}", 10_000 + m) for m in range(n))


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    PILImage.new("RGB", (8, 8)).save(path)
    return path


def made(photo: Path, pictures: list[str], *, others: int = 400, gap: float = 0.3) -> Collection:
    collection = Collection(":memory:", encoder=seeing(planned(), gap=gap))
    collection.add([*texts(others), *(seen(line, photo) for line in pictures)])
    return collection


def found(collection: Collection, query: object) -> list[str]:
    return [hit.segment.text for hit in collection.search(query, 10)]


@pytest.fixture(scope="module")
def gallery(photo: Path) -> Iterator[Collection]:
    """The picture of each question, and 300 that answer none, among 580 texts."""
    pictures = [f"picture{word(n)}" for n in range(QUESTIONS)]
    with made(photo, [*pictures, *(f"view{word(n)}" for n in range(300))]) as collection:
        yield collection


@pytest.mark.slow
def test_pictures_are_found_among_texts_that_are_nearer(gallery: Collection) -> None:
    lists = [found(gallery, asked(n)) for n in range(QUESTIONS)]
    assert all(f"picture{word(n)}" in hits for n, hits in enumerate(lists))
    assert all(any(line.startswith("text") for line in hits) for hits in lists)
    # One list by cosine has none of them: the planted texts are all nearer.
    hits = gallery.search(asked(0), 50)
    cosines = {
        hit.segment.text: max(v for k, v in hit.scores.items() if "vec" in k) for hit in hits
    }
    nearer = [line for line, cosine in cosines.items() if cosine > cosines["picturea"]]
    assert len(nearer) >= NEAR


@pytest.mark.slow
@pytest.mark.parametrize("pictures", [1, 2, 3])
@pytest.mark.parametrize("gap", [0.3, 0.0])
def test_a_handful_of_pictures_among_many_texts(photo: Path, pictures: int, gap: float) -> None:
    lines = [f"picture{word(n)}" for n in range(pictures)]
    with made(photo, lines, others=1200, gap=gap) as collection:
        for n, line in enumerate(lines):
            assert line in found(collection, asked(n))
        # Who asks for something else is not shown them before what answers it.
        assert not set(found(collection, asked(9))[:3]) & set(lines)


@pytest.mark.slow
def test_a_collection_of_pictures_only(photo: Path) -> None:
    with Collection(":memory:", encoder=seeing(planned())) as collection:
        collection.add(seen(line, photo) for line in ["pictureb", *map(word, range(300))])
        assert found(collection, asked(1))[0] == "pictureb"
        assert found(collection, Image(photo, text="pictureb"))[0] == "pictureb"
        assert collection.search(asked(1), modalities=["text"]) == []


@pytest.mark.slow
def test_a_query_of_a_modality_that_is_not_there(photo: Path) -> None:
    with made(photo, []) as collection:
        assert found(collection, Image(photo, text="otherb"))[0] == "otherb"


def test_words_and_a_picture_are_asked_together(gallery: Collection, photo: Path) -> None:
    question = Mixed((Image(photo, text="viewcc"), Text(asked(3))))
    hits = found(gallery, question)
    assert {"pictured", "viewcc"} <= set(hits)


def test_numbers_are_numbers_whatever_the_vectors(photo: Path) -> None:
    with Collection(":memory:", encoder=seeing()) as collection:
        same = [segment("equal words", n) for n in range(20)]
        empty = seen("nothing at all", photo)
        collection.add([*same, empty])
        for query in ("equal words", "nothing at all", Image(photo, text="x")):
            every: list[Any] = [{}, {"diversity": 0.5}, {"diversity": 1.0}, {"threshold": 0.0}]
            for options in every:
                hits = collection.search(query, 21, **options)
                assert len(hits) == 21
                scores = [hit.score for hit in hits]
                scores += [score for hit in hits for score in hit.scores.values()]
                assert all(map(math.isfinite, scores))


def test_one_segment_is_found_and_calibrated(photo: Path) -> None:
    with Collection(":memory:", encoder=seeing()) as collection:
        collection.add([segment("alone", 1)])
        [hit] = collection.search("alone")
        assert hit.scores["calibrated"] == pytest.approx(0.0, abs=1e-3)  # beside whom?


def test_a_sole_picture_is_judged_by_what_texts_are_to_it(photo: Path) -> None:
    with made(photo, ["picturea"], others=100) as collection:
        ranked = {
            hit.segment.text: hit.scores["calibrated"] for hit in collection.search(asked(0), 500)
        }
        away = {
            hit.segment.text: hit.scores["calibrated"] for hit in collection.search(asked(5), 500)
        }
    assert ranked["picturea"] > 3.0
    assert abs(away["picturea"]) < 1.5


def test_calibration_is_not_made_for_every_search(
    gallery: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[int]()
    begin = Calibration.__init__

    def counted(self: Calibration, *given: object) -> None:
        made.append(1)
        begin(self, *given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Calibration, "__init__", counted)
    for n in range(5):
        gallery.search(asked(n))
    assert len(made) <= 1


def test_one_long_text_does_not_push_all_others_out(photo: Path) -> None:
    """Its passages are one place; there must be as many places as are asked for."""
    with Collection(":memory:", encoder=seeing()) as collection:
        long = [segment(f"pump {word(n)}", 1, part=n) for n in range(150)]
        collection.add([*long, *(segment(f"valve {word(n)}", n) for n in range(2, 8))])
        assert len(collection.search("pump", 5)) == 5


@pytest.mark.slow
def test_thousands_of_hits(photo: Path) -> None:
    dice = random.Random(1)
    with Collection(":memory:", encoder=seeing()) as collection:
        lines = [f"report {word(n)} {word(dice.randrange(99))}" for n in range(2_500)]
        collection.add(segment(line, n) for n, line in enumerate(lines))
        assert len(collection.search("report", 2_000)) == 2_000
        assert len(collection.search("report", 5_000)) == 2_500
