"""Which frames of an animation are kept: those that show something new, twice a second at most."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image

from mm_rag.errors import InputError
from mm_rag.extraction.frame_sampling import Glance, differs, glance
from mm_rag.media.access import OpenedFile
from mm_rag.media.image import TimedFrame, open_animation
from mm_rag.media.policy import MediaPolicy
from mm_rag_loaders.loader import SourceFile

_SHORTEST = 0.5  # seconds from one frame that is kept to the next
_MOST_KEPT = 32
_ANIMATED = frozenset({"AVIF", "FLI", "GIF", "PNG", "WEBP"})


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A frame that is kept.

    Attributes:
        number: Of the frame, from 0.
        start: From when on it stands for what is seen, in seconds.
        end: Until when: the start of the next one, or the end of the animation.
    """

    number: int
    start: float
    end: float


def kept_frames(file: SourceFile, count: int, policy: MediaPolicy) -> list[Kept]:
    """Look through an animation of `count` frames, holding one at a time.

    What is left out gets a note.

    Raises:
        UnreadableMedia: Its first frame is damaged.
        MediaTooLarge: It is over a limit of the policy.
    """
    if count > policy.max_frames:
        file.notes.append(
            f"the first {policy.max_frames:,} of {count:,} frames were looked at "
            "(MediaPolicy.max_frames)"
        )
    chosen = _distinct(_bounded(_readable(open_animation(file.opened, policy), file), policy, file))
    most = _thinned(chosen, _MOST_KEPT)
    if len(most) < len(chosen):
        file.notes.append(f"{len(most)} of {len(chosen)} different frames were kept")
    return most


def pictures_of(
    file: OpenedFile, kept: Sequence[Kept], policy: MediaPolicy
) -> Iterator[Image.Image]:
    """The pictures of some frames of an animation, one by one."""
    wanted = {frame.number for frame in kept}
    for number, frame in enumerate(open_animation(file, policy)):
        if number in wanted:
            yield frame.picture
        if number >= kept[-1].number:
            return


def _readable(frames: Iterator[TimedFrame], file: SourceFile) -> Iterator[TimedFrame]:
    """Frames up to the first one that cannot be read: Pillow finds no way past it."""
    number = 0
    while True:
        try:
            frame = next(frames, None)
        except InputError as error:
            if number == 0:
                raise
            file.notes.append(f"from frame {number + 1} on it could not be read: {error}")
            return
        if frame is None:
            return
        number += 1
        yield frame


def _bounded(
    frames: Iterator[TimedFrame], policy: MediaPolicy, file: SourceFile
) -> Iterator[TimedFrame]:
    """Frames until half of the time that the policy gives is over: they are decoded twice."""
    began = time.monotonic()
    for frame in frames:
        yield frame
        if time.monotonic() - began > policy.max_load_seconds / 2:
            file.notes.append(
                f"only looked at until {frame.end:.1f} s: it took too long "
                "(MediaPolicy.max_load_seconds)"
            )
            return


def _distinct(frames: Iterator[TimedFrame]) -> list[Kept]:
    """The first frame, and each that differs from the one kept before it."""
    starts: list[tuple[int, float]] = []
    last: Glance | None = None
    end = 0.0
    for number, (frame, is_last) in enumerate(_with_end(frames)):
        end = frame.end
        earliest = starts[-1][1] + _SHORTEST if starts else 0.0
        # The last frame of a short flicker is kept, however soon it comes.
        if frame.end <= earliest and not is_last:
            continue
        seen = glance(frame.picture)
        if last is None or differs(seen, last):
            last = seen
            on_time = frame.end > earliest
            starts.append((number, max(frame.start, earliest) if on_time else frame.start))
    return _spans(starts, end)


def _with_end(frames: Iterator[TimedFrame]) -> Iterator[tuple[TimedFrame, bool]]:
    """Each frame, and whether it is the last."""
    held = next(frames, None)
    while held is not None:
        following = next(frames, None)
        yield held, following is None
        held = following


def _spans(starts: Sequence[tuple[int, float]], end: float) -> list[Kept]:
    bounds = pairwise([*(start for _, start in starts), end])
    return [
        Kept(number=number, start=round(start, 3), end=round(stop, 3))
        for (number, _), (start, stop) in zip(starts, bounds, strict=True)
    ]


def _thinned(kept: Sequence[Kept], most: int) -> list[Kept]:
    """No more than `most` of the frames, evenly spread; each stands until the next one."""
    if len(kept) <= most:
        return list(kept)
    numbers = [round(n * len(kept) / most) for n in range(most)]
    starts = [(kept[n].number, kept[n].start) for n in numbers]
    return _spans(starts, kept[-1].end)


def is_animation(kind: str, count: int) -> bool:
    """Whether several pictures in one file follow each other in time.

    Further ones of a phone's MPO are its depth map or the scene for the other eye, those of a
    Photoshop file its layers, those of an icon its sizes.
    """
    return count > 1 and kind in _ANIMATED
