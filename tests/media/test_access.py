"""Whatever opens files opens none outside of the policy's folders, and nothing that is no file."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from PIL import Image as Pictures

from mm_rag.content import Audio, Url, Video
from mm_rag.errors import InputError, MediaTooLarge, SourceForbidden, UnreadableMedia
from mm_rag.extraction.subtitles import read_subtitle_file, read_subtitles
from mm_rag.media import MediaPolicy
from mm_rag.media.access import open_bounded, open_file, real_file
from mm_rag.media.audio import open_audio, waveform
from mm_rag.media.fetch import local_file
from mm_rag.media.ffmpeg import probe
from mm_rag.media.image import (
    image_format,
    image_info,
    image_metadata,
    open_frames,
    open_image,
)
from mm_rag.media.kind import file_type, media_kind
from mm_rag.media.video import open_video, open_video_frames
from mm_rag.prompt_content import Item, blocks_of
from mm_rag_loaders.file_stamp import file_sha256
from tests.av_made import colours, make_video, make_wav, tone

Opener: TypeAlias = Callable[[Path, MediaPolicy], Any]

SRT = "1\n00:00:00,000 --> 00:00:01,000\nsecret words\n"
OPENERS: dict[str, tuple[str, Opener]] = {
    "open_image": ("a.png", open_image),
    "open_frames": ("a.png", lambda path, policy: list(open_frames(path, policy))),
    "image_format": ("a.png", image_format),
    "image_metadata": ("a.png", image_metadata),
    "image_info": ("a.png", image_info),
    "blocks_of": (
        "a.png",
        lambda path, policy: blocks_of([_item(path)], policy=policy, lenient=False),
    ),
    "file_type": ("a.png", file_type),
    "media_kind": ("a.wav", media_kind),
    "probe": ("a.wav", probe),
    "open_audio": ("a.wav", lambda path, policy: open_audio(path, policy).close()),
    "waveform": ("a.wav", lambda path, policy: waveform(Audio(path), 16_000, policy)),
    "open_video": ("a.mkv", lambda path, policy: open_video(path, policy).close()),
    "open_video_frames": (
        "a.mkv",
        lambda path, policy: open_video_frames(Video(path), policy).close(),
    ),
    "read_subtitle_file": ("a.srt", read_subtitle_file),
    "file_sha256": ("a.srt", file_sha256),
    "open_file": ("a.srt", lambda path, policy: open_file(path, policy).close()),
    "open_bounded": ("a.srt", lambda path, policy: open_bounded(path, policy).close()),
    "real_file": ("a.srt", real_file),
}


def _item(path: Path) -> Item:
    return Item(label="", text="", metadata={"media": str(path), "mime_type": "image/png"})


opener = pytest.mark.parametrize(("name", "opens"), OPENERS.values(), ids=list(OPENERS))


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file of each kind, outside of every root."""
    folder = tmp_path_factory.mktemp("secret")
    Pictures.new("RGB", (6, 4), "red").save(folder / "a.png")
    make_wav(folder / "a.wav", tone(0.3))
    make_video(folder / "a.mkv", colours("red", "lime", each=3))
    (folder / "a.srt").write_text(SRT)
    return folder


@pytest.fixture
def root(tmp_path: Path, secret: Path) -> Path:
    """A folder with links that lead out of it."""
    folder = tmp_path / "root"
    (folder / "inside").mkdir(parents=True)
    (folder / "linked").symlink_to(secret, target_is_directory=True)
    for file in secret.iterdir():
        (folder / file.name).symlink_to(file)
        (folder / f"twice-{file.name}").symlink_to(folder / file.name)
    return folder


def ways_out(root: Path, secret: Path, name: str) -> list[Path]:
    up = Path(*[".."] * len(root.parts))
    return [
        secret / name,
        root / name,
        root / f"twice-{name}",
        root / "linked" / name,
        root / "inside" / ".." / "linked" / name,
        root / up / secret.relative_to("/") / name,
        Path(os.path.relpath(secret / name)),
        Path(f"/proc/self/root{secret / name}"),
        root / up / f"proc/self/root{secret / name}",
    ]


