"""ImageLoader: pictures, pages of TIFFs and scenes of animations, with the text on them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path

from PIL import Image

from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.extraction.frame_sampling import Glance, differs, glance
from mm_rag.extraction.ocr import Reading, word_boxes
from mm_rag.media.access import OpenedFile
from mm_rag.media.image import (
    TimedFrame,
    image_description,
    image_format,
    open_animation,
    open_frames,
    shrunk_to,
)
from mm_rag.media.image_metadata import Described
from mm_rag.media.kind import file_type
from mm_rag.media.policy import MediaPolicy
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.loader import Loader, SourceFile, read_picture
from mm_rag_loaders.options import LoadOptions

_THUMBNAIL_SIDE = 512
_PAGED = frozenset({"DCX", "TIFF"})

_SHORTEST = 0.5  # seconds from one frame that is kept to the next
_MOST_KEPT = 32
_ANIMATED = frozenset({"AVIF", "FLI", "GIF", "PNG", "WEBP"})


class ImageLoader(Loader):
    """Reads pictures: one segment each; of a TIFF one per page, of an animation one per scene."""

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the picture, the pages of a TIFF, or the different frames of an animation.

        Raises:
            UnreadableMedia: It is damaged or of a format that Pillow does not read.
            MediaTooLarge: It is over a limit of the policy.
            MissingExtra: It is a HEIC photo, and the package that reads them is not installed.
        """
        policy = self.options.policy
        kind, count = image_format(file.opened, policy)
        sheet = _Sheet(file, image_description(file.opened, policy), self.options)
        if kind in _PAGED and count > 1:
            frames = open_frames(file.opened, policy)
            for page, picture in _pages(frames, min(count, policy.max_pages), file):
                yield sheet.page(picture, page)
            return
        kept = kept_frames(file, count, policy) if is_animation(kind, count) else []
        if len(kept) < 2:
            yield sheet.whole(next(open_frames(file.opened, policy)))
            return
        pictures = pictures_of(file.opened, kept, policy)
        for span, picture in zip(kept, pictures, strict=False):
            yield sheet.frame(picture, span.start, span.end)

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield Segments of a picture with their thumbnails, pages and frames written again.

        Raises:
            UnreadableMedia: It can no longer be read.
            MediaTooLarge: It is over a limit of the policy.
        """
        sheet = _Sheet(file, Described(), self.options)
        for segment in segments:
            picture = next(self._pictures(file, segment), None)
            if picture is None:
                raise UnreadableMedia(f"{file.name} has no {segment.where}.")
            yield sheet.redrawn(segment, picture)

    def _pictures(self, file: SourceFile, segment: Segment) -> Iterator[Image.Image]:
        """What a file shows from the place of a Segment on."""
        policy = self.options.policy
        if segment.start is None:
            return islice(open_frames(file.opened, policy), (segment.page or 1) - 1, None)
        frames = open_animation(file.opened, policy)
        return (frame.picture for frame in frames if frame.end > (segment.start or 0.0))


@dataclass(frozen=True)
class _Media:
    """What a model is given, and what was read on it."""

    path: Path
    mime: str
    reading: Reading


class _Sheet:
    """Makes the segments of one file."""

    def __init__(self, file: SourceFile, described: Described, options: LoadOptions) -> None:
        self._file, self._described, self._options = file, described, options
        self._read: dict[Path, Reading] = {}

    def whole(self, picture: Image.Image) -> Segment:
        reading = read_picture(picture, self._file, "the picture")
        return self._segment(picture, _Media(*self._original, reading))

    def page(self, picture: Image.Image, page: int) -> Segment:
        reading = read_picture(picture, self._file, f"page {page}")
        media = _Media(*self._stored(picture), reading)
        return self._segment(picture, media, page=page)

    def frame(self, picture: Image.Image, start: float, end: float) -> Segment:
        path, mime = self._stored(picture)
        if path not in self._read:  # many animations go back and forth between the same pictures
            self._read[path] = read_picture(picture, self._file, "the text of the animation")
        media = _Media(path, mime, self._read[path])
        return self._segment(picture, media, start=start, end=end)

    def redrawn(self, segment: Segment, picture: Image.Image) -> Segment:
        is_whole = segment.page is None and segment.start is None
        path, mime = self._original if is_whole else self._stored(picture)
        preview = str(self._preview(picture))
        return replace(segment, media=str(path), preview=preview, mime_type=mime)

    @property
    def _original(self) -> tuple[Path, str]:
        return self._file.path, file_type(self._file.opened).mime

    def _segment(
        self,
        picture: Image.Image,
        media: _Media,
        *,
        page: int | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> Segment:
        words = word_boxes(media.reading, picture.size)
        return Segment(
            modality="image",
            source=self._file.source,
            sha256=self._file.sha256,
            text="\n\n".join(filter(None, [self._described.text, media.reading.text])),
            title=self._file.name_in_words,
            media=str(media.path),
            preview=str(self._preview(picture)),
            mime_type=media.mime,
            boxes=str(self._options.assets.write_boxes(words)) if words else None,
            page=page,
            start=start,
            end=end,
            metadata=self._metadata(picture),
        )

    def _metadata(self, picture: Image.Image) -> dict[str, Scalar]:
        known = {"taken": self._described.taken, "camera": self._described.camera}
        said = {name: value for name, value in known.items() if value}
        return {"width": picture.width, "height": picture.height, **said}

    def _preview(self, picture: Image.Image) -> Path:
        thumbnail = picture.copy()
        thumbnail.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
        return self._options.assets.write(thumbnail)

    def _stored(self, picture: Image.Image) -> tuple[Path, str]:
        store = self._options.assets
        return store.write(shrunk_to(picture, self._options.page_pixels)), store.picture_mime


def _pages(
    frames: Iterator[Image.Image], most: int, file: SourceFile
) -> Iterator[tuple[int, Image.Image]]:
    """Pages up to the first one that cannot be read: Pillow finds no way past it."""
    for page in range(1, most + 1):
        try:
            picture = next(frames)
        except InputError as error:
            if page == 1:
                raise
            file.notes.append(f"from page {page} on it could not be read: {error}")
            return
        yield page, picture


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
