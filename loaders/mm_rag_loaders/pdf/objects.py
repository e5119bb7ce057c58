"""The objects inside a PDF, beside the words that are printed: opened with pikepdf.

Neither PyMuPDF nor pdfium gives all of them, so both readers of pages use this one for comments,
form fields, attached files, bookmarks and layers.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mm_rag._optional import require
from mm_rag._printing import printable
from mm_rag.boxes import Box
from mm_rag.media.access import FileSource, opened

# What pikepdf raises on damaged files besides its own errors.
_DAMAGED = (RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError)

_MOST_NODES = 200_000  # of a tree; more are not the work of a person
_MOST_DEPTH = 64
_MOST_LETTERS = 100_000  # of a string
_MOST_BYTES = 16 * 1024**2  # of a stream that is text
_CHUNK = 1024**2


@contextmanager
def objects_of(file: FileSource, password: str | None) -> Generator[Any]:
    """The document as a `pikepdf.Pdf`; None if pikepdf finds no document in the file.

    Raises:
        MissingExtra: pikepdf is not installed.
    """
    pikepdf = _pikepdf()
    # Otherwise its warnings would be printed if logging is not configured.
    logging.getLogger("pikepdf").addHandler(logging.NullHandler())
    with opened(file) as source:
        document = None
        # pikepdf warns of a password that is not needed.
        for given in dict.fromkeys(("", password or "")):
            with suppress(*errors()):
                document = pikepdf.open(
                    source.reader(),
                    password=given,
                    suppress_warnings=True,
                    inherit_page_attributes=False,
                )
                break
        try:
            yield document
        finally:
            if document is not None:
                document.close()


def errors() -> tuple[type[Exception], ...]:
    """Errors that pikepdf raises on damaged files.

    Raises:
        MissingExtra: pikepdf is not installed.
    """
    own = ("PdfError", "PasswordError", "DeletedObjectError", "ForeignObjectError")
    return (*(getattr(_pikepdf(), each) for each in own), *_DAMAGED)


def _pikepdf() -> Any:
    return require("pikepdf", extra="pdf", feature="Reading comments and forms of PDFs")


def kind_of(value: Any) -> str:
    """`dictionary`, `array`, `stream`, `string` or `name`; empty for numbers and None."""
    return str(getattr(value, "_type_name", ""))


def entry(value: Any, *keys: str) -> Any:
    """The value under a path of keys; None where one is missing or is not in a dictionary."""
    for key in keys:
        if kind_of(value) not in ("dictionary", "stream"):
            return None
        value = value.get(key)
    return value


def items(value: Any, most: int = _MOST_NODES) -> Iterator[Any]:
    """The items of an array; none of anything else."""
    if kind_of(value) == "array":
        for at in range(min(len(value), most)):
            yield value[at]


def text(value: Any) -> str:
    """The words of a string or stream, without control characters; empty for anything else."""
    if kind_of(value) == "string":
        found = str(value)[:_MOST_LETTERS]
    elif kind_of(value) == "stream":
        data = stream_bytes(value, _MOST_BYTES) or b""
        is_utf16 = data.startswith((b"\xfe\xff", b"\xff\xfe"))
        found = data.decode("utf-16" if is_utf16 else "utf-8", "replace")[:_MOST_LETTERS]
    else:
        return ""
    return printable(found.replace("\r\n", "\n").replace("\r", "\n")).strip()


def said(value: Any, *keys: str) -> str:
    """The words of a string under a path of keys; empty for anything else."""
    return text(entry(value, *keys))


def name(value: Any, *keys: str) -> str:
    """The name under a path of keys, without its slash; empty for anything else."""
    found = entry(value, *keys)
    return printable(str(found).removeprefix("/")) if kind_of(found) == "name" else ""


def whole(value: Any, *keys: str) -> int:
    """The whole number under a path of keys; 0 for anything else."""
    found = entry(value, *keys)
    return found if isinstance(found, int) else 0


def numbers(value: Any) -> list[float]:
    """The numbers of an array; empty if anything else is in it."""
    found = list(items(value))
    if any(kind_of(each) or each is None for each in found):
        return []
    return [float(each) for each in found]


def box(value: Any) -> Box | None:
    """A rectangle with its corners in order; None if it is not one."""
    edges = numbers(value)
    if len(edges) != 4:
        return None
    (x0, x1), (y0, y1) = sorted(edges[::2]), sorted(edges[1::2])
    return x0, y0, x1, y1


def key_of(value: Any) -> tuple[int, int] | None:
    """The number of an object; None if it stands in another one."""
    found = getattr(value, "objgen", (0, 0))
    return (int(found[0]), int(found[1])) if found[0] else None


def inherited(value: Any, key: str, parent: str = "/Parent") -> Any:
    """The value of a key in a dictionary or in the nearest one above it."""
    for _ in range(_MOST_DEPTH):
        found = entry(value, key)
        if found is not None or kind_of(value) != "dictionary":
            return found
        value = entry(value, parent)
    return None


def named(tree: Any, values: str = "/Names") -> Iterator[tuple[str, Any]]:
    """The names and values of a name tree, each node once."""
    seen: set[tuple[int, int]] = set()
    todo: list[tuple[Any, int]] = [(tree, 0)]
    for _ in range(_MOST_NODES):
        if not todo:
            return
        node, depth = todo.pop()
        key = key_of(node)
        if depth > _MOST_DEPTH or (key and key in seen):
            continue
        if key:
            seen.add(key)
        pairs = list(items(entry(node, values)))
        for at in range(0, len(pairs) - 1, 2):
            yield text(pairs[at]), pairs[at + 1]
        todo += [(kid, depth + 1) for kid in items(entry(node, "/Kids"))][::-1]


def stream_bytes(stream: Any, most: int) -> bytes | None:
    """The content of a stream; None if it is larger than `most` bytes or damaged.

    Deflated content is decompressed piece by piece, so that a bomb stops at `most`.
    """
    filters = entry(stream, "/Filter")
    names = [str(filters)] if kind_of(filters) == "name" else [str(each) for each in items(filters)]
    try:
        raw = stream.read_raw_bytes()
        if len(raw) > most and not names:
            return None
        if names in ([], ["/Crypt"]):
            return bytes(raw)
        if names in (["/FlateDecode"], ["/Fl"]) and entry(stream, "/DecodeParms") is None:
            return _inflated(bytes(raw), most)
        # Other filters grow their content by a small factor, except after a first deflation.
        if len(raw) * 100 > most and "/FlateDecode" in names:
            return None
        found = bytes(stream.read_bytes())
    except (*errors(), zlib.error):
        return None
    return found if len(found) <= most else None


def _inflated(data: bytes, most: int) -> bytes | None:
    inflate = zlib.decompressobj()
    found = bytearray()
    while data and not inflate.eof:
        found += inflate.decompress(data, _CHUNK)
        data = inflate.unconsumed_tail
        if len(found) > most:
            return None
    return bytes(found)
