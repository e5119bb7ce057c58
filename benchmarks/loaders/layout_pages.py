"""Pages with known words, order and cells: invoices, lists, columns, tables, sidebars, headers.

Each is drawn with PyMuPDF or by LibreOffice. The development and the reported pages differ in
seeds, fonts, sizes, line spacing and page sizes, so that what is tuned on the former is measured on
others.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias
from xml.sax.saxutils import escape

import pymupdf

Purpose: TypeAlias = Literal["development", "reported"]
Rows: TypeAlias = list[list[str]]

_FONTS = Path("/usr/share/fonts/truetype")
_SYLLABLES = re.findall(
    r"\w+",
    "al an ar ba be con de di en er fa gen in is ka le lo ma men mi mo na ne no or pa pe per po "
    "pro ra re ri ro sa se so sta ta te ten ter ti tion to tra ul un ver vi",
)


@dataclass(frozen=True)
class Styles:
    """What the pages of one purpose are drawn with.

    Attributes:
        seed: Of the first document.
        fonts: Files of fonts, regular and bold.
        families: The same for LibreOffice, by name.
        sizes: Font sizes.
        leadings: Distances of lines, as multiples of the font size.
        papers: Widths and heights.
    """

    seed: int
    fonts: tuple[tuple[str, str], ...]
    families: tuple[str, ...]
    sizes: tuple[float, ...]
    leadings: tuple[float, ...]
    papers: tuple[tuple[float, float], ...]


STYLES: dict[Purpose, Styles] = {
    "development": Styles(
        seed=1000,
        fonts=(
            ("liberation/LiberationSans-Regular.ttf", "liberation/LiberationSans-Bold.ttf"),
            ("liberation/LiberationSerif-Regular.ttf", "liberation/LiberationSerif-Bold.ttf"),
            ("dejavu/DejaVuSans.ttf", "dejavu/DejaVuSans-Bold.ttf"),
        ),
        families=("Liberation Sans", "Liberation Serif"),
        sizes=(9.0, 10.5, 12.0),
        leadings=(1.2, 1.4),
        papers=((595.0, 842.0),),
    ),
    "reported": Styles(
        seed=77000,
        fonts=(
            ("dejavu/DejaVuSerifCondensed.ttf", "dejavu/DejaVuSerifCondensed-Bold.ttf"),
            (
                "liberation/LiberationSansNarrow-Regular.ttf",
                "liberation/LiberationSansNarrow-Bold.ttf",
            ),
            ("liberation/LiberationMono-Regular.ttf", "liberation/LiberationMono-Bold.ttf"),
            ("dejavu/DejaVuSansCondensed.ttf", "dejavu/DejaVuSansCondensed-Bold.ttf"),
        ),
        families=("DejaVu Serif", "DejaVu Sans Condensed"),
        sizes=(8.5, 10.0, 11.0),
        leadings=(1.15, 1.3, 1.5),
        papers=((612.0, 792.0), (595.0, 842.0)),
    ),
}

# Words that the end of a line may cut, with their right form.
HYPHENS: dict[Purpose, tuple[tuple[str, str, str], ...]] = {
    "development": (
        ("well-", "known", "well-known"),
        ("inter-", "esting", "interesting"),
        ("E-", "mail", "E-mail"),
        ("COVID-", "19", "COVID-19"),
        ("MASCHINEN-", "BAU", "MASCHINENBAU"),
        ("Ein-", "und Ausgang", "Ein- und Ausgang"),
        ("Haupt-", "bahnhof", "Hauptbahnhof"),
        ("inscrip-", "ción", "inscripción"),
        ("peut-", "être", "peut-être"),
        ("gouverne-", "ment", "gouvernement"),
        ("citta-", "dinanza", "cittadinanza"),
        ("ge-", "meente", "gemeente"),
        ("in-", "en uitvoer", "in- en uitvoer"),
        ("Boeing-", "747", "Boeing-747"),
    ),
    "reported": (
        ("part-", "time", "part-time"),
        ("govern-", "ment", "government"),
        ("T-", "shirt", "T-shirt"),
        ("MP-", "3000", "MP-3000"),
        ("VERKEHRS-", "AMT", "VERKEHRSAMT"),
        ("Vor-", "und Nachteile", "Vor- und Nachteile"),
        ("Sonn-", "oder Feiertag", "Sonn- oder Feiertag"),
        ("Versiche-", "rung", "Versicherung"),
        ("desarro-", "llo", "desarrollo"),
        ("rendez-", "vous", "rendez-vous"),
        ("développe-", "ment", "développement"),
        ("amministra-", "zione", "amministrazione"),
        ("verant-", "woordelijk", "verantwoordelijk"),
        ("X-", "ray", "X-ray"),
        ("pre-", "and postwar", "pre- and postwar"),
    ),
}


@dataclass
class Made:
    """A document and what is true of it.

    Attributes:
        kind: What it shows.
        path: The PDF.
        flows: Texts that are read on their own, each as its lines in order.
        tables: Cells by row and column; empty for an empty cell.
        phrases: Further words that must be found, not in any order.
        running: For each header or footer its text on each page.
    """

    kind: str
    path: Path
    flows: list[list[str]] = field(default_factory=list[list[str]])
    tables: list[Rows] = field(default_factory=list[Rows])
    phrases: list[str] = field(default_factory=list[str])
    running: list[list[str]] = field(default_factory=list[list[str]])


class Author:
    """Makes up words; the same seed makes the same."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def word(self, most: int = 4) -> str:
        """A word of some syllables."""
        return "".join(self.dice.choices(_SYLLABLES, k=self.dice.randint(2, most)))

    def words(self, count: int) -> str:
        """Some words, the first with a capital letter."""
        return " ".join(self.word() for _ in range(count)).capitalize()

    def prose(self, words: int) -> list[str]:
        """Words of sentences."""
        found: list[str] = []
        while len(found) < words:
            sentence = self.words(self.dice.randint(6, 16)).split()
            sentence[-1] += "."
            found += sentence
        return found

    def name(self) -> str:
        """First and last name."""
        return f"{self.word(3).capitalize()} {self.word(3).capitalize()}"

    def amount(self) -> str:
        """An amount of money."""
        return f"{self.dice.randint(1, 99999) + self.dice.randint(0, 99) / 100:,.2f}"

    def date(self) -> str:
        """A date of the day, month and year."""
        dice = self.dice
        return f"{dice.randint(1, 28):02}.{dice.randint(1, 12):02}.{dice.randint(1990, 2026)}"

    def address(self) -> str:
        """Number, street and town."""
        return f"{self.dice.randint(1, 99)} {self.words(2).title()}, {self.word(3).capitalize()}"

    def table(self, rows: int, kinds: str) -> Rows:
        """Rows with a header; the kinds are `n`ame, `d`ate, `a`mount, `t`ext, `c`ode."""
        makers: dict[str, Callable[[], str]] = {
            "n": self.name,
            "d": self.date,
            "a": self.amount,
            "t": lambda: self.words(self.dice.randint(2, 4)),
            "c": lambda: f"{self.word(2).upper()}-{self.dice.randint(1000, 9999)}",
        }
        head = [self.word(3).capitalize() for _ in kinds]
        return [head, *([makers[kind]() for kind in kinds] for _ in range(rows))]


