"""The safety film that runs on board: drawn scenes with captions, and a subtitle track."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import PIL.Image

from tools.demo_samples.canvas import AMBER, CORAL, NAVY, TEAL, Canvas, arc, draw_ferry

WIDTH, HEIGHT, FRAMES_PER_SECOND = 960, 540, 4
# Pixels to a point: 1024 x 576, whole blocks of 16. On others the encoder looks past the edge, at
# memory that differs from run to run.
ZOOM = 16 / 15
SKY = "#d9e8f4"


@dataclass(frozen=True)
class Scene:
    """One scene of the film.

    Attributes:
        seconds: How long it lasts.
        title: Written large on the picture.
        caption: Written below the title.
        spoken: What the subtitles say, which the picture does not.
        draw: Adds the drawing; the second argument is the time in the scene, in seconds.
    """

    seconds: float
    title: str
    caption: str
    spoken: str
    draw: Callable[[Canvas, float], None]


def write_video(path: Path) -> None:
    """Write the film as Matroska: H.264 pictures and SubRip subtitles, no sound."""
    # Without bitexact, Matroska stores the date and a random id: no two copies would be equal.
    with av.open(path, "w", container_options={"fflags": "+bitexact"}) as container:
        pictures = _picture_stream(container)
        subtitles = _add_subtitles(_as_srt(_subtitle_lines()), container)
        for number, picture in enumerate(_frames()):
            frame = av.VideoFrame.from_image(picture).reformat(format="yuv420p")
            frame.pts = number
            _mux(container, pictures.encode(frame), subtitles)
        container.mux(pictures.encode(None))
        container.mux(subtitles)


def _subtitle_lines() -> Iterator[tuple[float, float, str]]:
    """Start, end and words of each subtitle, in seconds."""
    start = 0.0
    for scene in SCENES:
        yield start + 0.5, start + scene.seconds - 0.5, scene.spoken
        start += scene.seconds


def _as_srt(lines: Iterable[tuple[float, float, str]]) -> str:
    """Lines of (start, end, words), in seconds, in the SubRip format."""
    return "\n".join(
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{words}\n"
        for number, (start, end, words) in enumerate(lines, start=1)
    )


def _add_subtitles(srt: str, container: Any) -> list[Any]:
    """Add a subtitle stream; return its packets, to be muxed once all streams have been added."""
    source: Any = av.open(io.BytesIO(srt.encode()), format="srt")
    with source:
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


def _picture_stream(container: Any) -> Any:
    # One thread makes the same bytes on every machine; a key frame every three seconds makes
    # seeking quick.
    options = {"crf": "24", "preset": "veryfast", "threads": "1", "g": str(3 * FRAMES_PER_SECOND)}
    stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
    stream.width, stream.height = round(WIDTH * ZOOM), round(HEIGHT * ZOOM)
    stream.pix_fmt = "yuv420p"
    return stream


def _mux(container: Any, packets: Any, subtitles: list[Any]) -> None:
    """Write picture packets, and before each the subtitles that are due."""
    for packet in packets:
        while subtitles and _seconds(subtitles[0]) <= _seconds(packet):
            container.mux(subtitles.pop(0))
        container.mux(packet)


def _seconds(packet: Any) -> Fraction:
    return Fraction(packet.dts * packet.time_base)


def _frames() -> Iterator[PIL.Image.Image]:
    for scene in SCENES:
        for number in range(round(scene.seconds * FRAMES_PER_SECOND)):
            yield _frame(scene, number / FRAMES_PER_SECOND)


def _frame(scene: Scene, time: float) -> PIL.Image.Image:
    canvas = Canvas.single(WIDTH, HEIGHT, fill=SKY)
    scene.draw(canvas, time)
    canvas.box(0, 0, WIDTH, 132, fill=NAVY)
    canvas.text(48, 66, scene.title, size=44, color="#ffffff", font="hebo")
    canvas.text(48, 108, scene.caption, size=26, color="#c9d6e8")
    progress = time / scene.seconds
    canvas.box(0, 132, max(1.0, WIDTH * progress), 5, fill=AMBER)
    return canvas.picture(ZOOM)


def _sea(canvas: Canvas, time: float, level: float) -> None:
    for depth, color in enumerate(("#2f78b7", TEAL, "#0b7f7b")):
        top = level + 34 * depth
        wave = [(x, top + 7 * math.sin(x / 60 + time * 1.6 + depth * 2)) for x in range(0, 976, 16)]
        canvas.polygon([*wave, (WIDTH, HEIGHT), (0, HEIGHT)], fill=color)


def _welcome(canvas: Canvas, time: float) -> None:
    canvas.disc(820, 220, 44, fill="#f7c65a")
    draw_ferry(canvas, 120 + 50 * time, 420 + 4 * math.sin(time * 2), 330)
    _sea(canvas, time, 424)


def _life_jackets(canvas: Canvas, time: float) -> None:
    lift = 10 * math.sin(time * 2.2)
    for x, size in ((300, 1.0), (660, 0.7)):
        y = 330 - lift
        canvas.box(x - 80 * size, y - 130 * size, 160 * size, 270 * size, fill=CORAL, radius=34)
        canvas.polygon(arc(x, y - 130 * size, 42 * size, 0.25, 0.75), fill=SKY)
        canvas.box(x - 4, y - 90 * size, 8, 230 * size, fill="#ffffff")
        for belt in (-20, 60):
            canvas.box(x - 80 * size, y + belt * size, 160 * size, 16 * size, fill=NAVY)
            canvas.box(x - 16, y + (belt - 4) * size, 32, 24 * size, fill=AMBER, radius=4)


def _overboard(canvas: Canvas, time: float) -> None:
    draw_ferry(canvas, -130, 420, 420)
    bob = 6 * math.sin(time * 2.4)
    canvas.disc(720, 404 + bob, 20, fill="#e9b98f")
    canvas.line([(720, 430 + bob), (752, 352 + bob)], color="#e9b98f", width=12)
    _sea(canvas, time, 424)
    flight = min(time / 3, 1.0)
    x, y = 300 + 320 * flight, 300 + 118 * flight - 150 * flight * (1 - flight) * 2
    canvas.polygon(arc(x, y, 36, 0, 1), fill=CORAL)
    canvas.polygon(arc(x, y, 18, 0, 1), fill="#2f78b7" if flight == 1 else SKY)


def _fire(canvas: Canvas, time: float) -> None:
    for i, color in enumerate((CORAL, AMBER, "#f7dc86")):
        size = 1 - 0.28 * i
        sway = 14 * math.sin(time * 5 + i)
        flame = [(250 - 90 * size, 470), (250 - 60 * size, 380), (250 + sway, 470 - 260 * size)]
        canvas.polygon([*flame, (250 + 70 * size, 370), (250 + 90 * size, 470)], fill=color)
    canvas.box(590, 250, 110, 220, fill=CORAL, radius=26)
    canvas.box(628, 212, 34, 44, fill=NAVY)
    canvas.line([(640, 226), (560, 236), (528, 300)], color=NAVY, width=10)
    for i in range(6):
        reach = (time * 150 + i * 26) % 160
        canvas.disc(520 - reach, 306 + reach * 0.5, 6 + reach / 12, fill="#ffffff")
    canvas.box(0, 470, WIDTH, 70, fill="#8fa3b8")


def _assembly(canvas: Canvas, time: float) -> None:
    canvas.box(360, 172, 240, 240, fill="#1c8a4c", radius=18)
    for i in range(4):
        x = 405 + 50 * i
        canvas.disc(x, 290, 13, fill="#ffffff")
        canvas.box(x - 14, 308, 28, 62, fill="#ffffff", radius=10)
    for i in range(5):
        x = (time * 55 + i * 70) % 340
        for place in (x, WIDTH - x):
            canvas.disc(place, 408, 15, fill=NAVY)
            canvas.box(place - 16, 428, 32, 66, fill=NAVY, radius=12)
    canvas.box(0, 494, WIDTH, 46, fill="#8fa3b8")


SCENES = (
    Scene(
        5.0,
        "Welcome aboard",
        "Safety on Gull Harbor Ferries",
        "Please watch this short film, even if you ride with us every day.",
        _welcome,
    ),
    Scene(
        7.0,
        "Life jackets",
        "Adults: under every bench",
        "Small sizes for children are in the yellow locker behind the coffee bar.",
        _life_jackets,
    ),
    Scene(
        7.0,
        "Man overboard",
        "Throw a ring and keep pointing",
        "Never jump in after someone. Shout to the crew, and keep your eyes on the swimmer.",
        _overboard,
    ),
    Scene(
        6.0,
        "Fire",
        "Press the red button",
        "Close the door behind you. Smoke is more dangerous than the flames.",
        _fire,
    ),
    Scene(
        7.0,
        "Assembly station",
        "Upper deck, at the green sign",
        "When you hear seven short blasts and a long one, leave your luggage and walk upstairs.",
        _assembly,
    ),
)
