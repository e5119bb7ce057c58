"""What is seen or heard in a file, where the reader for it is installed."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from mm_rag.errors import MissingExtra
from mm_rag.extraction.ocr import Reading, read_image
from mm_rag_loaders.loader import SourceFile


def read_picture(picture: Image.Image, file: SourceFile, place: str = "") -> Reading:
    """Read the text on a picture of a file.

    Without the reader nothing is read and the file gets a note: a model with eyes can still use
    the picture.
    """
    try:
        return read_image(picture)
    except MissingExtra as error:
        note_once(file)(place or "the picture", error)
        return Reading()


def note_once(file: SourceFile) -> Callable[[str, MissingExtra], None]:
    """What the readers of recordings and videos call, clip after clip, where a package is missing.

    The file is kept and gets a note, as in `read_picture`.
    """

    def note(what: str, error: MissingExtra) -> None:
        if what not in file.missing:
            file.note_missing(what, error)

    return note
