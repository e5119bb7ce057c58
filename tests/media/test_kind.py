from __future__ import annotations

import io
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pymupdf
import pytest
from PIL import Image

from mm_rag.errors import UnreadableMedia
from mm_rag.media.kind import MediaKind, bytes_type, file_type, media_kind
from tests.office_made import compound, docx, opendocument, pptx, xlsx


def picture(image_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, image_format)
    return buffer.getvalue()


def recording(container: str, codec: str, options: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=48_000)
        stream.layout = "mono"  # pyright: ignore[reportAttributeAccessIssue]
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48_000)  # pyright: ignore
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.float32), "fltp", "mono")
        frame.sample_rate = 48_000
        fifo = av.AudioFifo()
        for resampled in resampler.resample(frame):
            fifo.write(resampled)
        for part in fifo.read_many(stream.frame_size or 960):  # pyright: ignore
            output.mux(stream.encode(part))  # pyright: ignore
        output.mux(stream.encode())  # pyright: ignore
    return buffer.getvalue()


def video(container: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"  # pyright: ignore
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
            output.mux(stream.encode(frame))  # pyright: ignore
        output.mux(stream.encode())  # pyright: ignore
    return buffer.getvalue()


def wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as output:
        output.setnchannels(1)
        output.setsampwidth(2)
        output.setframerate(16_000)
        output.writeframes(bytes(3200))
    return buffer.getvalue()


def pdf() -> bytes:
    document = pymupdf.open()
    document.new_page()
    return document.tobytes()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as output:
        output.writestr("a.txt", "hello")
    return buffer.getvalue()


def free_office(kind: str) -> Callable[[Path], object]:
    return lambda path: opendocument(path, kind, "")


def old_office(*streams: str) -> Callable[[Path], object]:
    return lambda path: compound(path, *streams)


def rtf(path: Path) -> None:
    path.write_text(r"{\rtf1 hello}")


def kind_of(folder: Path, name: str, data: bytes) -> MediaKind | None:
    path = folder / name
    path.write_bytes(data)
    return media_kind(path)


@pytest.mark.parametrize(
    "image_format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000"]
)
def test_a_picture_is_known_without_its_name(tmp_path: Path, image_format: str) -> None:
    assert kind_of(tmp_path, "no_suffix", picture(image_format)) == "image"


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mp3", "mp3", {}),
        ("mp3", "mp3", {"id3v2_version": "0", "write_xing": "0"}),
        ("adts", "aac", {}),
        ("flac", "flac", {}),
        ("ogg", "libopus", {}),
        ("mp4", "aac", {}),
        ("webm", "libopus", {}),
    ],
)
def test_a_recording_is_known_without_its_name(
    tmp_path: Path, container: str, codec: str, options: dict[str, str]
) -> None:
    assert kind_of(tmp_path, "no_suffix", recording(container, codec, options)) == "audio"


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "mpeg4"),
        ("mov", "mpeg4"),
        ("matroska", "mpeg4"),
        ("webm", "libvpx"),
        ("avi", "mpeg4"),
        ("mpegts", "mpeg2video"),
    ],
)
def test_a_video_is_known_without_its_name(tmp_path: Path, container: str, codec: str) -> None:
    assert kind_of(tmp_path, "no_suffix", video(container, codec)) == "video"


def test_content_outweighs_the_name(tmp_path: Path) -> None:
    assert kind_of(tmp_path, "scan.jpg", pdf()) == "pdf"
    assert kind_of(tmp_path, "page.pdf", picture("PNG")) == "image"
    assert kind_of(tmp_path, "song.txt", wav()) == "audio"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (docx, "a Word document"),
        (pptx, "a PowerPoint presentation"),
        (free_office("text"), "an OpenDocument text"),
        (free_office("presentation"), "an OpenDocument presentation"),
        (old_office("1Table", "WordDocument"), "a Word document"),
        (old_office("PowerPoint Document"), "a PowerPoint presentation"),
        (rtf, "an RTF document"),
        (old_office("EncryptedPackage"), "a locked office file"),
    ],
)
def test_an_office_file_is_known_without_its_name(
    tmp_path: Path, make: Callable[[Path], object], name: str
) -> None:
    make(tmp_path / "no_suffix")
    found = file_type(tmp_path / "no_suffix")
    assert (found.kind, found.name) == ("office", name)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (xlsx, "an Excel workbook"),
        (free_office("spreadsheet"), "an OpenDocument spreadsheet"),
        (old_office(*"abcde", "Workbook"), "an Excel workbook"),
    ],
)
def test_a_spreadsheet_is_known_without_its_name(
    tmp_path: Path, make: Callable[[Path], object], name: str
) -> None:
    make(tmp_path / "no_suffix")
    found = file_type(tmp_path / "no_suffix")
    assert (found.kind, found.name) == ("spreadsheet", name)


