"""Words, reading order and table cells of PDFs: the share that is right, for both libraries.

    python -m benchmarks.loaders.layout --pages development
    python -m benchmarks.loaders.layout --pages reported
    python -m benchmarks.loaders.layout --real FOLDER

The first two draw about 60 pages with known words, order and cells, with PyMuPDF and LibreOffice
(`layout_pages.py`), and read them with either library:

- *words*: share of the words that the document's pages give, hyphens included.
- *order*: share of the pairs of neighbouring lines, or six words where a program breaks the lines,
  that follow each other directly.
- *cells*: share of the cells that are cells of their own, in a row with the nearest filled cell of
  their row, and in a column with the nearest filled cell of their column.
- *running*: share of the repetitions of headers and footers that are not in the passages.

Tune on the development pages only.

The last compares each page of real PDFs with the words of pdftotext and PyMuPDF. A header or footer
that is left out of a page counts as kept if the page's word boxes have it and another page's text
says it, or if it is as short as a page number. Words in letters smaller
than 1.5 points are not counted: they are marks that programs leave.
"""

from __future__ import annotations

import argparse
import logging
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args

import pymupdf

from benchmarks.loaders.layout_pages import Made, Purpose, Rows, make
from mm_rag.boxes import read_boxes
from mm_rag.errors import MMRagError
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions, PDFLoader
from mm_rag_loaders.load_options import PDFBackend

_EDGES = ".,;:!?()[]\"'|\u201c\u201d\u2018\u2019"
_JOINED = 10  # letters on each side of a line end
_MOST_LOST = 0.05
_SMALLEST = 1.5  # points
_PAGE_NUMBER = 5  # letters


@dataclass
class Score:
    """Right and all of something."""

    right: int = 0
    all: int = 0

    def add(self, results: Iterable[bool]) -> None:
        """Count results."""
        for result in results:
            self.right += result
            self.all += 1

    def __str__(self) -> str:
        return f"{100 * self.right / self.all:6.1f}" if self.all else "     -"


@dataclass
class Scores:
    """Of a kind of page."""

    words: Score = field(default_factory=Score)
    order: Score = field(default_factory=Score)
    cells: Score = field(default_factory=Score)
    running: Score = field(default_factory=Score)

    def add(self, made: Made, pages: Sequence[str], passages: Sequence[str]) -> None:
        """Compare a document with what was read of it."""
        text = "\n".join(pages)
        expected = Counter(tokens(" ".join(said(made))))
        found = Counter(tokens(text))
        self.words.right += (expected & found).total()
        self.words.all += expected.total()
        joined = letters(text)
        self.order.add(
            letters(above)[-_JOINED:] + letters(below)[:_JOINED] in joined
            for flow in made.flows
            for above, below in pairwise(flow)
        )
        tables = list(markdown_tables(text))
        for table in made.tables:
            self.cells.add(cells_found(table, tables))
        spoken = letters(" ".join(passages))
        for lines in made.running:
            times = max(len(lines), len(pages) if len(lines) == 1 else 0)
            common = letters(re.sub(r"\d.*", "", lines[0]))
            extra = min(times, spoken.count(common)) - 1
            self.running.right += times - 1 - max(0, extra)
            self.running.all += times - 1


def said(made: Made) -> Iterator[str]:
    """Everything that a document says, headers and footers once."""
    for flow in made.flows:
        yield from flow
    for table in made.tables:
        for row in table:
            yield from row
    yield from made.phrases
    for lines in made.running:
        yield re.sub(r"\d.*", "", lines[0])


def tokens(text: str) -> list[str]:
    """The words without the punctuation around them."""
    return [word for word in (part.strip(_EDGES) for part in text.split()) if word]


def letters(text: str) -> str:
    """The letters and digits only."""
    return "".join(letter for letter in text if letter.isalnum())


def markdown_tables(text: str) -> Iterator[Rows]:
    """The tables in a text."""
    rows: Rows = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            if not set(line) <= set("|-: "):
                rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            yield rows
            rows = []


def cells_found(table: Rows, tables: Sequence[Rows]) -> Iterator[bool]:
    """For each filled cell, whether it is in the right row and column of one of the tables."""
    for y, row in enumerate(table):
        for x, cell in enumerate(row):
            if cell:
                beside = _nearest([c if at != x else "" for at, c in enumerate(row)], x)
                column = [r[x] if at != y else "" for at, r in enumerate(table)]
                yield any(_is_at(found, cell, beside, _nearest(column, y)) for found in tables)


def _nearest(cells: Sequence[str], at: int) -> list[str]:
    """The nearest filled cells, the one before first."""
    order = sorted(range(len(cells)), key=lambda other: (abs(other - at), other))
    return [cells[other] for other in order if cells[other]][:2]


def _is_at(found: Rows, cell: str, beside: Sequence[str], above: Sequence[str]) -> bool:
    for row in found:
        for x, text in enumerate(row):
            if text == cell and (not beside or any(one in row for one in beside)):
                column = [other[x] for other in found if len(other) > x and other is not row]
                if not above or any(one in column for one in above):
                    return True
    return False


def read(path: Path, backend: PDFBackend, assets: Path) -> list[Segment]:
    """The segments of a PDF."""
    options = LoadOptions(assets=AssetStore(assets), pdf_backend=backend)
    return list(PDFLoader(options).load(path))


