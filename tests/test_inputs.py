"""Plain values become Content, and what cannot be says so."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from collections import UserList
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from mm_rag.content import (
    Audio,
    Chat,
    Content,
    Image,
    Mixed,
    Text,
    Turn,
    Url,
    Video,
    content_key,
    modality_name,
)
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.inputs import as_content, as_contents

_PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def _png() -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(_PIXELS).save(buffer, "PNG")
    return buffer.getvalue()


def _data_uri() -> str:
    return "data:image/png;base64," + base64.b64encode(_png()).decode()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one file of each kind, as the current one; nothing opens them here."""
    for name in ("photo.PNG", "speech.wav", "film.mp4", "notes.txt", "noname"):
        (tmp_path / name).write_bytes(_png())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _source(value: Any, **options: Any) -> Any:
    content = as_content(value, **options)
    assert isinstance(content, Image | Audio | Video)
    return content.source


# -- a str -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "", "a cat.png", "film of a cat.mp4\nin two lines.mp4", "notes.txt", "https://x.org/page",
        "https://x.org/my cat.png", "http://[half.png", "data:text/plain;base64,YQ==", "\0.png",
        "x" * 5000 + ".png", "a" * 300 + ".png", "ftp://x.org/a.png",
    ],
)  # fmt: skip
def test_words_are_text(words: str, files: Path) -> None:
    assert as_content(words) == Text(words)


@pytest.mark.parametrize(
    ("name", "kind"), [("photo.PNG", Image), ("speech.wav", Audio), ("film.mp4", Video)]
)
def test_a_str_that_is_a_media_file_is_that_medium(name: str, kind: type, files: Path) -> None:
    content = as_content(name)
    assert isinstance(content, kind)
    assert _source(name) == Path(name)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("https://x.org/a.JPG?size=3", Image),
        ("http://x.org/b.ogg#t=3", Audio),
        ("https://x.org/c.webm", Video),
    ],
)
def test_a_str_that_is_the_address_of_a_medium(address: str, kind: type) -> None:
    assert isinstance(as_content(address), kind)
    assert _source(address) == Url(address)


def test_a_data_uri_is_its_picture() -> None:
    assert _source(_data_uri()) == _png()
    assert _source({"image": _data_uri()}) == _png()


@pytest.mark.parametrize("uri", ["data:image/png,abc", "data:image/png;base64,a!b", "data:image/"])
def test_a_damaged_data_uri(uri: str) -> None:
    with pytest.raises(UnreadableMedia, match=r"data URI|base64"):
        as_content(uri)


def test_what_a_model_has_no_eyes_for_stays_text(files: Path) -> None:
    for text in ("photo.PNG", "https://x.org/a.jpg", _data_uri()):
        assert as_content(text, media=["text", "audio"]) == Text(text)
    assert isinstance(as_content("speech.wav", media=["text", "audio"]), Audio)
    # A Path is never words.
    assert isinstance(as_content(Path("photo.PNG"), media=["text"]), Image)


# -- objects ---------------------------------------------------------------------------------------


def test_content_stays_as_it_is() -> None:
    for content in (Text("a"), Image(b""), Mixed((Text("a"),)), Chat((Turn("user", ()),))):
        assert as_content(content) is content


def test_a_path_without_a_known_suffix(files: Path) -> None:
    with pytest.raises(InputError, match=r"noname.*Wrap it"):
        as_content(Path("noname"))
    assert _source({"image": Path("noname")}) == Path("noname")


def test_bytes_and_pil_are_pictures() -> None:
    picture = Pillow.fromarray(_PIXELS)
    assert _source(_png()) == _png()
    assert _source(bytearray(_png())) == _png()
    assert _source(picture) is picture


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize(
    "array",
    [
        _PIXELS,
        np.moveaxis(_PIXELS, 2, 0),
        (_PIXELS / 255).astype(np.float32),
        _PIXELS.astype(np.float64),
        np.moveaxis(_PIXELS / 255, 2, 0),
        _PIXELS.astype(np.int64),
    ],
)
def test_an_array_of_three_dimensions_is_a_picture(wrap: Any, array: Any) -> None:
    source = _source(wrap(np.ascontiguousarray(array)))
    assert source.dtype == np.uint8
    np.testing.assert_array_equal(source, _PIXELS)


