"""What pictures say about themselves."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mm_rag.media.image import image_metadata
from mm_rag.media.image_metadata import ImageMetadata

PACKET = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">
<rdf:Description rdf:about="" photoshop:Headline="Storm hits the coast">
 <dc:title><rdf:Alt><rdf:li xml:lang="x-default">The wave</rdf:li></rdf:Alt></dc:title>
 <dc:description><rdf:Alt><rdf:li xml:lang="de">Welle</rdf:li>
  <rdf:li xml:lang="x-default">A wave\nbreaks &amp; falls</rdf:li></rdf:Alt></dc:description>
 <dc:subject><rdf:Bag><rdf:li>sea</rdf:li><rdf:li>weather</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def picture(image_format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, image_format, **options)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def exif(tag: int, value: object, part: int | None = None) -> Image.Exif:
    found = Image.Exif()
    where = found if part is None else found.get_ifd(part)
    where[tag] = value
    return found


def iptc(*records: tuple[int, int, bytes]) -> bytes:
    """An APP13 segment with IPTC records, put in after the start of a JPEG."""
    data = b"".join(
        b"\x1c" + bytes(kind[:2]) + len(kind[2]).to_bytes(2, "big") + kind[2] for kind in records
    )
    block = b"8BIM\x04\x04\0\0" + len(data).to_bytes(4, "big") + data + b"\0" * (len(data) % 2)
    body = b"Photoshop 3.0\0" + block
    segment = b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body
    whole = picture()
    return whole[:2] + segment + whole[2:]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_captions_of_photo_editors(image_format: str) -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", PACKET)
    options = {"PNG": {"pnginfo": info}, "TIFF": {"tiffinfo": {700: PACKET.encode()}}}
    more = options.get(image_format, {"xmp": PACKET.encode()})
    assert image_metadata(picture(image_format, **more)).text.splitlines() == [
        "The wave",
        "Storm hits the coast",
        "A wave breaks & falls",
        "sea, weather",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "packet",
    [
        b"<not closed",
        b"\xff\xfe\x00",
        b'<!DOCTYPE a [<!ENTITY b "boom"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"<a>" * 100_000,
    ],
    ids=["damaged", "no text", "a bomb", "a reference to a file", "deep"],
)
def test_bad_captions_are_left_out(packet: bytes) -> None:
    assert image_metadata(picture("WEBP", xmp=packet)) == ImageMetadata()


def test_captions_of_news_agencies() -> None:
    data = iptc(
        (1, 90, b"\x1b%G"),
        (2, 120, "Café on the quay".encode()),
        (2, 25, b"harbour"),
        (2, 25, b"dusk"),
        (2, 105, b"Evening"),
    )
    assert image_metadata(data).text.splitlines() == [
        "Evening", "Café on the quay", "harbour, dusk",
    ]  # fmt: skip
    assert image_metadata(iptc((2, 120, "Café".encode("cp1252")))).text == "Café"


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (b"ASCII\0\0\0A heron\0", "A heron"),
        (b"UNICODE\0" + "Reiher öß".encode("utf-16-le"), "Reiher öß"),
        (bytes(8) + "A heron é".encode(), "A heron é"),
        (b"JIS\0\0\0\0\0" + "鷺".encode("iso2022_jp"), "鷺"),
        (bytes(40), ""),
        (b"short", "short"),
    ],
)
def test_comments_of_cameras(comment: bytes, text: str) -> None:
    data = picture(exif=exif(0x9286, comment, 0x8769))
    assert image_metadata(data).text == text


def test_fields_of_windows_and_of_exif() -> None:
    data = picture(exif=exif(0x9C9B, "Grüße".encode("utf-16-le") + b"\0\0"))
    assert image_metadata(data).text == "Grüße"
    for written in ("utf-8", "latin-1"):
        gull = "Möwe am Kai".encode(written)
        data = picture(exif=exif(0x010E, "?" * len(gull))).replace(b"?" * len(gull), gull)
        assert image_metadata(data).text == "Möwe am Kai"
    assert image_metadata(picture(exif=exif(0x010E, "a" * 50_000))).text == "a" * 10_000


def test_what_is_said_twice_is_said_once() -> None:
    fields = exif(0x010E, "A wave")
    data = picture(exif=fields, xmp=PACKET.encode())
    assert image_metadata(data).text.splitlines().count("A wave") == 0
    assert "A wave breaks & falls" in image_metadata(data).text


@pytest.mark.parametrize(
    ("maker", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("", "X100", "X100"),
    ],
)
def test_cameras(tmp_path: Path, maker: str, model: str, camera: str) -> None:
    fields = exif(0x010F, maker)
    fields[0x0110] = model
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(exif=fields))
    assert image_metadata(path).camera == camera


@pytest.mark.parametrize(
    ("date", "taken"),
    [
        ("2024:05:01 12:30:00", "2024-05-01T12:30:00"),
        ("0000:00:00 00:00:00", ""),
        ("    :  :     :  :  ", ""),
        ("yesterday", ""),
    ],
)
def test_when_a_photo_was_taken(date: str, taken: str) -> None:
    assert image_metadata(picture(exif=exif(0x9003, date, 0x8769))).taken == taken
