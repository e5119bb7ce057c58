"""Muxing a text subtitle track into a video."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from mm_rag._optional import require


def as_srt(lines: Iterable[tuple[float, float, str]]) -> str:
    """Lines of (start, end, words), in seconds, in the SubRip format."""
    return "\n".join(
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{words}\n"
        for number, (start, end, words) in enumerate(lines, start=1)
    )


def copy_subtitles(srt: str, container: Any) -> list[Any]:
    """Add a subtitle stream to an output container of PyAV.

    Returns:
        Its packets, to be muxed when the container's other streams have been added.
    """
    av = require("av", extra="video", feature="Writing the demo's sample video")
    with av.open(io.BytesIO(srt.encode()), format="srt") as source:
        stream = container.add_stream_from_template(source.streams.subtitles[0])
        stream.metadata["language"] = "eng"
        packets = [packet for packet in source.demux() if packet.dts is not None]
    for packet in packets:
        packet.stream = stream
    return packets


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{whole:02},{milliseconds:03}"
