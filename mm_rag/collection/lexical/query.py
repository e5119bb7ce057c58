"""What a user typed: words, phrases in quotes, and beginnings of words with a star.

Nothing else has a meaning, and nothing is an error: what is no word is passed over.
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

_MOST_WORDS = 10_000  # that are looked at; a pasted chapter has some 2,000 different ones
_MOST = 10  # phrases, and beginnings: each is a search of its own
_MOST_CODES = 100
_LONGEST_PHRASE = 50  # words; who pastes a whole page in quotes finds it by its first lines

_QUOTES = dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u00ab\u00bb\u301d\u301e\u301f"), '"')
_QUOTED = re.compile(r'(?<!\d)"([^"]+)"')  # after a digit it means inches: a 5" pipe
_PUNCTUATION = string.punctuation.replace("*", "")
_SHORTEST_BEGINNING = 2  # letters; one is the beginning of half of all words


@dataclass(frozen=True)
class Question:
    """A query, before anybody knows its language.

    Attributes:
        words: All different words but those with a star, phrases included, spaces between them.
        phrases: What was in double quotes.
        beginnings: What was before a star, folded.
    """

    words: str
    phrases: tuple[str, ...]
    beginnings: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A question taken to be in one language.

    Attributes:
        terms: Its stems.
        phrases: Stems that must stand next to each other.
        codes: Identifiers and part numbers, each with the stems of its pieces.
        beginnings: The beginnings of words.
    """

    terms: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]
    codes: tuple[tuple[str, tuple[str, ...]], ...]
    beginnings: tuple[str, ...]


def parse(words: str) -> Question:
    """Read what a user typed. A star within quotes is a character like any other."""
    outside_and_inside = _QUOTED.split(cleaned(words.translate(_QUOTES)))
    phrases = outside_and_inside[1::2]
    plain: list[str] = []
    beginnings: list[str] = []
    for word in " ".join(outside_and_inside[::2]).split():
        beginning = _beginning(word)
        (beginnings if beginning else plain).append(beginning or word)
    return Question(
        " ".join(_first(_MOST_WORDS, spaced(" ".join([*plain, *phrases]), ends=False).split())),
        _first(_MOST, phrases),
        _first(_MOST, as_written(" ".join(beginnings))),
    )


def _beginning(word: str) -> str:
    """What is before the star at a word's end; empty where that means nothing."""
    bare = word.strip(_PUNCTUATION)
    beginning = bare.rstrip("*").lstrip(_PUNCTUATION + "*")
    # Scripts without spaces have words within words: they are searched by pairs of letters anyway.
    if not bare.endswith("*") or has_letters(beginning):
        return ""
    return beginning if sum(map(str.isalnum, beginning)) >= _SHORTEST_BEGINNING else ""


def read(question: Question, language: str) -> Reading:
    """Take a question to be in one of `LANGUAGES`."""
    terms = set(stems(question.words, language))
    letters = sorted(filter(is_letter, terms))
    whole = _first(_MOST_CODES, codes(question.words))
    phrases = (_phrase(phrase, language) for phrase in question.phrases)
    return Reading(
        tuple(sorted(terms.difference(letters))),
        tuple(phrase for phrase in phrases if phrase),
        tuple((code, tuple(sorted(set(stems(code, language))))) for code in whole),
        (*question.beginnings, *_first(_MOST, letters)),
    )


def _phrase(phrase: str, language: str) -> tuple[str, ...]:
    words = stems(spaced(phrase, ends=True), language)[:_LONGEST_PHRASE]
    # ABC is AB, BC and C only where the run ends there; in the text it may go on.
    if len(words) > 1 and is_letter(words[-1]) and not is_letter(words[-2]):
        return tuple(words[:-1] if words[-2].endswith(words[-1]) else words)
    return tuple(words)


def _first(n: int, words: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(words), n))
