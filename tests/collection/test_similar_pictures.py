"""More like this photo: a query that is a picture finds pictures that look like it."""

from __future__ import annotations

import hashlib
import io
import logging
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageOps

from mm_rag import Collection, Encoder, Hit, Image, Segment
from mm_rag.content import Content, Mixed, Text
from mm_rag.errors import MissingExtra
from mm_rag.extraction import picture_features
from mm_rag.extraction.picture_labels import PictureLabels
from mm_rag.modules import ReadImage, Router
from mm_rag_loaders import LoadOptions
from tests.collection.conftest import BagOfWords, segment
from tests.collection.seeing import Seeing

HERE = LoadOptions(workers=0)
SCENES = 6


class Unread(ReadImage):
    """Reads nothing, at once."""

    type_name = "tests.Unread"

    def read_medium(self, content: Image) -> str:
        return ""


class Other(BagOfWords):
    type_name = "tests.Other"


@pytest.fixture
def reader() -> Encoder:
    """A model of texts that reads pictures, none of which has words."""
    return reading(BagOfWords())


def reading(text: BagOfWords) -> Encoder:
    return Encoder(modules=[Router({"text": [text], "image": [Unread(), text]})])


@pytest.fixture
def collection(tmp_path: Path, reader: Encoder) -> Iterator[Collection]:
    with Collection(tmp_path / "collection", encoder=reader) as made:
        made.add(photo(tmp_path, n) for n in range(SCENES))
        yield made


def scene(number: int) -> Pillow.Image:
    """A drawing unlike those of other numbers."""
    chance = random.Random(number)
    made = Pillow.new("RGB", (320, 240), colour(chance))
    draw = ImageDraw.Draw(made)
    for _ in range(chance.randint(2, 14)):
        x, y, size = chance.randint(0, 280), chance.randint(0, 200), chance.randint(15, 120)
        box = (x, y, x + size, y + chance.randint(15, 120))
        shape = chance.choice([draw.ellipse, draw.rectangle, draw.arc, draw.chord])
        ends = (0, chance.randint(90, 300)) if shape in (draw.arc, draw.chord) else ()
        shape(box, *ends, fill=colour(chance))
    return made


def colour(chance: random.Random) -> tuple[int, int, int]:
    return (chance.randrange(256), chance.randrange(256), chance.randrange(256))


def photo(folder: Path, number: int, made: Pillow.Image | None = None, words: str = "") -> Segment:
    path = folder / f"{number}.png"
    (made or scene(number)).save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Segment(modality="image", source=str(path), sha256=sha256, media=str(path), text=words)


def query(picture: Pillow.Image) -> Image:
    return Image(picture)


def numbers(hits: Sequence[Hit]) -> list[int]:
    return [int(Path(hit.segment.source).stem) for hit in hits]


def same(picture: Pillow.Image) -> Pillow.Image:
    return picture


def smaller(picture: Pillow.Image) -> Pillow.Image:
    return picture.resize((80, 60))


def cropped(picture: Pillow.Image) -> Pillow.Image:
    return picture.crop((30, 20, 300, 230))


def recompressed(picture: Pillow.Image) -> Pillow.Image:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=15)
    return Pillow.open(data)


