"""Pictures and recordings as data URIs, so that a page needs no other file."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL.Image import Image

from mm_rag._printing import escaped
from mm_rag.errors import InputError
from mm_rag.highlight import highlighted
from mm_rag.segment import Segment

_MOST_AUDIO_BYTES = 600_000
_ICONS = {
    "audio": '<path d="M8 40v16M20 30v36M32 18v60M44 34v28M56 24v48M68 36v24M80 28v40M92 42v12"/>',
    "text": '<path d="M22 10h36l20 20v56H22zM58 10v20h20M34 48h32M34 60h32M34 72h20"/>',
}


def picture_of(segment: Segment, words: str, *, side: int) -> str:
    """HTML of the picture that stands for a segment; an icon where there is none.

    Args:
        segment: A page, picture or clip.
        words: Of a query; they are marked where they stand.
        side: Longest side in pixels.
    """
    picture = _thumbnail(segment, words, side)
    if picture is None:
        shape = _ICONS.get(segment.modality, _ICONS["text"])
        return (
            '<svg viewBox="0 0 100 96" fill="none" stroke="currentColor" stroke-width="5" '
            f'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{shape}</svg>'
        )
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    name = escaped(Path(segment.source).name)
    return (
        f'<img src="{_data_uri("image/webp", buffer.getvalue())}" alt="{name}" '
        f'width="{picture.width}" height="{picture.height}">'
    )


def player_of(segment: Segment) -> str:
    """HTML that plays a recording's clip; nothing where the file is large or gone."""
    path = Path(segment.media) if segment.modality == "audio" and segment.media else None
    if path is None or not path.is_file() or path.stat().st_size > _MOST_AUDIO_BYTES:
        return ""
    source = _data_uri(segment.mime_type or "audio/ogg", path.read_bytes()) + _clip(segment)
    return f'<audio controls preload="metadata" src="{escaped(source)}"></audio>'


def _clip(segment: Segment) -> str:
    """The media fragment that makes a browser play the clip only."""
    if segment.start is None:
        return ""
    end = "" if segment.end is None else f",{segment.end:.2f}"
    return f"#t={segment.start:.2f}{end}"


def _thumbnail(segment: Segment, words: str, side: int) -> Image | None:
    try:
        picture = highlighted(segment, words)
    except InputError:
        return None  # a page of answers is worth more than the picture that is missing on it
    picture.thumbnail((side, side))
    return picture


def _data_uri(mime_type: str, data: bytes) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"
