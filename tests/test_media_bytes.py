"""Bytes, open files, base64, generators and columns of tables as inputs."""

from __future__ import annotations

import base64
import io
import tempfile
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from PIL import Image as Pillow

from mm_rag import Encoder, Reranker
from mm_rag.content import Audio, Image, Mixed, Part, Text, Url, Video
from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.inputs import as_content, as_contents
from mm_rag.media.audio import waveform
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.media.video import open_video_frames
from mm_rag.rerankers.pairs import as_list, as_pair
from tests.av_made import colours, make_video

pytestmark = pytest.mark.slow


def picture(image_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (8, 8), "red").save(buffer, image_format)
    return buffer.getvalue()


def recording() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as output:
        output.setnchannels(1)
        output.setsampwidth(2)
        output.setframerate(16_000)
        output.writeframes(np.full(1600, 16_384, np.int16).tobytes())
    return buffer.getvalue()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_video(path, colours("red", "blue"), fps=5)
    return path.read_bytes()


PNG, WAV = picture(), recording()


def source(content: Any) -> Any:
    assert isinstance(content, Image | Audio | Video)
    return content.source


# -- what bytes hold -------------------------------------------------------------------------------


WRAPPED: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "BytesIO": io.BytesIO,
    "buffered": lambda data: io.BufferedReader(io.BytesIO(data)),  # pyright: ignore
    "datasets": lambda data: {"bytes": data, "path": None},
    "datasets with a path": lambda data: {"bytes": data, "path": "elsewhere.jpg"},
    "datasets of a file": lambda data: {"bytes": io.BytesIO(data), "path": None},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_the_content_says_what_bytes_are(wrap: Callable[[bytes], Any], film: bytes) -> None:
    kinds: list[tuple[bytes, type]] = [(PNG, Image), (WAV, Audio), (film, Video)]
    for data, kind in kinds:
        content = as_content(wrap(data))
        assert isinstance(content, kind)
        assert source(content) == data
        name = kind.__name__.lower()
        assert source(as_content({name: wrap(data)})) == data
        (many, single) = as_contents([wrap(data), "words"])
        assert (source(many[0]), many[1], single) == (data, Text("words"), False)


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "TGA"])
def test_pictures_of_every_format(image_format: str) -> None:
    assert isinstance(as_content(picture(image_format)), Image)


