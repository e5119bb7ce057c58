"""How page pictures are kept: as JPEG, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image as PillowImage
from torch import Tensor

from mm_rag import Collection, Encoder, Hit, Image, Reranker, Text
from mm_rag.collection import PictureMode
from mm_rag.errors import InputError
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.rerankers.model import RerankerModel, ScoreOptions
from mm_rag_loaders import LoadOptions
from tests.media_made import make_pdf
from tests.mixed_made import Given

HERE = LoadOptions(workers=0)


class Onlooker(RerankerModel):
    """A reranker that opens the pictures that it is given, and likes none better than another."""

    is_cross_encoder = True

    @property
    def modalities(self) -> tuple[str, ...]:
        return ("text", "image")

    def score(self, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Tensor:
        return torch.zeros(len(pairs), 1)

    def save(self, folder: Path) -> None:
        pass


@pytest.fixture
def onlooker() -> Reranker:
    return Reranker(modules=[Onlooker()], activation_fn=torch.nn.Identity())


def pictures(collection: Collection) -> list[Path]:
    return [p for p in (collection.path / "assets").rglob("*") if p.suffix == ".jpg"]


def kept(place: Path, encoder: Encoder, folder: Path, mode: PictureMode) -> Collection:
    made = Collection(place, encoder=encoder, assets=mode)
    made.sync(folder, options=HERE)
    return made


def on_page(hits: Sequence[Hit], page: int) -> Hit:
    return next(hit for hit in hits if hit.segment.page == page)


def test_pictures_are_kept_as_jpeg(tmp_path: Path, encoder: Encoder, folder: Path) -> None:
    with kept(tmp_path / "full", encoder, folder, "jpeg") as collection:
        assert {path.suffix for path in pictures(collection)} == {".jpg"}
        assert len(pictures(collection)) == 3
        hit = collection.search("bicycles", 1)[0]
        assert Path(hit.segment.media or "") in pictures(collection)
        with PillowImage.open(hit.segment.media or "") as picture:
            assert picture.format == "JPEG"
        assert collection.shown([hit]) == [hit]
        assert collection.verify().ok


@pytest.mark.slow
def test_references_keep_nothing_and_are_drawn_until_it_is_closed(
    tmp_path: Path, encoder: Encoder, folder: Path
) -> None:
    with kept(tmp_path / "lean", encoder, folder, "reference") as collection:
        assert not [path for path in (collection.path / "assets").rglob("*") if path.is_file()]
        hits = collection.search("bicycles travel free", 2)
        source = str(folder / "ferry.pdf")
        assert on_page(hits, 2).segment.media == source

        shown = collection.shown(hits)
        assert [hit.segment.id for hit in shown] == [hit.segment.id for hit in hits]
        drawn = [Path(hit.segment.media or "") for hit in shown]
        assert all(path.is_file() and path.suffix == ".jpg" for path in drawn)
        assert not any(path.is_relative_to(collection.path) for path in drawn)
        assert collection.verify().ok
    assert not any(path.exists() for path in drawn)


def test_a_picture_drawn_again_is_the_one_that_would_have_been_kept(
    tmp_path: Path, encoder: Encoder, folder: Path
) -> None:
    with (
        kept(tmp_path / "lean", encoder, folder, "reference") as lean,
        kept(tmp_path / "full", encoder, folder, "jpeg") as full,
    ):
        [drawn] = lean.shown(lean.search("bicycles", 1))
        [stored] = full.search("bicycles", 1)
        first, second = (Path(hit.segment.media or "") for hit in (drawn, stored))
        assert first.read_bytes() == second.read_bytes()


def test_a_source_that_is_gone_cannot_be_shown(
    tmp_path: Path, encoder: Encoder, folder: Path
) -> None:
    with kept(tmp_path / "lean", encoder, folder, "reference") as collection:
        hits = collection.search("bicycles", 1)
        (folder / "ferry.pdf").unlink()
        with pytest.raises(InputError, match=r"There is no file .*ferry\.pdf"):
            collection.shown(hits)


def test_a_source_that_has_changed_cannot_be_shown(
    tmp_path: Path, encoder: Encoder, folder: Path
) -> None:
    with kept(tmp_path / "lean", encoder, folder, "reference") as collection:
        hits = collection.search("bicycles", 1)
        make_pdf(folder / "ferry.pdf", ["The ferry is sold."])
        with pytest.raises(InputError, match=r"ferry\.pdf is no longer the file"):
            collection.shown(hits)


def test_a_moved_source_is_shown_from_its_new_place(
    tmp_path: Path, encoder: Encoder, folder: Path
) -> None:
    with kept(tmp_path / "lean", encoder, folder, "reference") as collection:
        moved = (folder / "ferry.pdf").rename(folder / "boat.pdf")
        collection.sync(folder, options=HERE)
        hits = collection.search("bicycles", 1)
        assert hits[0].segment.media == str(moved)
        assert Path(collection.shown(hits)[0].segment.media or "").is_file()


def test_a_reopened_collection_goes_on_as_it_was(
    tmp_path: Path, encoder: Encoder, folder: Path
) -> None:
    kept(tmp_path / "lean", encoder, folder, "reference").close()
    make_pdf(folder / "tide.pdf", ["High tide is at nine."])
    with Collection(tmp_path / "lean", encoder=encoder) as collection:
        collection.sync(folder, options=HERE)
        assert pictures(collection) == []
        assert collection.search("high tide", 1)[0].segment.media == str(folder / "tide.pdf")


def test_no_other_way_is_known(tmp_path: Path, encoder: Encoder) -> None:
    with pytest.raises(InputError, match="jpeg, reference; got 'png'"):
        Collection(tmp_path / "odd", encoder=encoder, assets="png")  # pyright: ignore[reportArgumentType]


def test_a_seeing_reranker_is_shown_pages_that_nobody_kept(
    tmp_path: Path,
    encoder: Encoder,
    folder: Path,
    onlooker: Reranker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept(tmp_path / "lean", encoder, folder, "reference").close()
    given = Given(onlooker, monkeypatch)
    with Collection(tmp_path / "lean", encoder=encoder, reranker=onlooker) as collection:
        hits = collection.search("bicycles", 3)
        assert given.modalities == {"image": 3}
        for document in given:
            assert isinstance(document, Image)
            with PillowImage.open(str(document.source)) as picture:
                assert picture.format == "JPEG"
    assert {hit.segment.media for hit in hits} == {
        str(folder / "ferry.pdf"),
        str(folder / "bakery.pdf"),
    }


def test_one_file_that_is_gone_costs_the_others_no_look(
    tmp_path: Path,
    encoder: Encoder,
    folder: Path,
    onlooker: Reranker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept(tmp_path / "lean", encoder, folder, "reference").close()
    (folder / "bakery.pdf").unlink()
    given = Given(onlooker, monkeypatch)
    with (
        caplog.at_level(logging.WARNING),
        Collection(tmp_path / "lean", encoder=encoder, reranker=onlooker) as collection,
    ):
        hits = collection.search("bicycles", 3)
    assert len(hits) == 3
    assert given.modalities == {"image": 2, "text": 1}
    [words] = [document.text for document in given if isinstance(document, Text)]
    assert "sourdough" in words
    assert "bakery.pdf" in caplog.text


@pytest.mark.slow
def test_files_of_other_people_among_the_assets_are_left_alone(
    tmp_path: Path, encoder: Encoder
) -> None:
    """A collection may be made in a folder that has an `assets` of its own."""
    theirs = tmp_path / "home" / "assets" / "ab" / "logo.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"a picture")
    files = tmp_path / "files"
    files.mkdir()
    make_pdf(files / "ferry.pdf", ["The ferry leaves at seven."])
    with Collection(tmp_path / "home", encoder=encoder) as collection:
        collection.sync(files, options=LoadOptions(workers=0))
        (files / "ferry.pdf").unlink()
        collection.sync(files, options=LoadOptions(workers=0))
        assert collection.verify().orphaned_files == ()
        collection.repair()
    left = [path for path in (tmp_path / "home" / "assets").rglob("*") if path.is_file()]
    assert left == [theirs]
