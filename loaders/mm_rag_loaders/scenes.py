"""Where a video can be cut: at scene changes, and if need be between words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mm_rag.extraction.frame_sampling import Look

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
    *,
    change: Callable[[float, float], float],
    quiet: Callable[[float, float], float],
) -> Iterator[Scene]:
    """Cut [0, duration) into clips of 4 seconds up to `longest`; the only one may be shorter.

    Args:
        looks: At the whole video. No more than `longest` seconds of them are held.
        duration: Its, in seconds.
        longest: Of one clip, in seconds.
        change: When the first frame of the new scene is shown that begins between two looks.
        quiet: The best moment between two to cut where no scene changes.
    """
    shortest, start = min(_SHORTEST, longest / 3), 0.0
    held: list[Look] = []
    while duration - start > shortest:
        latest = min(start + longest, duration - shortest)
        end = _first_cut(_taken_in(held, looks), start + shortest, latest, change)
        if end is None and duration - start <= longest:
            break
        if end is None:
            end = quiet(max(start + shortest, latest - longest / 2), latest)
        yield Scene(start=start, end=end, looks=[look for look in held if look.time < end])
        held = [look for look in held if look.time >= end]
        start = end
    yield Scene(start=start, end=duration, looks=[*held, *looks])


def _taken_in(held: list[Look], looks: Iterator[Look]) -> Iterator[Look]:
    """The looks that are held, then the others, which are held from then on."""
    yield from [*held]
    for look in looks:
        held.append(look)
        yield look


def _first_cut(
    looks: Iterator[Look],
    earliest: float,
    latest: float,
    change: Callable[[float, float], float],
) -> float | None:
    """The first scene change in [earliest, latest]; no later looks are taken in than need be."""
    for look in looks:
        if look.time >= earliest and look.before <= latest and look.change > _CUT:
            cut = change(look.before, look.time)
            if earliest <= cut <= latest:
                return cut
        if look.time > latest:
            break
    return None


def key_time(scene: Scene) -> float:
    """The time of the frame that shows most of a scene, rather in the middle than at its ends."""
    middle, half = (scene.start + scene.end) / 2, max((scene.end - scene.start) / 2, 1e-3)
    if not scene.looks:
        return middle
    return max(scene.looks, key=lambda k: k.detail * (1 - 0.5 * abs(k.time - middle) / half)).time