@opener
def test_no_way_leads_out_of_the_roots(root: Path, secret: Path, name: str, opens: Opener) -> None:
    policy = MediaPolicy(roots=(root,), follow_links=True)
    for path in ways_out(root, secret, name):
        with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
            opens(path, policy)


@opener
def test_what_lies_in_a_root_is_opened(root: Path, secret: Path, name: str, opens: Opener) -> None:
    elsewhere = root.parent / "elsewhere"
    for roots in ([secret], [root, secret], secret, str(secret), [root / "linked"], ["/"]):
        for path in (secret / name, root / name, root / "linked" / name):
            opens(path, MediaPolicy(roots=roots))  # pyright: ignore[reportArgumentType]
    with pytest.raises(SourceForbidden):
        opens(secret / name, MediaPolicy(roots=(elsewhere,)))
    with pytest.raises(SourceForbidden):
        opens(secret / name, MediaPolicy(roots=()))


@opener
def test_a_name_that_begins_like_a_root_is_outside(
    tmp_path: Path, secret: Path, name: str, opens: Opener
) -> None:
    policy = MediaPolicy(roots=(Path(str(secret)[:-1]),))
    with pytest.raises(SourceForbidden):
        opens(secret / name, policy)


@opener
def test_nobody_learns_what_exists_outside(root: Path, name: str, opens: Opener) -> None:
    with pytest.raises(SourceForbidden):
        opens(root.parent / f"gone-{name}", MediaPolicy(roots=(root,)))


@opener
def test_what_is_no_file_is_not_opened(tmp_path: Path, name: str, opens: Opener) -> None:
    suffix = Path(name).suffix
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    (tmp_path / f"piped{suffix}").symlink_to(tmp_path / f"pipe{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / f"circle{suffix}").symlink_to(tmp_path / f"circle{suffix}")
    (tmp_path / f"lost{suffix}").symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / f"socket{suffix}"))
        for kind in ("pipe", "zero", "piped", "folder", "circle", "lost", "socket", "gone"):
            with pytest.raises(UnreadableMedia):
                opens(tmp_path / f"{kind}{suffix}", MediaPolicy())
    with pytest.raises(UnreadableMedia):
        opens(tmp_path / f"nul\0{suffix}", MediaPolicy())
    with pytest.raises(UnreadableMedia):
        opens(tmp_path / ("long" * 100 + suffix), MediaPolicy())


@pytest.mark.parametrize(
    ("name", "opens"),
    [OPENERS[name] for name in OPENERS if name not in ("file_type", "media_kind", "open_file")
     and name != "file_sha256"],
)  # fmt: skip
def test_files_over_the_limit_are_not_opened(secret: Path, name: str, opens: Opener) -> None:
    with pytest.raises(MediaTooLarge, match=r"MediaPolicy\.max_bytes allows 10"):
        opens(secret / name, MediaPolicy(max_bytes=10))


