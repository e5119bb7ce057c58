"""OfficeLoader: Word, PowerPoint, OpenDocument and RTF files.

The text comes from the file's own structure, and the picture of each page from the PDF that
LibreOffice makes of it. Formats before Office Open XML are first converted to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeAlias

from mm_rag._printing import counted
from mm_rag._temporary import TemporaryFolder
from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.loader import Loader, Member, SourceFile
from mm_rag_loaders.office import libreoffice
from mm_rag_loaders.office.blocks import Item
from mm_rag_loaders.office.embedded import embedded_files, may_have_embedded
from mm_rag_loaders.office.final_copy import final_copy
from mm_rag_loaders.office.matching import PageMatcher
from mm_rag_loaders.office.opendocument import OpenSlideReader, OpenTextReader
from mm_rag_loaders.office.package import Package, opened_package
from mm_rag_loaders.office.page_text import PageText
from mm_rag_loaders.office.printing import PRINTED_PAGE, Print
from mm_rag_loaders.office.properties import Properties, properties_of
from mm_rag_loaders.office.slides import Slide, SlideReader, note_hidden
from mm_rag_loaders.office.word import WordReader

_OLD = {".doc": "docx", ".rtf": "docx", ".ppt": "pptx"}
_Reader: TypeAlias = WordReader | SlideReader | OpenTextReader | OpenSlideReader
_READERS: dict[str, type[_Reader]] = {
    ".docx": WordReader,
    ".pptx": SlideReader,
    ".odt": OpenTextReader,
    ".odp": OpenSlideReader,
}
_TOGETHER = 200  # items that are made to passages together where there are no pages


class OfficeLoader(Loader):
    """Reads Word, PowerPoint, OpenDocument and RTF files.

    LibreOffice converts a copy to PDF in a temporary folder, with a profile that turns off macros,
    links to other files, and the network. Without LibreOffice only the text is read, and nothing
    of the formats before Office Open XML.

    The settings of LibreOffice do not stop every picture that a file names by its path. On Linux
    the kernel does (`office/sandbox.py`); elsewhere files are refused if the policy has `roots`.
    """

    becomes: ClassVar[str] = (
        "a picture of each page or slide; the text under its headings, with tables, notes, "
        "comments, alternative texts, charts, hidden text and hidden slides; embedded files"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield for each page its picture, its passages, and what its print does not show.

        Raises:
            MissingExtra: LibreOffice is not installed, and the format needs it.
            SourceForbidden: LibreOffice cannot be kept from files outside the policy's `roots`.
            PasswordNeeded: The file is locked.
            MediaTooLarge: It takes longer than the policy allows, or unpacks to too many bytes.
            UnreadableMedia: It is damaged, or there is nothing in it.
        """
        with libreoffice.copied(file, self.options.policy) as copy, ExitStack() as opened:
            path = self._readable(copy, file)
            structure = self._structure(path, file, opened)
            printed = Print(final_copy(path) or copy, file, self.options)
            if structure is None:
                yield from printed.everything()
                return
            found = False
            for segment in self._merged(structure, printed, file):
                yield segment
                found = True
            if not found:
                raise printed.problem or UnreadableMedia(f"{file.name} has no words in it.")
            printed.note_problem()

    def _readable(self, copy: Path, file: SourceFile) -> Path:
        """The file in a format whose structure can be read, if there is one."""
        to = _OLD.get(copy.suffix)
        try:
            return libreoffice.converted(copy, file, self.options.policy, to) if to else copy
        except UnreadableMedia:  # printing it will say why
            return copy

    def _structure(self, path: Path, file: SourceFile, opened: ExitStack) -> _Structure | None:
        """The structure of the file; None if only its print can be read."""
        reader = _READERS.get(path.suffix)
        if reader is None:
            return None
        try:
            package = opened.enter_context(opened_package(path, file.name))
            _note_dangers(package, file)
            return _Structure(reader(package, file), properties_of(package))
        except MissingExtra as error:
            file.note_missing("its structure", error)
        except UnreadableMedia as error:
            file.note("damaged", f"only its print was read: {error}")
        return None

    def _merged(self, structure: _Structure, printed: Print, file: SourceFile) -> Iterator[Segment]:
        text = PageText(file, structure.about, self.options.passage_words)
        if isinstance(structure.reader, WordReader | OpenTextReader):
            yield from _text(structure.reader, text, printed, file)
        else:
            most = self.options.policy.max_pages
            yield from _slides(structure.reader, text, printed, most, file)

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the files that are embedded in a file, such as workbooks and recordings."""
        policy = self.options.policy
        with libreoffice.copied(file, policy) as copy, TemporaryFolder() as folder:
            path = copy
            if to := _OLD.get(copy.suffix):
                if not may_have_embedded(copy):
                    return
                path = libreoffice.converted(copy, file, policy, to)
            if path.suffix in _READERS:
                with opened_package(path, file.name) as package:
                    yield from embedded_files(package, folder.path, file)

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield segments of an office file with their pages drawn again; raises as `segments`."""
        if all(segment.media is None for segment in segments):
            yield from segments
            return
        with libreoffice.copied(file, self.options.policy) as copy:
            printed = final_copy(self._readable(copy, file)) or copy
            yield from Print(printed, file, self.options).redrawn(segments)


