"""Print: the pages of an office file as LibreOffice prints them, or the reason why it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mm_rag.errors import InputError, MediaTooLarge, MissingExtra, UnreadableMedia
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.office import libreoffice

PRINTED_PAGE = "printed_page"
"""Metadata of a slide whose page in the PDF has another number."""


class Print:
    """The pages of a file.

    Args:
        copy: The copy that LibreOffice prints.
        file: The file.
        options: Options for reading the pages.

    Attributes:
        problem: Why it could not be printed, or had blank pages only; None if it was printed.
    """

    def __init__(self, copy: Path, file: SourceFile, options: LoadOptions) -> None:
        self._copy = copy
        self._file = file
        self._options = options
        self.problem: InputError | None = None

    def everything(self) -> Iterator[Segment]:
        """Yield each page's picture, then its passages, as the PDF has them.

        Raises:
            MissingExtra: LibreOffice is not installed.
            SourceForbidden: LibreOffice cannot be kept from files outside the policy's `roots`.
            MediaTooLarge: It takes longer than the policy allows.
            UnreadableMedia: LibreOffice cannot open it, or all pages are blank.
        """
        with libreoffice.printed(self._copy, self._file, self._options) as (loader, pdf):
            for segment in loader.segments(pdf):
                yield replace(segment, metadata=_own(segment.metadata))

    def pages(self) -> Iterator[Segment]:
        """Yield each page's picture with the words on it.

        Raises:
            SourceForbidden: LibreOffice cannot be kept from files outside the policy's `roots`.
        """
        try:
            yield from (each for each in self.everything() if each.modality == "image")
        except MissingExtra as error:
            self._file.note_missing("the picture of each page", error)
            self.problem = UnreadableMedia(str(error))
        except (UnreadableMedia, MediaTooLarge) as error:
            self.problem = error

    def note_problem(self) -> None:
        """Note why there are no pictures of the pages, though there is text."""
        if isinstance(self.problem, MediaTooLarge):
            self._file.note("limit", f"only its text was read: {self.problem}")
        elif self.problem is not None and not self._file.missing:
            self._file.note("damaged", f"only its text was read: {self.problem}")

    def redrawn(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield segments with their pages drawn again; raises as `everything`."""
        drawn = [segment for segment in segments if segment.media is not None]
        with libreoffice.printed(self._copy, self._file, self._options) as (loader, pdf):
            pages = loader.redrawn(pdf, [_of_pdf(segment) for segment in drawn])
            for segment in segments:
                if segment.media is None:
                    yield segment
                else:
                    yield replace(next(pages), page=segment.page)


def _of_pdf(segment: Segment) -> Segment:
    """A segment with the number of its page in the PDF."""
    number = segment.metadata.get(PRINTED_PAGE)
    return replace(segment, page=number) if isinstance(number, int) else segment


def _own(metadata: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Metadata of the PDF without its dates, which are those of the conversion."""
    kept = {name: value for name, value in metadata.items() if name not in ("created", "modified")}
    return {**kept, "converted_by": "LibreOffice"}
