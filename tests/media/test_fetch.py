"""Fetching media from a real server on this machine, and refusing where not to fetch from."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import numpy as np
import pytest
from PIL import Image

from mm_rag.content import Audio, Url, Video
from mm_rag.errors import InputError, MediaTooLarge, SourceForbidden, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag.media.addresses import shown
from mm_rag.media.audio import waveform
from mm_rag.media.fetch import fetch_bytes, fetched
from mm_rag.media.image import open_image
from mm_rag.media.video import open_video_frames
from mm_rag_loaders import AssetStore, FileOutcome, LoadOptions, load, load_bytes
from tests.av_made import colours, make_video, make_wav, tone
from tests.media.web import INSIDE, NO_HOSTS, PUBLIC, Answer, listening, served, wired

pytestmark = pytest.mark.enable_socket

_HERE = MediaPolicy(private_hosts=True)

Web: TypeAlias = Callable[
    [dict[str, list[str]], Callable[[httpx.Request], httpx.Response]], list[httpx.Request]
]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    folder = tmp_path_factory.mktemp("media")
    Image.new("RGB", (6, 4), "red").save(folder / "photo.png")
    make_wav(folder / "speech.wav", tone(0.5))
    make_video(folder / "film.mkv", colours("red", "lime", each=5))
    answers: dict[str, Answer] = {f"/{file.name}": file.read_bytes() for file in folder.iterdir()}
    answers |= {
        "/moved.png": "/photo.png",
        "/loop.png": "/loop.png",
        "/local.png": "file:///etc/passwd",
        "/lost.png": "http://a:b/",
        "/broken.png": 500,
        "/empty.png": b"",
        "/page.png": b"<html>Sign in</html>",
    }
    with served(answers) as address:
        yield address


def test_media_of_the_web_are_opened(media: str) -> None:
    assert open_image(Url(f"{media}/photo.png?size=3"), _HERE).size == (6, 4)
    assert open_image(Url(f"{media}/moved.png"), _HERE).size == (6, 4)
    assert len(waveform(Audio(Url(f"{media}/speech.wav")), 16_000, _HERE)) == 8000
    with open_video_frames(Video(Url(f"{media}/film.mkv")), _HERE) as clip:
        assert clip.total_num_frames == 10
        assert clip.frames([9]).shape == (1, 96, 160, 3)


def test_a_name_is_tried_at_each_of_its_addresses(media: str) -> None:
    # `localhost` is ::1 first on many machines, where this server is not.
    assert fetch_bytes(Url(media.replace("127.0.0.1", "localhost") + "/photo.png"), _HERE)


def test_the_file_is_named_after_the_address_and_goes_away(
    media: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with fetched(Url(f"{media}/photo.png?name=../x"), _HERE) as path:
        assert path.name == "photo.png"
        assert path.is_file()
    assert list(tmp_path.iterdir()) == []
    with open_video_frames(Video(Url(f"{media}/film.mkv")), _HERE):
        assert len(list(tmp_path.glob("*/film.mkv"))) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_behind_where_it_cannot_be_opened(
    media: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(UnreadableMedia, match="photo"):
        open_video_frames(Video(Url(f"{media}/photo.png"), start=9.0), _HERE)
    with pytest.raises(UnreadableMedia, match=r"page\.png is not a picture"):
        open_image(Url(f"{media}/page.png"), _HERE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/gone.png", r"/gone\.png answers 404 Not Found"),
        ("/broken.png", "answers 500"),
        ("/empty.png", r"/empty\.png is empty"),
        ("/loop.png", "redirects more than 5 times"),
    ],
)
def test_what_is_no_medium_says_so(media: str, path: str, words: str) -> None:
    with pytest.raises(UnreadableMedia, match=words):
        fetch_bytes(Url(media + path), _HERE)


@pytest.mark.parametrize(
    "location",
    [
        *("data:text/plain,secret", "mailto:ann@example.org", "javascript:alert(1)", "tel:1"),
        *("urn:x", "about:blank", "https:ann:secret@h/x", "https:/ann:secret@h/x", "http://[::1/"),
        *("?" * 70_000, "view-source:http://ann:secret@h/", "http:\\\\ann:secret@h"),
        *("\\\\ann:secret@h", "http://%zz/"),
    ],
)
def test_redirects_that_lead_nowhere(location: str) -> None:
    with served({"/a.png": location}) as address, pytest.raises(InputError) as caught:
        fetch_bytes(Url(f"{address}/a.png"), _HERE)
    words = "not opened|no address|neither the name|cannot be fetched"
    assert re.search(words, str(caught.value))
    assert "secret" not in str(caught.value)


_WITH_PASSWORDS = [
    *("https:ann:secret@h.example/x", "https:/ann:secret@h.example/x", "//ann:secret@h.example/x"),
    *("HTTPS://ann:secret@h/x", "https:///ann:secret@h/x", " https://ann:secret@h/"),
    *("https:\\\\ann:secret@h.example", "https://ann:se@cret@h/", "https://ann:secret/secret@h/"),
    *("https://ann:secret?secret@h/", "https://ann:secret#secret@h/", "https://ann%3Asecret@h/x"),
    *("https://ann:secret%40h/x", "https://secret@h/x", "ann:secret@h/x", "https://h:secret"),
    *("http://ann:secret@[::1]:80/x", "ftp://ann:secret@h/", "jdbc:https://ann:secret@h/"),
    *("https://ann:secret@h", "https://ann:secret@h?secret", "file://ann:secret@h/x"),
    "data:,secret",
]


@pytest.mark.parametrize("address", _WITH_PASSWORDS)
def test_no_spelling_shows_a_password(address: str) -> None:
    told = [shown(address)]

    def note(outcome: FileOutcome) -> None:
        told.extend([outcome.source, outcome.reason])

    with contextlib.suppress(InputError):
        assert list(load(address, LoadOptions(workers=0), on_file=note)) == []
    try:
        list(load(address, LoadOptions(workers=0)))
    except InputError as error:
        told.append(str(error))
    for opens in (fetch_bytes, open_image):
        with pytest.raises(InputError) as caught:
            opens(Url(address))
        told.append(str(caught.value))
    assert not any(re.search("secret|cret@", each) for each in told), told


def test_records_of_what_is_in_memory_keep_no_password(tmp_path: Path) -> None:
    options = LoadOptions(assets=AssetStore(tmp_path), workers=0)
    for source in ("https://ann:secret@h/a.txt?id=3", "https:ann:secret@h/a.txt?id=3"):
        [segment] = load_bytes(b"words", options, source=source)
        assert segment.source == source.replace("ann:secret@", "")


@pytest.mark.parametrize(
    "address",
    [
        *("https://h.example/@ann/b@c", "https://h.example:8080/a@b", "http://[2606::1]/a@b"),
        *("file:///home/a@b/c.pdf", "file:/a@b", "https://1.2.3.4:80"),
    ],
)
def test_what_is_no_password_is_shown(address: str) -> None:
    assert shown(f"{address}?q") == address


def test_messages_keep_secrets(media: str) -> None:
    address = media.replace("//", "//ann:secret@") + "/gone.png?token=secret#secret"
    with pytest.raises(UnreadableMedia, match="404") as caught:
        fetch_bytes(Url(address), _HERE)
    assert "secret" not in str(caught.value)


def test_bytes_are_bounded(media: str) -> None:
    with pytest.raises(MediaTooLarge, match="max_bytes allows 10"):
        fetch_bytes(Url(f"{media}/photo.png"), MediaPolicy(private_hosts=True, max_bytes=10))


def test_the_time_is_bounded(media: str) -> None:
    with pytest.raises(UnreadableMedia, match="takes too long to fetch"):
        fetch_bytes(
            Url(f"{media}/photo.png"), MediaPolicy(private_hosts=True, max_load_seconds=1e-9)
        )


def test_the_policy_can_forbid_the_web(media: str) -> None:
    with pytest.raises(InputError, match=r"MediaPolicy\.schemes"):
        fetch_bytes(Url(f"{media}/photo.png"), MediaPolicy(schemes=frozenset(), private_hosts=True))


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnreadableMedia, match="cannot be fetched"):
        fetch_bytes(Url(f"http://127.0.0.1:{port}/a.png"), _HERE)


@pytest.mark.parametrize(
    "address", ["/etc/passwd", "http://", "http://a:b/", "http://[::1", "http://x.org\\@1.1.1.1/a"]
)
def test_what_is_no_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = wired(monkeypatch)
    with pytest.raises(InputError, match="is no address"):
        fetch_bytes(Url(address), _HERE)
    assert wire.silent


@pytest.mark.parametrize(
    "address",
    [
        "ftp://photos.example/a.png", "s3://bucket/a.png", "gopher://photos.example:25/a.png",
        "javascript:alert(1)", "dict://photos.example/a", "data:image/png;base64,AAAA",
        "file:///etc/passwd", "FILE:///etc/passwd", "file:/etc/passwd",
    ],
)  # fmt: skip
def test_only_addresses_of_the_web(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = wired(monkeypatch)
    with pytest.raises(SourceForbidden, match="is not opened"):
        fetch_bytes(Url(address))
    with pytest.raises(SourceForbidden, match="is not opened"):
        open_image(Url(address))
    assert wire.silent


def test_plain_http_can_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = wired(monkeypatch)
    only_https = MediaPolicy(schemes=frozenset({"https"}))
    with pytest.raises(SourceForbidden, match=r"'http' is not one of .* \(https\)"):
        fetch_bytes(Url("http://photos.example/a.png"), only_https)
    assert wire.silent


def test_a_redirect_to_nonsense(media: str) -> None:
    with pytest.raises(UnreadableMedia, match="Invalid port"):
        fetch_bytes(Url(f"{media}/lost.png"), _HERE)


def test_a_redirect_cannot_lead_to_a_file(media: str) -> None:
    files = MediaPolicy(private_hosts=True, schemes=frozenset({"http", "file"}))
    with pytest.raises(SourceForbidden, match=r"file:.*'file' is not one of MediaPolicy\.schemes"):
        fetch_bytes(Url(f"{media}/local.png"), _HERE)
    with pytest.raises(SourceForbidden, match="the web does not name files"):
        fetch_bytes(Url(f"{media}/local.png"), files)


@pytest.mark.parametrize("host", INSIDE)
def test_nothing_is_asked_or_sent_inside(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = wired(monkeypatch)
    for scheme in ("http", "HTTPS"):
        with pytest.raises(SourceForbidden, match="private network") as caught:
            fetch_bytes(Url(f"{scheme}://{host}/a.png?token=secret"))
        assert "secret" not in str(caught.value)
    assert wire.silent


@pytest.mark.parametrize("host", INSIDE)
def test_no_proxy_is_asked_for_them_either(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = wired(monkeypatch)
    monkeypatch.setenv("all_proxy", "http://proxy.example:3128")
    with pytest.raises(SourceForbidden, match="private network"):
        fetch_bytes(Url(f"https://{host}/a.png"))
    assert wire.silent


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_asked_nowhere(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = wired(monkeypatch)
    with pytest.raises(SourceForbidden, match="neither the name of a machine nor its number"):
        fetch_bytes(Url(f"http://{host}/a.png"), _HERE)
    assert wire.silent


def test_a_number_in_another_notation_is_the_same_machine(
    media: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = wired(monkeypatch, machines={PUBLIC: listening(media), "127.0.0.1": listening(media)})
    for host in ("0x5db8d822", "93.12113954", "0135.0270.0330.042", "[::ffff:93.184.216.34]"):
        with contextlib.suppress(UnreadableMedia):  # no machine here has the last of them
            fetch_bytes(Url(f"http://{host}/photo.png"))
    assert wire.connected == [PUBLIC, PUBLIC, PUBLIC, "::ffff:5db8:d822"]
    assert fetch_bytes(Url("http://0x7f.1/photo.png"), _HERE)
    assert wire.asked == []


@pytest.mark.slow
def test_a_redirect_to_this_machine(media: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for target in ("http://127.0.0.1/a", "http://0x7f.1/a", "//localhost/a", "https://[::1]/a"):
        with served({"/a.png": target}) as address:
            machines = {PUBLIC: listening(address), "127.0.0.1": listening(media)}
            wire = wired(monkeypatch, {"photos.example": [[PUBLIC]]}, machines)
            with pytest.raises(SourceForbidden, match="private network"):
                fetch_bytes(Url("http://photos.example/a.png"))
        assert wire.connected == [PUBLIC]


def test_a_redirect_to_another_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    with served({"/a.png": "ftp://photos.example/a.png"}) as address:
        wire = wired(monkeypatch, {"photos.example": [[PUBLIC]]}, {PUBLIC: listening(address)})
        with pytest.raises(SourceForbidden, match="addresses begin with http"):
            fetch_bytes(Url("http://photos.example/a.png"))
    assert wire.connected == [PUBLIC]


def test_a_redirect_to_a_host_that_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = MediaPolicy(hosts=frozenset({"example"}))
    with served({"/a.png": "http://elsewhere.org/a.png"}) as address:
        wire = wired(monkeypatch, {"photos.example": [[PUBLIC]]}, {PUBLIC: listening(address)})
        with pytest.raises(SourceForbidden, match=r"elsewhere\.org: it is not one of MediaPolicy"):
            fetch_bytes(Url("http://photos.example/a.png"), listed)
    assert wire.asked == ["photos.example"]


def test_a_name_that_changes_its_address(media: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """First a public one, for whoever checks, then a private one, for whoever connects."""
    with served({"/photo.png": b"public", "/again.png": "/photo.png"}) as address:
        machines = {PUBLIC: listening(address), "127.0.0.1": listening(media)}
        wire = wired(monkeypatch, {"turning.example": [[PUBLIC], ["127.0.0.1"]]}, machines)
        assert fetch_bytes(Url("http://turning.example/photo.png")) == b"public"
        assert (wire.asked, wire.connected) == (["turning.example"], [PUBLIC])
        wire.asked.clear()
        with pytest.raises(SourceForbidden, match=r"turning\.example: it is 127\.0\.0\.1"):
            fetch_bytes(Url("http://turning.example/again.png"))
    assert wire.connected == [PUBLIC, PUBLIC]


@pytest.mark.parametrize("host", ["example.org", "EXAMPLE.org.", "cdn.example.org", "1.1.1.1"])
def test_listed_hosts_and_their_subdomains(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = wired(monkeypatch)
    listed = MediaPolicy(hosts=frozenset({"Example.org", "0x01010101"}))
    with pytest.raises(UnreadableMedia):  # nobody is there; but it was tried
        fetch_bytes(Url(f"http://{host}/a.png"), listed)
    assert not wire.silent


@pytest.mark.parametrize(
    "host", ["example.com", "badexample.org", "example.org.evil.net", "org", "1.1.1.2", "2.1.1.1.1"]
)
def test_hosts_that_are_not_listed(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = wired(monkeypatch)
    listed = MediaPolicy(hosts=frozenset({"example.org", "1.1.1.1"}))
    with pytest.raises(SourceForbidden, match=r"MediaPolicy\.hosts|neither"):
        fetch_bytes(Url(f"http://{host}/a.png"), listed)
    assert wire.silent


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    """Names with addresses of our choice, and machines there that answer as we say."""

    def made(
        addresses: dict[str, list[str]], answer: Callable[[httpx.Request], httpx.Response]
    ) -> list[httpx.Request]:
        requests: list[httpx.Request] = []

        def lookup(host: str, port: int, **_: Any) -> list[Any]:
            found = addresses.get(host, [host])
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found]

        def handler(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            return answer(request)

        client = httpx.Client
        monkeypatch.setattr(socket, "getaddrinfo", lookup)

        def connected(**_: object) -> httpx.Client:
            return client(transport=httpx.MockTransport(handler))

        monkeypatch.setattr(httpx, "Client", connected)
        return requests

    return made


def test_each_redirect_is_checked(web: Web) -> None:
    target = "http://169.254.169.254/latest/meta-data"
    requests = web(
        {"photos.example": ["93.184.216.34"]},
        lambda _: httpx.Response(302, headers={"Location": target}),
    )
    with pytest.raises(InputError, match=r"169\.254\.169\.254"):
        fetch_bytes(Url("http://photos.example/a.png"))
    assert len(requests) == 1


def test_a_name_with_one_private_address_is_refused(
    web: Web,
) -> None:
    requests = web({"photos.example": ["93.184.216.34", "10.0.0.1"]}, lambda _: httpx.Response(200))
    with pytest.raises(InputError, match=r"photos\.example: it is 10\.0\.0\.1"):
        fetch_bytes(Url("http://photos.example/a.png"))
    assert requests == []


def test_the_connection_goes_to_the_machine_that_was_checked(
    web: Web,
) -> None:
    def second_only(request: httpx.Request) -> httpx.Response:
        if request.url.host == "93.184.216.34":
            raise httpx.ConnectError("refused")
        return httpx.Response(200, stream=httpx.ByteStream(b"picture"))

    requests = web({"photos.example": ["93.184.216.34", "93.184.216.35"]}, second_only)
    assert fetch_bytes(Url("https://photos.example:8443/a.png")) == b"picture"
    assert [request.url.host for request in requests] == ["93.184.216.34", "93.184.216.35"]
    assert requests[1].headers["host"] == "photos.example:8443"
    assert requests[1].extensions["sni_hostname"] == "photos.example"


def test_a_proxy_is_given_the_name(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    found = httpx.Response(200, stream=httpx.ByteStream(b"picture"))
    requests = web({"photos.example": ["93.184.216.34"]}, lambda _: found)
    fetch_bytes(Url("https://photos.example/a.png"))
    assert requests[0].url.host == "photos.example"


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UnreadableMedia, match=r"no host 'nowhere\.example'"):
        fetch_bytes(Url("http://nowhere.example/a.png"))


def test_what_is_fetched_is_what_was_sent(media: str) -> None:
    picture = np.asarray(open_image(fetch_bytes(Url(f"{media}/photo.png"), _HERE)))
    assert picture[0, 0].tolist() == [255, 0, 0]


@contextlib.contextmanager
def says(*pieces: bytes, pause: float = 0.0) -> Generator[str]:
    """A server that says this and nothing else, a piece at a time."""

    def answer(listening: socket.socket) -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as caller:
            caller.recv(4096)
            for piece in pieces:
                caller.sendall(piece)
                time.sleep(pause)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.slow
def test_what_is_packed_is_unpacked_and_bounded() -> None:
    for packed, coding in ((gzip.compress, b"gzip"), (zlib.compress, b"deflate")):
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding + b"\r\n\r\n"
        with says(head, packed(b"picture" * 1000)) as address:
            assert fetch_bytes(Url(address), _HERE) == b"picture" * 1000
        bomb = packed(bytes(200 * 1024**2))
        tracemalloc.start()
        with says(head, bomb) as address, pytest.raises(MediaTooLarge, match="max_bytes allows"):
            fetch_bytes(Url(address), MediaPolicy(private_hosts=True, max_bytes=8 * 1024**2))
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024**2
        tracemalloc.stop()


@pytest.mark.parametrize(("coding", "words"), [(b"gzip", "damaged"), (b"br", "packed .'br'")])
def test_what_cannot_be_unpacked_says_so(coding: bytes, words: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding + b"\r\n\r\n"
    with says(head, b"no archive") as address, pytest.raises(UnreadableMedia, match=words):
        fetch_bytes(Url(address), _HERE)


@pytest.mark.slow
def test_a_server_that_never_ends_its_header() -> None:
    letters = [b"HTTP/1.1 200 OK\r\n", *([b"X: y\r\n"] * 200)]
    began = time.monotonic()
    with says(*letters, pause=0.1) as address, pytest.raises(UnreadableMedia, match="too long"):
        fetch_bytes(Url(address), MediaPolicy(private_hosts=True, max_load_seconds=1.0))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("length", [b"9" * 5000, b"-1", b"1_0", b"12, 13", b"100"])
def test_lengths_that_are_lies(length: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n"
    with says(head, b"short") as address, pytest.raises((UnreadableMedia, MediaTooLarge)):
        fetch_bytes(Url(address), _HERE)


def test_a_proxy_that_makes_no_sense_keeps_its_password(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://ann:secret@[::1")
    web({"photos.example": [PUBLIC]}, lambda _: httpx.Response(200))
    with pytest.raises(UnreadableMedia, match="proxy") as caught:
        fetch_bytes(Url("http://photos.example/a.png"))
    assert "secret" not in str(caught.value)


def test_a_long_name_is_no_obstacle(media: str) -> None:
    name = "\U00020000" * 90
    with pytest.raises(UnreadableMedia, match="404"):
        fetch_bytes(Url(f"{media}/{name}.png"), _HERE)
    assert fetch_bytes(Url(f"{media}/photo.png?{name}"), _HERE)
