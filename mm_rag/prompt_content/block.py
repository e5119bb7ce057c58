"""Block: a piece of a message for a chat model."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Words:
    """Text.

    Attributes:
        text: What it says.
    """

    text: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Picture:
    """A picture, in a format that every provider takes.

    Attributes:
        data: The bytes of its file: PNG, JPEG, WebP or GIF.
        mime_type: Of the file, such as `image/jpeg`.
        width: In pixels.
        height: In pixels.
    """

    data: bytes
    mime_type: str
    width: int
    height: int

    @property
    def base64(self) -> str:
        """The bytes as messages carry them."""
        return base64.b64encode(self.data).decode("ascii")

    def __repr__(self) -> str:
        """What it is, without a megabyte of bytes in somebody's log."""
        return f"Picture({self.mime_type}, {self.width} x {self.height}, {len(self.data)} bytes)"


Block: TypeAlias = Words | Picture
