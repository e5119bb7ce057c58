"""ImageLoader: a picture with the text on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from PIL import Image

from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.extraction.ocr import Reading, word_boxes
from mm_rag.media.image import (
    image_description,
    image_format,
    open_animation,
    open_frames,
    shrunk_to,
)
from mm_rag.media.image_metadata import Described
from mm_rag.media.kind import file_type
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.animation import is_animation, kept_frames, pictures_of
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.seen_text import read_picture

_THUMBNAIL_SIDE = 512
_PAGED = frozenset({"DCX", "TIFF"})


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
