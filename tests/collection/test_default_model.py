"""The built-in default in a collection: media are read once, when they come in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mm_rag import Collection, Image
from mm_rag.extraction import ocr
from tests.media_made import make_pdf, make_picture

pytestmark = pytest.mark.slow


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    folder = tmp_path / "files"
    folder.mkdir()
    make_picture(folder / "IMG_0001.png", "Boiler pressure alarm\ncall the engineer")
    make_pdf(folder / "notes.pdf", ["Lunch is served in the garden when the weather is fine."])
    with Collection(tmp_path / "collection") as made:
        made.sync(folder)
        yield made


def test_a_picture_is_found_by_the_words_on_it(collection: Collection) -> None:
    hit = collection.search("who do I phone when the heating warns me?", k=1)[0]
    assert Path(hit.segment.source).name == "IMG_0001.png"
    assert set(hit.scores) == {"vector:words", "calibrated", "lexical", "rerank"}


def test_nothing_is_read_again_by_a_search(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a search must not read pictures")

    monkeypatch.setattr(ocr, "read_image", refuse)
    assert collection.search("boiler alarm", k=2)


def test_a_picture_asks_with_the_words_on_it(collection: Collection, tmp_path: Path) -> None:
    photo = make_picture(tmp_path / "photo.png", "lunch in the garden")
    hit = collection.search({"text": "when?", "image": photo}, k=1)[0]
    assert Path(hit.segment.source).name == "notes.pdf"
    assert collection.search(Image(photo), k=1)[0].segment.id == hit.segment.id


def test_a_picture_without_words_asks_by_its_looks(collection: Collection, tmp_path: Path) -> None:
    blank = make_picture(tmp_path / "blank.png", "")
    assert collection.search({"text": "boiler", "image": blank}, k=1)
    [hit] = collection.search(Image(blank))
    assert Path(hit.segment.source).name == "IMG_0001.png"
    assert "vector:picture" in hit.scores
    assert "lexical" not in hit.scores


def test_a_picture_with_neither_words_nor_a_name_is_near_to_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    make_picture(folder / "DSC_0042.png", "")
    make_pdf(folder / "tide.pdf", ["High tide is at nine."])
    with Collection(tmp_path / "collection") as made:
        made.sync(folder)
        hits = made.search("photograph of a mountain", k=5, rerank=False)
        scores = {Path(h.segment.source).name: h.scores["vector:words"] for h in hits}
    assert scores["DSC_0042.png"] == pytest.approx(0.0, abs=1e-6)
    assert scores["tide.pdf"] != pytest.approx(0.0, abs=1e-3)
