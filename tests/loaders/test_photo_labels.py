"""Photos, frames and key frames with words for what they show, from loaders and readers alike."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as PILImage

from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.content import Image, Text, Video
from mm_rag.errors import MissingExtra
from mm_rag.extraction import picture_labels
from mm_rag.modules import ReadImage, ReadVideo
from mm_rag_loaders import ImageLoader, LoadOptions, VideoLoader, load_file
from tests.av_made import make_video
from tests.loaders.pictures import sign
from tests.photos_made import CLOCK_LABELS, LIGHT_LABELS, clock, traffic_light

pytestmark = pytest.mark.slow


def test_a_photo_has_words_for_what_it_shows(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "IMG_1234.png"
    clock().save(path)
    (segment,) = ImageLoader(options).load(path)
    assert segment.text == CLOCK_LABELS
    (silent,) = ImageLoader(replace(options, photo_labels=False)).load(path)
    assert silent == replace(segment, text="")


def test_a_sign_has_only_its_text(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "sign.png"
    sign("Ferry leaves at nine").save(path)
    (segment,) = ImageLoader(options).load(path)
    assert segment.text == "Ferry leaves at nine"


def test_each_scene_of_an_animation_has_its_own_words(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "animation.gif"
    clock().save(path, save_all=True, append_images=[traffic_light()], duration=1000)
    segments = list(ImageLoader(options).load(path))
    assert [segment.text for segment in segments] == [CLOCK_LABELS, LIGHT_LABELS]


def test_pages_have_none(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "fax.tiff"
    clock().save(path, save_all=True, append_images=[traffic_light()])
    assert [segment.text for segment in ImageLoader(options).load(path)] == ["", ""]


def test_the_clips_of_a_video_have_those_of_their_key_frames(
    tmp_path: Path, options: LoadOptions
) -> None:
    frames = [picture for picture in (clock(), traffic_light()) for _ in range(12)]
    path = make_video(tmp_path / "walk.mp4", frames, fps=2)
    clips = list(VideoLoader(options).load(path))
    assert [clip.text for clip in clips] == [CLOCK_LABELS, LIGHT_LABELS]
    silent = VideoLoader(replace(options, photo_labels=False)).load(path)
    assert [clip.text for clip in silent] == ["", ""]
    for clip in clips:
        content = Video(path, start=clip.start or 0.0, end=clip.end)
        assert ReadVideo(photo_labels=True).read(content) == Text(clip.text)
        assert ReadVideo().read(content) == Text("")


def test_a_reader_gives_the_words_of_the_loader(tmp_path: Path) -> None:
    assert ReadImage(photo_labels=True).read(Image(clock())) == Text(CLOCK_LABELS)
    assert ReadImage().read(Image(clock())) == Text("")


@pytest.mark.parametrize("kind", [ReadImage, ReadVideo])
def test_a_saved_reader_labels_photos_if_it_did(
    kind: type[ReadImage | ReadVideo], tmp_path: Path
) -> None:
    assert kind().config() == {"version": 1}  # as before there were labels
    assert kind(photo_labels=True).config() == {"version": 1, "photo_labels": 1}
    for labelling in (True, False):
        kind(photo_labels=labelling).save(tmp_path)
        assert kind.load(tmp_path, PretrainedOptions()).photo_labels is labelling


def test_without_the_network_files_are_read_with_one_note(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> None:
        raise MissingExtra("the package 'onnx' is not installed")

    monkeypatch.setattr(picture_labels, "recognise", missing)
    path = tmp_path / "animation.gif"
    clock().save(path, save_all=True, append_images=[traffic_light()], duration=1000)
    video = make_video(
        tmp_path / "walk.mp4", list(itertools.repeat(clock(), 12)) + [traffic_light()] * 12, fps=2
    )
    for file in (path, video):
        loaded = load_file(file, replace(options, workers=0))
        assert [segment.text for segment in loaded.segments] == ["", ""]
        (note,) = loaded.notes
        assert (note.kind, note.text) == (
            "missing reader",
            "what photos show was not read: the package 'onnx' is not installed",
        )


def test_a_transparent_photo_is_labelled_on_white(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "cut.png"
    mask = PILImage.new("L", (400, 400), 0)
    mask.paste(255, (40, 40, 360, 360))
    cut = clock().convert("RGBA")
    cut.putalpha(mask)
    cut.save(path)
    (segment,) = ImageLoader(options).load(path)
    assert segment.text == CLOCK_LABELS
