"""ImageLoader: pictures, pages of TIFFs and scenes of animations, with their text and labels.

A picture with more text than one passage holds, such as a scan, also gives the passages of the
text: a model for text looks at the beginning of a long one only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import ClassVar

from PIL import Image

from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.extraction.frame_sampling import Thumbnail, differs, thumbnail
from mm_rag.extraction.ocr import OCRResult, word_boxes
from mm_rag.media.access import OpenedFile
from mm_rag.media.image import (
    TimedFrame,
    image_format,
    image_metadata,
    open_animation,
    open_frames,
    shrunk_to,
)
from mm_rag.media.image_metadata import ImageMetadata
from mm_rag.media.kind import file_type
from mm_rag.media.policy import MediaPolicy
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import Loader, SourceFile, label_picture, read_picture
from mm_rag_loaders.passages import passages

_THUMBNAIL_SIDE = 512
_PAGED = frozenset({"DCX", "TIFF"})

_SHORTEST = 0.5  # seconds from one frame that is kept to the next
_MOST_KEPT = 32
_ANIMATED = frozenset({"AVIF", "FLI", "GIF", "PNG", "WEBP"})


class ImageLoader(Loader):
    """Reads pictures: one segment each, one per page of a TIFF, one per scene of an animation.

    A long text on one of them, such as that of a scanned letter, gives segments of its passages.
    """

    becomes: ClassVar[str] = (
        "the picture, the pages of a TIFF, the scenes of an animation; text on it (OCR), with the "
        "passages of a long one; words for what a photo shows; captions in EXIF, XMP and IPTC"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the picture, the pages of a TIFF, or the distinct frames of an animation.

        Each is followed by the passages of its text if that is long.

        Raises:
            UnreadableMedia: It is damaged, or in a format that Pillow does not read.
            MediaTooLarge: It is over a limit of the policy.
            MissingExtra: It is a HEIC photo and pillow-heif is not installed.
        """
        policy = self.options.policy
        kind, count = image_format(file.opened, policy)
        sheet = _SegmentMaker(file, image_metadata(file.opened, policy), self.options)
        if kind in _PAGED and count > 1:
            frames = open_frames(file.opened, policy)
            for page, picture in _pages(frames, min(count, policy.max_pages), file):
                yield from sheet.page(picture, page)
            return
        kept = kept_frames(file, count, policy) if is_animation(kind, count) else []
        if len(kept) < 2:
            yield from sheet.whole(next(open_frames(file.opened, policy)))
            return
        pictures = pictures_of(file.opened, kept, policy)
        for span, picture in zip(kept, pictures, strict=False):
            yield from sheet.frame(picture, span.start, span.end)

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield segments of a picture with their thumbnails, pages and frames drawn again.

        Raises:
            UnreadableMedia: It can no longer be read.
            MediaTooLarge: It is over a limit of the policy.
        """
        sheet = _SegmentMaker(file, ImageMetadata(), self.options)
        for segment in segments:
            picture = next(self._pictures(file, segment), None)
            if picture is None:
                raise UnreadableMedia(f"{file.name} has no {segment.where}.")
            yield sheet.redrawn(segment, picture)

    def _pictures(self, file: SourceFile, segment: Segment) -> Iterator[Image.Image]:
        """The pictures of a file, starting with that of a segment."""
        policy = self.options.policy
        if segment.start is None:
            return islice(open_frames(file.opened, policy), (segment.page or 1) - 1, None)
        frames = open_animation(file.opened, policy)
        return (frame.picture for frame in frames if frame.end > (segment.start or 0.0))


@dataclass(frozen=True)
class _Media:
    """The picture that the model encodes, the text on it, and words for what it shows."""

    path: Path
    mime: str
    reading: OCRResult
    labels: str = ""


class _SegmentMaker:
    """Makes the segments of one file and writes their pictures."""

    def __init__(self, file: SourceFile, described: ImageMetadata, options: LoadOptions) -> None:
        self._file, self._described, self._options = file, described, options
        self._read: dict[Path, tuple[OCRResult, str]] = {}

    def whole(self, picture: Image.Image) -> Iterator[Segment]:
        reading = read_picture(picture, self._file, "the picture")
        labels = self._labels(picture, reading)
        yield from self._segments(picture, _Media(*self._original, reading, labels))

    def page(self, picture: Image.Image, page: int) -> Iterator[Segment]:
        reading = read_picture(picture, self._file, f"page {page}")
        media = _Media(*self._stored(picture), reading)
        yield from self._segments(picture, media, page=page)

    def frame(self, picture: Image.Image, start: float, end: float) -> Iterator[Segment]:
        path, mime = self._stored(picture)
        if path not in self._read:  # many animations alternate between the same pictures
            reading = read_picture(picture, self._file, "the text of the animation")
            self._read[path] = (reading, self._labels(picture, reading))
        media = _Media(path, mime, *self._read[path])
        yield from self._segments(picture, media, start=start, end=end)

    def redrawn(self, segment: Segment, picture: Image.Image) -> Segment:
        is_whole = segment.page is None and segment.start is None
        path, mime = self._original if is_whole else self._stored(picture)
        preview = str(self._preview(picture))
        return replace(segment, media=str(path), preview=preview, mime_type=mime)

    def _labels(self, picture: Image.Image, reading: OCRResult) -> str:
        if not self._options.photo_labels:
            return ""
        return label_picture(picture, reading.text, self._file)

    @property
    def _original(self) -> tuple[Path, str]:
        return self._file.path, file_type(self._file.opened).mime

    def _segments(
        self,
        picture: Image.Image,
        media: _Media,
        *,
        page: int | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> Iterator[Segment]:
        words = word_boxes(media.reading, picture.size)
        whole = Segment(
            modality="image",
            source=self._file.source,
            sha256=self._file.sha256,
            text="\n\n".join(
                filter(None, [self._described.text, media.reading.text, media.labels])
            ),
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
        yield whole
        found = passages(media.reading.text, max_words=self._options.passage_words)
        # A text that fits into one passage is found by the picture's own segment.
        for part, passage in enumerate(found if len(found) > 1 else []):
            yield replace(whole, modality="text", text=passage, part=part)

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
    """Pages up to the first one that cannot be read: Pillow cannot skip it."""
    for page in range(1, most + 1):
        try:
            picture = next(frames)
        except InputError as error:
            if page == 1:
                raise
            file.note("damaged", f"from page {page} on it could not be read: {error}")
            return
        yield page, picture


@dataclass(frozen=True, kw_only=True)
class KeptFrame:
    """A frame that represents a scene of an animation.

    Attributes:
        number: Index of the frame, from 0.
        start: Start of the scene, in seconds.
        end: Start of the next scene, or end of the animation, in seconds.
    """

    number: int
    start: float
    end: float


def kept_frames(file: SourceFile, count: int, policy: MediaPolicy) -> list[KeptFrame]:
    """Choose the distinct frames of an animation, at most two a second and 32 in all.

    It is decoded once, holding one of its `count` frames at a time. Left-out frames are noted.

    Raises:
        UnreadableMedia: Its first frame is damaged.
        MediaTooLarge: It is over a limit of the policy.
    """
    if count > policy.max_frames:
        file.note(
            "limit",
            f"the first {policy.max_frames:,} of {count:,} frames were looked at "
            "(MediaPolicy.max_frames)",
        )
    chosen = _distinct(_bounded(_readable(open_animation(file.opened, policy), file), policy, file))
    most = _thinned(chosen, _MOST_KEPT)
    if len(most) < len(chosen):
        file.note("limit", f"{len(most)} of {len(chosen)} different frames were kept")
    return most


def pictures_of(
    file: OpenedFile, kept: Sequence[KeptFrame], policy: MediaPolicy
) -> Iterator[Image.Image]:
    """The pictures of some frames of an animation, one by one."""
    wanted = {frame.number for frame in kept}
    for number, frame in enumerate(open_animation(file, policy)):
        if number in wanted:
            yield frame.picture
        if number >= kept[-1].number:
            return


def _readable(frames: Iterator[TimedFrame], file: SourceFile) -> Iterator[TimedFrame]:
    """Frames up to the first one that cannot be read: Pillow cannot skip it."""
    number = 0
    while True:
        try:
            frame = next(frames, None)
        except InputError as error:
            if number == 0:
                raise
            file.note("damaged", f"from frame {number + 1} on it could not be read: {error}")
            return
        if frame is None:
            return
        number += 1
        yield frame


def _bounded(
    frames: Iterator[TimedFrame], policy: MediaPolicy, file: SourceFile
) -> Iterator[TimedFrame]:
    """Frames until half of the policy's time has passed: they are decoded twice."""
    began = time.monotonic()
    for frame in frames:
        yield frame
        if time.monotonic() - began > policy.max_load_seconds / 2:
            file.note(
                "limit",
                f"only looked at until {frame.end:.1f} s: it took too long "
                "(MediaPolicy.max_load_seconds)",
            )
            return


