"""PDFLoader: every page as a picture with its text, and the passages of the text."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

from mm_rag._optional import install_command
from mm_rag._printing import counted
from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.media.access import FileSource, opened
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.load_options import LoadOptions, PDFBackend
from mm_rag_loaders.loader import Loader, Member, SourceFile
from mm_rag_loaders.passages import Passage, passages, passages_of
from mm_rag_loaders.pdf.bookmarks import Bookmark
from mm_rag_loaders.pdf.page import Block, PageContent, PDFDocument
from mm_rag_loaders.pdf.page_content import MOST_GIBBERISH
from mm_rag_loaders.pdf.scans import with_scans_read
from mm_rag_loaders.pdf.unprinted import FORM_HEADING, NO_EXTRAS, Unprinted, unprinted_of
from mm_rag_loaders.unpacking import MemberNames, scratch_folder

_MEANINGLESS = ("(anonymous)", "(unspecified)", "anonymous", "unknown")
_LINK_SCHEMES = ("http://", "https://", "mailto:", "ftp://")
_MOST_LINKS = 50  # of a page
_MOST_LINK_LETTERS = 4000
_MOST_NAMED = 10  # layers


class PDFLoader(Loader):
    """Reads PDFs: for each page a segment of modality `image`, then one for each text passage.

    Pages without a text layer, or with hardly any text in it, are read by OCR. Blank pages give no
    segments. Damaged pages are left out and noted.
    """

    becomes: ClassVar[str] = (
        "each page as a picture with its words; passages with headings; tables as "
        "Markdown; text in pictures and on scans (OCR); comments; form fields; attachments; links"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield each page's screenshot, then its passages.

        Raises:
            PasswordNeeded: The document is locked, and `LoadOptions.password` does not open it.
            UnreadableMedia: It is damaged beyond repair, or all pages are blank.
        """
        blank: list[int] = []
        partly: list[int] = []
        unseen: dict[int, int] = {}
        found = False
        options = self.options
        with (
            open_pdf(file.opened, options.password, options.pdf_backend) as document,
            self._unprinted(file) as unprinted,
        ):
            if document.is_repaired:
                file.note("damaged", "damaged; repaired while opening")
            about = _DocumentInfo.of(document, file)
            heads = _Headings(document.page_count, unprinted.bookmarks)
            _note_unprinted(unprinted, file)
            if unprinted.form_lines:
                yield from self._form(unprinted.form_lines, about, file)
                return
            for number in _page_numbers(document, file, self.options):
                page = self._page(document, number, file, unprinted)
                if page is None:
                    continue
                if page.is_blank and not page.additions:
                    blank.append(number)
                    continue
                found = True
                if page.unseen:
                    unseen[number] = page.unseen
                if 0 < page.gibberish <= MOST_GIBBERISH:
                    partly.append(number)
                yield from self._page_segments(page, about, heads, file)
            if not found and not unprinted.has_attachments:
                raise UnreadableMedia(_nothing_found(document, file))
            if not document.is_repaired and (complaint := document.complaint()):
                file.note("damaged", f"damaged in places: {complaint}")
        if blank:
            file.note("blank", f"blank: {_page_list(blank)}")
        if unseen:
            file.note("hidden", _unseen(unseen))
        if partly:
            file.note(
                "damaged",
                f"some of the words on {_page_list(partly)} are not those that are printed: their "
                "font does not say which letters it draws",
            )

    @contextmanager
    def _unprinted(self, file: SourceFile) -> Generator[Unprinted]:
        with ExitStack() as closing:
            try:
                yield closing.enter_context(unprinted_of(file.opened, self.options.password))
            except MissingExtra as error:
                file.note_missing("what is not printed (comments, form fields, attachments)", error)
                yield Unprinted(None)

    def _form(
        self, lines: Sequence[str], about: _DocumentInfo, file: SourceFile
    ) -> Iterator[Segment]:
        """Passages of a form that is XML beside the pages."""
        found = passages("\n".join(lines), max_words=self.options.passage_words)
        for part, passage in enumerate(found):
            yield file.text_segment(
                passage,
                title=about.title,
                part=part,
                page=1,
                heading=FORM_HEADING,
                **about.metadata,
            )

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the files that are attached to the document, to its pages, or to comments."""
        most = self.options.policy.max_bytes
        names = MemberNames()
        with self._unprinted(file) as unprinted, scratch_folder() as scratch:
            for each in unprinted.attachments():
                name = names.unique(each.name)
                try:
                    path, is_cut = scratch.written(name, each.chunks(), most)
                except OSError as error:
                    file.note("damaged", f"the attachment {name} could not be read: {error}")
                    continue
                if is_cut:
                    file.note(
                        "limit",
                        f"the attachment {name} was not read: it has more than {most:,} bytes "
                        "(MediaPolicy.max_bytes)",
                    )
                    continue
                yield Member(name, path, text=each.about)

    def _page(
        self, document: PDFDocument, number: int, file: SourceFile, unprinted: Unprinted
    ) -> PageContent | None:
        extras, damage = NO_EXTRAS, ""
        try:
            extras = unprinted.page(number)
        except UnreadableMedia as error:
            damage = f"comments and form fields of page {number} are damaged: {error}"
        try:
            page = document.read_page(number, self._max_pixels, extras)
        except UnreadableMedia as error:
            file.note("damaged", f"page {number} could not be read: {error}")
            return None
        if damage:
            file.note("damaged", damage)
        return page

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield segments of a PDF with their pages drawn again.

        Word boxes are written again too, unless they came from OCR.

        Raises:
            PasswordNeeded: `LoadOptions.password` does not open it.
            UnreadableMedia: It can no longer be read.
        """
        options = self.options
        shots: dict[int | None, _PagePicture] = {}
        with open_pdf(file.opened, options.password, options.pdf_backend) as document:
            for segment in segments:
                if segment.page not in shots:
                    shots[segment.page] = self._shot_of(document, segment, file)
                shot = shots[segment.page]
                yield replace(
                    segment,
                    media=shot.path,
                    preview=shot.path,
                    mime_type=shot.mime_type,
                    boxes=shot.boxes,
                )

    def _shot_of(self, document: PDFDocument, segment: Segment, file: SourceFile) -> _PagePicture:
        try:
            page = document.read_page(segment.page or 1, self._max_pixels)
        except UnreadableMedia as error:
            raise UnreadableMedia(f"{file.name}, {segment.where}: {error}") from error
        return self._shot(replace(page, words=()) if segment.metadata.get("ocr") else page)

    def _shot(self, page: PageContent) -> _PagePicture:
        store = self.options.assets
        boxes = str(store.write_boxes(page.words)) if page.words else None
        return _PagePicture(str(store.write(page.picture)), store.picture_mime, boxes)

    @property
    def _max_pixels(self) -> int:
        return min(self.options.page_pixels, self.options.policy.max_pixels)

    def _page_segments(
        self, page: PageContent, about: _DocumentInfo, heads: _Headings, file: SourceFile
    ) -> Iterator[Segment]:
        if page.is_reduced:
            file.note("limit", f"page {page.number} is huge; its picture is much reduced")
        page, by_ocr = with_scans_read(page, file)
        metadata = dict(about.metadata) | _page_metadata(page)
        if by_ocr:
            metadata["ocr"] = True
        shot = self._shot(page)

        def segment(modality: Literal["image", "text"], words: Passage, part: int) -> Segment:
            return Segment(
                modality=modality,
                source=file.source,
                sha256=file.sha256,
                text=words.text,
                title=about.title,
                media=shot.path,
                preview=shot.path,
                mime_type=shot.mime_type,
                boxes=shot.boxes,
                page=page.number,
                part=part,
                metadata=metadata | ({"heading": words.heading} if words.heading else {}),
            )

        found = heads.passages(page, self.options.passage_words)
        added = [each.text for each in page.additions if each.is_new]
        words = "\n\n".join(each for each in (page.text, *added) if each)
        yield segment("image", Passage(words, found[0].heading if found else ""), 0)
        for part, passage in enumerate(found):
            yield segment("text", passage, part)
        yield from self._additions(page, segment, len(found))

    def _additions(self, page: PageContent, segment: MakeSegment, part: int) -> Iterator[Segment]:
        """Passages of comments and form fields, after those of the page."""
        for each in page.additions:
            for words in passages(each.text, max_words=self.options.passage_words):
                found = segment("text", Passage(words), part)
                # The author of the document may be another one than that of a comment.
                about = {key: value for key, value in found.metadata.items() if key != "author"}
                yield replace(found, metadata=about | dict(each.metadata))
                part += 1


