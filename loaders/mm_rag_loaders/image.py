"""ImageLoader: a picture with the text on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from mm_rag.errors import InputError
from mm_rag.media.image import image_description, image_format, open_frames
from mm_rag.media.kind import file_type
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.assets import PICTURE_MIME
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.seen_text import seen_text

_THUMBNAIL_SIDE = 512


class ImageLoader(Loader):
    """Reads pictures: one segment each; of a TIFF one per page, of an animation the first frame."""

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the picture, or the pages of a multi-page TIFF.

        Raises:
            UnreadableMedia: It is damaged or of a format that Pillow does not read.
            MediaTooLarge: It is over a limit of the policy.
        """
        policy = self.options.policy
        kind, count = image_format(file.path, policy)
        has_pages = kind == "TIFF" and count > 1
        # Further pictures in a phone's MPO are its depth map, or the scene for the other eye.
        if count > 1 and not has_pages and kind != "MPO":
            file.notes.append(f"animated: the first of {count} frames was read")
        description = image_description(file.path, policy)
        frames = open_frames(file.path, policy)
        if not has_pages:
            yield self._segment(next(frames), description, file, page=None)
            return
        for page, picture in _pages(frames, min(count, policy.max_pages), file):
            yield self._segment(picture, description, file, page=page)

    def _segment(
        self, picture: Image.Image, description: str, file: SourceFile, page: int | None
    ) -> Segment:
        place = "the picture" if page is None else f"page {page}"
        text = "\n\n".join(filter(None, [description, seen_text(picture, file, place=place)]))
        width, height = picture.size
        metadata: dict[str, Scalar] = {"width": width, "height": height}
        media, mime = file.path, file_type(file.path).mime
        if page is not None:
            media, mime = self.options.assets.write(self._bounded(picture)), PICTURE_MIME
        return Segment(
            modality="image",
            source=file.source,
            sha256=file.sha256,
            text=text,
            title=file.name_in_words,
            media=str(media),
            preview=str(self._preview(picture)),
            mime_type=mime,
            page=page,
            metadata=metadata,
        )

    def _preview(self, picture: Image.Image) -> Path:
        thumbnail = picture.copy()
        thumbnail.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
        return self.options.assets.write(thumbnail)

    def _bounded(self, picture: Image.Image) -> Image.Image:
        scale = (self.options.page_pixels / (picture.width * picture.height)) ** 0.5
        if scale >= 1:
            return picture
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        return picture.resize(size, Image.Resampling.LANCZOS)


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
