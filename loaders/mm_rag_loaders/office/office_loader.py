"""OfficeLoader: texts, slides and sheets, converted to PDF by LibreOffice."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.office import libreoffice
from mm_rag_loaders.pdf import PDFLoader


class OfficeLoader(Loader):
    """Reads Word, PowerPoint, Excel, OpenDocument and RTF files as the pages that they print.

    LibreOffice converts a copy to PDF in a temporary folder, with a profile that turns off macros,
    links to other files, and the network. The segments are those of the PDF's pages.

    The settings of LibreOffice do not stop every picture that a file names by its path. On Linux
    the kernel does (`office/sandbox.py`); elsewhere files are refused if the policy has `roots`.
    """

    becomes: ClassVar[str] = "each printed page as a picture with its words; passages"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield each page's screenshot, then its passages.

        Raises:
            MissingExtra: LibreOffice is not installed.
            SourceForbidden: LibreOffice cannot be kept from files outside the policy's `roots`.
            PasswordNeeded: The file is locked.
            MediaTooLarge: It takes longer than the policy allows, or unpacks to too many bytes.
            UnreadableMedia: LibreOffice cannot open it, or all pages are blank.
        """
        with self._printed(file) as (loader, pdf):
            for segment in loader.segments(pdf):
                yield replace(segment, metadata=_own(segment.metadata))

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield segments of an office file with their pages drawn again; raises as `segments`."""
        with self._printed(file) as (loader, pdf):
            yield from loader.redrawn(pdf, segments)

    @contextmanager
    def _printed(self, file: SourceFile) -> Generator[tuple[PDFLoader, SourceFile]]:
        libreoffice.find_program()
        with (
            libreoffice.copied(file, self.options.policy) as copy,
            libreoffice.printed(copy, file, self.options) as printed,
        ):
            yield printed


def _own(metadata: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Metadata of the PDF without its dates, which are those of the conversion."""
    kept = {name: value for name, value in metadata.items() if name not in ("created", "modified")}
    return {**kept, "converted_by": "LibreOffice"}