class Sheet:
    """A page to draw on with one font, and what is true of it."""

    def __init__(self, made: Made, author: Author, styles: Styles, *, landscape: bool = False):
        self.made = made
        self.author = author
        dice = author.dice
        regular, bold = dice.choice(styles.fonts)
        self.size = dice.choice(styles.sizes)
        self.leading = self.size * dice.choice(styles.leadings)
        self._files = (str(_FONTS / regular), str(_FONTS / bold))
        self._fonts = [pymupdf.Font(fontfile=file) for file in self._files]
        self.document = pymupdf.open()
        paper = dice.choice(styles.papers)
        self.width, self.height = paper[::-1] if landscape else paper
        self.page = self.new_page()
        self.margin = dice.choice((46.0, 60.0, 72.0))

    def new_page(self) -> pymupdf.Page:
        """Begin another page."""
        self.page = self.document.new_page(width=self.width, height=self.height)
        return self.page

    def length(self, text: str, *, bold: bool = False, size: float = 0.0) -> float:
        """Width of a text, in points."""
        font: Any = self._fonts[bold]
        return float(font.text_length(text, fontsize=size or self.size))

    def put(self, x: float, y: float, text: str, *, bold: bool = False, size: float = 0.0) -> None:
        """Draw a text from a point on its baseline."""
        self.page.insert_text(
            (x, y),
            text,
            fontsize=size or self.size,
            fontname="bold" if bold else "plain",
            fontfile=self._files[bold],
        )

    def put_right(self, x: float, y: float, text: str, *, bold: bool = False) -> None:
        """Draw a text that ends at a point."""
        self.put(x - self.length(text, bold=bold), y, text, bold=bold)

    def rule(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a line."""
        self.page.draw_line((x0, y0), (x1, y1), width=0.6)

    def wrapped(self, words: Sequence[str], width: float, *, size: float = 0.0) -> list[str]:
        """The lines of a paragraph."""
        lines: list[str] = []
        for word in words:
            if lines and self.length(f"{lines[-1]} {word}", size=size) <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        return lines

    def column(
        self, x: float, y: float, width: float, bottom: float, *, indent: float = 0.0
    ) -> list[str]:
        """Fill a column with paragraphs; returns its lines."""
        found: list[str] = []
        while y < bottom:
            words = self.author.prose(self.author.dice.randint(25, 60))
            for at, line in enumerate(self.wrapped(words, width - indent)):
                if y >= bottom:
                    break
                self.put(x + (indent if at == 0 else 0.0), y, line)
                found.append(line)
                y += self.leading
            y += self.leading * 0.6
        return found

    def grid(
        self,
        rows: Rows,
        x: float,
        y: float,
        widths: Sequence[float],
        *,
        across: Literal["none", "all", "booktabs", "frame"] = "none",
        down: bool = False,
        right: str = "",
        bold: bool = True,
        gap: float = 1.0,
    ) -> float:
        """Draw a table and note its cells; returns the y below it.

        Args:
            rows: With the header.
            x: Left edge.
            y: Top.
            widths: Of the columns.
            across: Which horizontal lines are drawn.
            down: Whether vertical lines are drawn.
            right: `r` for each column that is aligned at its right edge.
            bold: Whether the header is bold.
            gap: Space between rows, in lines.
        """
        top, edges = y, [x]
        for width in widths:
            edges.append(edges[-1] + width)
        levels = [y]
        for number, row in enumerate(rows):
            heading = bold and number == 0
            cells = [self.wrapped(c.split(), w - 8) for c, w in zip(row, widths, strict=True)]
            for at, lines in enumerate(cells):
                for step, line in enumerate(lines):
                    base = y + self.size + step * self.leading + 2
                    if right[at : at + 1] == "r":
                        self.put_right(edges[at + 1] - 4, base, line, bold=heading)
                    else:
                        self.put(edges[at] + 4, base, line, bold=heading)
            y += (max(map(len, cells)) - 1 + gap) * self.leading + 3
            levels.append(y)
        drawn = {"none": [], "all": levels, "frame": [levels[0], levels[-1]]}
        for level in drawn.get(across, [levels[0], levels[1], levels[-1]]):
            self.rule(edges[0], level, edges[-1], level)
        for edge in edges if down else ():
            self.rule(edge, top, edge, y)
        self.made.tables.append(rows)
        return y

    def title(self, y: float, words: int = 5) -> str:
        """Draw a heading over the whole width."""
        text = self.author.words(words)
        self.put(self.margin, y, text, bold=True, size=self.size * 1.5)
        return text

    def save(self) -> Made:
        """Write the document."""
        self.document.save(self.made.path, deflate=True, garbage=3)
        self.document.close()
        return self.made


def invoice(sheet: Sheet) -> None:
    """Addresses side by side, items with amounts, a total, and bank details below."""
    author, margin = sheet.author, sheet.margin
    right = sheet.width - margin
    sender = [author.name(), author.address(), author.word().lower() + "@example.org"]
    facts = [f"Number {author.dice.randint(1000, 9999)}", f"Date {author.date()}", "Page one"]
    for at, line in enumerate(sender):
        sheet.put(margin, 70 + at * sheet.leading, line)
    middle = sheet.width * 0.62
    for at, line in enumerate(facts):
        sheet.put(middle, 70 + at * sheet.leading, line)
    top = 100 + 4 * sheet.leading
    sheet.made.flows.append([sheet.title(top)])
    rows = author.table(author.dice.randint(4, 14), "ctaaa")
    total = right - margin
    widths = [total * share for share in (0.18, 0.37, 0.15, 0.15, 0.15)]
    style = author.dice.choice(("all", "booktabs", "none", "frame"))
    down = style == "all" or author.dice.random() < 0.2
    y = sheet.grid(rows, margin, top + 24, widths, across=style, down=down, right="__rrr", gap=1.2)
    sum_line = author.amount()
    sheet.put(margin + widths[0] + 4, y + 2 * sheet.leading, "Total", bold=True)
    sheet.put_right(right - 4, y + 2 * sheet.leading, sum_line, bold=True)
    sheet.made.flows.append(["Total", sum_line])
    foot = sheet.wrapped(author.prose(40), right - margin)
    for at, line in enumerate(foot):
        sheet.put(margin, y + (5 + at) * sheet.leading, line)
    sheet.made.flows.append(foot)
    sheet.made.phrases += [*sender, *facts]


def address_list(sheet: Sheet) -> None:
    """A list whose second column belongs to the first, row by row."""
    author, margin = sheet.author, sheet.margin
    first = sheet.title(70)
    heading = author.dice.random() < 0.5
    rows = [[f"{author.name()}, {author.words(2).lower()}", author.address()] for _ in range(22)]
    if author.dice.random() < 0.5:
        rows = [[*row, f"0{author.dice.randint(10**6, 10**7)}"] for row in rows]
    if heading:
        rows.insert(0, [author.word(3).capitalize() for _ in rows[0]])
    room = sheet.width - 2 * margin
    columns = [margin + room * at / len(rows[0]) for at in range(len(rows[0]))]
    step = sheet.leading * author.dice.choice((1.0, 1.3))
    narrow = sheet.size * min(
        1.0,
        0.95 * room / len(rows[0]) / max(sheet.length(cell) for row in rows for cell in row),
    )
    for at, row in enumerate(rows):
        for x, cell in zip(columns, row, strict=True):
            sheet.put(x, 110 + at * step, cell, size=narrow)
    sheet.made.flows.append([first])
    sheet.made.flows += [list(row) for row in rows]


def sidebar(sheet: Sheet) -> None:
    """A box with short facts beside the lines of the text."""
    author, margin, dice = sheet.author, sheet.margin, sheet.author.dice
    style = dice.choice(("frame", "shade", "nothing"))
    width = (sheet.width - 2 * margin) * 0.62
    on_left = dice.random() < 0.3
    box_width = sheet.width - 2 * margin - width - 24
    x = margin + box_width + 24 if on_left else margin
    left = margin if on_left else margin + width + 24
    head = sheet.title(70)
    bottom = sheet.height - 90
    top = 110 + sheet.leading * dice.randint(2, 9)
    facts = [author.words(2).upper()]
    for _ in range(dice.randint(3, 6)):
        label = author.word(3).capitalize()
        facts += sheet.wrapped(f"{label}: {author.words(3).lower()}".split(), box_width - 16)
    # On the same lines as the text, or between them.
    shift = dice.choice((0.0, 0.35, 0.5)) * sheet.leading
    frame = (left, top - sheet.leading, left + box_width, top + len(facts) * sheet.leading)
    if style == "shade":
        sheet.page.draw_rect(frame, color=None, fill=(0.9, 0.92, 1.0))
    elif style == "frame":
        sheet.page.draw_rect(frame, width=0.8)
    lines = sheet.column(x, 110, width, bottom)
    for at, line in enumerate(facts):
        sheet.put(left + 8, top + shift + at * sheet.leading, line, bold=at == 0)
    sheet.made.flows += [[head], lines, facts]


def margin_notes(sheet: Sheet) -> None:
    """Small notes in the margin, beside the lines of the text."""
    author, dice = sheet.author, sheet.author.dice
    margin, note_width = sheet.margin, 90.0
    width = sheet.width - 2 * margin - note_width - 14
    on_left = dice.random() < 0.5
    x = margin + note_width + 14 if on_left else margin
    left = margin if on_left else margin + width + 14
    head = sheet.title(70)
    lines = sheet.column(x, 110, width, sheet.height - 80)
    y, small = 110.0, sheet.size * 0.8
    while y < sheet.height - 200:
        note = sheet.wrapped(author.words(dice.randint(4, 8)).split(), note_width, size=small)
        for at, line in enumerate(note):
            sheet.put(left, y + at * small * 1.25, line, size=small)
        sheet.made.flows.append(note)
        y += dice.randint(6, 14) * sheet.leading
    sheet.made.flows += [[head], lines]


def columns(sheet: Sheet) -> None:
    """Two or three columns under a heading, sometimes a second one, with footnotes."""
    author, margin, dice = sheet.author, sheet.margin, sheet.author.dice
    count = 3 if sheet.made.kind == "three columns" else 2
    gutter = dice.choice((14.0, 20.0, 28.0))
    width = (sheet.width - 2 * margin - (count - 1) * gutter) / count
    flow = [sheet.title(70)]
    notes: list[str] = []
    bottom = sheet.height - 110
    parts = [(100.0, bottom)]
    if dice.random() < 0.5:
        middle = 100 + (bottom - 100) * dice.uniform(0.35, 0.6)
        parts = [(100.0, middle), (middle + 50, bottom)]
    for number, (top, end) in enumerate(parts):
        if number:
            text = author.words(4)
            sheet.put(margin, top - 22, text, bold=True, size=sheet.size * 1.3)
            flow.append(text)
        for at in range(count):
            left = margin + at * (width + gutter)
            flow += sheet.column(left, top, width, end, indent=dice.choice((0.0, 0.0, 10.0)))
    if dice.random() < 0.6:
        sheet.rule(margin, bottom + 12, margin + 80, bottom + 12)
        small = sheet.size * 0.8
        notes = [f"{n} {' '.join(author.prose(8))}" for n in (1, 2)]
        notes = [sheet.wrapped(n.split(), sheet.width - 2 * margin, size=small)[0] for n in notes]
        for at, note in enumerate(notes):
            sheet.put(margin, bottom + 26 + at * small * 1.3, note, size=small)
    sheet.made.flows += [flow, notes]


def _table_page(sheet: Sheet, across: Literal["none", "booktabs"], *, down: bool) -> None:
    author, margin, dice = sheet.author, sheet.margin, sheet.author.dice
    intro = sheet.wrapped(author.prose(30), sheet.width - 2 * margin)
    for at, line in enumerate(intro):
        sheet.put(margin, 70 + at * sheet.leading, line)
    kinds = dice.choice(("nda", "ndta", "cnaa", "nta", "dtaa"))
    rows = author.table(dice.randint(7, 24), kinds)
    if across == "none" and not down and dice.random() < 0.5:
        for row in rows[1:]:
            if dice.random() < 0.2:
                row[dice.randrange(1, len(row))] = ""
    if "t" in kinds and dice.random() < 0.6:  # cells of two lines
        for row in rows[1:]:
            if dice.random() < 0.3:
                row[kinds.index("t")] += f" {author.words(5).lower()}"
    shares = {"n": 0.28, "t": 0.34, "d": 0.16, "a": 0.18, "c": 0.18}
    room = (sheet.width - 2 * margin) / sum(shares[kind] for kind in kinds)
    widths = [room * shares[kind] for kind in kinds]
    right = "".join("r" if kind == "a" else "_" for kind in kinds)
    top = 86 + len(intro) * sheet.leading
    y = sheet.grid(
        rows,
        margin,
        top,
        widths,
        across=across,
        down=down,
        right=right,
        bold=dice.random() < 0.7,
        gap=dice.choice((1.0, 1.0, 1.3)),
    )
    after = sheet.wrapped(author.prose(25), sheet.width - 2 * margin)
    for at, line in enumerate(after):
        sheet.put(margin, y + (2 + at) * sheet.leading, line)
    sheet.made.flows += [intro, after]


def vertical_rules(sheet: Sheet) -> None:
    """A table with lines between columns only, sometimes in a frame."""
    _table_page(sheet, "none", down=True)


def horizontal_rules(sheet: Sheet) -> None:
    """A table with a line above, below and under its header."""
    _table_page(sheet, "booktabs", down=False)


def no_rules(sheet: Sheet) -> None:
    """A table without lines."""
    _table_page(sheet, "none", down=False)


def nested(sheet: Sheet) -> None:
    """A table of cells with lines around them, one of which holds a table of its own."""
    author, margin = sheet.author, sheet.margin
    room = sheet.width - 2 * margin
    outer = author.table(4, "nt")
    widths = [room * 0.35, room * 0.65]
    y = sheet.grid(outer, margin, 70, widths, across="all", down=True)
    inner = author.table(3, "cda")
    left = margin + widths[0] + 10
    end = sheet.grid(inner, left, y + 8, [(widths[1] - 20) / 3] * 3, across="all", down=True)
    label = author.name()
    sheet.put(margin + 4, y + 8 + sheet.size, label)
    for x in (margin, margin + widths[0], margin + room):
        sheet.rule(x, y, x, end + 8)
    sheet.rule(margin, end + 8, margin + room, end + 8)
    sheet.made.phrases.append(label)
    text = sheet.column(margin, end + 40, room, end + 140)
    sheet.made.flows.append(text)


def landscape(sheet: Sheet) -> None:
    """A wide table on a page that viewers turn, or that is wider than high."""
    author, margin = sheet.author, sheet.margin
    turned = author.dice.random() < 0.5
    rows = author.table(12, "cndtaa")
    room = sheet.width - 2 * margin
    widths = [room * share for share in (0.13, 0.2, 0.13, 0.26, 0.14, 0.14)]
    flow = [sheet.title(60)]
    style = author.dice.choice(("none", "all"))
    sheet.grid(rows, margin, 90, widths, across=style, down=style == "all", right="____rr")
    sheet.made.flows.append(flow)
    if turned:
        sheet.page.set_rotation(180)


def running(sheet: Sheet) -> None:
    """Six pages with headers, footers and numbers; left and right pages differ."""
    author, margin = sheet.author, sheet.margin
    title, chapter, owner = author.words(4), author.words(3), author.words(3)
    flow: list[str] = []
    lines: list[list[str]] = [[], [], []]
    for number in range(1, 7):
        if number > 1:
            sheet.new_page()
        is_left = number % 2 == 0
        head = title if is_left else chapter
        if is_left:
            sheet.put(margin, 40, head)
        else:
            sheet.put_right(sheet.width - margin, 40, head)
        lines[0 if is_left else 1].append(head)
        foot = f"{owner}, page {number} of 6"
        sheet.put(margin if is_left else sheet.width - margin - 160, sheet.height - 36, foot)
        lines[2].append(foot)
        flow += sheet.column(margin, 84, sheet.width - 2 * margin, sheet.height - 80)
    sheet.made.flows.append(flow)
    sheet.made.running += lines


def hyphens(sheet: Sheet) -> None:
    """Words that are cut at the ends of lines."""
    author, margin = sheet.author, sheet.margin
    purpose: Purpose = "reported" if sheet.made.path.parent.name == "reported" else "development"
    cuts = list(HYPHENS[purpose])
    author.dice.shuffle(cuts)
    begin, y = "", 90.0
    for before, after, right in cuts:
        filler = " ".join(author.prose(6)[:6])
        sheet.put(margin, y, f"{begin}{filler} {before}")
        sheet.made.phrases += [right, filler]
        begin, y = f"{after} ", y + sheet.leading
    sheet.put(margin, y, f"{begin}and so on.")


# LibreOffice

_FODT = """<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
 xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"
 xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"
 office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.text">
<office:styles><style:default-style style:family="paragraph">
<style:paragraph-properties fo:margin-bottom="0.2cm"/>
<style:text-properties style:font-name="{family}" fo:font-family="{family}" fo:font-size="{size}pt"
 fo:language="none" fo:country="none"/></style:default-style>
<style:style style:name="Standard" style:family="paragraph"/></office:styles>
<office:automatic-styles>
<style:page-layout style:name="pm"><style:page-layout-properties fo:page-width="21cm"
 fo:page-height="29.7cm" fo:margin="2cm"/>
<style:header-style><style:header-footer-properties fo:min-height="0.6cm"
 fo:margin-bottom="0.4cm"/></style:header-style>
<style:footer-style><style:header-footer-properties fo:min-height="0.6cm"
 fo:margin-top="0.4cm"/></style:footer-style></style:page-layout>
<style:style style:name="H" style:family="paragraph"><style:text-properties
 fo:font-size="{head}pt" fo:font-weight="bold"/></style:style>
<style:style style:name="B" style:family="paragraph"><style:text-properties
 fo:font-weight="bold"/></style:style>
<style:style style:name="R" style:family="paragraph"><style:paragraph-properties
 fo:text-align="end"/></style:style>
<style:style style:name="S" style:family="section"><style:section-properties>
<style:columns fo:column-count="{columns}" fo:column-gap="0.7cm"/></style:section-properties>
</style:style>
<style:style style:name="C" style:family="table-cell"><style:table-cell-properties
 fo:padding="0.08cm" {border}/></style:style>
<style:style style:name="F" style:family="graphic"><style:graphic-properties
 style:wrap="left" style:horizontal-pos="right" style:horizontal-rel="paragraph"
 style:vertical-pos="from-top" style:vertical-rel="paragraph"
 fo:padding="0.2cm" fo:border="{frame}" fo:margin-left="0.5cm"/></style:style>
</office:automatic-styles>
<office:master-styles><style:master-page style:name="Standard" style:page-layout-name="pm">
{running}</style:master-page></office:master-styles>
<office:body><office:text>{body}</office:text></office:body></office:document>
"""


@dataclass
class Writing:
    """A document for LibreOffice, and what is true of it."""

    made: Made
    author: Author
    family: str
    size: float
    body: list[str] = field(default_factory=list[str])
    columns: int = 1
    border: str = 'fo:border="none"'
    frame: str = "none"
    running: str = ""

    def paragraph(self, text: str, style: str = "Standard") -> str:
        """A paragraph in XML."""
        return f'<text:p text:style-name="{style}">{escape(text)}</text:p>'

    def prose(self, paragraphs: int) -> list[str]:
        """Write paragraphs; returns their words in pieces of six."""
        found: list[str] = []
        for _ in range(paragraphs):
            words = self.author.prose(self.author.dice.randint(35, 70))
            self.body.append(self.paragraph(" ".join(words)))
            found += [" ".join(words[at : at + 6]) for at in range(0, len(words), 6)]
        return found

    def heading(self) -> str:
        """Write a heading."""
        text = self.author.words(5)
        self.body.append(self.paragraph(text, "H"))
        return text

    def table(self, rows: Rows, kinds: str) -> None:
        """Write a table whose header is repeated on each page."""
        self.made.tables.append(rows)
        columns = f'<table:table-column table:number-columns-repeated="{len(kinds)}"/>'
        xml = [
            "<table:table-row>"
            + "".join(
                '<table:table-cell table:style-name="C" office:value-type="string">'
                + self.paragraph(cell, "B" if at == 0 else "R" if kind == "a" else "Standard")
                + "</table:table-cell>"
                for cell, kind in zip(row, kinds, strict=True)
            )
            + "</table:table-row>"
            for at, row in enumerate(rows)
        ]
        head = f"<table:table-header-rows>{xml[0]}</table:table-header-rows>"
        self.body.append(f"<table:table>{columns}{head}{''.join(xml[1:])}</table:table>")

    def xml(self) -> str:
        """The document."""
        return _FODT.format(
            family=self.family,
            size=self.size,
            head=self.size * 1.5,
            columns=self.columns,
            border=self.border,
            frame=self.frame,
            running=self.running,
            body="".join(self.body),
        )


def written_columns(writing: Writing) -> None:
    """Two or three columns under a heading across them."""
    writing.columns = 3 if writing.made.kind.endswith("three columns") else 2
    flow = [writing.heading()]
    writing.body.append('<text:section text:style-name="S" text:name="s">')
    flow += writing.prose(7)
    writing.body.append("</text:section>")
    writing.made.flows.append(flow)


def written_table(writing: Writing) -> None:
    """A table with all, some or no lines between two paragraphs."""
    dice = writing.author.dice
    writing.border = dice.choice(
        (
            'fo:border="none"',
            'fo:border="0.5pt solid #000000"',
            'fo:border-left="0.5pt solid #000000" fo:border-right="0.5pt solid #000000"',
            'fo:border-bottom="0.5pt solid #000000"',
        )
    )
    before = writing.prose(1)
    kinds = dice.choice(("nda", "ndta", "cnaa"))
    writing.table(writing.author.table(dice.randint(6, 14), kinds), kinds)
    writing.made.flows += [before, writing.prose(1)]


def written_frame(writing: Writing) -> None:
    """A text that flows around a frame with facts."""
    dice, author = writing.author.dice, writing.author
    writing.frame = dice.choice(("none", "0.8pt solid #000000"))
    facts = [author.words(2).upper()]
    facts += [f"{author.word(2).capitalize()}: {author.word(2)}" for _ in range(5)]
    xml = "".join(writing.paragraph(line) for line in facts)
    writing.made.flows.append([writing.heading()])
    words = author.prose(90)
    writing.body.append(
        '<text:p><draw:frame draw:style-name="F" draw:name="f" text:anchor-type="paragraph" '
        'svg:width="5cm" svg:y="1.2cm"><draw:text-box fo:min-height="2cm">'
        f"{xml}</draw:text-box></draw:frame>{escape(' '.join(words))}</text:p>"
    )
    flow = [" ".join(words[at : at + 6]) for at in range(0, len(words), 6)]
    writing.made.flows += [flow + writing.prose(4), facts]


def written_report(writing: Writing) -> None:
    """Pages with a header, a footer with the page's number, and a table over several of them."""
    head, foot = writing.author.words(5), writing.author.words(3)
    number = "<text:page-number/>"
    writing.running = (
        f'<style:header><text:p text:style-name="Standard">{head}</text:p></style:header>'
        f'<style:footer><text:p text:style-name="R">{foot} {number}</text:p></style:footer>'
    )
    writing.border = writing.author.dice.choice(
        ('fo:border="none"', 'fo:border="0.5pt solid #000000"')
    )
    writing.made.flows.append(writing.prose(9))
    writing.table(writing.author.table(75, "cnda"), "cnda")
    writing.made.flows.append(writing.prose(3))
    writing.made.running += [[head], [foot]]


DRAWN: tuple[tuple[str, Callable[[Sheet], None], int], ...] = (
    ("invoice", invoice, 7),
    ("address list", address_list, 6),
    ("sidebar", sidebar, 5),
    ("margin notes", margin_notes, 3),
    ("two columns", columns, 3),
    ("three columns", columns, 2),
    ("vertical rules", vertical_rules, 4),
    ("horizontal rules", horizontal_rules, 4),
    ("no rules", no_rules, 5),
    ("nested", nested, 2),
    ("landscape", landscape, 2),
    ("running", running, 1),  # of six pages
    ("hyphens", hyphens, 2),
)
WRITTEN: tuple[tuple[str, Callable[[Writing], None], int], ...] = (
    ("office two columns", written_columns, 1),
    ("office three columns", written_columns, 1),
    ("office table", written_table, 3),
    ("office frame", written_frame, 2),
    ("office report", written_report, 1),  # of several pages
)


def make(purpose: Purpose, folder: Path) -> list[Made]:
    """Make the about 60 pages of one purpose."""
    styles = STYLES[purpose]
    folder = folder / purpose
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Made] = []
    for number, (kind, draw, count) in enumerate(DRAWN):
        for at in range(count):
            made = Made(kind, folder / f"{kind.replace(' ', '_')}_{at}.pdf")
            author = Author(styles.seed + 100 * number + at)
            sheet = Sheet(made, author, styles, landscape=kind == "landscape")
            draw(sheet)
            found.append(sheet.save())
    return found + _written(styles, folder)


def _written(styles: Styles, folder: Path) -> list[Made]:
    found: list[Made] = []
    sources: list[str] = []
    for number, (kind, write, count) in enumerate(WRITTEN):
        for at in range(count):
            author = Author(styles.seed + 5000 + 100 * number + at)
            made = Made(kind, folder / f"{kind.replace(' ', '_')}_{at}.pdf")
            family, size = author.dice.choice(styles.families), author.dice.choice(styles.sizes)
            writing = Writing(made, author, family, size)
            write(writing)
            source = made.path.with_suffix(".fodt")
            source.write_text(writing.xml(), encoding="utf-8")
            sources.append(str(source))
            found.append(made)
    profile = (folder / "profile").absolute().as_uri()
    subprocess.run(
        [
            *("soffice", f"-env:UserInstallation={profile}", "--headless"),
            *("--convert-to", "pdf", "--outdir", str(folder), *sources),
        ],
        check=True,
        capture_output=True,
        timeout=600,
    )
    return found
