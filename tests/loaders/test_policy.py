"""Loaders open what the policy allows, and say in a report line what it does not."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mm_rag.errors import SourceForbidden, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag_loaders import (
    ArchiveLoader,
    AssetStore,
    AudioLoader,
    CalendarLoader,
    CodeLoader,
    EmailLoader,
    ImageLoader,
    JSONLoader,
    LoadOptions,
    PDFLoader,
    SpreadsheetLoader,
    TableLoader,
    TextLoader,
    TranscriptLoader,
    VideoLoader,
    load,
    load_file,
)
from mm_rag_loaders.file_stamp import file_sha256
from tests.av_made import colours, make_video, make_wav, tone
from tests.media.web import INSIDE, NO_HOSTS, PUBLIC, Answer, listening, served, wired
from tests.media_made import make_pdf
from tests.office_made import xlsx

pytestmark = pytest.mark.enable_socket

LOADERS = {
    "a.pdf": PDFLoader,
    "a.png": ImageLoader,
    "a.wav": AudioLoader,
    "a.mkv": VideoLoader,
    "a.txt": TextLoader,
    "a.xlsx": SpreadsheetLoader,
    "a.csv": TableLoader,
    "a.json": JSONLoader,
    "a.eml": EmailLoader,
    "a.zip": ArchiveLoader,
    "a.py": CodeLoader,
    "a.vtt": TranscriptLoader,
    "a.ics": CalendarLoader,
}


@pytest.fixture
def options(tmp_path: Path) -> LoadOptions:
    return LoadOptions(assets=AssetStore(tmp_path / "assets"), workers=0)


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secret")
    make_pdf(folder / "a.pdf", ["Alpha"])
    Image.new("RGB", (6, 4), "red").save(folder / "a.png")
    make_wav(folder / "a.wav", tone(0.3))
    make_video(folder / "a.mkv", colours("red", "lime", each=3))
    (folder / "a.txt").write_text("Nobody may read this.")
    xlsx(folder / "a.xlsx", "Nobody may read this.")
    (folder / "a.csv").write_text("Nobody,may\nread,this\n")
    (folder / "a.json").write_text('{"Nobody": "may read this."}')
    (folder / "a.eml").write_text("From: Ada\n\nNobody may read this.")
    (folder / "a.py").write_text("may_read = 'this'")
    (folder / "a.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nNobody may read this.\n")
    (folder / "a.ics").write_text("BEGIN:VEVENT\nSUMMARY:Nobody may read this.\nEND:VEVENT\n")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder / "a.txt", "a.txt")
    return folder


def within(options: LoadOptions, **policy: Any) -> LoadOptions:
    return replace(options, policy=MediaPolicy(**policy))


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADERS)
def test_no_loader_opens_a_file_outside_of_the_roots(
    tmp_path: Path, secret: Path, options: LoadOptions, name: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / name).symlink_to(secret / name)
    (root / "linked").symlink_to(secret, target_is_directory=True)
    bound = within(options, roots=(root,), follow_links=True)
    ways = (
        secret / name, root / name, root / "linked" / name, root / ".." / "root" / name,
        f"/proc/self/root{secret / name}",
    )  # fmt: skip
    for path in ways:
        refused = load_file(path, bound)
        assert (refused.state, refused.segments, refused.sha256) == ("refused", (), "")
        assert "MediaPolicy.roots" in refused.reason
        with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
            LOADERS[name](bound).load(path)
    assert load_file(secret / name, within(options, roots=(secret,))).state == "loaded"


def test_links_in_a_folder_do_not_lead_out_of_it(
    tmp_path: Path, secret: Path, options: LoadOptions
) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "kept.txt").write_text("Kept.")
    (folder / "link.txt").symlink_to(secret / "a.txt")
    (folder / "near.txt").symlink_to(folder / "deep" / "kept.txt")
    (folder / "linked").symlink_to(secret, target_is_directory=True)
    outcomes: dict[str, str] = {}

    def names(sources: Path, given: LoadOptions) -> list[str]:
        outcomes.clear()
        loading = load(sources, given, on_file=lambda o: outcomes.update({o.source: o.state}))
        return [Path(segment.source).name for segment in loading]

    assert names(folder, options) == ["kept.txt", "near.txt"]
    assert outcomes[str(folder / "link.txt")] == "refused"
    assert names(folder / "**" / "*.txt", options) == ["kept.txt", "near.txt"]
    assert str(folder / "linked" / "a.txt") not in outcomes
    assert names(folder / "*" / "*.txt", options) == ["kept.txt"]
    assert outcomes[str(folder / "linked" / "a.txt")] == "refused"
    followed = within(options, follow_links=True)
    assert names(folder, followed) == ["kept.txt", "link.txt", "near.txt"]
    assert names(folder / "link.txt", options) == ["link.txt"]  # the caller names it


@pytest.mark.parametrize("name", LOADERS)
def test_what_is_no_file_is_unreadable_at_once(
    tmp_path: Path, options: LoadOptions, name: str
) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / f"zero-{name}").symlink_to("/dev/zero")
    for path in (tmp_path / name, tmp_path / f"zero-{name}", tmp_path):
        outcome = load_file(path, options)
        assert outcome.state == "unreadable"
        assert "There is no file" in outcome.reason
        with pytest.raises(UnreadableMedia, match="There is no file"):
            LOADERS[name](options).load(path)


def test_addresses_of_files(secret: Path, options: LoadOptions) -> None:
    passwd = load_file("file:///etc/passwd", options)
    assert (passwd.state, passwd.segments) == ("refused", ())
    assert "MediaPolicy.schemes" in passwd.reason
    with pytest.raises(SourceForbidden, match=r"MediaPolicy\.schemes"):
        PDFLoader(options).load("file:///etc/passwd")
    bound = within(options, schemes={"file"}, roots=(secret,))
    with pytest.raises(SourceForbidden, match=r"MediaPolicy\.roots"):
        PDFLoader(bound).load("file:///etc/passwd")
    loaded = load_file((secret / "a.txt").as_uri(), bound)
    assert [segment.text for segment in loaded.segments] == ["Nobody may read this."]


@pytest.mark.parametrize("host", [*INSIDE, *NO_HOSTS])
def test_nothing_is_asked_or_sent_inside(
    host: str, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = wired(monkeypatch)
    address = f"http://{host}/latest/meta-data?token=secret"
    outcome = load_file(address, options)
    assert (outcome.state, outcome.segments) == ("refused", ())
    assert outcome.reason.startswith("Nothing is fetched from ")
    assert "secret" not in outcome.reason
    assert list(load(address, options)) == []
    with pytest.raises(SourceForbidden):
        PDFLoader(options).load(address)
    assert wire.silent


def test_a_redirect_to_this_machine(options: LoadOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    there: dict[str, Answer] = {}
    with served({"/secret.txt": b"secret"}) as inside, served(there) as outside:
        there["/a.pdf"] = f"{inside}/secret.txt"
        machines = {PUBLIC: listening(outside), "127.0.0.1": listening(inside)}
        wire = wired(monkeypatch, {"docs.example": [[PUBLIC]]}, machines)
        outcome = load_file("http://docs.example/a.pdf", options)
        assert outcome.state == "refused"
        assert "127.0.0.1" in outcome.reason
        with pytest.raises(SourceForbidden, match=r"127\.0\.0\.1"):
            PDFLoader(options).load("http://docs.example/a.pdf")
    assert wire.connected == [PUBLIC, PUBLIC]


def test_a_name_that_changes_its_address(
    options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served({"/a.txt": b"secret"}) as inside, served({"/a.txt": b"public"}) as outside:
        machines = {PUBLIC: listening(outside), "127.0.0.1": listening(inside)}
        answers = [[PUBLIC], ["127.0.0.1"]]
        wire = wired(monkeypatch, {"docs.example": answers}, machines)
        first = load_file("http://docs.example/a.txt", options)
        assert [segment.text for segment in first.segments] == ["public"]
        again = load_file("http://docs.example/a.txt", options)
    assert again.state == "refused"
    assert wire.connected == [PUBLIC]


@pytest.mark.slow
def test_what_is_fetched_is_kept_and_read_by_its_content(
    tmp_path: Path, secret: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    pdf = (secret / "a.pdf").read_bytes()
    answers = {"/a.pdf": pdf, "/photo.jpg": pdf, "/download": pdf, "/x.thisisnosuffix": pdf}
    # What is fetched lies among the assets, which no user names: outside of every root.
    bound = within(options, roots=(tmp_path / "mine",))
    with served(answers) as address:
        wired(monkeypatch, {"docs.example": [[PUBLIC]]}, {PUBLIC: listening(address)})
        monkeypatch.setattr(Path, "read_bytes", _never)
        for name in answers:
            loaded = load_file(f"http://docs.example{name}?id=3", bound)
            assert (loaded.state, loaded.kind) == ("loaded", "pdf"), loaded.reason
            assert {segment.text for segment in loaded.segments} == {"Alpha"}
        by_loader = list(PDFLoader(bound).load("http://docs.example/download"))
        assert [segment.text for segment in by_loader] == ["Alpha", "Alpha"]
    name = file_sha256(secret / "a.pdf")
    kept = sorted(path.suffix for path in options.assets.root.glob(f"*/{name}*"))
    assert kept == ["", ".jpg", ".pdf"]


def _never(self: Path) -> bytes:
    raise AssertionError(f"{self} is read into memory whole")


def test_what_is_fetched_is_bounded(options: LoadOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    with served({"/a.txt": b"words " * 100}) as address:
        wired(monkeypatch, {"docs.example": [[PUBLIC]]}, {PUBLIC: listening(address)})
        outcome = load_file("http://docs.example/a.txt", within(options, max_bytes=100))
    assert outcome.state == "unreadable"
    assert "MediaPolicy.max_bytes allows 100" in outcome.reason
    assert not options.assets.root.exists()


def test_a_file_is_kept_under_the_name_of_its_content(tmp_path: Path) -> None:
    store = AssetStore(tmp_path / "assets")
    (tmp_path / "a.bin").write_bytes(b"words")
    kept = store.keep_file(tmp_path / "a.bin", ".bin")
    assert kept == store.keep(b"words", ".bin")
    assert kept.read_bytes() == b"words"
    assert (tmp_path / "a.bin").exists()
