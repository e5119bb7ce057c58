"""IWorkLoader: Pages, Numbers and Keynote, as far as their previews show them.

Apple does not document the format itself. Older files have a preview of all pages as PDF, newer
ones a picture of the first page.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from mm_rag._temporary import TemporaryFolder
from mm_rag.errors import MediaTooLarge, PasswordNeeded, UnreadableMedia
from mm_rag.media.access import opened
from mm_rag.segment import Segment
from mm_rag_loaders.image_loader import ImageLoader
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.office.package import Package, opened_package
from mm_rag_loaders.pdf import PDFLoader

_PDF = "QuickLook/Preview.pdf"
_PICTURES = ("preview.jpg", "QuickLook/Preview.jpg", "QuickLook/Thumbnail.jpg", "preview-web.jpg")
_LOCKS = (".iwpv2", ".iwph")


class IWorkLoader(Loader):
    """Reads the preview in Pages, Numbers and Keynote files."""

    becomes: ClassVar[str] = (
        "the pages of the preview in it, as for a PDF; of newer files a picture of the first page"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the pages of the preview, or its only picture.

        Raises:
            PasswordNeeded: The file is locked.
            MediaTooLarge: The preview is over the policy's `max_bytes`.
            UnreadableMedia: It is damaged, or has no preview.
        """
        with self._preview(file) as (loader, preview):
            if isinstance(loader, ImageLoader):
                file.note(
                    "unsupported",
                    "only the picture of its first page was read: export it as PDF or in a format "
                    "of Microsoft Office to read the rest",
                )
            yield from loader.segments(preview)

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield segments of the preview with their pictures drawn again; raises as `segments`."""
        with self._preview(file) as (loader, preview):
            yield from loader.redrawn(preview, segments)

    @contextmanager
    def _preview(self, file: SourceFile) -> Generator[tuple[PDFLoader | ImageLoader, SourceFile]]:
        # What is unpacked is not in the policy's `roots`.
        options = replace(self.options, policy=replace(self.options.policy, roots=None))
        with TemporaryFolder() as folder, opened_package(file.opened, file.name) as package:
            if package.has(_PDF):
                path = self._unpacked(package, _PDF, folder.path / Path(file.name).name, file)
                loader = PDFLoader(options)
            elif picture := next(filter(package.has, _PICTURES), None):
                path = self._unpacked(package, picture, folder.path / "preview.jpg", file)
                path = options.assets.keep_file(path, ".jpg")
                loader = ImageLoader(options)
            elif any(name.endswith(_LOCKS) for name in package.names):
                raise PasswordNeeded(f"{file.name} is locked with a password: save it without.")
            else:
                raise UnreadableMedia(
                    f"{file.name} has no preview, which is all that can be read of such a file: "
                    "export it as PDF."
                )
            with opened(path) as preview:
                yield loader, replace(file, path=path, opened=preview)

    def _unpacked(self, package: Package, part: str, path: Path, file: SourceFile) -> Path:
        most = self.options.policy.max_bytes
        if package.size(part) > most:
            raise MediaTooLarge(
                f"The preview of {file.name} has {package.size(part):,} bytes; "
                f"MediaPolicy.max_bytes allows {most:,}."
            )
        with package.opened(part) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
        return path