@dataclass(frozen=True)
class _Structure:
    """The reader of a file's structure, and what the file says of itself."""

    reader: _Reader
    about: Properties


def _note_dangers(package: Package, file: SourceFile) -> None:
    """Note what is neither run nor fetched."""
    if any(name.lower().endswith("vbaproject.bin") for name in package.names):
        file.note("unsupported", "its macros were neither read nor run")
    if package.outside:
        what = counted(package.outside, "picture, template or other file")
        file.note("unsupported", f"it refers to {what} outside of it, which was not opened")


def _text(
    reader: WordReader | OpenTextReader, text: PageText, printed: Print, file: SourceFile
) -> Iterator[Segment]:
    """The segments of a text: each page with what begins on it."""
    matcher = PageMatcher(_until_damage(reader.items(), file))
    last = None
    for page in printed.pages():
        items = matcher.next_page(page.text)
        others = matcher.others(page.text, items, reader.deleted)
        yield from text.of(items, page, others=others)
        last = page
    if last is None or last.page == last.metadata.get("pages"):
        rest = matcher.rest()
        while items := list(islice(rest, _TOGETHER)):
            yield from text.of(items, last, with_picture=False)


def _until_damage(items: Iterator[Item], file: SourceFile) -> Iterator[Item]:
    try:
        yield from items
    except (UnreadableMedia, RecursionError) as error:
        file.note("damaged", f"only a part of its structure was read: {error}")


def _slides(
    reader: SlideReader | OpenSlideReader,
    text: PageText,
    printed: Print,
    most: int,
    file: SourceFile,
) -> Iterator[Segment]:
    """The segments of a presentation: each slide with its page."""
    hidden: list[int] = []
    for slide, page in _with_pages(reader, printed.pages()):
        if slide.number > most:
            if printed.problem is not None:  # otherwise the reader of the pages has noted it
                what = f"only the first {most} of {reader.count} slides were read"
                file.note("limit", f"{what} (MediaPolicy.max_pages)")
            break
        hidden += [slide.number] if slide.is_hidden else []
        more: dict[str, Scalar] = {"place": f"slide {slide.number}"}
        more |= {"hidden": True} if slide.is_hidden else {}
        more |= {"section": slide.section} if slide.section else {}
        if page is not None and page.page != slide.number:
            more[PRINTED_PAGE] = page.page or 1
        others = PageMatcher(()).others(page.text, slide.items) if page else ""
        text.begin(slide.section)
        yield from text.of(slide.items, page, others=others, number=slide.number, more=more)
    note_hidden(file, hidden)


def _with_pages(
    reader: SlideReader | OpenSlideReader, pages: Iterator[Segment]
) -> Iterator[tuple[Slide, Segment | None]]:
    """Yield each slide with its page; None for a slide that is not printed or blank."""
    page = next(pages, None)
    # Versions of LibreOffice before 7.4 leave hidden slides out.
    are_all = page is None or page.metadata.get("pages") == reader.count
    number = 0
    for slide in reader.slides():
        number += are_all or not slide.is_hidden
        while page is not None and (page.page or 0) < number:
            page = next(pages, None)
        is_printed = are_all or not slide.is_hidden
        yield slide, page if page and is_printed and page.page == number else None
