"""Text layers that lie: found out by statistics on the letters of a page, in any language.

A font may say nothing, or something wrong, about the letters that it draws. The words then come out
as "/HDVH DJUHHPHQW" or "Ïðîòîêîë", as private or unassigned characters, or as a mix of scripts.
"""

from __future__ import annotations

import itertools
import json
import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_FEWEST = 60  # pairs of letters, or letters, from which on a text is judged
_DIGIT = "0"
_MOST_DIGITS = 0.25  # of a word
_MOST_REPEATED = 3  # times that a word counts: a page may repeat a code
_SHORTEST = 3  # letters of a word that is judged: shorter ones are units, variables and codes

# Bits for a pair of letters, on average over a text of `_FEWEST` pairs, and over one of `_MANY`.
# Measured by `tools.letter_pairs` on translations that the table was not made of: texts in 111
# languages have at most 4.56 and 4.47 in Latin, 5.06 and 5.08 in other scripts; texts with shuffled
# letters 5.2 and 5.4, and 5.5 to 7.4. Pages of reports, forms, papers and slides have at most 4.0.
_MOST_BITS: dict[str, tuple[float, float]] = {"LATIN": (4.8, 4.6)}
_MOST_BITS_ELSEWHERE = (5.4, 5.2)
_MANY = 250
_UNKNOWN_BITS = 9.0  # of a pair with a letter that hardly occurs in its script

_MOST_UNREADABLE = 0.25  # share of characters without a meaning
_MOST_ACCENTS = 0.62  # share of Latin letters with accents; Vietnamese has up to half
_MOST_STRANGE = 0.25  # share of letters outside of the three most frequent scripts
_LEAST_COMMON = 0.6  # share of ideographs or syllables that schools teach
_FEWEST_SIGNS = 150  # characters: the indices of a page of formulas are fewer
_MOST_SIGNS = 0.5  # share of characters in words with signs in them
_INNER_SIGNS = frozenset(
    "-.,:/@_&\u2019'\u00b7\u2013\u2014\u2026\u00b0"
)  # of names, numbers and addresses

