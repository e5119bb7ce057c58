"""Read lines with Tesseract, where it is installed: it knows scripts that the OCR engine does not.

It runs as a child process that gets one picture through its standard input, with limits on time and
memory.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag.words import HANGUL, THAI_TO_KHMER, THAI_TO_KHMER_MARKS, normalized

Pixels = npt.NDArray[np.uint8]

# Names of Tesseract's data for each script, best first, and the Debian package with the first.
# The data of a script read all its languages; for Hangul those of the language are better: a
# character error rate of 1% instead of 27%.
_DATA: dict[str, tuple[str, tuple[str, ...]]] = {
    "Arabic": ("script-arab", ("Arabic", "ara", "fas", "urd")),
    "Armenian": ("hye", ("Armenian", "hye")),
    "Bengali": ("ben", ("Bengali", "ben", "asm")),
    "Cyrillic": ("script-cyrl", ("Cyrillic", "rus", "ukr", "bul", "srp", "bel", "mkd")),
    "Devanagari": ("script-deva", ("Devanagari", "hin", "mar", "nep", "san")),
    "Georgian": ("kat", ("Georgian", "kat")),
    "Greek": ("ell", ("Greek", "ell")),
    "Gujarati": ("guj", ("Gujarati", "guj")),
    "Gurmukhi": ("pan", ("Gurmukhi", "pan")),
    "Hangul": ("kor", ("kor", "Hangul")),
    "Hebrew": ("heb", ("Hebrew", "heb", "yid")),
    "Kannada": ("kan", ("Kannada", "kan")),
    "Khmer": ("khm", ("Khmer", "khm")),
    "Malayalam": ("mal", ("Malayalam", "mal")),
    "Myanmar": ("mya", ("Myanmar", "mya")),
    "Sinhala": ("sin", ("Sinhala", "sin")),
    "Tamil": ("tam", ("Tamil", "tam")),
    "Telugu": ("tel", ("Telugu", "tel")),
    "Thai": ("tha", ("tha", "Thai")),
    "Vietnamese": ("vie", ("vie", "Vietnamese")),
}
_LINE_HEIGHT, _GAP = 64, 40  # pixels on the sheet
_LONGEST = 6000  # pixels of a line
_SHEET_LINES = 60  # a sheet of more takes too much memory and is cut
_INK, _NOISE_SHARE = 3, 0.25
_ONE_BLOCK = "6"  # page segmentation: lines of one block, from the top down
_MEMORY = 2**30
_SARA_AM = "\u0e4d\u0e32"
# Of these scripts Tesseract gives letters and syllables as words. Gaps between them have up to 13
# pixels on the sheet, spaces 16 and more.
_SYLLABLES = re.compile(rf"[{HANGUL}{THAI_TO_KHMER}{THAI_TO_KHMER_MARKS}]")
_SPACE = 15


@dataclass(frozen=True)
class ReadLine:
    """A line that Tesseract read.

    Attributes:
        text: In logical order; empty if it found nothing.
        confidence: From 0 to 1.
    """

    text: str = ""
    confidence: float = 0.0


def language_of(script: str) -> str | None:
    """The name of the installed data for a script, or None."""
    installed = _installed()
    for name in _DATA.get(script, ("", ()))[1]:
        for found in (name, f"script/{name}"):
            if found in installed:
                return found
    return None


def readable_scripts() -> tuple[str, ...]:
    """The scripts whose data is installed, besides those that the OCR engine reads."""
    return tuple(script for script in _DATA if language_of(script))


def needed_for(script: str) -> str:
    """The program and data that read a script, in words."""
    package, names = _DATA[script]
    return f"Tesseract with its data {names[0]!r} (Debian: tesseract-ocr-{package})"


def read_lines(lines: Sequence[Pixels], language: str, seconds: float) -> list[ReadLine]:
    """Read upright lines in one language.

    Args:
        lines: Pixels of each line, of shape (height, width, 3).
        language: Name of Tesseract's data.
        seconds: Lines that are not read within this time come out empty.
    """
    found: list[ReadLine] = []
    for start in range(0, len(lines), _SHEET_LINES):
        some = lines[start : start + _SHEET_LINES]
        found += _read_sheet([_flattened(line) for line in some], language, seconds)
    return found


@cache
def _installed() -> frozenset[str]:
    program = shutil.which("tesseract")
    if program is None:
        return frozenset()
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [program, "--list-langs"], capture_output=True, timeout=30, check=True, text=True
        )
        return frozenset(line.strip() for line in done.stdout.splitlines()[1:])
    return frozenset()


def _flattened(line: Pixels) -> Image.Image:
    """A line in dark grey on a light ground, at the height that Tesseract reads best."""
    grey = Image.fromarray(np.ascontiguousarray(line)).convert("L")
    scale = _LINE_HEIGHT / grey.height
    width = min(_LONGEST, max(8, round(grey.width * scale)))
    levels = np.asarray(grey.resize((width, _LINE_HEIGHT), Image.Resampling.LANCZOS), np.float32)
    paper, (darkest, lightest) = np.median(levels), np.percentile(levels, (_INK, 100 - _INK))
    if lightest - paper > paper - darkest:  # light letters on a dark ground
        levels, paper, darkest = 255 - levels, 255 - paper, 255 - lightest
    # Noise of the paper must become white: on the white sheet a grey line looks like a picture.
    white = paper - _NOISE_SHARE * (paper - darkest)
    even = (levels - darkest) * (255 / max(1.0, white - darkest))
    return Image.fromarray(even.clip(0, 255).astype(np.uint8))


def _read_sheet(lines: Sequence[Image.Image], language: str, seconds: float) -> list[ReadLine]:
    step = _LINE_HEIGHT + _GAP
    width = max(line.width for line in lines) + 2 * _GAP
    sheet = Image.new("L", (width, step * len(lines) + _GAP), "white")
    for number, line in enumerate(lines):
        sheet.paste(line, (_GAP, _GAP + step * number))
    words: list[list[_Word]] = [[] for _ in lines]
    for word in _words(_output(sheet, language, seconds)):
        words[min(len(lines) - 1, max(0, int((word.middle - _GAP / 2) / step)))].append(word)
    return [_line(found) for found in words]


@dataclass(frozen=True)
class _Word:
    """A word of Tesseract's table, with its place on the sheet in pixels."""

    text: str
    confidence: float
    left: int
    right: int
    middle: float


