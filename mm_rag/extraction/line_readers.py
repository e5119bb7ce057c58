"""Choose the reader of each line by its script: the OCR engine, or Tesseract for other scripts.

Text in a script that no installed program reads is left out and named. What the engine makes of it
would be rubbish: "HIpOTOKOJI" for a Russian minute.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mm_rag.extraction import tesseract
from mm_rag.extraction.ocr_engine import Corners, FoundLine, Turn
from mm_rag.extraction.scripts import NO_TEXT, READABLE, TURNED, VIETNAMESE
from mm_rag.words import normalized

MIN_CONFIDENCE = 0.6
# Of Tesseract. Right lines have 0.8 to 0.97, wrong scripts and textures 0.1 to 0.5.
_MIN_OTHER = 0.4
# Lengths are in heights of a line, each with about two letters. A script is on a picture from this
# length and this share of the text; a long line counts no more than a usual one.
_LEAST, _LEAST_SHARE, _MOST_LENGTH = 3.0, 0.15, 20.0
_SURE = 0.5
_NOTED = 6.0  # length of text from which a script that cannot be read is named
_ROUNDS = 6
_SPECIAL = frozenset({NO_TEXT, TURNED})
# A whole picture is turned if this share of its text is, from this length.
_MOST_TURNED, _TURNED_LENGTH = 0.6, 10.0


@dataclass(frozen=True)
class ReadText:
    """The text of a line.

    Attributes:
        corners: In pixels of the picture.
        text: In logical order.
        confidence: From 0 to 1.
    """

    corners: Corners
    text: str
    confidence: float


@dataclass
class PictureText:
    """The text of the lines of a picture.

    Attributes:
        lines: The lines that could be read.
        unread: Scripts of lines that could not be read.
        partly: Scripts of lines that were read without some of their accents.
        turns: Length of the text that stands in each direction.
    """

    lines: list[ReadText] = field(default_factory=list[ReadText])
    unread: set[str] = field(default_factory=set[str])
    partly: set[str] = field(default_factory=set[str])
    turns: dict[Turn, float] = field(default_factory=dict[Turn, float])


def read_by_script(lines: Sequence[FoundLine], seconds: float) -> PictureText:
    """Read each line with the reader of its script.

    Args:
        lines: The lines of one picture.
        seconds: For the lines in other scripts.
    """
    found = PictureText()
    for line in lines:
        if _is_text(line):
            found.turns[line.turn] = found.turns.get(line.turn, 0.0) + _weight(line)
    taken: set[int] = set()
    missed: list[int] = []
    # The main script last, with the lines that were taken for another one.
    for script, members in _in_other_scripts(lines).items():
        numbers = sorted({*members, *missed})
        missed, given = _read_other(script, lines, numbers, seconds, found)
        taken |= given
    for at, line in enumerate(lines):
        if at not in taken and _is_sure(line) and (text := _engine_text(line)):
            found.lines.append(ReadText(line.corners, text, line.confidence))
    return found


def turn_of(turns: Mapping[Turn, float]) -> Turn:
    """The direction in which a picture stands, by the length of the text in each direction."""
    total = sum(turns.values())
    for turn, length in turns.items():
        if turn and length >= _TURNED_LENGTH and length > _MOST_TURNED * total:
            return turn
    return 0


def _read_other(
    script: str,
    lines: Sequence[FoundLine],
    numbers: Sequence[int],
    seconds: float,
    found: PictureText,
) -> tuple[list[int], set[int]]:
    """Read lines in one other script. `found` gets their text, or the name of the script.

    Returns:
        The numbers of lines that did not come out right, and of those that the engine must not
        give.
    """
    language = tesseract.language_of(script)
    if language is None:
        if sum(_weight(lines[at]) for at in numbers) < _NOTED:  # a texture, more likely
            return [], set()
        # The engine reads Vietnamese without some accents, but not the other scripts.
        (found.partly if script == VIETNAMESE else found.unread).add(script)
        return [], set() if script == VIETNAMESE else set(numbers)
    # The engine works on blue, green, red.
    pixels = [lines[at].pixels[:, :, ::-1] for at in numbers]
    missed: list[int] = []
    for at, read in zip(numbers, tesseract.read_lines(pixels, language, seconds), strict=True):
        if _fits(read, script):
            found.lines.append(ReadText(lines[at].corners, read.text, read.confidence))
        else:
            missed.append(at)
    if len(missed) == len(numbers):  # it is another script, or no text at all
        return missed, set()
    return missed, {at for at in numbers if at not in missed or not lines[at].is_legible}


def _in_other_scripts(lines: Sequence[FoundLine]) -> dict[str, list[int]]:
    """The numbers of the lines in each script that the engine does not read; the main one last."""
    lines = _agreed([_settled(line) for line in lines])
    weights = _weights(lines)
    total = sum(weights.values())
    present = [
        script
        for script, weight in weights.items()
        if script not in READABLE and weight >= max(_LEAST, _LEAST_SHARE * total)
    ]
    others: dict[str, list[int]] = {script: [] for script in present}
    if not present:
        return others
    main = max(present, key=weights.__getitem__)
    is_most = sum(weights[script] for script in present) > total / 2
    for number, line in enumerate(lines):
        readable = sum(_share(line, script) for script in READABLE)
        if main == VIETNAMESE and is_most and _share(line, "Latin") > _SURE:
            others[main].append(number)
        elif sum(_share(line, script) for script in present) > _SURE:
            others[max(present, key=line.scripts.__getitem__)].append(number)
        elif is_most and readable < _SURE and _share(line, NO_TEXT) < _SURE:
            others[main].append(number)
    others[main] = others.pop(main)
    return {script: numbers for script, numbers in others.items() if numbers}


def _settled(line: FoundLine) -> FoundLine:
    """A line, which is in Latin letters or Chinese if it is legible, and maybe Vietnamese."""
    if not line.is_legible:
        return line
    share = _share(line, VIETNAMESE) if _share(line, VIETNAMESE) > _SURE else 0.0
    return replace(line, scripts={"Latin": 1 - share, VIETNAMESE: share})


def _agreed(lines: Sequence[FoundLine]) -> list[FoundLine]:
    """Lines whose scripts take account of the other lines: most pictures have one or two scripts.

    Expectation maximisation of a mixture: the shares of scripts on the picture, and of each line.
    """
    found = list(lines)
    for _ in range(_ROUNDS):
        weights = _weights(found)
        total = sum(weights.values()) or 1.0
        found = [
            replace(one, scripts=_by_prior(line.scripts, weights, total))
            for one, line in zip(found, lines, strict=True)
        ]
    return found


def _by_prior(
    shares: Mapping[str, float], weights: Mapping[str, float], total: float
) -> dict[str, float]:
    """The probabilities of scripts, given the length of each on the picture.

    Textures and lines that are upside down say nothing about the others.
    """
    special = {script: share for script, share in shares.items() if script in _SPECIAL}
    rest = 1 - sum(special.values())
    scripts = {
        script: share * (weights[script] / total)
        for script, share in shares.items()
        if script not in _SPECIAL
    }
    whole = sum(scripts.values()) or 1.0
    return special | {script: rest * share / whole for script, share in scripts.items()}


def _weights(lines: Sequence[FoundLine]) -> dict[str, float]:
    """The length of the text in each script."""
    weights: dict[str, float] = defaultdict(float)
    for line in lines:
        for script, share in line.scripts.items():
            if script not in _SPECIAL:
                weights[script] += share * _weight(line)
    return weights


def _fits(read: tesseract.ReadLine, script: str) -> bool:
    """Whether a line came out in letters of the script, or in digits."""
    letters = [letter for letter in read.text if letter.isalpha()]
    name = "LATIN" if script == VIETNAMESE else script.upper()
    own = sum(unicodedata.name(letter, "").startswith(name) for letter in letters)
    return bool(read.text) and read.confidence >= _MIN_OTHER and own >= len(letters) / 2


def _engine_text(line: FoundLine) -> str:
    # The models were trained on Chinese and sometimes read Latin punctuation as full-width.
    return " ".join(normalized("NFKC", line.text).split())


def _is_sure(line: FoundLine) -> bool:
    """Whether the engine's text is worth keeping. Textures often look like turned letters."""
    return line.is_legible or (line.turn in (0, 90) and line.confidence >= MIN_CONFIDENCE)


def _is_text(line: FoundLine) -> bool:
    return line.is_legible or _share(line, NO_TEXT) + _share(line, TURNED) < _SURE


def _share(line: FoundLine, script: str) -> float:
    return line.scripts.get(script, 0.0)


def _weight(line: FoundLine) -> float:
    return min(line.length, _MOST_LENGTH)