def measure(purpose: Purpose, backends: Sequence[PDFBackend], *, lines: bool) -> None:
    """Print the shares of each kind of page."""
    with tempfile.TemporaryDirectory() as folder:
        made = make(purpose, Path(folder))
        count = sum(_page_count(one.path) for one in made)
        for backend in backends:
            print(f"{purpose} pages, {count} of them, read with {backend}")
            _measured(made, backend, Path(folder) / "assets", lines=lines)


def _measured(made: Sequence[Made], backend: PDFBackend, assets: Path, *, lines: bool) -> None:
    scores: dict[str, Scores] = {}
    seconds, count = 0.0, 0
    for one in made:
        began = time.process_time()
        segments = read(one.path, backend, assets)
        seconds += time.process_time() - began
        pages = [s.text for s in segments if s.modality == "image"]
        passages = [s.text for s in segments if s.modality == "text"]
        count += len(pages)
        for name in (one.kind, "all"):
            scores.setdefault(name, Scores()).add(one, pages, passages)
        if lines:
            alone = Scores()
            alone.add(one, pages, passages)
            _print(one.path.stem, alone)
    print(f"{'':24}  words  order  cells  running   (percent right)")
    for kind, score in scores.items():
        if kind != "all":
            _print(kind, score)
    _print("all", scores["all"])
    print(f"{count / seconds:.1f} pages per second of processor time\n")


def _print(name: str, score: Scores) -> None:
    print(f"{name:24} {score.words} {score.order} {score.cells} {score.running}")


def _page_count(path: Path) -> int:
    with pymupdf.open(path) as document:
        return int(document.page_count)


def measure_real(folder: Path, backends: Sequence[PDFBackend]) -> None:
    """Print the share of pages of which at least 95% of the words are kept, and the others."""
    for backend in backends:
        fine = Score()
        for path in sorted(folder.rglob("*.pdf")):
            with tempfile.TemporaryDirectory() as assets:
                try:
                    segments = read(path, backend, Path(assets))
                except MMRagError as error:
                    logging.getLogger(__name__).warning("%s: %s", path.name, error)
                    continue
                pages = {s.page: s for s in segments if s.modality == "image"}
                for number, kept, lost in _kept(path, pages):
                    fine.add([kept >= 1 - _MOST_LOST])
                    if kept < 1 - _MOST_LOST:
                        page = f"{path.name} page {number}"
                        print(f"  {page}: {100 * kept:.1f}% kept, without {' '.join(lost[:12])}")
        print(f"{backend}: {fine}% of {fine.all} real pages keep at least 95% of their words\n")


def _kept(path: Path, pages: dict[int | None, Segment]) -> Iterator[tuple[int, float, list[str]]]:
    """Of each page its number, the smaller share of words kept, and words that are not."""
    everywhere = set(tokens(" ".join(page.text for page in pages.values())))
    with pymupdf.open(path) as document:
        for number, page in pages.items():
            boxes = [word.text for word in (read_boxes(page.boxes) if page.boxes else [])]
            left_out = Counter(tokens(" ".join(boxes))) - Counter(tokens(page.text))
            running = (w for w in left_out.elements() if w in everywhere or len(w) < _PAGE_NUMBER)
            text = f"{page.text} {' '.join(running)}"
            ours, joined = Counter(map(letters, tokens(text))), letters(text)
            drawn: Any = document[(number or 1) - 1]
            unseen = _unseen(drawn)
            references = (str(drawn.get_text()), _pdftotext(path, number or 1))
            results = [_lost(reference, ours, joined, unseen) for reference in references]
            kept, lost = min(results, key=lambda result: result[0])
            yield number or 1, kept, lost


def _pdftotext(path: Path, number: int) -> str:
    pages = ("-f", str(number), "-l", str(number))
    done = subprocess.run(
        ["pdftotext", *pages, str(path), "-"], capture_output=True, check=False, timeout=60
    )
    return done.stdout.decode("utf-8", "replace")


def _unseen(page: Any) -> set[str]:
    """Words in letters that are smaller than 1.5 points, which are marks of programs."""
    return {
        letters(word)
        for block in page.get_text("dict")["blocks"]
        for line in block.get("lines", ())
        for span in line["spans"]
        if span["size"] < _SMALLEST
        for word in tokens(span["text"])
    }


def _lost(
    reference: str, ours: Counter[str], joined: str, unseen: set[str]
) -> tuple[float, list[str]]:
    """Share of the reference's words that are kept, and the others."""
    words = [letters(word) for word in tokens(reference)]
    words = [word for word in words if word and word not in unseen]
    left, lost = Counter(ours), list[str]()
    for at, word in enumerate(words):
        if left[word]:
            left[word] -= 1
            continue
        # A word may be cut at the end of a line in one of the texts only.
        near = ["".join(words[at : at + 2]), "".join(words[max(0, at - 1) : at + 1])]
        if not any(len(pair) > len(word) and pair in joined for pair in near):
            lost.append(word)
    return (1 - len(lost) / len(words) if words else 1.0), lost


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pages", choices=get_args(Purpose))
    parser.add_argument("--real", type=Path, metavar="FOLDER")
    parser.add_argument("--backend", choices=get_args(PDFBackend))
    parser.add_argument("--each", action="store_true", help="print every document")
    asked = parser.parse_args()
    backends: tuple[PDFBackend, ...] = get_args(PDFBackend)
    chosen: list[PDFBackend] = [one for one in backends if asked.backend in (None, one)]
    if asked.pages:
        measure(cast("Purpose", asked.pages), chosen, lines=asked.each)
    if asked.real:
        measure_real(asked.real, chosen)


if __name__ == "__main__":
    main()