def recoloured(picture: Pillow.Image) -> Pillow.Image:
    red, green, blue = picture.split()
    return Pillow.merge("RGB", [red.point([n * 3 // 4 for n in range(256)]), green, blue])


def transparent(picture: Pillow.Image) -> Pillow.Image:
    framed = Pillow.new("RGBA", (360, 280), (0, 0, 0, 0))
    framed.paste(picture, (20, 20))
    return framed


@pytest.mark.parametrize(
    "change",
    [
        same,
        smaller,
        cropped,
        ImageOps.mirror,
        ImageOps.grayscale,
        recompressed,
        recoloured,
        transparent,
    ],
)
def test_a_changed_copy_finds_the_picture(
    collection: Collection, change: Callable[[Pillow.Image], Pillow.Image]
) -> None:
    found = [numbers(collection.search(query(change(scene(n))), k=1)) for n in range(SCENES)]
    assert found == [[n] for n in range(SCENES)]


def test_hits_say_how_similar_they_are(collection: Collection) -> None:
    explained = collection.search(query(scene(3)), k=SCENES, explain=True)
    first, *rest = explained.hits
    assert first.scores["vector:picture"] == pytest.approx(1.0, abs=1e-3)
    assert first.scores["calibrated"] > rest[0].scores["calibrated"] + 1
    assert len(explained.hits) == SCENES
    assert explained.listed == {"vectors": 0, "words": 0, "pictures": SCENES}
    assert "pictures" in explained.seconds


def test_a_query_in_words_compares_no_pictures(collection: Collection) -> None:
    explained = collection.search("a drawing", explain=True)
    assert explained.listed.keys() == {"vectors", "words"}
    assert all("vector:picture" not in hit.scores for hit in explained.hits)


def test_words_on_the_query_win_over_looks(collection: Collection) -> None:
    passage = segment("The error 0x80070057 appears when the disk is full.", 100)
    collection.add([passage, *(segment(f"other matters {n}", n) for n in range(101, 140))])
    asked = Image(scene(3), text="The error 0x80070057 appears when the disk is full")
    for question in (asked, Mixed((Text("what is this"), asked))):
        explained = collection.search(question, k=2, explain=True)
        assert explained.hits[0].segment.source == passage.source
        assert "pictures" not in explained.listed  # a screenshot: only its words are searched for


def test_a_photo_with_few_words_and_labels_is_searched_for_by_its_looks_too(
    collection: Collection, tmp_path: Path
) -> None:
    labels = PictureLabels(("street sign",), ("sign", "thing", "object")).text
    words = f"Ferry timetable\n\n{labels}"
    explained = collection.search(Image(scene(3), text=words), k=1, explain=True)
    assert explained.hits[0].segment.source == str(tmp_path / "3.png")
    assert explained.listed["pictures"] == SCENES


def test_text_and_picture_of_a_query_both_count(collection: Collection, tmp_path: Path) -> None:
    others = ("Bread rests.", "Who pays for it?", "A cold spring.", "Eleven chairs.", "Ink dries.")
    texts = ["The ferry leaves at seven.", *others]
    collection.add([segment(text, 100 + number) for number, text in enumerate(texts)])
    asked = Mixed((Text("ferry leaves"), Image(scene(5))))
    found = [Path(hit.segment.source).name for hit in collection.search(asked, k=2)]
    assert sorted(found) == ["100.txt", "5.png"]


def test_filters_apply(collection: Collection, tmp_path: Path) -> None:
    asked = query(scene(3))
    others = [str(tmp_path / f"{n}.png") for n in (1, 2)]
    assert set(numbers(collection.search(asked, source=others))) == {1, 2}
    assert collection.search(asked, modalities=["text"]) == []
    assert numbers(collection.search(asked, k=1, modalities=["image"])) == [3]
    assert collection.search(asked, where={"page": 3}) == []
    assert len(collection.search(asked, modalities={"image": 2})) == 2


def test_threshold_and_diversity(collection: Collection) -> None:
    best, second = collection.search(query(scene(3)), k=2)
    between = (best.score + second.score) / 2
    assert numbers(collection.search(query(scene(3)), threshold=between)) == [3]
    assert numbers(collection.search(query(scene(3)), diversity=0.5))[0] == 3


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (300, 300)])
def test_a_picture_of_one_colour_is_searched_for(
    collection: Collection, tmp_path: Path, size: tuple[int, int]
) -> None:
    blank = Pillow.new("RGB", size, "white")
    collection.add([photo(tmp_path, 99, blank)])
    assert numbers(collection.search(query(blank), k=1)) == [99]


@pytest.mark.slow
def test_frames_of_an_animation_are_compared(tmp_path: Path, reader: Encoder) -> None:
    files = tmp_path / "files"
    files.mkdir()
    frames = [scene(n).quantize() for n in (1, 2)]
    frames[0].save(files / "moving.gif", save_all=True, append_images=frames[1:], duration=2000)
    with Collection(tmp_path / "moving", encoder=reader) as collection:
        collection.sync(files, options=HERE)
        [first] = collection.search(query(ImageOps.mirror(scene(2))), k=1)
    assert first.segment.start == 2.0


def rows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "default" / "ledger.sqlite3")) as catalog:
        return catalog.execute("SELECT count(*) FROM pictures").fetchone()[0]


