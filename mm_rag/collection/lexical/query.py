"""Query syntax: words, phrases in quotation marks, and prefixes with a star (`valv*`).

Nothing else has a meaning, and nothing is a syntax error: other characters are ignored.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from mm_rag.collection.lexical.analysis import (
    PLAIN,
    as_written,
    cleaned,
    codes,
    has_letters,
    is_letter,
    spaced,
    stems,
)
from mm_rag.collection.lexical.asking import asking_words
from mm_rag.collection.lexical.identifiers import Identifier, identifiers_of

_T = TypeVar("_T")

_MOST_WORDS = 10_000  # different ones; a pasted chapter has some 2,000
_MOST = 20  # phrases, and prefixes: each is a search of its own
_MOST_CODES = 100
_MOST_MISSPELT = 2  # words; finding what is spelt like one takes up to 10 ms of 50,000 passages
_SHORT = 32  # words of a query that someone typed
_SHORTEST_MISSPELT, _TWO_WRONG = 5, 8  # letters of a word with one or two wrong ones
_LONGEST_PHRASE = 50  # words; longer ones are required in parts of this length

# English, German, French, and the corner brackets of Chinese and Japanese.
_QUOTES = dict.fromkeys(
    map(
        ord, "\u201c\u201d\u201e\u201f\u00ab\u00bb\u300c\u300d\u300e\u300f\u301d\u301e\u301f\uff02"
    ),
    '"',
)
_QUOTED = re.compile(r'(?<!\d)"([^"]+)"')  # after a digit it means inches: a 5" pipe
_PUNCTUATION = string.punctuation.replace("*", "")
_SHORTEST_PREFIX = 2  # letters; one is the prefix of half of all words


@dataclass(frozen=True)
class ParsedQuery:
    """A query before language analysis.

    Attributes:
        words: All different words but those with a star, phrases included, separated by spaces.
        phrases: Texts in quotation marks: words, as they are written, that stand in a row.
        quoted: Texts in quotation marks, as they were typed.
        prefixes: The texts before a star, folded.
        identifiers: Identifiers in it.
        spelt: The words in letters of a short query, as they are written.
    """

    words: str
    phrases: tuple[tuple[str, ...], ...]
    quoted: tuple[str, ...]
    prefixes: tuple[str, ...]
    identifiers: tuple[Identifier, ...]
    spelt: tuple[str, ...]

    def unknown(
        self, known: Collection[str], languages: Iterable[str]
    ) -> Iterator[tuple[str, int]]:
        """The words that may be misspelt, and how many letters may be wrong in each.

        Args:
            known: Stems that some document has, in any language.
            languages: The languages.
        """
        unknown = [
            word
            for word in self.spelt
            if not any(stem in known for language in languages for stem in stems(word, language))
        ]
        # With more, the query is in another language than the documents.
        if len(unknown) <= max(1, len(self.spelt) // 2):
            for word in unknown[:_MOST_MISSPELT]:
                if len(word) >= _SHORTEST_MISSPELT:
                    yield word, 1 if len(word) < _TWO_WRONG else 2


@dataclass(frozen=True)
class AnalyzedQuery:
    """The words of a query analysed in one language.

    Attributes:
        terms: Its stems.
        lesser: Stems that only make it a question.
        codes: Joined words that identify nothing, such as well-known.
        identifiers: The identifiers, each with the stems of its pieces.
        letters: Single letters of scripts without spaces, as prefixes of words.
    """

    terms: tuple[str, ...]
    lesser: frozenset[str]
    codes: tuple[str, ...]
    identifiers: tuple[tuple[Identifier, tuple[str, ...]], ...]
    letters: tuple[str, ...]


def parse_query(words: str) -> ParsedQuery:
    """Parse what a user typed. A star within quotes is a character like any other."""
    words = words.translate(_QUOTES)
    outside_and_inside = _QUOTED.split(cleaned(words))
    quoted = outside_and_inside[1::2]
    plain: list[str] = []
    prefixes: list[str] = []
    for word in " ".join(outside_and_inside[::2]).split():
        prefix = _prefix(word)
        (prefixes if prefix else plain).append(prefix or word)
    phrases = (phrase for text in _first(_MOST, quoted) for phrase in _phrases(text))
    return ParsedQuery(
        " ".join(_first(_MOST_WORDS, spaced(" ".join([*plain, *quoted]), ends=False).split())),
        _first(_MOST, phrases),
        _first(_MOST, quoted),
        _first(_MOST, as_written(" ".join(prefixes))),
        identifiers_of(" ".join([*plain, *quoted])),
        _spelt(plain) if len(plain) <= _SHORT else (),
    )


def _spelt(words: Iterable[str]) -> tuple[str, ...]:
    written = stems(spaced(" ".join(words), ends=False), PLAIN)
    return _first(_SHORT, filter(str.isalpha, written))


def without_syntax(text: str) -> str:
    """A text that requires nothing as a query: without quotation marks and stars."""
    return text.translate(_QUOTES).replace('"', " ").replace("*", " ")


def _prefix(word: str) -> str:
    """The text before the star at a word's end; empty if there is no usable prefix."""
    bare = word.strip(_PUNCTUATION)
    prefix = bare.removesuffix("*")
    # Not **bold**; and scripts without spaces are searched by pairs of letters anyway.
    if prefix == bare or bare[0] == "*" or prefix[-1:] == "*" or has_letters(prefix):
        return ""
    return prefix if sum(map(str.isalnum, prefix)) >= _SHORTEST_PREFIX else ""


def _phrases(text: str) -> Iterator[tuple[str, ...]]:
    """The phrases that a text in quotation marks requires."""
    words = stems(spaced(text, ends=True), PLAIN)
    # ABC gives AB, BC and C only if the run ends there; in the text it may go on.
    if len(words) > 1 and is_letter(words[-1]) and not is_letter(words[-2]):
        del words[-1 if words[-2].endswith(words[-1]) else len(words) :]
    for start in range(0, len(words), _LONGEST_PHRASE):
        yield tuple(words[start : start + _LONGEST_PHRASE])


def analyzed_query(parsed: ParsedQuery, language: str) -> AnalyzedQuery:
    """Analyse a query in one of `LANGUAGES`."""
    terms = set(stems(parsed.words, language))
    letters = sorted(filter(is_letter, terms))
    named = {word for each in parsed.identifiers for word in as_written(each.words)}
    whole = (code for code in codes(parsed.words) if code not in named)
    return AnalyzedQuery(
        tuple(sorted(terms.difference(letters))),
        asking_words(language) & terms,
        _first(_MOST_CODES, whole),
        tuple((each, _pieces(each.words, language)) for each in parsed.identifiers),
        _first(_MOST, letters),
    )


def _pieces(text: str, language: str) -> tuple[str, ...]:
    return tuple(sorted(set(stems(text, language))))


def _first(n: int, words: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(islice(dict.fromkeys(words), n))