def _distinct(frames: Iterator[TimedFrame]) -> list[KeptFrame]:
    """The first frame, and every frame that differs from the last one kept."""
    starts: list[tuple[int, float]] = []
    last: Thumbnail | None = None
    end = 0.0
    for number, (frame, is_last) in enumerate(_with_end(frames)):
        end = frame.end
        earliest = starts[-1][1] + _SHORTEST if starts else 0.0
        # The last frame is always compared, however short.
        if frame.end <= earliest and not is_last:
            continue
        seen = thumbnail(frame.picture)
        if last is None or differs(seen, last):
            last = seen
            on_time = frame.end > earliest
            starts.append((number, max(frame.start, earliest) if on_time else frame.start))
    return _spans(starts, end)


def _with_end(frames: Iterator[TimedFrame]) -> Iterator[tuple[TimedFrame, bool]]:
    """Every frame, and whether it is the last."""
    held = next(frames, None)
    while held is not None:
        following = next(frames, None)
        yield held, following is None
        held = following


def _spans(starts: Sequence[tuple[int, float]], end: float) -> list[KeptFrame]:
    bounds = pairwise([*(start for _, start in starts), end])
    return [
        KeptFrame(number=number, start=round(start, 3), end=round(stop, 3))
        for (number, _), (start, stop) in zip(starts, bounds, strict=True)
    ]


def _thinned(kept: Sequence[KeptFrame], most: int) -> list[KeptFrame]:
    """At most `most` of the frames, evenly spaced; each lasts until the next one."""
    if len(kept) <= most:
        return list(kept)
    numbers = [round(n * len(kept) / most) for n in range(most)]
    starts = [(kept[n].number, kept[n].start) for n in numbers]
    return _spans(starts, kept[-1].end)


def is_animation(kind: str, count: int) -> bool:
    """Whether the pictures in one file follow each other in time.

    In an MPO they are depth maps or stereo views, in a Photoshop file layers, in an icon sizes.
    """
    return count > 1 and kind in _ANIMATED