_TABLE = "letter_pairs.json"
_LEVELS = "0123456789abcdefghijklmnopqrstuvwxyz"  # quarters of a bit
_ALIKE = str.maketrans("ıøđłßæœþðəɛɔŋħ", "iodlseetdeeonh")
# Scripts whose vowels are marks, which are counted like letters.
_WITH_MARKS = (
    "BENGALI",
    "DEVANAGARI",
    "GUJARATI",
    "GURMUKHI",
    "KANNADA",
    "KHMER",
    "LAO",
    "MALAYALAM",
    "MYANMAR",
    "ORIYA",
    "SINHALA",
    "TAMIL",
    "TELUGU",
    "THAI",
    "TIBETAN",
)
# Written together, so that they count as one script.
_JAPANESE = ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HALFWIDTH", "IDEOGRAPHIC")
_MATHEMATICAL = ("MATHEMATICAL", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER", "FULLWIDTH", "MODIFIER")
# The level of the legacy encodings that holds the characters in common use.
_COMMON: dict[str, tuple[tuple[str, int, int], ...]] = {
    "CJK": (("gb2312", 0xB0, 0xD7), ("euc_jp", 0xB0, 0xCF), ("big5", 0xA4, 0xC6)),
    "HANGUL": (("euc_kr", 0xB0, 0xC8),),
}


@dataclass(frozen=True)
class _Letter:
    """A letter as it is counted.

    Attributes:
        script: First word of its Unicode name; empty for what is not a letter.
        folded: In lower case and without accents.
        has_accent: Whether an accent was removed.
    """

    script: str
    folded: str
    has_accent: bool = False


def is_gibberish(text: str, unreadable: int = 0) -> bool:
    """Whether a text is not written in any language.

    A text with fewer than about 60 letters is not judged.

    Args:
        text: Words of a page, separated by spaces.
        unreadable: Number of characters that the library could not even name.
    """
    letters = Counter(text)
    for blank in [each for each in letters if each.isspace()]:
        del letters[blank]
    total = letters.total() + unreadable
    if total < _FEWEST:
        return False
    lost = unreadable + sum(n for letter, n in letters.items() if _is_unreadable(letter))
    if lost > _MOST_UNREADABLE * total:
        return True
    known = {letter: _letter(letter) for letter in letters}
    scripts: Counter[str] = Counter()
    for letter, n in letters.items():
        scripts[known[letter].script] += n
    del scripts[""]
    if _is_mixed(scripts) or _is_rare(letters, known):
        return True
    bits = letter_bits(text, known)
    is_judged = any(pairs >= _FEWEST for _, pairs in bits.values())
    if scripts.total() >= _FEWEST and _is_improbable(letters, known, scripts, bits):
        return True
    # A page of formats or options has many signs, too, between words of a language.
    return not is_judged and total >= _FEWEST_SIGNS and _has_many_signs(text, total)


def _is_unreadable(letter: str) -> bool:
    return letter == "\N{REPLACEMENT CHARACTER}" or unicodedata.category(letter) in (
        "Cc",
        "Co",
        "Cn",
        "Cs",
    )


@cache
def _letter(letter: str) -> _Letter:
    script = unicodedata.name(letter, "").partition(" ")[0]
    category = unicodedata.category(letter)
    if script in _WITH_MARKS:
        return _Letter(script, letter) if category[0] in "LM" else _Letter("", " ")
    if category[0] == "M":
        return _Letter("", "")
    if category == "Nd":
        return _Letter("", _DIGIT)
    if category[0] != "L" or script in _MATHEMATICAL:
        return _Letter("", " ")
    if script in _JAPANESE:
        return _Letter("CJK", letter)
    form = "NFKD" if script == "ARABIC" else "NFD"
    parts = unicodedata.normalize(form, letter.lower())
    return _Letter(script, parts[0].translate(_ALIKE), len(parts) > 1 and script == "LATIN")


def _is_mixed(scripts: Mapping[str, int]) -> bool:
    """Whether more than three scripts share the text."""
    counts = sorted(scripts.values(), reverse=True)
    return sum(counts) >= _FEWEST and sum(counts[3:]) > _MOST_STRANGE * sum(counts)


def _is_rare(letters: Mapping[str, int], known: Mapping[str, _Letter]) -> bool:
    """Whether most ideographs or syllables are ones that hardly anyone uses."""
    for script in _COMMON:
        own = {
            letter: n
            for letter, n in letters.items()
            if known[letter].script == script and _is_syllable(letter)
        }
        total = sum(own.values())
        common = sum(n for letter, n in own.items() if _is_common(letter, script))
        if total >= _FEWEST and common < _LEAST_COMMON * total:
            return True
    return False


def _is_syllable(letter: str) -> bool:
    return "\u3400" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3"


@cache
def _is_common(letter: str, script: str) -> bool:
    for encoding, first, last in _COMMON[script]:
        try:
            code = letter.encode(encoding)
        except UnicodeEncodeError:
            continue
        if len(code) == 2 and first <= code[0] <= last:
            return True
    return False


def _has_many_signs(text: str, total: int) -> bool:
    """Whether signs stand inside words: `"%+'6+ '-5++1....+5 392`."""
    strange = 0
    for word in text.split():
        # Formulas have other letters, and Chinese has signs where others have spaces.
        if len(word) < _SHORTEST or not word.isascii() or word.isalnum():
            continue
        signs = [letter for letter in word if not letter.isalnum()]
        inner = {letter for letter in word[1:-1] if not letter.isalnum()} - _INNER_SIGNS
        distinct = len(set(word))
        has_many = len(signs) >= 0.5 * len(word) and distinct >= _SHORTEST
        if has_many or (inner and distinct > _SHORTEST):
            strange += len(word)
    return strange > _MOST_SIGNS * total


def _is_improbable(
    letters: Mapping[str, int],
    known: Mapping[str, _Letter],
    scripts: Counter[str],
    bits: Mapping[str, tuple[float, int]],
) -> bool:
    """Whether most letters are in a script in which they do not follow each other like this."""
    bad = 0
    for script, count in scripts.items():
        if script == "LATIN" and count >= _FEWEST:
            accents = sum(n for letter, n in letters.items() if known[letter].has_accent)
            if accents > _MOST_ACCENTS * count:
                bad += count
                continue
        if script in bits:
            mean, pairs = bits[script]
            few, many = _MOST_BITS.get(script, _MOST_BITS_ELSEWHERE)
            if pairs >= _FEWEST and mean > (many if pairs >= _MANY else few):
                bad += count
    return bad > 0.5 * scripts.total()


def letter_bits(
    text: str, known: Mapping[str, _Letter] | None = None
) -> dict[str, tuple[float, int]]:
    """Mean bits for a pair of letters, and the number of pairs, for each script with a table."""
    tables = _tables()
    sums: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for (script, a, b), n in letter_pairs(text, known).items():
        if script in tables:
            sums[script] += n * tables[script].get((a, b), _UNKNOWN_BITS)
            counts[script] += n
    return {script: (sums[script] / n, n) for script, n in counts.items()}


def letter_pairs(
    text: str, known: Mapping[str, _Letter] | None = None
) -> Counter[tuple[str, str, str]]:
    """Number of pairs of letters in words, with their script; a space stands for a word's ends."""
    known = known or {letter: _letter(letter) for letter in set(text)}
    folded = text.translate({ord(letter): each.folded for letter, each in known.items()})
    scripts = {each.folded: each.script for each in known.values() if each.script}
    found: Counter[tuple[str, str, str]] = Counter()
    words = Counter(word for word in folded.split() if len(word) >= _SHORTEST)
    for word, n in words.items():
        if word.count(_DIGIT) > _MOST_DIGITS * len(word):  # a code
            continue
        n = min(n, _MOST_REPEATED)
        for script, a, b in _pairs(word, scripts):
            found[script, a, b] += n
    return found


def _pairs(word: str, scripts: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for a, b in itertools.pairwise(f" {word} "):
        script = scripts.get(a) or scripts.get(b)
        if script and _DIGIT not in (a, b) and scripts.get(b, script) == script:
            yield script, a, b


@cache
def _tables() -> dict[str, dict[tuple[str, str], float]]:
    """Bits of the pairs of each script."""
    source = files("mm_rag_loaders.pdf").joinpath(_TABLE).read_text(encoding="utf-8")
    tables: dict[str, dict[tuple[str, str], float]] = {}
    for script, rows in json.loads(source).items():
        letters = " " + rows[0]
        tables[script] = {
            (a, b): _LEVELS.index(level) / 4
            for a, row in zip(letters, rows[1:], strict=True)
            for b, level in zip(letters, row, strict=True)
        }
    return tables


def table_of(languages: Iterable[Counter[tuple[str, str]]], script: str) -> list[str]:
    """The table of a script: its letters, then for a space and each of them a row of levels.

    Args:
        languages: Pairs counted in each language. All languages weigh the same.
        script: Its name; 26 letters of Latin are kept, 64 of scripts whose vowels are marks, and 48
            of others.
    """
    most_letters = 26 if script == "LATIN" else 64 if script in _WITH_MARKS else 48
    shares: Counter[tuple[str, str]] = Counter()
    for pairs in languages:
        total = pairs.total()
        for pair, n in pairs.items():
            shares[pair] += n / total  # pyright: ignore[reportArgumentType]
    letters: Counter[str] = Counter()
    for (a, _), share in shares.items():
        letters[a] += share
    del letters[" "]
    alphabet = " " + "".join(letter for letter, _ in letters.most_common(most_letters))
    rows = [alphabet[1:]]
    for a in alphabet:
        total = sum(shares[a, b] for b in alphabet) or 1.0
        # A share is for pairs that were not seen.
        bits = [-math.log2(0.98 * shares[a, b] / total + 0.02 / len(alphabet)) for b in alphabet]
        rows.append("".join(_LEVELS[min(len(_LEVELS) - 1, round(4 * each))] for each in bits))
    return rows
