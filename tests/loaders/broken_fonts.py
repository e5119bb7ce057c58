"""PDFs whose fonts say nothing, or something wrong, about the letters that they draw."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pymupdf

_HEX = re.compile(r"<([0-9a-fA-F ]+)>")


def with_letters(text: str, letters: Callable[[list[str]], list[str]] | None) -> pymupdf.Document:
    """A page with a text, whose letters are given as other ones by its fonts.

    Args:
        text: What is printed.
        letters: The letters of a font, to what they are said to be; None removes the list.
    """
    document = pymupdf.open()
    page: Any = document.new_page()
    page.insert_htmlbox((40, 40, 555, 800), "".join(f"<p>{each}</p>" for each in text.split("\n")))
    document.subset_fonts()
    document = pymupdf.open(stream=document.tobytes(), filetype="pdf")
    for xref in range(1, document.xref_length()):
        kind, value = document.xref_get_key(xref, "ToUnicode")
        if kind != "xref":
            continue
        if letters is None:
            document.xref_set_key(xref, "ToUnicode", "null")
            continue
        number = int(value.split()[0])
        codes = _codes((document.xref_stream(number) or b"").decode("latin-1"))
        used = {code: letter for code, letter in codes.items() if letter in set(text) - {" "}}
        known = dict(zip(used, letters([*used.values()]), strict=True))
        spaces = {code: letter for code, letter in codes.items() if letter == " "}
        document.update_stream(number, _cmap(known | spaces).encode())
    return pymupdf.open(stream=document.tobytes(), filetype="pdf")


def _codes(cmap: str) -> dict[int, str]:
    found: dict[int, str] = {}
    mode = ""
    for line in cmap.splitlines():
        if match := re.search(r"(begin|end)(bfchar|bfrange)", line):
            mode = match[2] if match[1] == "begin" else ""
            continue
        numbers = [each.replace(" ", "") for each in _HEX.findall(line)]
        if mode == "bfchar":
            found[int(numbers[0], 16)] = bytes.fromhex(numbers[1]).decode("utf-16-be")
        elif mode == "bfrange":
            first, last, letter = (int(each, 16) for each in numbers[:3])
            found |= {code: chr(letter + code - first) for code in range(first, last + 1)}
    return found


def _cmap(codes: dict[int, str]) -> str:
    lines = [f"<{code:04x}> <{letter.encode('utf-16-be').hex()}>" for code, letter in codes.items()]
    blocks = [lines[at : at + 100] for at in range(0, len(lines), 100)]
    body = "\n".join(
        f"{len(each)} beginbfchar\n" + "\n".join(each) + "\nendbfchar" for each in blocks
    )
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /x def "
        "/CMapType 2 def 1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{body}\nendcmap CMapName currentdict /CMap defineresource pop end end"
    )
