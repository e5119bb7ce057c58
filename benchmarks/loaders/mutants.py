"""Real files with bytes flipped, cut and swapped, and files that name what they must not read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

_MOST_BYTES = 400_000
_FOLDERS = ("pdf", "images", "audio", "video")
_CANARY_LINKS = {
    "list.mp4": "ffconcat version 1.0\nfile '{path}'\n",
    "stream.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
    "field.rtf": r"{{\rtf1 a{{\field{{\*\fldinst {{ INCLUDEPICTURE "
    + r'"{url}" \\d }}}}{{\fldrslt x}}}}\par}}',
    "drawing.svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>',
    "form.pdf": "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/GoToR/F({path})>>>>"
    "endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R"
    "/MediaBox[0 0 99 99]/Contents 4 0 R>>endobj\n4 0 obj<</Length 0/F({path})>>stream\n\n"
    "endstream endobj\ntrailer<</Root 1 0 R>>\n",
}


def write_mutants(corpus: Path, folder: Path, count: int, seed: int = 1) -> list[Path]:
    """Write so many damaged copies of the small files of a corpus, the same for the same seed."""
    dice = random.Random(seed)
    originals = sorted(
        path
        for name in _FOLDERS
        for path in (corpus / name).rglob("*")
        if path.is_file() and 0 < path.stat().st_size <= _MOST_BYTES
    )
    written: list[Path] = []
    for number in range(count):
        original = originals[number % len(originals)]
        path = folder / f"{number:03}-{original.name}"
        path.write_bytes(mutated(original.read_bytes(), dice))
        written.append(path)
    return written


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Damage bytes in one of five ways."""
    first, second = sorted(dice.randrange(len(data) + 1) for _ in "12")
    match dice.randrange(5):
        case 0:
            return _flipped(data, dice, dice.randint(1, 8))
        case 1:
            return _flipped(data, dice, max(1, len(data) // 100))
        case 2:
            return data[: max(1, first)]
        case 3:
            return data[:first] + data[second:] or b"\0"
        case _:
            middle = (first + second) // 2
            return data[:first] + data[middle:second] + data[first:middle] + data[second:]


def _flipped(data: bytes, dice: random.Random, count: int) -> bytes:
    damaged = bytearray(data)
    for _ in range(count):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def write_lures(folder: Path, canary: Path) -> Iterator[Path]:
    """Write files that name the canary, each in the way of its format, and a link to it."""
    for name, text in _CANARY_LINKS.items():
        path = folder / name
        path.write_text(text.format(path=canary, url=canary.as_uri()))
        yield path
    link = folder / "link.pdf"
    link.symlink_to(canary)
    yield link
