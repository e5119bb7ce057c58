"""The layers that the words of a page lie on, as pdfium knows them."""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from typing import Any

_NAME_BYTES = 512


class LayersOfText:
    """Knows which letters of a text page lie on hidden layers.

    Args:
        pdfium: `pypdfium2.raw`.
        text: A text page of it.
        hidden: Names of the hidden layers.
    """

    def __init__(self, pdfium: Any, text: Any, hidden: Collection[str]) -> None:
        self._pdfium = pdfium
        self._text = text.raw
        self._hidden = frozenset(hidden)
        self._buffer = ctypes.create_string_buffer(_NAME_BYTES)
        self._length = ctypes.c_ulong()
        self._known: dict[int, bool] = {}

    def hide(self, at: int) -> bool:
        """Whether a letter, by its number, lies on a hidden layer."""
        item = self._pdfium.FPDFText_GetTextObject(self._text, at)
        if not item:
            return False
        address = ctypes.addressof(item.contents)
        if address not in self._known:
            marks = range(max(0, self._pdfium.FPDFPageObj_CountMarks(item)))
            self._known[address] = any(self._layer(item, each) in self._hidden for each in marks)
        return self._known[address]

    def _layer(self, item: Any, number: int) -> str:
        """The name of the layer that a mark stands for; empty for another mark."""
        mark = self._pdfium.FPDFPageObj_GetMark(item, number)
        size = self._length
        self._pdfium.FPDFPageObjMark_GetName(mark, self._wide(), _NAME_BYTES, size)
        if not mark or self._words(size.value) != "OC":
            return ""
        found = self._pdfium.FPDFPageObjMark_GetParamStringValue(
            mark, b"Name", self._wide(), _NAME_BYTES, size
        )
        return self._words(size.value) if found else ""

    def _wide(self) -> Any:
        return ctypes.cast(self._buffer, ctypes.POINTER(self._pdfium.FPDF_WCHAR))

    def _words(self, size: int) -> str:
        return (
            self._buffer.raw[: min(size, _NAME_BYTES)].decode("utf-16-le", "replace").rstrip("\0")
        )
