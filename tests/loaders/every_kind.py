"""A small file of every kind that loaders read, by a name for it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pymupdf
from PIL import Image

from tests.av_made import colours, make_recording, make_video, make_wav, tone
from tests.loaders.pdfs import saved
from tests.media_made import make_pdf

Make = Callable[[Path], Path]


def _titled_pdf(path: Path) -> Path:
    document = pymupdf.open()
    document.new_page(width=300, height=200).insert_text((20, 40), "Ships and ropes.")
    document.set_metadata({"title": "The quay"})
    return saved(document, path.parent, path.name)


def _pages(path: Path) -> Path:
    first, second = colours("navy", "orange", size=(90, 60))
    first.save(path, save_all=True, append_images=[second])
    return path


def _frames(path: Path) -> Path:
    first, *others = colours("navy", "orange", "navy", "green", size=(90, 60))
    first.save(path, save_all=True, append_images=others, duration=700)
    return path


def _picture(path: Path) -> Path:
    Image.new("RGB", (900, 60), "teal").save(path)
    return path


def _scenes(path: Path) -> Path:
    frames = colours("black", "red", "red", "blue", each=8, size=(160, 96))
    return make_video(path, frames, fps=2)


def _written(text: str) -> Make:
    def make(path: Path) -> Path:
        path.write_text(text)
        return path

    return make


def _zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes/fog.txt", "The horn is broken.")
        archive.write(_picture(path.with_suffix(".png")), "horn.png")
    path.with_suffix(".png").unlink()
    return path


EVERY_KIND: Mapping[str, tuple[str, Make]] = {
    "pdf": (".pdf", lambda path: make_pdf(path, ["Red boats.", "A crane."])),
    "pdf with a title": (".pdf", _titled_pdf),
    "picture": (".png", _picture),
    "pages": (".tiff", _pages),
    "frames": (".gif", _frames),
    "recording": (".wav", lambda path: make_wav(path, tone(1.0))),
    "recording with a title": (
        ".flac",
        lambda path: make_recording(path, tone(1.0), "flac", tags={"title": "Fog horn"}),
    ),
    "video": (".mp4", _scenes),
    "sound in a container for videos": (
        ".ts",
        lambda path: make_recording(path, tone(1.0), "mp2"),
    ),
    "text": (".txt", _written("The harbour master has gone home.")),
    "table": (".csv", _written("ship,berth\nEbba,7\nMira,9\n")),
    "json": (".json", _written('{"ship": "Ebba", "berth": 7}')),
    "email": (".eml", _written("From: Ada <a@example.org>\nSubject: Fog\n\nThe horn is broken.\n")),
    "archive": (".zip", _zip),
    "code": (".py", _written("def fare(berth):\n    return 4\n")),
    "transcript": (".srt", _written("1\n00:00:01,000 --> 00:00:02,000\nAda: The fog is back.\n")),
    "contacts": (".vcf", _written("BEGIN:VCARD\nFN:Ada\nNOTE:She pilots.\nEND:VCARD\n")),
    "text with a heading": (".md", _written("# Opening hours\n\nFrom nine to five.")),
}
"""Suffix, and what makes the file."""
