"""Query syntax: words, phrases in double quotes, and prefixes with a star (`valv*`).

Nothing else has a meaning, and nothing is a syntax error: other characters are ignored.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from mm_rag.collection.lexical.analysis import (
    as_written,
    cleaned,
    codes,
    has_letters,
    is_letter,
    spaced,
    stems,
)

_MOST_WORDS = 10_000  # different ones; a pasted chapter has some 2,000
_MOST = 10  # phrases, and prefixes: each is a search of its own
_MOST_CODES = 100
_LONGEST_PHRASE = 50  # words; a whole page pasted in quotes is found by its first lines

_QUOTES = dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u00ab\u00bb\u301d\u301e\u301f"), '"')
_QUOTED = re.compile(r'(?<!\d)"([^"]+)"')  # after a digit it means inches: a 5" pipe
_PUNCTUATION = string.punctuation.replace("*", "")
_SHORTEST_PREFIX = 2  # letters; one is the prefix of half of all words


@dataclass(frozen=True)
class ParsedQuery:
    """A query before language analysis.

    Attributes:
        words: All different words but those with a star, phrases included, separated by spaces.
        phrases: The texts in double quotes.
        prefixes: The texts before a star, folded.
    """

    words: str
    phrases: tuple[str, ...]
    prefixes: tuple[str, ...]


@dataclass(frozen=True)
class AnalyzedQuery:
    """A query analysed in one language.

    Attributes:
        terms: Its stems.
        phrases: Stems that must be adjacent.
        codes: Identifiers and part numbers, each with the stems of its pieces.
        prefixes: Prefixes of words.
    """

    terms: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]
    codes: tuple[tuple[str, tuple[str, ...]], ...]
    prefixes: tuple[str, ...]


def parse_query(words: str) -> ParsedQuery:
    """Parse what a user typed. A star within quotes is a character like any other."""
    outside_and_inside = _QUOTED.split(cleaned(words.translate(_QUOTES)))
    phrases = outside_and_inside[1::2]
    plain: list[str] = []
    prefixes: list[str] = []
    for word in " ".join(outside_and_inside[::2]).split():
        prefix = _prefix(word)
        (prefixes if prefix else plain).append(prefix or word)
    return ParsedQuery(
        " ".join(_first(_MOST_WORDS, spaced(" ".join([*plain, *phrases]), ends=False).split())),
        _first(_MOST, phrases),
        _first(_MOST, as_written(" ".join(prefixes))),
    )


def _prefix(word: str) -> str:
    """The text before the star at a word's end; empty if there is no usable prefix."""
    bare = word.strip(_PUNCTUATION)
    prefix = bare.rstrip("*").lstrip(_PUNCTUATION + "*")
    # Scripts without spaces are searched by pairs of letters anyway.
    if not bare.endswith("*") or has_letters(prefix):
        return ""
    return prefix if sum(map(str.isalnum, prefix)) >= _SHORTEST_PREFIX else ""


def analyzed_query(parsed: ParsedQuery, language: str) -> AnalyzedQuery:
    """Analyse a query in one of `LANGUAGES`."""
    terms = set(stems(parsed.words, language))
    letters = sorted(filter(is_letter, terms))
    whole = _first(_MOST_CODES, codes(parsed.words))
    phrases = (_phrase(phrase, language) for phrase in parsed.phrases)
    return AnalyzedQuery(
        tuple(sorted(terms.difference(letters))),
        tuple(phrase for phrase in phrases if phrase),
        tuple((code, tuple(sorted(set(stems(code, language))))) for code in whole),
        (*parsed.prefixes, *_first(_MOST, letters)),
    )


def _phrase(phrase: str, language: str) -> tuple[str, ...]:
    words = stems(spaced(phrase, ends=True), language)[:_LONGEST_PHRASE]
    # ABC gives AB, BC and C only if the run ends there; in the text it may go on.
    if len(words) > 1 and is_letter(words[-1]) and not is_letter(words[-2]):
        return tuple(words[:-1] if words[-2].endswith(words[-1]) else words)
    return tuple(words)


def _first(n: int, words: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(words), n))