def test_a_link_that_changes_after_it_was_followed(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that was checked is opened, and none that has taken its place."""
    (tmp_path / "a.png").write_bytes(b"harmless")
    opened = os.open

    def late(path: str, flags: int) -> int:
        Path(path).unlink()
        Path(path).symlink_to(secret / "a.png")
        return opened(path, flags)

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(UnreadableMedia, match="cannot be opened"):
        open_file(tmp_path / "a.png", MediaPolicy(roots=(tmp_path,)))


def test_subtitles_beside_a_video_stay_in_its_folder(
    tmp_path: Path, secret: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = make_video(tmp_path / "talk.mkv", colours("red", each=3))
    (tmp_path / "talk.srt").symlink_to(secret / "a.srt")
    source = probe(video)
    assert read_subtitles(source) == []
    assert "MediaPolicy(follow_links=True)" in caplog.text
    bound = MediaPolicy(roots=(tmp_path,), follow_links=True)
    assert read_subtitles(source, bound) == []
    assert "MediaPolicy.roots" in caplog.text
    [cue] = read_subtitles(source, MediaPolicy(follow_links=True))
    assert cue.text == "secret words"


def test_subtitles_that_are_too_large_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = make_video(tmp_path / "talk.mkv", colours("red", each=3))
    (tmp_path / "talk.srt").write_text(SRT)
    source = probe(video)
    assert len(read_subtitles(source)) == 1
    with (tmp_path / "talk.srt").open("r+b") as file:
        file.truncate(20 * 1024**2)
    assert read_subtitles(source) == []
    assert read_subtitles(source, MediaPolicy(max_bytes=1024)) == []
    assert "too many for subtitles" in caplog.text
    assert "max_bytes allows 1,024" in caplog.text


_FILES = frozenset({"file"})


def test_a_file_may_be_named_by_its_address(tmp_path: Path) -> None:
    path = tmp_path / "a photo #1.png"
    Pictures.new("RGB", (6, 4)).save(path)
    address = path.as_uri()
    assert open_image(Url(address), MediaPolicy(schemes=_FILES)).size == (6, 4)
    localhost = address.replace("file://", "FILE://localhost")
    assert open_image(Url(localhost), MediaPolicy(schemes=_FILES, roots=(tmp_path,))).size == (6, 4)
    with pytest.raises(SourceForbidden, match=r"MediaPolicy\.schemes"):
        open_image(Url(address))
    with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
        open_image(Url(address), MediaPolicy(schemes=_FILES, roots=(tmp_path / "x",)))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("file://server/share/a.png", "another machine"),
        ("file:////server/share/a.png", "another machine"),
        ("file://127.0.0.1/etc/passwd", "another machine"),
        ("file:a.png", "absolute path"),
        ("file:///a%00.png", "absolute path"),
        ("file://[/a.png", "names no file"),
    ],
)
def test_addresses_that_name_no_file_of_this_machine(address: str, words: str) -> None:
    with (
        pytest.raises(InputError, match=words),
        local_file(Url(address), MediaPolicy(schemes=_FILES)),
    ):
        pass


def test_values_of_a_policy_are_brought_into_one_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loose: dict[str, Any] = {
        "roots": ["data", Path("/x/../y")],
        "schemes": ["HTTPS"],
        "hosts": "CDN.Example.org.",
    }
    policy = MediaPolicy(**loose)
    assert policy.roots == (tmp_path / "data", Path("/y"))
    assert policy.schemes == frozenset({"https"})
    assert policy.hosts == frozenset({"cdn.example.org"})
    hosts: Any = ["::1", "[2606:2800::1]", "0x7f.1", "b\u00fccher.example"]
    assert MediaPolicy(hosts=hosts).hosts == {
        "::1", "2606:2800::1", "127.0.0.1", "xn--bcher-kva.example",
    }  # fmt: skip
    assert hash(policy)


@pytest.mark.parametrize(
    "wrong",
    [
        {"roots": 3}, {"roots": [None]}, {"roots": ""}, {"roots": b"/x"}, {"roots": ["a\0b"]},
        {"schemes": "ftp"}, {"schemes": None}, {"schemes": [1]}, {"schemes": ["http://"]},
        {"hosts": "https://example.org"}, {"hosts": ["*.example.org"]}, {"hosts": ["a:80"]},
        {"hosts": 1}, {"hosts": [""]}, {"hosts": ["1.2.3.256"]},
        {"follow_links": 1}, {"private_hosts": "yes"},
        {"max_bytes": 0}, {"max_bytes": -1}, {"max_pixels": 1.5}, {"max_pages": True},
        {"max_frames": None}, {"max_memory": "4GB"}, {"max_seconds": 0.0},
        {"max_seconds": math.nan}, {"max_load_seconds": -1}, {"max_load_seconds": "1"},
    ],
)  # fmt: skip
def test_a_policy_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(InputError, match=rf"MediaPolicy\.{name} .*; got"):
        MediaPolicy(**wrong)


def test_limits_that_are_none() -> None:
    assert MediaPolicy(max_seconds=math.inf, max_load_seconds=1).max_seconds == math.inf
