"""Texts that begin like other formats, and other formats named as texts."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from pathlib import Path

import filetype  # pyright: ignore[reportMissingTypeStubs]
import pymupdf
import pytest
from PIL import Image

from mm_rag.media import kind as kinds
from mm_rag.media.kind import bytes_type, file_type
from mm_rag_loaders import load_file
from tests.av_made import make_wav, tone
from tests.office_made import compound

# First words of texts that are the signatures of other formats.
SIGNATURES = [
    *("BM", "BMW", "GIF", "GIF89a", "P1 1 1 ", "P3 4 4 255 ", "P6 12 9 255 ", "ID3", "MZ", "%PDF"),
    *("%PDF-1.7", "FWS", "CWS", "#define MAX_width 10", "/* XPM */", "Image type:", "%!PS-Adobe"),
    *("II*", "MM", "8BPS", "gimp xcf", "OggS", "fLaC", "MThd", "#!AMR", "FLV", "Rar!", "BZh", "PK"),
    *("7z", "MSCF", "!<arch>", "LZIP", "SQLite format 3", "wOFF", "wOF2", "OTTO", "Cr24", "AC1015"),
    *("RIFF are WEBP", "RIFF are WAVE", "RIFF are AVI", "FORM and AIFF", "xar!", "qoif", "icns"),
    *("DDS ", "BLP1", "BLP2", "DanM", "LinS", "NES", "{\\rtf", "ftyp", "big ftyp", "isoftypheic"),
    *("JASC-PAL", "farbfeld", "true", "ttcf", "glTF", "DICM", "GRIB", "HDF", "LZMA", "ELF"),
]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "README", "a.log"])
@pytest.mark.parametrize("start", SIGNATURES)
def test_a_text_may_begin_like_another_format(tmp_path: Path, start: str, name: str) -> None:
    if start == "%PDF-1.7" and name in ("README", "a.log"):
        pytest.skip("a PDF that is damaged")
    path = tmp_path / name
    path.write_text(f"{start} explained.\nThis is a text about the harbour and its Größe.\n" * 3)
    found = file_type(path)
    assert found.kind == ("markup" if name == "a.md" else "text")


@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_every_signature_that_can_be_written_is_no_signature_of_a_text(name: str) -> None:
    known = [start for start in SIGNATURES if filetype.guess(start.encode() + b" words" * 50)]
    own = [start.decode("latin-1") for start in kinds._PICTURES]  # pyright: ignore[reportPrivateUsage]
    assert len(known) > 10
    for start in {*known, *(start for start in own if start.isascii() and start.isprintable())}:
        text = f"{start} and a text that goes on, with € and so on.\r\n\x1a"
        assert bytes_type(text.encode(), Path(name).suffix).kind in ("text", "markup")
        legacy = f"{start} and a text that goes on: the café is open.\n".encode("cp1252")
        assert bytes_type(legacy, Path(name).suffix).kind in ("text", "markup")


def picture(image_format: str, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (16, 16), "red" if mode == "RGB" else 1).save(buffer, image_format)
    return buffer.getvalue()


def text_pdf() -> bytes:
    """A PDF in which every byte is ASCII."""
    document = pymupdf.open()
    document.new_page().insert_text((72, 72), "The harbour master has gone home.")
    data = document.tobytes(ascii=True, expand=255)
    assert data.isascii() or data.replace(b"\xc2\xb5\xc2\xb6", b"").isascii()
    return data


REAL = {
    "BMP": ("image", lambda: picture("BMP")),
    "GIF": ("image", lambda: picture("GIF")),
    "PNG": ("image", lambda: picture("PNG")),
    "JPEG": ("image", lambda: picture("JPEG")),
    "TIFF": ("image", lambda: picture("TIFF")),
    "PPM": ("image", lambda: picture("PPM")),
    "PBM": ("image", lambda: picture("PPM", "1")),
    "grey PGM": ("image", lambda: b"P5\n30 20\n255\n" + b"d" * 600),
    "ASCII PGM": ("image", lambda: b"P2\n# made by hand\n2 2\n255\n0 1 2 3\n"),
    "XBM": ("image", lambda: picture("XBM", "1")),
    "IM": ("image", lambda: (b"Image type: L image\r\n" * 3).ljust(512, b"\0") + bytes(256)),
    "PDF": ("pdf", text_pdf),
    "ID3": ("audio", lambda: b"ID3\x03\0\0\0\0\0\0" + b"\xff\xfb\x90\x64" + bytes(413)),
}


@pytest.mark.parametrize("suffix", [".txt", ".md", ".log", ""])
@pytest.mark.parametrize("name", REAL)
def test_a_medium_named_as_a_text_is_the_medium(name: str, suffix: str) -> None:
    expected, make = REAL[name]
    assert bytes_type(make(), suffix).kind == expected


@pytest.mark.parametrize("name", ["notes.txt", "notes.md", "notes.csv"])
def test_a_misnamed_medium_gets_a_note(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(picture("BMP"))
    loaded = load_file(path)
    assert (loaded.kind, loaded.state) == ("image", "loaded")
    assert [(note.kind, note.text) for note in loaded.notes][:1] == [
        ("misnamed", f"named {path.suffix}, but is a picture")
    ]


def test_a_recording_named_txt_is_a_recording(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", tone(0.2)).rename(tmp_path / "a.txt")
    assert file_type(path).kind == "audio"


@pytest.mark.parametrize("name", ["a.log", "a.conf", "a.cfg", "a.ini", "a.yaml", "a.toml", "a.bib"])
@pytest.mark.parametrize("text", ["key = value of the harbour\n", "Schlüssel: Größe\n"])
def test_text_of_any_name_is_text(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert file_type(path).kind == "text"


@pytest.mark.parametrize(
    "text",
    [
        "\x02" + "words of a page\n" * 50,
        "Minutes.\r\n\x1a",
        "name\x1fcity\nAda\x1fLondon\n",
        "a log\n" + "\0" * 9000 + "a log\n",
    ],
    ids=["one", "end of a DOS file", "separators", "crash"],
)
@pytest.mark.parametrize("name", ["a.txt", "a.log", "LICENSE"])
def test_control_characters_do_not_hide_a_text(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert file_type(path).kind == "text"


def binaries() -> dict[str, bytes]:
    rnd = random.Random(3)
    noise = rnd.randbytes(4000)
    return {
        "noise": noise,
        "compressed": zlib.compress(noise * 2)[2:],
        "doubles": struct.pack("<500d", *(rnd.random() for _ in range(500))),
        "samples": struct.pack("<2000h", *(rnd.randrange(-9000, 9000) for _ in range(2000))),
        "strings": b"\0".join(rnd.randbytes(3) + b"name" for _ in range(500)),
        "records": b"".join(struct.pack("<I12sf", i, b"Ada Lovelace", i / 3) for i in range(99)),
        "zeros": bytes(4000),
        "program": Path("/bin/ls").read_bytes()[70_000:74_000]
        if Path("/bin/ls").exists()
        else noise,
    }


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.dat", "a", "a.py", "a.csv"])
@pytest.mark.parametrize("what", binaries())
def test_a_binary_file_is_no_text(tmp_path: Path, what: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(binaries()[what])
    assert file_type(path).kind is None


def test_names_of_streams_in_lower_case_are_known(tmp_path: Path) -> None:
    path = compound(tmp_path / "a.doc", "1table", "worddocument")
    assert file_type(path).name == "a Word document"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("report.doc", "<html><body>Report</body></html>", "html"),
        ("report.xls", "name\tcity\nAda\tLondon\n", "table"),
        ("readme.doc", "The harbour is closed.\n", "text"),
        ("server.key", "-----BEGIN PRIVATE KEY-----\n", "text"),
        ("run", "#!/usr/bin/env python3\nprint(1)\n", "code"),
        ("subtitles", "1\n00:00:01,000 --> 00:00:02,000\nHello\n", "transcript"),
    ],
)
def test_texts_of_misleading_or_missing_names_are_read(
    tmp_path: Path, name: str, text: str, kind: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert file_type(path).kind == kind


def test_a_long_text_with_a_signature_is_checked_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"BM" + b" words" * 40_000)
    assert file_type(path).kind == "text"
    path.write_bytes(b"BM" + b" words" * 40_000 + os.urandom(60_000))
    assert file_type(path).kind == "image"