def test_a_file_that_is_open_is_read_from_its_beginning_and_left_where_it_was(
    tmp_path: Path,
) -> None:
    path = tmp_path / "unnamed"
    path.write_bytes(WAV)
    with path.open("rb") as file:
        file.read(5)
        assert source(as_content(file)) == WAV
        assert file.tell() == 5
    with tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(PNG)
        assert source(as_content({"image": spooled})) == PNG


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"a few words", r"plain text .*data\.decode\(\)"),
        (b"%PDF-1.7 and so on", "a PDF .*load_bytes"),
        (b"PK\x03\x04" + bytes(100), "ZIP"),
        (bytes(range(256)) * 2, "unknown kind"),
    ],
)
def test_other_bytes_are_named(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableMedia, match=words):
        as_content(data)
    with pytest.raises(UnreadableMedia, match=words) as caught:
        as_contents(["a", io.BytesIO(data)])
    assert caught.value.position == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"image": io.BytesIO(WAV)}, r"given as image is audio \(audio/x-wav\)"),
        ({"audio": {"bytes": PNG, "path": "a.wav"}}, r"given as audio is image \(image/png\)"),
        ({"video": WAV}, "given as video is audio"),
        ({"image": b"%PDF-1.7"}, "given as image is no picture: it holds a PDF"),
        ({"image": {"bytes": None, "path": None}}, "neither its bytes nor its path"),
        ({"bytes": None, "path": "noname"}, "Cannot tell from the name of noname"),
        ({"bytes": "abc", "path": None}, "got a str"),
        ({"bytes": None, "path": "missing.png"}, "no file 'missing.png'"),
        (io.StringIO("words"), "gives str, not bytes"),
        (Url("https://example.org/page"), r"Wrap it: Image\(url\)"),
    ],
)
def test_what_was_said_is_checked(value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        as_content(value)


def test_an_open_file_over_the_limit_is_not_read_to_its_end() -> None:
    file = io.BytesIO(PNG + bytes(3 * 1024**2))
    with pytest.raises(MediaTooLarge, match="more than 1,000 bytes"):
        as_content(file, policy=MediaPolicy(max_bytes=1000))
    closed = io.BytesIO(PNG)
    closed.close()
    with pytest.raises(UnreadableMedia, match="closed file"):
        as_content(closed)


def test_sound_and_frames_are_decoded_from_bytes(film: bytes) -> None:
    samples = waveform(Audio(WAV), 16_000)
    np.testing.assert_allclose(samples, np.full(1600, 0.5), atol=1e-3)
    with open_video_frames(Video(film)) as clip:
        assert clip.frames([0]).shape[-1] == 3
    no_folder = MediaPolicy(roots=())
    assert len(waveform(Audio(WAV), 16_000, no_folder)) == 1600
    with pytest.raises(MediaTooLarge):
        waveform(Audio(WAV), 16_000, MediaPolicy(max_bytes=100))
    with pytest.raises(UnreadableMedia, match="empty"):
        waveform(Audio(b""), 16_000)


def test_a_gif_given_as_video_is_one() -> None:
    assert isinstance(as_content({"video": picture("GIF")}), Video)


# -- base64 ----------------------------------------------------------------------------------------


def test_bare_base64_is_the_medium_that_it_stands_for() -> None:
    for said, data in (("image", PNG), ("audio", WAV)):
        text = base64.b64encode(data).decode()
        assert source(as_content({said: text})) == data
        assert source(as_content({said: base64.encodebytes(data).decode()})) == data
        assert as_content(text) == Text(text)  # not where it may be words
        uri = f"data:{said}/any;base64,{text}"
        assert source(as_content({said: uri})) == data
        assert source(as_content(uri)) == data
    heard = {"data": base64.b64encode(WAV).decode(), "format": "wav"}
    chat: Any = as_content(
        {"role": "user", "content": [{"type": "input_audio", "input_audio": heard}]}
    )
    assert source(chat.turns[0].parts[0]) == WAV
    with pytest.raises(InputError, match="given as image is audio"):
        as_content({"image": base64.b64encode(WAV).decode()})
    with pytest.raises(UnreadableMedia, match="no file"):
        as_content({"image": base64.b64encode(b"no medium, only some words").decode()})


def test_a_file_goes_before_base64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = base64.b64encode(picture("PPM")[:60]).decode().replace("/", "a")
    Path(name).write_bytes(PNG)
    assert source(as_content({"image": name})) == Path(name)


# -- several ---------------------------------------------------------------------------------------


BATCHES: dict[str, Callable[[], Any]] = {
    "list": lambda: ["a", "b"],
    "generator": lambda: (letter for letter in "ab"),
    "map": lambda: map(str, ["a", "b"]),
    "values": lambda: {1: "a", 2: "b"}.values(),
    "keys": lambda: {"a": 1, "b": 2}.keys(),
    "Series": lambda: pd.Series(["a", "b"]),
    "categories": lambda: pd.Series(["a", "b"], dtype="category"),
    "Series of pyarrow": lambda: pd.Series(["a", "b"], dtype="string[pyarrow]"),
    "Index": lambda: pd.Index(["a", "b"]),
    "pyarrow": lambda: cast("Any", pa.array(["a", "b"])),
    "chunks": lambda: cast("Any", pa.chunked_array([["a"], ["b"]])),
    "str": lambda: np.array(["a", "b"]),
    "bytes": lambda: np.array([b"a", b"b"]),
    "StringDType": lambda: np.array(["a", "b"], np.dtypes.StringDType()),
    "objects": lambda: np.array(["a", "b"], object),
}


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_whatever_holds_several_is_a_batch(batch: Callable[[], Any]) -> None:
    assert as_contents(batch()) == ([Text("a"), Text("b")], False)
    assert [str(each) for each in as_list(batch(), "Documents")] == ["a", "b"]
    together = as_content({"text": batch()})
    assert isinstance(together, Mixed)
    assert together.parts == (Text("a"), Text("b"))


@pytest.mark.parametrize("column", [pa.array, pd.Series, partial(np.array, dtype=object), iter])
def test_columns_of_media(column: Any) -> None:
    contents, single = as_contents(column([PNG, WAV]))
    assert [source(content) for content in contents] == [PNG, WAV]
    assert not single


def test_a_column_of_numpys_bytes_may_hold_media() -> None:
    assert source(as_contents(np.array([PNG]))[0][0]) == PNG


def test_tensors_in_a_list_are_media_each() -> None:
    contents, _ = as_contents([torch.zeros(3, 8, 8), torch.zeros(1600), torch.zeros(2, 3, 8, 8)])
    assert [type(content) for content in contents] == [Image, Audio, Video]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a", "b"}, "set has no order"),
        (pd.DataFrame({"text": ["a"]}), "whole table"),
        (pa.table({"text": ["a"]}), "whole table"),
    ],
)
def test_what_has_no_order_or_no_single_column(value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        as_contents(value)


def test_an_open_file_is_one_input_and_no_list_of_lines() -> None:
    contents, single = as_contents(io.BytesIO(PNG))
    assert (source(contents[0]), single) == (PNG, True)
    with pytest.raises(InputError, match="come in a list; got a BytesIO"):
        as_list(io.BytesIO(PNG), "Documents")


def test_frames_may_come_from_anywhere() -> None:
    wanted = np.asarray(Pillow.open(io.BytesIO(PNG)))
    frames: list[Any] = [PNG, io.BytesIO(PNG), {"bytes": PNG, "path": None}, wanted]
    for given in (frames, iter(frames)):
        content = as_content({"video": given})
        np.testing.assert_array_equal(source(content), np.stack([wanted] * 4))


def test_an_encoded_picture_in_an_array_of_bytes() -> None:
    for held in (np.frombuffer(PNG, np.uint8), torch.frombuffer(bytearray(PNG), dtype=torch.uint8)):
        assert source(as_content({"image": held})) == PNG


def test_sides_of_pairs_in_an_array() -> None:
    for dtype in ("S", "U", object, np.dtypes.StringDType()):
        (pair,) = as_list(np.array([["a", "b"]], dtype), "Pairs")
        assert as_pair(pair, media=(), policy=DEFAULT_POLICY) == (Text("a"), Text("b"))


# -- models ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader() -> Encoder:
    return Encoder(device="cpu")


def test_a_model_takes_them_like_the_values_that_they_stand_for(reader: Encoder) -> None:
    texts = reader.encode(["a", "b"])
    for batch in BATCHES.values():
        np.testing.assert_array_equal(reader.encode(batch()), texts)
    pictures: list[Part] = [Image(PNG), Audio(WAV)]
    np.testing.assert_array_equal(reader.encode(pa.array([PNG, WAV])), reader.encode(pictures))
    assert len(reader.encode_tokens(iter(["a", "b"]))) == 2  # pyright: ignore[reportArgumentType]


def test_a_reranker_takes_them_too(reader: Encoder) -> None:
    reranker = Reranker(encoder=reader)
    expected = [ranked["score"] for ranked in reranker.rank("a", ["a", "b"])]
    for batch in BATCHES.values():
        assert [ranked["score"] for ranked in reranker.rank("a", batch())] == expected
    pairs = [("a", io.BytesIO(PNG)), (io.BytesIO(WAV), "b")]
    assert reranker.predict(iter(pairs)).shape == (2,)
    assert reranker.predict(zip(["a"], pa.array(["b"]).to_pylist(), strict=True)).shape == (1,)