def _note_unprinted(unprinted: Unprinted, file: SourceFile) -> None:
    """Note what the pages do not show."""
    if unprinted.is_damaged:
        file.note("damaged", "bookmarks, layers or the form could not be read")
    if unprinted.hidden_layers:
        names = ", ".join(f"'{each}'" for each in unprinted.hidden_layers[:_MOST_NAMED])
        more = len(unprinted.hidden_layers) - _MOST_NAMED
        names += f" and {more} more" if more > 0 else ""
        file.note("hidden", f"layers that viewers do not show were left out: {names}")
    if unprinted.is_portfolio:
        file.note("form", "it is a portfolio: its pages are only the cover of the files in it")
    if unprinted.form_lines:
        file.note(
            "form",
            "it is an XFA form: its words and fields were read from the form's own data, and its "
            "page, which only asks for another viewer, was left out",
        )
    elif unprinted.is_only_form:
        file.note(
            "form",
            "it is an XFA form; no words were found in the form's data, and its page only asks "
            "for another viewer",
        )


MakeSegment: TypeAlias = Callable[[Literal["image", "text"], Passage, int], Segment]


@dataclass(frozen=True)
class _PagePicture:
    """The stored picture of a page, and the file with the boxes of its words."""

    path: str
    mime_type: str
    boxes: str | None