def _line(words: Sequence[_Word]) -> ReadLine:
    if not words:
        return ReadLine()
    text = words[0].text
    for before, word in pairwise(words):
        text += f"{_between(before, word)}{word.text}"
    letters = sum(len(word.text) for word in words)
    mean = sum(len(word.text) * word.confidence for word in words) / letters
    return ReadLine(normalized("NFC", text).replace(_SARA_AM, "\u0e33"), mean)


def _between(before: _Word, word: _Word) -> str:
    """The space between two words, or nothing between syllables of the same one."""
    is_apart = word.left - before.right > _SPACE
    return " " if is_apart or not _SYLLABLES.search(before.text[-1] + word.text[0]) else ""


def _words(table: str) -> list[_Word]:
    found: list[_Word] = []
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        text = (row.get("text") or "").strip()
        with contextlib.suppress(KeyError, TypeError, ValueError):
            if text and row["level"] == "5":
                left, top = int(row["left"]), int(row["top"])
                right, middle = left + int(row["width"]), top + int(row["height"]) / 2
                found.append(_Word(text, float(row["conf"]) / 100, left, right, middle))
    return found


def _output(sheet: Image.Image, language: str, seconds: float) -> str:
    program = shutil.which("tesseract")
    if program is None:
        return ""
    data = io.BytesIO()
    sheet.save(data, "PPM")
    kept = ("PATH", "TESSDATA_PREFIX", "LD_LIBRARY_PATH", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    with subprocess.Popen(
        [program, "-", "-", "-l", language, "--psm", _ONE_BLOCK, "--dpi", "150", "tsv"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment | {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C"},
    ) as process:
        _limit(process.pid)
        try:
            output, _ = process.communicate(data.getvalue(), timeout=max(0.1, seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            return ""
        except BaseException:
            process.kill()
            raise
    return output.decode("utf-8", "replace") if process.returncode == 0 else ""


def _limit(process: int) -> None:
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(process, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            resource.prlimit(process, resource.RLIMIT_CORE, (0, 0))