def change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "default" / "ledger.sqlite3")) as catalog, catalog:
        catalog.execute(statement)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    for number in (1, 2):
        scene(number).save(made / f"{number}.png")
    return made


@pytest.mark.slow
def test_files_come_move_and_go(
    tmp_path: Path, files: Path, reader: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "collection"
    (files / "copy.png").write_bytes((files / "2.png").read_bytes())
    with Collection(place, encoder=reader) as collection:
        collection.sync(files, options=HERE)
        assert rows(place) == 2
        asked = Image(ImageOps.mirror(scene(2)))
        [first] = collection.search(asked, k=1)
        assert [Path(first.segment.source).name, *map(Path, first.also)] == [
            "2.png",
            files / "copy.png",
        ]
        with monkeypatch.context() as patch:
            patch.setattr(picture_features, "recognise", unavailable)  # nothing is looked at again
            (files / "1.png").rename(files / "one.png")
            (files / "2.png").unlink()
            collection.sync(files, options=HERE)
        assert Path(collection.search(asked, k=1)[0].segment.source).name == "copy.png"
        (files / "copy.png").unlink()
        collection.sync(files, options=HERE)
        assert [Path(hit.segment.source).name for hit in collection.search(asked)] == ["one.png"]
        assert rows(place) == 1


def unavailable(views: object) -> object:
    raise MissingExtra("the package 'weights' is not installed.")


def test_without_the_network_one_line_says_so(
    collection: Collection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(picture_features, "recognise", unavailable)
    with caplog.at_level(logging.WARNING):
        assert collection.search(query(scene(3))) == []
        collection.add([photo(tmp_path, 50)])
        assert collection.search(query(scene(50))) == []
    assert [record.getMessage() for record in caplog.records] == [
        "Pictures are not compared by what they look like: the package 'weights' is not installed."
    ]


@pytest.mark.slow
def test_a_collection_made_before_has_no_features_and_opens(
    collection: Collection, tmp_path: Path, reader: Encoder
) -> None:
    collection.add([segment("The ferry leaves at seven.", 100)])
    collection.close()
    change(collection.path, "DROP TABLE pictures")
    with Collection(collection.path, encoder=reader) as opened:
        assert opened.search(query(scene(3))) == []
        assert len(opened.search("ferry", k=1)) == 1
        assert opened.verify().ok
        opened.add([photo(tmp_path, 3)])
        assert numbers(opened.search(query(scene(3)))) == [3]


def test_damaged_features_are_left_out(collection: Collection) -> None:
    change(collection.path, "UPDATE pictures SET features = x'00' WHERE rowid < 3")
    change(collection.path, "UPDATE pictures SET features = zeroblob(1280) WHERE rowid = 3")
    hits = collection.search(query(scene(3)), k=SCENES)
    assert numbers(hits)[0] == 3
    assert len(hits) == SCENES - 2


def test_features_survive_other_models(
    collection: Collection, tmp_path: Path, reader: Encoder
) -> None:
    collection.close()
    seeing, other = Encoder(modules=[Seeing(0.3, {})]), reading(Other())
    Collection.reindex(collection.path, encoder=seeing)
    with Collection(collection.path, encoder=seeing) as seen:
        seen.add([photo(tmp_path, 60)])
        assert all(
            "vector:picture" not in hit.scores for hit in seen.search(Image(scene(3)), k=SCENES)
        )
    assert rows(collection.path) == SCENES
    Collection.reindex(collection.path, encoder=other)
    with Collection(collection.path, encoder=other) as read:
        asked: list[Content] = [Image(scene(3)), Image(scene(60))]
        assert [numbers(read.search(each, k=1)) for each in asked] == [[3], [60]]
