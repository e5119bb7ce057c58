"""blocks_of: the pictures of items, and pictures that cannot be shown."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from mm_rag.errors import InputError, MediaTooLarge, MissingExtra, SourceForbidden, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag.prompt_content import Budget, Item, Picture, Words, blocks_of
from tests.av_made import colours, make_video, make_wav, tone
from tests.prompt_content.counting import kinds, pictures, tokens, words

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    PILImage.effect_noise((400, 200), 50).convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds, each in a different colour."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return make_video(path, colours(*COLOURS, each=10))


def _still(path: Path, label: str = "[1] photo", text: str = "") -> Item:
    metadata = {"modality": "image", "media": str(path), "mime_type": "image/png"}
    return Item(label=label, text=text, metadata=metadata)


def _clip(film: Path, start: Any = 0.0, end: Any = 4.0, **metadata: Any) -> Item:
    known = {"modality": "video", "media": str(film), "mime_type": "video/x-matroska"}
    times = {"start": start, "end": end}
    metadata = known | {name: time for name, time in times.items() if time is not None} | metadata
    return Item(label="[1] film.mkv", text="what is said", metadata=metadata)


def _colour(picture: PILImage.Image) -> str:
    pixel = np.asarray(picture.convert("RGB"), dtype=int)[5, 5]
    known = {name: np.array(PILImage.new("RGB", (1, 1), name).getpixel((0, 0))) for name in COLOURS}
    return min(known, key=lambda name: int(abs(known[name] - pixel).sum()))


def test_a_clip_is_shown_by_frames_with_their_times(film: Path) -> None:
    blocks = blocks_of([_clip(film)])
    assert kinds(blocks) == "W" + "WP" * 4
    assert words(blocks)[0] == "[1] film.mkv\nwhat is said"
    assert words(blocks)[1:] == [f"[frame at 0:0{second}]" for second in range(4)]
    assert [_colour(picture) for picture in pictures(blocks)] == list(COLOURS)


def test_frames_are_of_the_clip_only(film: Path) -> None:
    blocks = blocks_of([_clip(film, 2.0, 4.0)], Budget(frames=2))
    assert [_colour(picture) for picture in pictures(blocks)] == ["blue", "yellow"]


@pytest.mark.parametrize(("start", "end"), [(None, None), (1.0, None), (1.0, 1.0), (3.9, 99.0)])
def test_a_clip_without_an_end_or_beyond_it_is_shown(film: Path, start: Any, end: Any) -> None:
    assert 1 <= len(pictures(blocks_of([_clip(film, start, end)]))) <= 4


def test_a_moment_is_one_frame(film: Path) -> None:
    assert len(pictures(blocks_of([_clip(film, 1.2, 1.3)]))) == 1


@pytest.mark.parametrize("most", [100, 300, 600, 900])
def test_fewer_frames_where_there_is_less_room(film: Path, most: int) -> None:
    blocks = blocks_of([_clip(film)], most)
    assert tokens(blocks) <= most
    assert len(pictures(blocks)) == {100: 0, 300: 1, 600: 2, 900: 3}[most]


@pytest.mark.parametrize(("start", "end"), [("0", 1.0), (float("nan"), 1.0), (2.0, 1.0), (-1, 1)])
def test_a_clip_at_no_time_is_refused(film: Path, start: Any, end: Any) -> None:
    with pytest.raises(InputError, match=r"\[1\] film\.mkv: "):
        blocks_of([_clip(film, start, end)], lenient=False)


def test_a_recording_is_its_words(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "talk.wav", tone(1.0))
    metadata = {"modality": "audio", "media": str(path), "mime_type": "audio/wav"}
    item = Item(label="[1] talk.wav", text="what is said", metadata=metadata)
    assert blocks_of([item]) == [Words(text="[1] talk.wav\nwhat is said")]


def test_a_record_without_metadata_is_words() -> None:
    assert blocks_of([Item(label="", text="plain", metadata={})]) == [Words(text="plain")]
    assert blocks_of([Item(label="", text="", metadata={})]) == []


def test_what_several_items_show_is_shown_once(photo: Path, film: Path) -> None:
    items = [_still(photo, text=text) for text in ("one", "two")]
    assert kinds(blocks_of(items)) == "WPW"
    assert kinds(blocks_of([_clip(film, end=0.3)] * 2)) == "WWPW"
    assert kinds(blocks_of([_clip(film, end=0.3), _clip(film, end=0.4)])) == "WWPWWP"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif"])
def test_a_file_that_providers_take_is_sent_as_it_is(photo: Path, suffix: str) -> None:
    path = photo.with_name(f"small{suffix}")
    PILImage.open(photo).save(path)
    (_, picture) = blocks_of([_still(path)])
    assert isinstance(picture, Picture)
    assert picture.data == path.read_bytes()


@pytest.mark.parametrize("suffix", [".tiff", ".bmp", ".ico"])
def test_other_formats_become_jpeg(photo: Path, suffix: str) -> None:
    path = photo.with_name(f"small{suffix}")
    PILImage.open(photo).save(path)
    (picture,) = pictures(blocks_of([_still(path)]))
    assert picture.format == "JPEG"


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_an_animation_is_its_first_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"moving{suffix}"
    first, *more = colours("red", "blue", "green")
    first.save(path, save_all=True, append_images=more)
    (picture,) = pictures(blocks_of([_still(path)]))
    assert (picture.format, getattr(picture, "n_frames", 1)) == ("JPEG", 1)
    assert _colour(picture) == "red"


def test_a_turned_photo_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = PILImage.Exif()
    exif[0x0112] = 6
    PILImage.new("RGB", (80, 60), "red").save(path, exif=exif)
    (picture,) = pictures(blocks_of([_still(path)]))
    assert picture.size == (60, 80)
    assert picture.getexif().get(0x0112, 1) == 1


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    PILImage.new("RGBA", (40, 30), (0, 0, 0, 0)).save(path)
    (picture,) = pictures(blocks_of([_still(path)]))
    assert picture.convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_a_picture_in_memory_is_shown(photo: Path) -> None:
    item = Item(label="[1]", text="words", metadata={}, picture=photo.read_bytes())
    (_, picture) = blocks_of([item])
    assert isinstance(picture, Picture)
    assert picture.data == photo.read_bytes()


def _broken(photo: Path) -> dict[str, Path]:
    cut, text, empty = (photo.with_name(f"{name}.png") for name in ("cut", "text", "empty"))
    cut.write_bytes(photo.read_bytes()[:5000])
    text.write_text("no picture at all")
    empty.write_bytes(b"")
    return {"gone": photo.with_name("gone.png"), "cut": cut, "text": text, "empty": empty}


@pytest.mark.parametrize("name", ["gone", "cut", "text", "empty"])
def test_a_broken_picture_is_an_error_that_names_it(photo: Path, name: str) -> None:
    items = [_still(photo), _still(_broken(photo)[name], "[2] slides.pdf, page 3")]
    with pytest.raises(UnreadableMedia, match=rf"\[2\] slides\.pdf, page 3: .*{name}\.png"):
        blocks_of(items, lenient=False)


@pytest.mark.parametrize("name", ["gone", "cut", "text", "empty"])
def test_a_broken_picture_does_not_harm_the_others(photo: Path, name: str) -> None:
    items = [_still(_broken(photo)[name], "[1] slides.pdf", "first"), _still(photo, "[2] photo")]
    first, reason, second, picture = blocks_of(items)
    assert [first, second] == [Words(text="[1] slides.pdf\nfirst"), Words(text="[2] photo")]
    assert isinstance(picture, Picture)
    assert isinstance(reason, Words)
    assert reason.text == "[picture cannot be shown: its file is missing or damaged]"


@pytest.mark.parametrize("most", [30, 50, 70, 100, 200])
def test_reasons_stay_within_the_budget(photo: Path, most: int) -> None:
    items = [_still(photo.with_name(f"gone-{number}.png")) for number in range(5)]
    assert 0 < tokens(blocks_of(items, most)) <= most


def test_a_video_that_is_gone_is_an_error_or_its_preview(photo: Path) -> None:
    clip = _clip(photo.with_name("gone.mkv"), preview=str(photo))
    with pytest.raises(UnreadableMedia, match=r"\[1\] film\.mkv: .*gone\.mkv"):
        blocks_of([clip], lenient=False)
    blocks = blocks_of([clip])
    assert kinds(blocks) == "WWP"
    assert words(blocks)[1] == "[picture cannot be shown: its file is missing or damaged]"
    assert pictures(blocks)[0].size == (400, 200)


def test_without_pyav_a_clip_is_its_preview(
    film: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise MissingExtra("Reading videos needs the package 'av'.")

    monkeypatch.setattr("mm_rag.prompt_content.pictures.open_video", missing)
    clip = _clip(film, preview=str(photo))
    with pytest.raises(MissingExtra, match="'av'"):
        blocks_of([clip], lenient=False)
    assert kinds(blocks_of([clip])) == "WWP"


@pytest.mark.parametrize("kind", ["image", "video", "preview"])
def test_hostile_metadata_open_nothing_outside_of_the_roots(tmp_path: Path, kind: str) -> None:
    metadata = {
        "image": {"modality": "image", "media": "/etc/passwd", "mime_type": "image/png"},
        "video": {"modality": "video", "media": "/etc/passwd", "start": 0.0, "end": 1.0},
        "preview": {"modality": "audio", "media": "a.wav", "preview": "/etc/passwd"},
    }
    item = Item(label="[1] evil", text="words", metadata=metadata[kind])
    policy = MediaPolicy(roots=(tmp_path,))
    with pytest.raises(SourceForbidden, match=r"\[1\] evil"):
        blocks_of([item], policy=policy, lenient=False)
    blocks = blocks_of([item], policy=policy)
    assert kinds(blocks) == "WW"
    assert words(blocks)[1] == "[picture cannot be shown: it may not be opened]"


@pytest.mark.parametrize("value", [5, None, ["a.png"], b"a.png", {"a": 1}])
def test_metadata_of_any_type_are_words(value: Any) -> None:
    metadata = {"modality": "video", "media": value, "mime_type": "image/png", "preview": value}
    assert kinds(blocks_of([Item(label="[1]", text="words", metadata=metadata)])) == "W"


def test_a_path_that_is_none_is_an_error() -> None:
    with pytest.raises(UnreadableMedia):
        blocks_of([_still(Path("a\0b.png"))], lenient=False)


def test_a_picture_over_the_policy_is_refused(photo: Path) -> None:
    with pytest.raises(MediaTooLarge, match=r"\[1\] photo"):
        blocks_of([_still(photo)], policy=MediaPolicy(max_pixels=1000), lenient=False)


def test_a_picture_does_not_print_its_bytes(photo: Path) -> None:
    (_, picture) = blocks_of([_still(photo)])
    assert isinstance(picture, Picture)
    assert repr(picture).startswith("Picture(image/png, 400 x 200, ")
    assert PILImage.open(io.BytesIO(picture.data)).size == (400, 200)