def test_pictures_of_other_channels() -> None:
    grey = _source(_PIXELS[..., :1])
    np.testing.assert_array_equal(grey, np.repeat(_PIXELS[..., :1], 3, axis=2))
    clear = np.concatenate([_PIXELS, np.zeros((4, 6, 1), np.uint8)], axis=2)
    assert (_source(clear) == 255).all()
    flat = _source({"image": _PIXELS[..., 0]})
    np.testing.assert_array_equal(flat, np.repeat(_PIXELS[..., :1], 3, axis=2))
    deep = (_PIXELS.astype(np.uint16) * 257)[..., :3]
    np.testing.assert_array_equal(_source(deep), _PIXELS)
    assert set(np.unique(_source(_PIXELS % 2 == 0))) == {0, 255}


def test_an_array_of_four_dimensions_is_a_video() -> None:
    frames = np.stack([_PIXELS] * 5)
    assert isinstance(as_content(frames), Video)
    for array in (frames, torch.from_numpy(np.moveaxis(frames, 3, 1) / 255.0)):
        np.testing.assert_array_equal(_source(array), frames)


def test_samples_keep_their_numbers() -> None:
    samples = np.linspace(-1, 1, 100, dtype=np.float32)
    assert _source(samples) is samples
    assert as_content(samples).modality == "audio"  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_array_equal(_source(torch.from_numpy(samples)), samples)
    half = torch.tensor([0.5, -0.25], dtype=torch.bfloat16)
    np.testing.assert_array_equal(_source(half), np.array([0.5, -0.25], np.float32))


@pytest.mark.parametrize(
    ("dtype", "low", "middle"), [("int16", -32768, 0), ("int32", -(2**31), 0), ("uint8", 0, 128)]
)
def test_whole_numbers_become_floats(dtype: str, low: int, middle: int) -> None:
    source = _source(np.array([low, middle], dtype))
    assert source.dtype == np.float32
    assert source.tolist() == [-1.0, 0.0]