class _Headings:
    """Carries headings from one page to the next."""

    def __init__(self, pages: int, bookmarks: Sequence[Bookmark]) -> None:
        self._pages = pages
        self._bookmarks = bookmarks
        self._next = 0  # bookmark
        self._nearest = ""
        self._waiting: tuple[Block, ...] = ()

    def passages(self, page: PageContent, max_words: int) -> list[Passage]:
        """The passages of a page; headings at its end move to the text of the next page."""
        blocks = (*self._waiting, *page.blocks)
        rest = len(blocks)
        while rest and blocks[rest - 1].kind == "heading" and page.number < self._pages:
            rest -= 1
        rest = rest or len(blocks)
        self._waiting = blocks[rest:]
        self._see_bookmarks(page.number)
        found = passages_of(blocks[:rest], max_words=max_words, heading=self._nearest)
        for block in blocks:
            if block.kind == "heading":
                self._nearest = " ".join(block.text.split())
        return found

    def _see_bookmarks(self, number: int) -> None:
        """Take the bookmark that a page begins with, or the last one before it, as its heading.

        A heading that is printed later than the bookmark stays.
        """
        first = self._next
        while self._next < len(self._bookmarks) and self._bookmarks[self._next].page <= number:
            self._next += 1
        passed = self._bookmarks[first : self._next]
        if passed:
            own = next((each for each in passed if each.page == number), passed[-1])
            self._nearest = own.path


@dataclass(frozen=True)
class _DocumentInfo:
    title: str
    metadata: dict[str, Scalar]

    @classmethod
    def of(cls, document: PDFDocument, file: SourceFile) -> _DocumentInfo:
        metadata: dict[str, Scalar] = {"pages": document.page_count}
        for key in ("author", "subject", "keywords", "created", "modified"):
            value = document.metadata.get(key)
            if value and value.lower() not in _MEANINGLESS:
                metadata[key] = value
        return cls(_title(document.metadata.get("title", "")) or file.name_in_words, metadata)


def _page_metadata(page: PageContent) -> dict[str, Scalar]:
    metadata: dict[str, Scalar] = {}
    if page.label:
        metadata["page_label"] = page.label
    links = [link for link in page.links if link.lower().startswith(_LINK_SCHEMES)]
    kept, length = list[str](), 0
    for link in links[:_MOST_LINKS]:
        length += len(link)
        if length <= _MOST_LINK_LETTERS and "\n" not in link:
            kept.append(link)
    if kept:
        metadata["links"] = "\n".join(kept)
    return metadata


def _title(title: str) -> str:
    """The title in the metadata; empty if it is a file name or a program's default."""
    lowered = title.lower()
    is_file_name = lowered.endswith((".doc", ".docx", ".indd", ".pdf", ".ppt", ".pptx", ".qxd"))
    is_default = lowered.startswith(("microsoft word -", "untitled", "powerpoint presentation"))
    letters = sum(letter.isalpha() for letter in title)
    return "" if is_file_name or is_default or letters < 4 or not title.isprintable() else title


def _page_numbers(document: PDFDocument, file: SourceFile, options: LoadOptions) -> range:
    most = options.policy.max_pages
    if document.page_count > most:
        file.note(
            "limit",
            f"only the first {most} of {document.page_count} pages were read "
            "(MediaPolicy.max_pages)",
        )
    return range(1, min(document.page_count, most) + 1)


def _nothing_found(document: PDFDocument, file: SourceFile) -> str:
    what = "no pages" if document.page_count == 0 else "no page with anything on it"
    reason = document.complaint()
    return f"{file.path.name} has {what}" + (f": {reason}." if reason else ".")


def _unseen(words: dict[int, int]) -> str:
    count = counted(sum(words.values()), "word")
    return (
        f"{count} that cannot be seen were left out on {_page_list([*words])}: outside of the "
        "page, covered, very small, or in the colour of the ground"
    )


def _page_list(numbers: list[int]) -> str:
    """`[1, 3, 4, 5]` as `"pages 1, 3-5"`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    spans = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return f"page{'s' if len(numbers) > 1 else ''} {', '.join(spans)}"


def open_pdf(path: FileSource, password: str | None, backend: PDFBackend | None) -> PDFDocument:
    """Open a PDF with a library, by default PyMuPDF if it is installed, else pypdfium2.

    Raises:
        PasswordNeeded: It is locked, and the password does not open it.
        UnreadableMedia: It is damaged beyond repair.
        MissingExtra: The library is not installed, or neither of the two is.
    """
    with opened(path) as file:
        if (backend or _installed()) == "pdfium":
            from mm_rag_loaders.pdf.pdfium import PdfiumDocument

            return PdfiumDocument(file, password)
        from mm_rag_loaders.pdf.mupdf import MuPDFDocument

        return MuPDFDocument(file, password)


def _installed() -> PDFBackend:
    packages: dict[PDFBackend, str] = {"pymupdf": "pymupdf", "pdfium": "pypdfium2"}
    for backend, package in packages.items():
        if importlib.util.find_spec(package) is not None:
            return backend
    raise MissingExtra(
        "Reading PDFs needs the package 'pymupdf' (AGPL-3.0) or 'pypdfium2' (BSD-3, Apache-2.0), "
        f"and neither is installed. Install one of them with: {install_command('pdf')} or "
        f"{install_command('pdfium')}"
    )
