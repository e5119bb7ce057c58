"""Files in a PDF: attachments of the document and of its pages, and the files of a portfolio."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mm_rag_loaders.pdf.objects import entry, errors, items, key_of, kind_of, name, named, said
from mm_rag_loaders.unpacking import CHUNK_BYTES

_MOST_FILES = 100_000
_MOST_ANNOTATIONS = 5000  # of a page
_NAMES = ("/UF", "/F", "/Unix", "/Mac", "/DOS")
_FOLDER_NUMBER = re.compile(r"^<\d+>")  # before the names in a portfolio with folders


@dataclass(frozen=True)
class Attachment:
    """A file in a PDF.

    Attributes:
        name: Its name in the PDF, which may be anything.
        about: Description in the PDF.
        stream: Its bytes, as an object of pikepdf.
    """

    name: str
    about: str
    stream: Any

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes, decompressed piece by piece.

        Raises:
            OSError: They are damaged.
        """
        try:
            yield from _decoded(self.stream)
        except (*errors(), zlib.error) as error:
            raise OSError(" ".join(str(error).split())[:200]) from error


def attachments_of(document: Any) -> Iterator[Attachment]:
    """The files in a document, each once.

    Args:
        document: A `pikepdf.Pdf`.
    """
    seen: set[tuple[int, int]] = set()
    for count, (called, about, file) in enumerate(_listed(document)):
        stream = _stream_of(file)
        key = key_of(stream)
        if stream is None or key is None or key in seen or count >= _MOST_FILES:
            continue
        seen.add(key)
        own = next((own for each in _NAMES if (own := said(file, each))), called)
        words = (said(file, "/Desc"), about)
        described = "\n".join(dict.fromkeys(each for each in words if each and each != own))
        yield Attachment(_FOLDER_NUMBER.sub("", own), described, stream)


def _listed(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Name, description and file specification of each place that names a file."""
    root = document.Root
    for called, file in named(entry(root, "/Names", "/EmbeddedFiles")):
        yield called, "", file
    for file in items(entry(root, "/AF"), _MOST_FILES):
        yield "", "", file
    for page in document.pages:
        for file in items(entry(page.obj, "/AF"), _MOST_FILES):
            yield "", "", file
        for each in items(entry(page.obj, "/Annots"), _MOST_ANNOTATIONS):
            if name(each, "/Subtype") == "FileAttachment":
                yield "", said(each, "/Contents"), entry(each, "/FS")
            # Sound, video and 3D models on a page.
            for called, file in named(entry(each, "/RichMediaContent", "/Assets")):
                yield called, "", file


def _stream_of(file: Any) -> Any:
    """The bytes in a file specification; None if it only names a file outside of the PDF."""
    for each in _NAMES:
        stream = entry(file, "/EF", each)
        if kind_of(stream) == "stream":
            return stream
    return None


def _decoded(stream: Any) -> Iterator[bytes]:
    filters = entry(stream, "/Filter")
    names = [str(filters)] if kind_of(filters) == "name" else [str(each) for each in items(filters)]
    is_deflated = names in (["/FlateDecode"], ["/Fl"]) and entry(stream, "/DecodeParms") is None
    if not is_deflated:
        # Other filters hardly occur, and grow their content by a small factor.
        yield bytes(stream.read_bytes())
        return
    data, inflate = bytes(stream.read_raw_bytes()), zlib.decompressobj()
    while data and not inflate.eof:
        yield inflate.decompress(data, CHUNK_BYTES)
        data = inflate.unconsumed_tail