@pytest.mark.parametrize("shape", [(2, 50), (50, 2), (1, 50)])
def test_channels_are_mixed(shape: tuple[int, int]) -> None:
    array = np.zeros(shape, np.float32)
    channel = (array if shape[0] < shape[1] else array.T)[0]
    channel[:] = 0.5
    source = _source(array)
    assert source.shape == (50,)
    np.testing.assert_allclose(source, 0.5 / min(shape))


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros(0, np.float32), UnreadableMedia, "no samples"),
        (np.array([0.1, np.nan]), UnreadableMedia, "not finite"),
        (np.array([0.1, np.inf]), UnreadableMedia, "not finite"),
        (np.zeros(4, np.int64), InputError, "int64"),
        (np.zeros((5, 6, 7), np.uint8), InputError, "channels"),
        (np.zeros((0, 5, 3), np.uint8), UnreadableMedia, "no pixels"),
        (np.full((4, 5, 3), -1.0), InputError, "from -1 to -1"),
        (np.full((4, 5, 3), np.nan), InputError, "nan"),
        (np.full((4, 5, 3), 300), InputError, "300"),
        (np.zeros((0, 4, 5, 3), np.uint8), UnreadableMedia, "no pixels"),
        (np.zeros((1, 2, 4, 5, 3), np.uint8), InputError, r"shape \(1, 2, 4, 5, 3\)"),
        (np.zeros(3, np.complex64), InputError, "numbers"),
        (np.array(3.0), InputError, r"shape \(\)"),
        (np.array([b"a"]), InputError, "numbers"),
    ],
)
def test_arrays_that_are_no_medium(array: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        as_content(array)


@pytest.mark.parametrize("value", [None, 3, object(), {1, 2}, ["a"], ("query", "document")])
def test_what_is_no_input(value: Any) -> None:
    with pytest.raises(InputError, match=f"Cannot use a {type(value).__name__}"):
        as_content(value)


# -- dicts -----------------------------------------------------------------------------------------


def test_samples_with_their_rate() -> None:
    samples = np.zeros(8, np.float32)
    for value in (
        {"array": samples, "sampling_rate": 8000},
        {"array": samples.tolist(), "sampling_rate": np.int64(8000), "path": None},
    ):
        for given in (value, {"audio": value}):
            content = as_content(given)
            assert isinstance(content, Audio)
            assert content.sampling_rate == 8000
            np.testing.assert_array_equal(_source(given), samples)


def test_frames_with_their_metadata() -> None:
    metadata = {"fps": 5, "total_num_frames": 3}
    frames = [Pillow.fromarray(_PIXELS)] * 3
    for array in (np.stack([_PIXELS] * 3), frames, tuple(frames), [_PIXELS / 255] * 3):
        content = as_content({"video": {"array": array, "video_metadata": metadata}})
        assert isinstance(content, Video)
        assert content.metadata is metadata
        np.testing.assert_array_equal(_source(content), np.stack([_PIXELS] * 3))
    assert as_content({"array": frames, "video_metadata": None}).metadata is None  # pyright: ignore


def test_a_dark_frame_of_floats_keeps_its_scale() -> None:
    bright, dark = np.full((4, 6, 3), 200.0), np.full((4, 6, 3), 1.0)
    assert _source({"video": [bright, dark]})[1].max() == 1


def test_several_together_keep_their_order(files: Path) -> None:
    content = as_content(
        {"image": ["photo.PNG", _PIXELS], "text": ["a", "b"], "audio": Audio(Path("x"))}
    )
    assert isinstance(content, Mixed)
    assert [part.modality for part in content.parts] == ["image", "image", "text", "text", "audio"]
    assert modality_name(content) == "audio+image+text"


def test_one_alone_is_itself() -> None:
    assert as_content({"text": "photo.png"}) == Text("photo.png")
    assert as_content({"text": ["a"]}) == Text("a")
    assert _source({"audio": "https://x.org/listen?id=3"}) == Url("https://x.org/listen?id=3")


def test_pictures_as_video_are_the_frames_of_one(files: Path) -> None:
    content = as_content({"video": ["photo.PNG", _png(), Pillow.fromarray(_PIXELS)]})
    assert isinstance(content, Video)
    np.testing.assert_array_equal(content.source, np.stack([_PIXELS] * 3))  # pyright: ignore
    two = as_content({"video": ["film.mp4", [_PIXELS, _PIXELS]]})
    assert isinstance(two, Mixed)
    assert [part.modality for part in two.parts] == ["video", "video"]


def test_frames_of_unequal_size() -> None:
    with pytest.raises(InputError, match=r"one size; these are 6 x 3, 6 x 4 pixels"):
        as_content({"video": [_PIXELS, _PIXELS[:3]]})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "none"),
        ({"picture": b""}, "'picture'"),
        ({"text": "a", 3: "b"}, "3"),
        ({"text": b"a"}, "bytes as text"),
        ({"text": []}, "empty"),
        ({"image": 3}, "int as image"),
        ({"image": Text("a")}, "given as image is text"),
        ({"audio": _png()}, r"given as audio is image \(image/png\)"),
        ({"audio": np.zeros((2, 2, 2))}, r"\(2, 2, 2\)"),
        ({"video": _PIXELS[..., 0]}, r"\(4, 6\)"),
        ({"image": Mixed((Text("a"),))}, "Mixed as image"),
        ({"array": np.zeros(3)}, "sampling_rate"),
        ({"array": np.zeros(3), "sampling_rate": 0}, "got 0"),
        ({"array": np.zeros(3), "sampling_rate": "16k"}, "16k"),
        ({"array": np.zeros(3), "sampling_rate": 8000, "fps": 3}, "'fps'"),
        ({"array": [], "video_metadata": None}, "empty list"),
        ({"array": [_PIXELS], "video_metadata": 3}, "int"),
        ({"audio": {"sampling_rate": 8000}}, "array"),
        ({"audio": np.zeros(3), "sampling_rate": 8000}, r"\{'audio': \{'array'"),
        ({"video": _PIXELS[None], "video_metadata": {}}, r"\{'video': \{'array'"),
    ],
)
def test_malformed_dicts(value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        as_content(value)


@pytest.mark.parametrize("modality", ["image", "audio", "video"])
def test_a_missing_file_is_named(modality: str) -> None:
    for name in ("missing.png", "x" * 5000, "a\0b"):
        with pytest.raises(UnreadableMedia, match=f"no file .*given as {modality}"):
            as_content({modality: name})


# -- chat messages ---------------------------------------------------------------------------------


def test_chat_messages(files: Path) -> None:
    picture = Pillow.fromarray(_PIXELS)
    content = as_content(
        [
            {"role": "system", "content": "photo.PNG"},
            {
                "role": "user",
                "name": "Ann",
                "content": [
                    {"type": "image", "image": picture},
                    {"type": "text", "text": "What is this?"},
                    {"type": "audio", "path": "speech.wav"},
                    {"type": "video", "url": "https://x.org/v.mp4"},
                ],
            },
        ]
    )
    assert isinstance(content, Chat)
    system, user = content.turns
    assert (system.role, system.parts) == ("system", (Text("photo.PNG"),))
    assert user.fields == {"name": "Ann"}
    assert [part.modality for part in user.parts] == ["image", "text", "audio", "video"]
    assert modality_name(content) == "message"


@pytest.mark.parametrize(
    "piece",
    [
        {"type": "image", "base64": base64.encodebytes(_png()).decode()},
        {"type": "image", "base64": _data_uri()},
        {"type": "image", "image": None, "url": _data_uri()},
        {"type": "image_url", "image_url": {"url": _data_uri(), "detail": "high"}},
        {"type": "image_url", "image_url": _data_uri()},
        Image(_png()),
    ],
)
def test_spellings_of_a_picture(piece: Any) -> None:
    content = as_content({"role": "user", "content": [piece]})
    assert isinstance(content, Chat)
    assert _source(content.turns[0].parts[0]) == _png()


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([{"role": "user", "content": "a"}, {"role": "user"}], "message 1 needs .*'role'"),
        ([{"role": "user", "content": "a"}, "b"], "message 1 .* str"),
        ({"role": 3, "content": "a"}, "role .* 3"),
        ({"role": "user", "content": None}, "NoneType"),
        ({"role": "user", "content": []}, "no content"),
        ({"role": "user", "content": [{"type": "smell"}]}, "'smell'"),
        ({"role": "user", "content": [{"text": "a"}]}, "None"),
        ({"role": "user", "content": [{"type": "image", "picture": b""}]}, "'picture'"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "NoneType"),
        ({"role": "user", "content": [{"type": "image", "image": "missing.png"}]}, "missing.png"),
    ],
)
def test_malformed_messages(messages: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        as_content(messages)


# -- batches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "batch", [["a", "b"], ("a", "b"), np.array(["a", "b"]), np.array(["a", "b"], object)]
)
def test_batches(batch: Any) -> None:
    assert as_contents(batch) == ([Text("a"), Text("b")], False)


