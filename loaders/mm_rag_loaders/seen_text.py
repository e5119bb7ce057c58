"""The text on a picture, where the reader for it is installed."""

from __future__ import annotations

from PIL import Image

from mm_rag.errors import MissingExtra
from mm_rag.reading.ocr import read_image
from mm_rag_loaders.loader import SourceFile


def seen_text(picture: Image.Image, file: SourceFile, *, place: str = "") -> str:
    """Read the text on a picture of a file.

    Without the reader the text is empty and the file gets a note: a model with eyes can still use
    the picture.
    """
    try:
        return read_image(picture).text
    except MissingExtra as error:
        file.notes.append(f"{place or 'the picture'} was not read: {error}")
        return ""
