"""What an encoder or a reranker is given by name is opened only if its policy allows it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image as Pictures

from mm_rag import Encoder, MediaPolicy, Reranker
from mm_rag.content import Audio, Image, Text, Url, Video
from mm_rag.errors import InputError, MediaTooLarge, SourceForbidden
from mm_rag.inputs import as_content
from mm_rag.modules import ReadAudio, ReadImage, ReadVideo
from tests.av_made import colours, make_video, make_wav, tone
from tests.media.web import INSIDE, NO_HOSTS, PUBLIC, listening, served, wired
from tests.parity.loading import Make, maker
from tests.parity.replicas.visual_rerankers import qwen3_vl_reranker

Form: TypeAlias = Callable[[Path], Any]

PICTURE_FORMS: dict[str, Form] = {
    "str": str,
    "Path": lambda path: path,
    "Image": lambda path: Image(path),
    "Url": lambda path: Image(Url(path.as_uri())),
    "file address": lambda path: path.as_uri(),
    "dict of str": lambda path: {"image": str(path)},
    "dict of Path": lambda path: {"image": path},
    "dict of address": lambda path: {"image": path.as_uri()},
    "dict of several": lambda path: {"text": "What is it?", "image": [str(path)]},
    "frames": lambda path: {"video": [str(path), str(path)]},
    "frames in a dict": lambda path: {"array": [str(path)] * 2, "video_metadata": {"fps": 1}},
    "message": lambda path: [{"role": "user", "content": [{"type": "image", "path": str(path)}]}],
    "message of frames": lambda path: [
        {"role": "user", "content": [{"type": "video", "video": [str(path)]}]}
    ],
    "message of OpenAI": lambda path: [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": path.as_uri()}}],
        }
    ],
}
VIDEO_FORMS: dict[str, Form] = {
    "str": str,
    "Path": lambda path: path,
    "Video": lambda path: Video(path, end=0.1),
    "dict": lambda path: {"video": str(path)},
}
AUDIO_FORMS: dict[str, Form] = {
    "str": str,
    "Path": lambda path: path,
    "Audio": lambda path: Audio(path),
    "dict": lambda path: {"audio": str(path)},
}


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    return maker(tmp_path_factory)


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secret")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Pictures.fromarray(noise).save(folder / "a.png")
    make_wav(folder / "a.wav", tone(0.3))
    make_video(folder / "a.mkv", colours("red", "lime", each=4, size=(64, 48)), fps=8)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, secret: Path) -> Path:
    """A folder with links that lead out of it."""
    folder = tmp_path_factory.mktemp("root")
    for file in secret.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "linked").symlink_to(secret, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def policy(root: Path) -> MediaPolicy:
    return MediaPolicy(roots=(root,), schemes=frozenset({"http", "https", "file"}))


@pytest.fixture(scope="module")
def seeing(make: Make, policy: MediaPolicy) -> Encoder:
    return Encoder(make("Qwen3-VL Embedding").name, device="cpu", policy=policy)


@pytest.fixture(scope="module")
def hearing(make: Make, policy: MediaPolicy) -> Encoder:
    return Encoder(make("CLAP").name, device="cpu", policy=policy)


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(qwen3_vl_reranker(tmp_path_factory.mktemp("viewer")))


def refused(encoder: Encoder, root: Path, secret: Path, name: str, form: Form) -> None:
    ways = (
        secret / name, root / name, root / "linked" / name,
        root / ".." / secret.name / name, Path(f"/proc/self/root{secret / name}"),
    )  # fmt: skip
    for path in ways:
        with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
            encoder.encode(form(path))


@pytest.mark.slow
@pytest.mark.parametrize("form", PICTURE_FORMS.values(), ids=list(PICTURE_FORMS))
def test_pictures_outside_of_the_roots(
    seeing: Encoder, root: Path, secret: Path, form: Form
) -> None:
    refused(seeing, root, secret, "a.png", form)


@pytest.mark.parametrize("form", VIDEO_FORMS.values(), ids=list(VIDEO_FORMS))
def test_videos_outside_of_the_roots(seeing: Encoder, root: Path, secret: Path, form: Form) -> None:
    refused(seeing, root, secret, "a.mkv", form)


@pytest.mark.parametrize("form", AUDIO_FORMS.values(), ids=list(AUDIO_FORMS))
def test_recordings_outside_of_the_roots(
    hearing: Encoder, root: Path, secret: Path, form: Form
) -> None:
    refused(hearing, root, secret, "a.wav", form)


def test_what_lies_in_a_root_is_encoded(make: Make, seeing: Encoder, secret: Path) -> None:
    allowed = Encoder(
        seeing.name, device="cpu", policy=MediaPolicy(roots=(secret,), schemes=frozenset({"file"}))
    )
    expected = allowed.encode(Pictures.open(secret / "a.png"))
    for form in list(PICTURE_FORMS.values())[:7]:
        np.testing.assert_allclose(allowed.encode(form(secret / "a.png")), expected, atol=1e-5)
    for form in PICTURE_FORMS.values():
        assert np.isfinite(allowed.encode(form(secret / "a.png"))).all()


def test_readers_ask_the_policy(secret: Path, policy: MediaPolicy) -> None:
    readers = [
        (ReadImage(policy), Image(secret / "a.png")),
        (ReadAudio(policy), Audio(secret / "a.wav")),
        (ReadVideo(policy), Video(secret / "a.mkv")),
    ]
    for reader, content in readers:
        with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
            reader.read(content)


def test_rerankers_ask_it_of_both_sides(
    viewer: str, root: Path, secret: Path, policy: MediaPolicy
) -> None:
    reranker = Reranker(viewer, device="cpu", policy=policy)
    for path in (secret / "a.png", root / "a.png"):
        for form in PICTURE_FORMS.values():
            given = form(path)
            if isinstance(given, list):  # messages, which hold both sides
                continue
            for pair in ((given, "words"), ("words", given)):
                with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
                    reranker.predict([pair])
    shown = {"type": "video", "video": [str(root / "a.png")]}
    with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
        reranker.predict([[{"role": "user", "content": [shown]}]])
    with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
        reranker.rank("words", ["more words", str(secret / "a.png")])


def test_what_a_reranker_remembers_is_not_shown_to_others(
    viewer: str, secret: Path, policy: MediaPolicy
) -> None:
    """The features of a picture that one reranker may open, another finds in the same cache."""
    trusting = Reranker(viewer, device="cpu")
    pairs = [("words", secret / "a.png")]
    trusting.predict(pairs * 2)
    for cache in (getattr(trusting.model, "cache", None), None):
        bound = Reranker(viewer, device="cpu", policy=policy, feature_cache=cache)
        with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
            bound.predict(pairs)


def test_a_policy_that_nobody_would_ask_is_refused(seeing: Encoder, policy: MediaPolicy) -> None:
    with pytest.raises(InputError, match="their own policy"):
        Encoder(modules=list(seeing.chain), policy=policy)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="their own policy"):
        Reranker(encoder=seeing, policy=MediaPolicy())
    assert Reranker(encoder=seeing).policy is policy


def test_addresses_of_files_are_refused_where_nobody_allows_them(make: Make, secret: Path) -> None:
    encoder = make("Qwen3-VL Embedding")
    for form in (PICTURE_FORMS["file address"], PICTURE_FORMS["dict of address"]):
        with pytest.raises(SourceForbidden, match=r"MediaPolicy\.schemes"):
            encoder.encode(form(secret / "a.png"))
    for address in ("file:///etc/passwd", "ftp://x.org/a.png", "s3://bucket/a", "javascript://a"):
        with pytest.raises(SourceForbidden, match="is not opened"):
            encoder.encode({"image": address})


def test_what_names_no_medium_is_words() -> None:
    for text in (
        "file:///etc/passwd",
        "file: a.png",
        "ftp://x.org/a.png",
        "http://169.254.169.254/",
    ):
        assert as_content(text) == Text(text)


def test_a_str_that_names_a_medium_by_its_address() -> None:
    for address in (
        "file:///x/a.png",
        "FILE:/x/a.png",
        "HTTP://x.org/a.png",
        "https://x.org/a.png",
    ):
        content = as_content(address)
        assert isinstance(content, Image)
        assert content.source == Url(address)


def test_data_uris_are_bounded(make: Make) -> None:
    buffer = io.BytesIO()
    Pictures.new("RGB", (64, 64)).save(buffer, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    strict = Encoder(make("CLIP").name, device="cpu", policy=MediaPolicy(max_bytes=20))
    for given in (uri, {"image": uri}, buffer.getvalue()):
        with pytest.raises(MediaTooLarge, match="max_bytes allows 20"):
            strict.encode(given)


@pytest.mark.parametrize("host", [*INSIDE, *NO_HOSTS])
def test_nothing_is_asked_or_sent_inside(
    make: Make, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = wired(monkeypatch)
    encoder = make("CLIP")
    for given in (f"http://{host}/a.png", {"image": f"https://{host}/"}):
        with pytest.raises(SourceForbidden, match="Nothing is fetched from"):
            encoder.encode(given)
    assert wire.silent


@pytest.mark.enable_socket
def test_redirects_and_names_that_turn(
    make: Make, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = (secret / "a.png").read_bytes()
    encoder = make("CLIP")
    with served({"/a.png": picture}) as inside:
        answers = {"/a.png": picture, "/moved.png": f"{inside}/a.png"}
        with served(answers) as outside:
            machines = {PUBLIC: listening(outside), "127.0.0.1": listening(inside)}
            names = {"pictures.example": [[PUBLIC], [PUBLIC], ["127.0.0.1"]]}
            wire = wired(monkeypatch, names, machines)
            with pytest.raises(SourceForbidden, match=r"127\.0\.0\.1"):
                encoder.encode("http://pictures.example/moved.png")
            fetched = encoder.encode("http://pictures.example/a.png")
            with pytest.raises(SourceForbidden, match=r"127\.0\.0\.1"):
                encoder.encode("http://pictures.example/a.png")
    assert wire.connected == [PUBLIC, PUBLIC]
    np.testing.assert_allclose(fetched, encoder.encode(secret / "a.png"), atol=1e-6)
