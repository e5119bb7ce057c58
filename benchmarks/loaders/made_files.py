"""Synthetic files of any length: a manual (PDF), a recording (M4A), a video (MP4).

No two pages are alike, so that caching the last page gains nothing.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image

_WIDTH, _HEIGHT, _MARGIN, _GUTTER = 595, 842, 48, 18
_TABLE_EVERY, _PICTURE_EVERY = 4, 9
_SYLLABLES = re.findall(
    r"\w+",
    "al an ar ba be con de di en er fa gen in is ka le lo ma men mi mo na ne no or pa pe per po "
    "pro ra re ri ro sa se so sta ta te ten ter ti tion to tra ul un ver vi",
)
_PICTURE_SIZE = (1200, 800)


def write_manual(path: Path, pages: int, seed: int = 1) -> Path:
    """Write a PDF of A4 pages; the same seed gives the same pages."""
    dice = random.Random(seed)
    words = ["".join(dice.choices(_SYLLABLES, k=dice.randint(1, 4))) for _ in range(3000)]
    with pymupdf.open() as document:
        for number in range(1, pages + 1):
            _page(document.new_page(width=_WIDTH, height=_HEIGHT), number, words, dice)
        document.set_metadata({"title": "A manual of everything"})
        document.save(path, deflate=True, garbage=1)
    return path


def _page(page: pymupdf.Page, number: int, words: list[str], dice: random.Random) -> None:
    heading = " ".join(dice.choices(words, k=4)).capitalize()
    page.insert_text((_MARGIN, 64), f"{number}. {heading}", fontsize=15, fontname="tibo")
    top = 88.0
    for extra, every in ((_table, _TABLE_EVERY), (_picture, _PICTURE_EVERY), (_chart, 2)):
        if number % every == 0:
            top = extra(page, top, words, dice)
    column = (_WIDTH - 2 * _MARGIN - _GUTTER) / 2
    for left in (_MARGIN, _MARGIN + column + _GUTTER):
        room = pymupdf.Rect(left, top, left + column, _HEIGHT - 60)
        _prose(page, room, words, dice)
    page.insert_text((_WIDTH / 2, _HEIGHT - 30), str(number), fontsize=9)


def _prose(page: pymupdf.Page, room: pymupdf.Rect, words: list[str], dice: random.Random) -> None:
    top = room.y0
    while top + 60 < room.y1:
        sentences = (
            " ".join(dice.choices(words, k=dice.randint(6, 18))).capitalize() + "." for _ in "1234"
        )
        part = pymupdf.Rect(room.x0, top, room.x1, room.y1)
        left = page.insert_textbox(part, " ".join(sentences), fontsize=9.5, fontname="tiro")
        if left < 0:
            return
        top = room.y1 - left + 8


def _chart(page: pymupdf.Page, top: float, words: list[str], dice: random.Random) -> float:
    """Draw a curve of many points, bars, and a caption below; return the lower edge."""
    left, right, bottom = _MARGIN, _WIDTH - _MARGIN, top + 130
    shape = page.new_shape()
    height = 60.0
    points = [(float(left), bottom - height)]
    for step in range(1, 121):
        height = min(max(height + dice.uniform(-9, 9), 4), 124)
        points.append((left + step * (right - left) / 120, bottom - height))
    shape.draw_polyline(points)
    shape.finish(color=(0.7, 0.1, 0.1), width=1.2)
    for bar in range(24):
        x = left + bar * (right - left) / 24
        shape.draw_rect(pymupdf.Rect(x, bottom - dice.uniform(5, 70), x + 12, bottom))
        shape.finish(color=(0.2, 0.3, 0.6), fill=(0.6, 0.7, 0.9), width=0.5)
    shape.commit()
    caption = " ".join(dice.choices(words, k=8))
    page.insert_text((left, bottom + 14), f"Figure: {caption}", fontsize=8, fontname="tiit")
    return bottom + 28


def _table(page: pymupdf.Page, top: float, words: list[str], dice: random.Random) -> float:
    """Draw a ruled table with a name and three numbers in each row; return the lower edge."""
    rows, width, height = dice.randint(5, 9), (_WIDTH - 2 * _MARGIN) / 4, 16
    for row in range(rows):
        for column in range(4):
            cell = (
                pymupdf.Rect(0, 0, width, height)
                + (
                    _MARGIN + column * width,
                    top + row * height,
                )
                * 2
            )
            page.draw_rect(cell, color=(0, 0, 0), width=0.6)
            text = dice.choice(words) if column == 0 or row == 0 else f"{dice.uniform(0, 999):.1f}"
            page.insert_text((cell.x0 + 4, cell.y1 - 5), text, fontsize=8)
    return top + rows * height + 16


def _picture(page: pymupdf.Page, top: float, words: list[str], dice: random.Random) -> float:
    """Insert a JPEG like a photo, soft colours with grain; return the lower edge."""
    small = Image.frombytes("RGB", (24, 16), dice.randbytes(24 * 16 * 3))
    soft = small.resize(_PICTURE_SIZE, Image.Resampling.BICUBIC)
    grain = Image.effect_noise(_PICTURE_SIZE, 24).convert("RGB")
    buffer = io.BytesIO()
    Image.blend(soft, grain, 0.2).save(buffer, "JPEG", quality=85)
    page.insert_image(
        pymupdf.Rect(_MARGIN, top, _MARGIN + 300, top + 200), stream=buffer.getvalue()
    )
    page.insert_text((_MARGIN, top + 214), f"Picture: {dice.choice(words)}", fontsize=8)
    return top + 228


RATE = 44_100
_VIDEO_WIDTH, _VIDEO_HEIGHT, _FRAMES_PER_SECOND = 1920, 1080, 24
_SCENE_SECONDS, _SHAPE = 30, 64
_VOICED_OF_A_MINUTE, _SOUNDING_OF_A_MINUTE = 2, 8


def write_recording(path: Path, seconds: int) -> Path:
    """Write AAC sound at 44.1 kHz in stereo, second by second."""
    with av.open(str(path), "w") as output:
        sound: Any = output.add_stream("aac", rate=RATE, layout="stereo")
        for second in range(seconds):
            output.mux(sound.encode(_audio_frame(second)))
        output.mux(sound.encode())
    return path


def write_video(path: Path, seconds: int) -> Path:
    """Write H.264 at 1080p with AAC sound: each scene has its colour and a moving shape."""
    with av.open(str(path), "w") as output:
        pictures: Any = output.add_stream("h264", rate=_FRAMES_PER_SECOND)
        pictures.width, pictures.height, pictures.pix_fmt = _VIDEO_WIDTH, _VIDEO_HEIGHT, "yuv420p"
        pictures.options = {"preset": "ultrafast", "crf": "30"}
        sound: Any = output.add_stream("aac", rate=RATE, layout="stereo")
        for second in range(seconds):
            for frame in _video_frames(second):
                output.mux(pictures.encode(frame))
            output.mux(sound.encode(_audio_frame(second)))
        for stream in (pictures, sound):
            output.mux(stream.encode())
    return path


def _audio_frame(second: int) -> av.AudioFrame:
    wave = _second(second).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, second * RATE, Fraction(1, RATE)
    return frame


def _second(number: int) -> NDArray[np.float64]:
    """One second of sound; of a minute, 2 s resemble a voice, 6 s are a tone, 52 s are silent."""
    moments = np.arange(RATE) / RATE
    place = number % 60
    if place < _VOICED_OF_A_MINUTE:
        pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * moments + number)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        overtones = sum(np.sin(k * phase) / k for k in range(1, 12))
        return 0.08 * overtones * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * moments))
    if place < _SOUNDING_OF_A_MINUTE:
        return 0.1 * np.sin(2 * np.pi * (220 + 3 * number % 400) * moments)
    return np.zeros(RATE)


def _video_frames(second: int) -> Iterator[av.VideoFrame]:
    scene = second // _SCENE_SECONDS
    luma = np.tile(
        np.linspace(30 + 7 * scene % 60, 200, _VIDEO_WIDTH).astype(np.uint8), (_VIDEO_HEIGHT, 1)
    )
    colours = np.full((_VIDEO_HEIGHT // 2, _VIDEO_WIDTH), 60 + 37 * scene % 130, np.uint8)
    for index in range(_FRAMES_PER_SECOND):
        number = second * _FRAMES_PER_SECOND + index
        picture = luma.copy()
        x, y = 5 * number % (_VIDEO_WIDTH - _SHAPE), 3 * number % (_VIDEO_HEIGHT - _SHAPE)
        picture[y : y + _SHAPE, x : x + _SHAPE] = 235
        frame = av.VideoFrame.from_ndarray(np.vstack([picture, colours]), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, _FRAMES_PER_SECOND)
        yield frame
