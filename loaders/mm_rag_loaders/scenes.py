"""Where a video can be cut: at scene changes, and if need be between words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mm_rag.reading.watching import Look

_SHORTEST = 4.0  # seconds
_CUT = 0.12  # mean difference of two neighbours, of 1.0, that makes a new scene


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A part of a video.

    Attributes:
        start: In seconds.
        end: In seconds; the next one starts there.
        looks: What was seen in it; none where no frame could be decoded.
    """

    start: float
    end: float
    looks: Sequence[Look]


def scenes(
    looks: Iterator[Look],
    duration: float,
    longest: float,
    quiet: Callable[[float, float], float],
) -> Iterator[Scene]:
    """Cut [0, duration) into clips of 4 seconds up to `longest`; the only one may be shorter.

    Args:
        looks: At the whole video. No more than `longest` seconds of them are held.
        duration: Its, in seconds.
        longest: Of one clip, in seconds.
        quiet: The best moment between two to cut where no scene changes.
    """
    shortest, start = min(_SHORTEST, longest / 3), 0.0
    held: list[Look] = []
    while duration - start > shortest:
        latest = min(start + longest, duration - shortest)
        end = _first_cut(held, looks, start + shortest, latest)
        if end is None and duration - start <= longest:
            break
        if end is None:
            end = quiet(max(start + shortest, latest - longest / 2), latest)
        yield Scene(start=start, end=end, looks=[look for look in held if look.time < end])
        held = [look for look in held if look.time >= end]
        start = end
    yield Scene(start=start, end=duration, looks=[*held, *looks])


def _first_cut(
    held: list[Look], looks: Iterator[Look], earliest: float, latest: float
) -> float | None:
    """The first scene change in [earliest, latest]; looks are taken in until it is found."""
    for look in [*held]:
        if earliest <= look.time <= latest and look.change > _CUT:
            return look.time
    while not held or held[-1].time <= latest:
        look = next(looks, None)
        if look is None:
            return None
        held.append(look)
        if earliest <= look.time <= latest and look.change > _CUT:
            return look.time
    return None


def key_time(scene: Scene) -> float:
    """The time of the frame that shows most of a scene, rather in the middle than at its ends."""
    middle, half = (scene.start + scene.end) / 2, max((scene.end - scene.start) / 2, 1e-3)
    if not scene.looks:
        return middle
    return max(scene.looks, key=lambda k: k.detail * (1 - 0.5 * abs(k.time - middle) / half)).time
