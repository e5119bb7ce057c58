"""Recordings and videos for tests, made on the spot with PyAV and wave."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Samples = npt.NDArray[np.float32]


def tone(
    seconds: float, *, rate: int = 16_000, hertz: float = 440.0, volume: float = 0.3
) -> Samples:
    """A sine, shape (n,)."""
    time = np.arange(round(seconds * rate)) / rate
    return (volume * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def wordless() -> dict[str, Samples]:
    """Two seconds or less in which nobody speaks, by name."""
    noise = np.random.default_rng(0).normal(0, 0.05, 32_000)
    return {
        "nothing": np.zeros(0, np.float32),
        "a click": np.zeros(100, np.float32),
        "silence": np.zeros(32_000, np.float32),
        "hum": tone(2.0, hertz=50.0),
        "noise": noise.astype(np.float32),
    }


def sweep(seconds: float, *, rate: int = 16_000) -> Samples:
    """A tone that rises, so that every moment of it is told apart from every other."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * (200 + 100 * time) * time)).astype(np.float32)


def make_wav(path: Path, samples: Samples, *, rate: int = 16_000, channels: int = 1) -> Path:
    """16-bit PCM; every channel carries the same."""
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(pcm, channels).tobytes())
    return path


def make_recording(
    path: Path,
    samples: Samples,
    codec: str,
    *,
    rate: int = 48_000,
    tags: dict[str, str] | None = None,
) -> Path:
    """A recording in any format FFmpeg writes, with tags."""
    with av.open(str(path), "w") as output:
        output.metadata.update(tags or {})
        stream: Any = output.add_stream(codec, rate=rate, layout="mono")
        _write_sound(output, stream, samples, rate)
    return path


def make_video(
    path: Path,
    frames: Sequence[Image.Image],
    *,
    fps: int = 10,
    codec: str = "mpeg4",
    sound: Samples | None = None,
    sound_codec: str = "aac",
    subtitles: Sequence[tuple[float, float, str]] = (),
    times: Sequence[float] | None = None,
    set_up: Callable[[Any], None] | None = None,
) -> Path:
    """A video: frames at `fps` or at `times`, perhaps with sound of 48 kHz and subtitles."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=fps, bit_rate=4_000_000)
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if set_up is not None:
            set_up(stream)
        audio: Any = None
        if sound is not None:
            audio = output.add_stream(sound_codec, rate=48_000, layout="mono")
        words: Any = _subtitle_stream(output, path) if subtitles else None
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_image(picture)
            frame.pts = round(1000 * (times[number] if times else number / fps))
            frame.time_base = Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if audio is not None and sound is not None:
            _write_sound(output, audio, sound, 48_000)
        for start, end, text in subtitles:
            output.mux(_cue(words, start, end, text))
    return path


def colours(*names: str, each: int = 1, size: tuple[int, int] = (160, 96)) -> list[Image.Image]:
    """Plain frames, `each` of every colour."""
    return [Image.new("RGB", size, name) for name in names for _ in range(each)]


def sign(
    text: str, *, size: tuple[int, int] = (640, 360), background: str = "white"
) -> Image.Image:
    """A frame with large, legible words on it."""
    picture = Image.new("RGB", size, background)
    font = ImageFont.load_default(44)
    ImageDraw.Draw(picture).multiline_text((40, 100), text, fill="black", font=font)
    return picture


def _write_sound(output: Any, stream: Any, samples: Samples, rate: int) -> None:
    resampler = av.AudioResampler(
        format=stream.codec_context.format.name, layout="mono", rate=rate, frame_size=1024
    )
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate = rate
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(stream.encode(piece))
    output.mux(stream.encode(None))


def _subtitle_stream(output: Any, path: Path) -> Any:
    stream = output.add_stream("mov_text" if path.suffix == ".mp4" else "srt")
    stream.codec_context.subtitle_header = b"[Script Info]\n[Events]\n"
    stream.codec_context.time_base = Fraction(1, 1000)
    return stream


def _cue(stream: Any, start: float, end: float, text: str) -> Any:
    data = text.encode()
    if stream.codec_context.name == "mov_text":
        data = len(data).to_bytes(2, "big") + data
    packet: Any = av.Packet(data)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = round(start * 1000)
    packet.duration = round((end - start) * 1000)
    return packet