def test_a_column_of_a_table_is_a_batch() -> None:
    column = UserList(["a", "b"])  # datasets' columns are such sequences, too
    assert as_contents(column) == ([Text("a"), Text("b")], False)


def test_single_inputs() -> None:
    message = {"role": "user", "content": "a"}
    for value in ("a", message, [message, message], _PIXELS, {"text": "a"}, _png()):
        contents, single = as_contents(value)
        assert single
        assert len(contents) == 1


def test_batches_of_chats_and_the_empty_batch() -> None:
    message = {"role": "user", "content": "a"}
    contents, single = as_contents([[message, message], "words", _PIXELS])
    assert not single
    assert [modality_name(content) for content in contents] == ["message", "text", "image"]
    assert as_contents([]) == ([], False)


def test_the_modalities_of_the_model_count_in_batches(files: Path) -> None:
    assert as_contents(["photo.PNG"], media=["text"]) == ([Text("photo.PNG")], False)


# -- keys ------------------------------------------------------------------------------------------


def test_contents_that_mean_the_same_have_one_key() -> None:
    chat: Any = {"role": "user", "content": [{"type": "text", "text": "a"}], "tools": [{"x": 1}]}
    for value in ("a", Path("a.png"), "https://x.org/a.png", Path("a.wav"), Path("a.mp4"), chat):
        assert content_key(as_content(value)) == content_key(as_content(value))


def test_contents_that_differ_have_keys_of_their_own() -> None:
    frames = np.stack([_PIXELS] * 3)
    samples = np.zeros(3, np.float32)
    different: list[Content] = [
        Text("a"),
        Image(Path("a")),
        Audio(Path("a")),
        Audio(Path("a"), end=2.0),
        Video(Path("a")),
        Image(Url("a")),
        Audio(samples),
        Audio(samples, 8000),
        Video(frames),
        Video(frames, metadata={"fps": 1}),
        Video(frames, metadata={"fps": 2}),
        Mixed((Text("a"),)),
        Chat((Turn("user", (Text("a"),)),)),
        Chat((Turn("system", (Text("a"),)),)),
        Chat((Turn("user", (Text("a"),), {"name": "b"}),)),
    ]
    assert len({content_key(content) for content in different}) == len(different)


def test_an_empty_chat_or_mixture_is_refused() -> None:
    with pytest.raises(InputError, match="at least one message"):
        Chat(())
    with pytest.raises(InputError, match="at least one part"):
        Mixed(())


def test_importing_inputs_is_cheap() -> None:
    code = (
        "import sys; from mm_rag.inputs import as_contents; as_contents(['a', 'b.png']);"
        "print(sorted({'numpy', 'torch', 'PIL', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
