"""View: what of an item there is to see."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mm_rag.errors import UnreadableMedia
from mm_rag.media.image import Outline, image_outline
from mm_rag.media.policy import MediaPolicy
from mm_rag.media.span import check_span
from mm_rag.media.video import open_video
from mm_rag.prompt_content.block import Picture
from mm_rag.prompt_content.encoding import Size, as_jpeg, file_as_picture
from mm_rag.prompt_content.item import Item
from mm_rag.record import picture_of_record
from mm_rag.segment import place_in_words

_NEAREST = 0.25  # seconds between frames: nearer ones show the same


@dataclass(frozen=True, kw_only=True)
class Still:
    """A picture or a page.

    Attributes:
        source: Its file, or the file's bytes.
        outline: What the file's head says.
    """

    source: Path | bytes
    outline: Outline

    # A page then has 45 dots an inch: its headings, charts and tables can be made out, and a slide
    # can be read. Below that a picture says less than the words beside it.
    legible_pixels = 200_000

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.outline.width, self.outline.height

    def captions(self, count: int) -> list[str]:
        """What stands above each picture: nothing."""
        return [""] * count

    @property
    def most(self) -> int:
        """How many pictures it is."""
        return 1

    def pictures(
        self, count: int, sizes: Sequence[Size], max_bytes: int, policy: MediaPolicy
    ) -> Iterator[Picture | None]:
        """The picture; None where the bytes leave no room for it."""
        yield file_as_picture(self.source, self.outline, sizes, max_bytes, policy)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A span of a video, which is shown by some of its frames.

    Attributes:
        path: The video.
        size: Width and height of a frame in pixels.
        start: Where the span begins, in seconds.
        end: Where it ends.
        most: How many frames may stand for it.
    """

    path: Path
    size: Size
    start: float
    end: float
    most: int

    # What is filmed is recognised, and what is written on a screen for an audience is large.
    legible_pixels = 100_000

    def times(self, count: int) -> list[float]:
        """When frames are shown that are spread evenly over the span, in seconds."""
        step = (self.end - self.start) / count
        return [self.start + step * (number + 0.5) for number in range(count)]

    def captions(self, count: int) -> list[str]:
        """What stands above each frame: its time, in the second that a player shows."""
        seconds = [math.floor(time) for time in self.times(count)]
        return [f"[frame at {place_in_words(None, second, None)}]" for second in seconds]

    def pictures(
        self, count: int, sizes: Sequence[Size], max_bytes: int, policy: MediaPolicy
    ) -> Iterator[Picture | None]:
        """The frames; None for one that the bytes leave no room for."""
        shown = 0
        with open_video(self.path, policy) as video:
            for frame in video.frames_at(self.times(count)):
                yield as_jpeg(frame, sizes, max_bytes // count)
                shown += 1
        if not shown:
            raise UnreadableMedia(
                f"{self.path.name} has no frames to decode at {self.start:g}-{self.end:g} s."
            )


View: TypeAlias = Still | Clip


def still_of(item: Item, policy: MediaPolicy) -> Still | None:
    """The picture, the page, or the preview that an item refers to.

    Raises:
        UnreadableMedia: Its file is missing or damaged.
        MediaTooLarge: It is over a limit of the policy.
        SourceForbidden: The policy does not allow to open it.
    """
    source = _picture(item)
    return None if source is None else Still(source=source, outline=image_outline(source, policy))


def clip_of(item: Item, frames: int, policy: MediaPolicy) -> Clip:
    """The span of a video that an item is.

    Raises:
        InputError: Its times make no sense.
        UnreadableMedia: The video is missing or damaged.
        MediaTooLarge: It is over a limit of the policy.
        SourceForbidden: The policy does not allow to open it.
        MissingExtra: PyAV is not installed.
    """
    path = Path(item.metadata["media"])
    start, end = item.metadata.get("start") or 0.0, item.metadata.get("end")
    if end is None or end != start:
        check_span(path.name, start, end)
    with open_video(path, policy) as video:
        end = max(start, video.duration) if end is None else end
        most = min(frames, max(1, int((end - start) / _NEAREST)))
        return Clip(path=path, size=video.size, start=start, end=end, most=most)


def is_clip(item: Item) -> bool:
    """Whether an item is a video, or a span of one."""
    return item.metadata.get("modality") == "video" and isinstance(item.metadata.get("media"), str)


def place_of(item: Item) -> Hashable:
    """Equal for items that show the same; None for those that show nothing."""
    if is_clip(item):
        return tuple(str(item.metadata.get(name)) for name in ("media", "start", "end"))
    return _picture(item)


def _picture(item: Item) -> Path | bytes | None:
    # Metadata may be anybody's.
    named = {name: item.metadata.get(name) for name in ("media", "preview", "mime_type")}
    found = picture_of_record(
        {key: value for key, value in named.items() if isinstance(value, str)}
    )
    if found or item.picture is not None:
        return found or item.picture
    # A page that is kept as a reference, and could not be drawn again: that it cannot be shown is
    # said where it would stand.
    media = named["media"] if item.metadata.get("modality") in ("image", "text") else None
    return Path(media) if isinstance(media, str) else None
