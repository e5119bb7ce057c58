"""Letters of symbol fonts, which have no meaning without the font, as Unicode."""

from __future__ import annotations

_GREEK = dict(
    zip(
        range(0x41, 0x5B),
        "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ",
        strict=True,
    )
) | dict(zip(range(0x61, 0x7B), "αβχδεφγηιϕκλμνοπθρστυϖωξψζ", strict=True))
_SYMBOL = _GREEK | dict(
    zip(
        (0xA3, 0xA5, 0xAC, 0xAD, 0xAE, 0xAF, 0xB0, 0xB1, 0xB3, 0xB4, 0xB7, 0xB8, 0xB9, 0xBB, 0xC6),
        "≤∞←↑→↓°±≥\N{MULTIPLICATION SIGN}•÷≠≈∅",
        strict=True,
    )
)
_WINGDINGS = {0x6F: "☐", 0x71: "☐", 0xA8: "☐", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑"}
_WINGDINGS_2 = {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0xA3: "☐"}
_FONTS = {"symbol": _SYMBOL, "wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2}


def symbol(font: str, code: str) -> str:
    """The Unicode letter for a letter of a symbol font; empty if it is only decoration.

    Args:
        font: Name of the font.
        code: The letter's number in hexadecimal digits.
    """
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    # Symbol fonts may be addressed in the private area from 0xF000.
    number = number - 0xF000 if 0xF000 <= number < 0xF100 else number
    known = _FONTS.get(font.lower())
    if known is not None:
        return known.get(number, "")
    return chr(number) if 0x20 <= number < 0xD800 else ""
