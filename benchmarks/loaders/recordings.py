"""A recording and a video of any length, made up: tones, silence and something like a voice."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

RATE = 44_100
_WIDTH, _HEIGHT, _FRAMES_PER_SECOND = 1920, 1080, 24
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
    """Write H.264 at 1080p with AAC sound: every scene has a colour and a shape that moves."""
    with av.open(str(path), "w") as output:
        pictures: Any = output.add_stream("h264", rate=_FRAMES_PER_SECOND)
        pictures.width, pictures.height, pictures.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
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
    """Of a minute two seconds like a voice, then a tone, then silence."""
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
    luma = np.tile(np.linspace(30 + 7 * scene % 60, 200, _WIDTH).astype(np.uint8), (_HEIGHT, 1))
    colours = np.full((_HEIGHT // 2, _WIDTH), 60 + 37 * scene % 130, np.uint8)
    for index in range(_FRAMES_PER_SECOND):
        number = second * _FRAMES_PER_SECOND + index
        picture = luma.copy()
        x, y = 5 * number % (_WIDTH - _SHAPE), 3 * number % (_HEIGHT - _SHAPE)
        picture[y : y + _SHAPE, x : x + _SHAPE] = 235
        frame = av.VideoFrame.from_ndarray(np.vstack([picture, colours]), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, _FRAMES_PER_SECOND)
        yield frame
