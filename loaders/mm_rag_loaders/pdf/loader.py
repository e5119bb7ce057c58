"""PDFLoader: every page as a picture with its text, and the text's passages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mm_rag.errors import UnreadableMedia
from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.assets import PICTURE_MIME
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.passages import passages
from mm_rag_loaders.pdf.document import PDFDocument, open_pdf
from mm_rag_loaders.pdf.page import PageContent
from mm_rag_loaders.seen_text import seen_text


class PDFLoader(Loader):
    """Reads PDFs: per page one segment of modality `image`, then one per passage of its text.

    A page that has (nearly) no text layer is read by OCR. Blank pages make no segments. A damaged
    page is left out and noted, the others are kept.
    """

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield each page's screenshot, then its passages.

        Raises:
            PasswordNeeded: The document is locked, and `LoadOptions.password` does not open it.
            UnreadableMedia: It is damaged beyond repair, or has nothing on any page.
        """
        blank: list[int] = []
        found = False
        options = self.options
        with open_pdf(file.path, options.password, options.pdf_backend) as document:
            if document.is_repaired:
                file.notes.append("damaged; repaired while opening")
            about = _About.of(document, file)
            for number in _page_numbers(document, file, self.options):
                page = self._page(document, number, file)
                if page is None:
                    continue
                if page.is_blank:
                    blank.append(number)
                    continue
                found = True
                yield from self._page_segments(page, about, file)
            if not found:
                raise UnreadableMedia(_nothing_found(document, file))
            if not document.is_repaired and (complaint := document.complaint()):
                file.notes.append(f"damaged in places: {complaint}")
        if blank:
            file.notes.append(f"blank: {_page_list(blank)}")

    def _page(self, document: PDFDocument, number: int, file: SourceFile) -> PageContent | None:
        try:
            return document.read_page(number, self._max_pixels)
        except UnreadableMedia as error:
            file.notes.append(f"page {number} could not be read: {error}")
            return None

    @property
    def _max_pixels(self) -> int:
        return min(self.options.page_pixels, self.options.policy.max_pixels)

    def _page_segments(
        self, page: PageContent, about: _About, file: SourceFile
    ) -> Iterator[Segment]:
        text = "\n\n".join(block.text for block in page.blocks)
        metadata = dict(about.metadata)
        if page.is_reduced:
            file.notes.append(f"page {page.number} is huge; its picture is much reduced")
        if page.label:
            metadata["page_label"] = page.label
        for scan in page.scans:
            # A stamp or a page number may be all that the text layer of a scan has.
            read = seen_text(scan.picture, file, place=f"page {page.number}")
            text = read if len(read) > len(text) else text
            metadata["ocr"] = True
        shot = str(self.options.assets.write(page.picture))

        def segment(modality: str, words: str, part: int) -> Segment:
            return Segment(
                modality="image" if modality == "image" else "text",
                source=file.source,
                sha256=file.sha256,
                text=words,
                title=about.title,
                media=shot,
                preview=shot,
                mime_type=PICTURE_MIME,
                page=page.number,
                part=part,
                metadata=metadata,
            )

        yield segment("image", text, 0)
        for part, passage in enumerate(passages(text, max_words=self.options.passage_words)):
            yield segment("text", passage, part)


@dataclass(frozen=True)
class _About:
    title: str
    metadata: dict[str, Scalar]

    @classmethod
    def of(cls, document: PDFDocument, file: SourceFile) -> _About:
        metadata: dict[str, Scalar] = {"pages": document.page_count}
        for key in ("author", "subject", "keywords"):
            if value := document.metadata.get(key):
                metadata[key] = value
        return cls(_title(document.metadata.get("title", "")) or file.name_in_words, metadata)


def _title(title: str) -> str:
    """The title that the document gives itself, unless it is an accident of the program."""
    lowered = title.lower()
    is_file_name = lowered.endswith((".doc", ".docx", ".indd", ".pdf", ".ppt", ".pptx", ".qxd"))
    is_default = lowered.startswith(("microsoft word -", "untitled", "powerpoint presentation"))
    letters = sum(letter.isalpha() for letter in title)
    return "" if is_file_name or is_default or letters < 4 or not title.isprintable() else title


def _page_numbers(document: PDFDocument, file: SourceFile, options: LoadOptions) -> range:
    most = options.policy.max_pages
    if document.page_count > most:
        file.notes.append(
            f"only the first {most} of {document.page_count} pages were read "
            "(MediaPolicy.max_pages)"
        )
    return range(1, min(document.page_count, most) + 1)


def _nothing_found(document: PDFDocument, file: SourceFile) -> str:
    what = "no pages" if document.page_count == 0 else "no page with anything on it"
    reason = document.complaint()
    return f"{file.path.name} has {what}" + (f": {reason}." if reason else ".")


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
