"""The pictures of an item: what it shows, how much of that the budget allows, and the encoding."""

from __future__ import annotations

import io
import math
import os
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from mm_rag.content import check_span
from mm_rag.errors import UnreadableMedia
from mm_rag.media.access import open_bounded
from mm_rag.media.image import ImageInfo, image_info, open_image
from mm_rag.media.policy import MediaPolicy
from mm_rag.media.video import open_video
from mm_rag.prompt_content.types import Block, Budget, Item, Picture, Words
from mm_rag.record import picture_of_record
from mm_rag.segment import place_in_words

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""

_MIN_FRAME_INTERVAL = 0.25  # seconds; frames closer together show the same
_MAX_SIDE = 8_000  # pixels; Claude rejects messages with larger pictures
_SCALE_STEP = 0.8  # of each side, where a picture has too many bytes
_JPEG_QUALITIES = (85, 70, 50)
_SENDABLE = {"GIF": "image/gif", "JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


@dataclass(frozen=True, kw_only=True)
class StillImage:
    """A picture or a page.

    Attributes:
        source: Path or bytes of the picture.
        outline: Size and format from the file's header.
    """

    source: Path | bytes
    outline: ImageInfo

    # About 45 dpi for a page: headings, charts and tables can be made out, and slides can be read.
    # A smaller picture says less than the text beside it.
    min_pixels = 200_000
    max_count = 1

    @property
    def size(self) -> Size:
        """Full size."""
        return self.outline.width, self.outline.height

    def captions(self, count: int) -> list[str]:
        """One empty caption per picture."""
        return [""] * count

    def pictures(
        self, count: int, sizes: Sequence[Size], max_bytes: int, policy: MediaPolicy
    ) -> Iterator[Picture | None]:
        """Yield the picture, or None if it does not fit into `max_bytes`."""
        # Decode in any case: a provider that finds a damaged file rejects the whole message.
        picture = open_image(self.source, policy)
        mime_type = _SENDABLE.get(self.outline.format)
        if mime_type and self.outline.is_plain and picture.size == sizes[0]:
            data = _file_bytes(self.source, max_bytes, policy)
            if data is not None:
                width, height = picture.size
                yield Picture(data=data, mime_type=mime_type, width=width, height=height)
                return
        yield _as_jpeg(picture, sizes, max_bytes)


@dataclass(frozen=True, kw_only=True)
class VideoFrames:
    """A time span of a video, shown by evenly spaced frames.

    Attributes:
        path: The video file.
        size: Full size of a frame.
        start: Start of the span in seconds.
        end: End of the span in seconds.
        max_count: Maximum number of frames.
    """

    path: Path
    size: Size
    start: float
    end: float
    max_count: int

    # Filmed objects can be recognised, and text that is filmed for an audience is large.
    min_pixels = 100_000

    def times(self, count: int) -> list[float]:
        """The middle of each of `count` equal parts of the span, in seconds."""
        step = (self.end - self.start) / count
        return [self.start + step * (number + 0.5) for number in range(count)]

    def captions(self, count: int) -> list[str]:
        """The time of each frame as a player shows it: `[frame at 0:03]`."""
        seconds = [math.floor(time) for time in self.times(count)]
        return [f"[frame at {place_in_words(None, second, None)}]" for second in seconds]

    def pictures(
        self, count: int, sizes: Sequence[Size], max_bytes: int, policy: MediaPolicy
    ) -> Iterator[Picture | None]:
        """Yield `count` frames; None for each that does not fit into its share of `max_bytes`."""
        decoded = 0
        with open_video(self.path, policy) as video:
            for frame in video.frames_at(self.times(count)):
                yield _as_jpeg(frame, sizes, max_bytes // count)
                decoded += 1
        if not decoded:
            raise UnreadableMedia(
                f"{self.path.name} has no frames to decode at {self.start:g}-{self.end:g} s."
            )


Visual: TypeAlias = StillImage | VideoFrames


def is_video(item: Item) -> bool:
    """Whether an item is a video or a span of one."""
    return item.metadata.get("modality") == "video" and isinstance(item.metadata.get("media"), str)


def visual_key(item: Item) -> Hashable:
    """A key that is equal for items which show the same; None for items without a picture."""
    if is_video(item):
        return tuple(str(item.metadata.get(name)) for name in ("media", "start", "end"))
    return _picture_source(item)


def open_visual(item: Item, max_frames: int, policy: MediaPolicy) -> Visual | None:
    """Read the header of an item's picture or video; None for items without either.

    Raises:
        InputError: The start or end of a video span is invalid.
        UnreadableMedia: The file is missing or damaged.
        MediaTooLarge: The file exceeds a limit of the policy.
        SourceForbidden: The policy does not allow opening the file.
        MissingExtra: PyAV is not installed.
    """
    return _open_frames(item, max_frames, policy) if is_video(item) else open_still(item, policy)


def _open_frames(item: Item, max_frames: int, policy: MediaPolicy) -> VideoFrames:
    path = Path(item.metadata["media"])
    start, end = item.metadata.get("start") or 0.0, item.metadata.get("end")
    if end is None or end != start:
        check_span(path.name, start, end)
    with open_video(path, policy) as video:
        end = max(start, video.duration) if end is None else end
        count = min(max_frames, max(1, int((end - start) / _MIN_FRAME_INTERVAL)))
        return VideoFrames(path=path, size=video.size, start=start, end=end, max_count=count)


def open_still(item: Item, policy: MediaPolicy) -> StillImage | None:
    """Read the header of an item's picture, page or preview; None for items without one.

    Raises:
        UnreadableMedia: The file is missing or damaged.
        MediaTooLarge: The file exceeds a limit of the policy.
        SourceForbidden: The policy does not allow opening the file.
    """
    source = _picture_source(item)
    if source is None:
        return None
    return StillImage(source=source, outline=image_info(source, policy))


def _picture_source(item: Item) -> Path | bytes | None:
    # Metadata may come from other programs and have any type.
    values = {name: item.metadata.get(name) for name in ("media", "preview", "mime_type")}
    known = {name: value for name, value in values.items() if isinstance(value, str)}
    found = picture_of_record(known) or item.picture
    if found is not None:
        return found
    # A page stored by reference that could not be rendered again: opening its source fails, and
    # the failure is reported in the place of the picture.
    media = values["media"] if item.metadata.get("modality") in ("image", "text") else None
    return Path(media) if isinstance(media, str) else None


@dataclass(frozen=True, kw_only=True)
class PicturePlan:
    """How a picture or video is shown.

    Attributes:
        visual: The picture or video.
        count: Number of pictures.
        sizes: Sizes to try, the largest first.
        tokens: Upper bound for the pictures and their captions.
    """

    visual: Visual
    count: int
    sizes: list[Size]
    tokens: int

    def blocks(self, max_bytes: int, policy: MediaPolicy) -> list[Block]:
        """The pictures that fit into `max_bytes`, each after its caption."""
        found: list[Block] = []
        captions = self.visual.captions(self.count)
        pictures = self.visual.pictures(self.count, self.sizes, max_bytes, policy)
        for caption, picture in zip(captions, pictures, strict=False):
            if picture:
                found += [Words(text=caption), picture] if caption else [picture]
        return found


def plan_pictures(
    visuals: Sequence[Visual], max_tokens: int, budget: Budget
) -> list[PicturePlan | None]:
    """Divide tokens evenly between pictures.

    Where all of them would become too small to recognise, the last ones are left out.

    Args:
        visuals: Pictures and videos, the best match first.
        max_tokens: Tokens for all of them.
        budget: Counts tokens.

    Returns:
        One plan per visual; None for those that are left out.
    """
    least = [_tokens(visual, 1, _min_size(visual), budget) for visual in visuals]
    wanted = [
        max(few, tokens_at_full_size(visual, budget))
        for few, visual in zip(least, visuals, strict=True)
    ]
    chosen = _first_that_fit(least, max_tokens)
    given = even_shares([least[n] for n in chosen], [wanted[n] for n in chosen], max_tokens)
    plans: list[PicturePlan | None] = [None] * len(visuals)
    spare = max_tokens - sum(given)
    for number, share in zip(chosen, given, strict=True):
        plan = _largest_plan(visuals[number], share + spare, budget)
        spare += share - plan.tokens
        plans[number] = plan
    return plans


def tokens_at_full_size(visual: Visual, budget: Budget) -> int:
    """Tokens of all its pictures at full size, with captions."""
    return _tokens(visual, visual.max_count, _full_size(visual), budget)


def _first_that_fit(costs: Sequence[int], room: int) -> list[int]:
    """Positions of the costs that fit into `room` when taken greedily from the first on."""
    found: list[int] = []
    for number, cost in enumerate(costs):
        if cost <= room:
            found.append(number)
            room -= cost
    return found


def even_shares(least: Sequence[int], wanted: Sequence[int], total: int) -> list[int]:
    """Divide `total` evenly; what one does not want is divided between the others.

    Args:
        least: Minimum of each; their sum must not exceed `total`.
        wanted: Maximum of each, at least its minimum.
        total: What there is to divide.
    """

    def shares(level: int) -> list[int]:
        return [min(most, max(few, level)) for few, most in zip(least, wanted, strict=True)]

    levels = range(1, total + 1)
    return shares(bisect_right(levels, total, key=lambda level: sum(shares(level))))


def _largest_plan(visual: Visual, max_tokens: int, budget: Budget) -> PicturePlan:
    """As many pictures as possible at the minimum size, then these as large as possible."""
    smallest, full = _min_size(visual), _full_size(visual)
    counts = range(visual.max_count, 1, -1)
    count = next((n for n in counts if _tokens(visual, n, smallest, budget) <= max_tokens), 1)

    def is_too_large(longest: int) -> bool:
        return _tokens(visual, count, _scaled(full, longest), budget) > max_tokens

    sides = range(max(smallest) + 1, max(full) + 1)
    longest = max(smallest) + bisect_left(sides, True, key=is_too_large)
    size = _scaled(full, longest) if longest > max(smallest) else smallest
    tokens = _tokens(visual, count, size, budget)
    return PicturePlan(
        visual=visual, count=count, sizes=_sizes_down(visual, size, budget), tokens=tokens
    )


def _sizes_down(visual: Visual, size: Size, budget: Budget) -> list[Size]:
    """`size` and smaller ones down to the minimum, none with more tokens than `size`."""
    found, smallest = [size], _min_size(visual)
    longest = round(max(size) * _SCALE_STEP)
    while longest > max(smallest):
        found.append(_scaled(size, longest))
        longest = round(longest * _SCALE_STEP)
    most = budget.tokens_of_picture(*size)
    return [size for size in [*found, smallest] if budget.tokens_of_picture(*size) <= most]


def _tokens(visual: Visual, count: int, size: Size, budget: Budget) -> int:
    captions = sum(budget.tokens_of_text(caption) for caption in visual.captions(count) if caption)
    return captions + count * budget.tokens_of_picture(*size)


def _full_size(visual: Visual) -> Size:
    return _scaled(visual.size, min(_MAX_SIDE, max(visual.size)))


def _min_size(visual: Visual) -> Size:
    width, height = full = _full_size(visual)
    scale = math.sqrt(visual.min_pixels / (width * height))
    return full if scale >= 1 else _scaled(full, max(1, int(max(full) * scale)))


def _scaled(size: Size, longest: int) -> Size:
    width, height = (max(1, side * longest // max(size)) for side in size)
    return width, height


def _file_bytes(source: Path | bytes, max_bytes: int, policy: MediaPolicy) -> bytes | None:
    """The unchanged file, or None if it exceeds `max_bytes`."""
    if isinstance(source, bytes):
        return source if len(source) <= max_bytes else None
    with open_bounded(source, policy) as file:
        return file.read() if os.fstat(file.fileno()).st_size <= max_bytes else None


def _as_jpeg(picture: Image.Image, sizes: Sequence[Size], max_bytes: int) -> Picture | None:
    """The largest size, at the highest quality, that fits into `max_bytes`; None if none does."""
    resized = picture
    for size, quality in product(sizes, _JPEG_QUALITIES):
        if resized.size != size:
            resized = picture.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        resized.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= max_bytes:
            width, height = size
            return Picture(
                data=buffer.getvalue(), mime_type="image/jpeg", width=width, height=height
            )
    return None