def test_an_archive_of_a_folder_called_word_is_no_document(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as output:
        output.writestr("word/document.xml", "hello")
    assert file_type(path).kind == "archive"


def test_other_compound_files_are_not_office_files(tmp_path: Path) -> None:
    assert media_kind(compound(tmp_path / "a.msi", "Property", "Icon")) is None


def test_damaged_compound_files_are_looked_at_without_end_or_error(tmp_path: Path) -> None:
    data = bytearray(compound(tmp_path / "a", *"bcd", "WordDocument").read_bytes())
    data[48:52] = b"\x00\x00\x00\x7f"  # the directory: beyond the end
    assert kind_of(tmp_path, "beyond", bytes(data)) is None
    data[48:52] = bytes([1, 0, 0, 0])
    data[512 + 4 : 512 + 8] = bytes([1, 0, 0, 0])  # it follows upon itself
    assert kind_of(tmp_path, "circle", bytes(data)) is None


def test_a_pdf_may_begin_with_something_else(tmp_path: Path) -> None:
    assert kind_of(tmp_path, "mail.bin", b"X-Header: 1\r\n\r\n" + pdf()) == "pdf"


def test_text_named_as_a_medium_is_no_medium(tmp_path: Path) -> None:
    path = tmp_path / "text.pdf"
    path.write_text("This is plain text, not a PDF.\n")
    assert media_kind(path) is None
    assert file_type(path).name == "plain text"


@pytest.mark.parametrize("data", [b"", bytes(range(256)) * 4], ids=["empty", "noise"])
def test_the_name_decides_where_the_content_says_nothing(tmp_path: Path, data: bytes) -> None:
    for name, kind in {"a.pdf": "pdf", "a.png": "image", "a.mp4": "video", "a.bin": None}.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert file_type(path).kind == kind
        assert not file_type(path).certain or kind is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_text_is_known_in_every_usual_encoding(tmp_path: Path, encoding: str) -> None:
    text = "Ein schöner Tag, ein Käse und viele andere gewöhnliche Wörter. " * 20
    assert kind_of(tmp_path, "notes.txt", text.encode(encoding)) == "text"


def test_text_cut_in_the_middle_of_a_letter_is_still_text(tmp_path: Path) -> None:
    assert kind_of(tmp_path, "notes.md", ("x" + "€" * 40_000).encode()) == "markup"


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("data.jsonl", b'{"a": 1}\n', "json"),
        ("page.html", b"<!DOCTYPE html><p>Hello", "html"),
        ("no_suffix", b"<!DOCTYPE html><p>Hello", "html"),
        ("feed", b"<?xml version='1.0'?><a/>", "xml"),
        ("drawing", b"<?xml version='1.0'?><!-- by hand --><svg/>", "svg"),
        ("notes.md", b"<!DOCTYPE html> is how pages begin", "markup"),
        ("a.zip", archive(), "archive"),
        ("settings.conf", b"port = 80", "text"),
    ],
)
def test_texts_are_told_apart_by_name_then_by_beginning(
    tmp_path: Path, name: str, data: bytes, kind: MediaKind
) -> None:
    assert kind_of(tmp_path, name, data) == kind


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match=r"no file .*gone\.pdf"):
        media_kind(tmp_path / "gone.pdf")


def test_bytes_are_told_apart_as_files_are(tmp_path: Path) -> None:
    for data in (picture("PNG"), wav(), video("mp4", "mpeg4"), video("webm", "libvpx"), b"words"):
        path = tmp_path / "file"
        path.write_bytes(data)
        assert bytes_type(data) == file_type(path)
    assert bytes_type(docx(tmp_path / "a.docx").read_bytes()).name == "a Word document"
    assert bytes_type(recording("mp4", "aac")).kind == "audio"


def test_a_box_beyond_any_file_ends_the_search() -> None:
    box = (1).to_bytes(4, "big") + b"ftyp" + (2**64 - 1).to_bytes(8, "big")
    assert bytes_type(box).kind == "video"
