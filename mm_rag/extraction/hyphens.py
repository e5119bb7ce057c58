"""Words that are cut at the end of a line: whether the hyphen belongs to them.

What else occurs in the document decides: "well-known" or "wellknown". Then rules do, which suit
English, German, French, Spanish, Italian and Dutch.
"""

from __future__ import annotations

import re
from collections import Counter


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A word before a hyphen at the end of a line, and the word that begins the next line.
_CUT = re.compile(
    r"(?P<left>[^\W_](?:[\w'\u2019-]*[^\W_])?)[-\u2010]\n(?P<right>[^\W_][\w'\u2019-]*)"
)
_WORD = re.compile(r"[^\W_](?:[\w'\u2019-]*[^\W_])?")
_MOST_WORDS = 100_000  # that are counted: a novel has 20,000 different ones
_LONGEST = 60  # letters of a word

# "Ein- und Ausgang", "pre- and postwar", "in- en uitvoer": the hyphen stands for a word.
_AND = frozenset(("and", "or", "und", "oder", "bzw", "et", "ou", "y", "o", "e", "ed", "en", "of"))
# The ends of words such as "bau-en": they are conjunctions after consonants only.
_AND_OR_END = frozenset(("en", "ed", "et", "ou"))
_VOWELS = frozenset("aeiouyäöüéèáíóú")
_SHORTEST_IN_CAPITALS = 5  # "MASCHINEN-BAU" is one word, "CD-ROM" is two

# Compounds that are usually written with a hyphen, by their first and by their second word.
_FIRST = _listed(
    "well self all ex half quasi so high low long short full part twenty thirty forty fifty sixty "
    "seventy eighty ninety two three four five six seven eight nine ten vice mid cross post rendez "
    "peut grand petit demi arrière avant après sous celui celle ceux celles vis porte non ultra "
    "afro anglo franco euro"
)
_SECOND = _listed(
    "known called based making term time level scale related driven oriented specific dependent "
    "friendly sized aged led funded owned being year old day free quality range wide third fifth "
    "five six seven eight nine one two three four first hand off out up in page class profile "
    "income risk speed length way ended esteem service employed defence control evident educated "
    "vous nous être même mêmes ci là moi toi mère père fils fille midi dessus dessous delà bas "
    "president chairman century life section country être"
)
_ENDS_OF_QUESTIONS = frozenset(("il", "ils", "elle", "elles", "on", "je", "tu"))
# With these, the second word alone does not show a compound: "un-known", "re-called".
_PREFIXES = _listed(
    "un re in im dis mis pre over out under inter sub be de con com per pro fore super"
)
_SECOND_ALONE = _listed(
    "based called driven oriented related specific dependent friendly sized funded owned aged "
    "making known"
)


class Hyphens:
    """Counts the words of a document, and joins those that are cut at the ends of lines."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def see(self, text: str) -> None:
        """Count the words of a line of the document."""
        for word in _WORD.findall(text):
            if len(self._seen) < _MOST_WORDS and len(word) <= _LONGEST:
                self._seen[word.casefold()] += 1

    def joined(self, text: str) -> str:
        r"""The text with the words joined that are cut at the ends of its lines.

        `"represen-\ntation"` becomes `"representation"`, `"COVID-\n19"` `"COVID-19"`, and
        `"Ein-\nund Ausgang"` `"Ein- und Ausgang"`.
        """
        return _CUT.sub(self._join, text) if "-\n" in text or "\u2010\n" in text else text

    def _join(self, cut: re.Match[str]) -> str:
        left, right = cut["left"], cut["right"]
        if self._is_conjunction(left, right):
            return f"{left}- {right}"
        return f"{left}-{right}" if self._has_hyphen(left, right) else left + right

    def _is_conjunction(self, left: str, right: str) -> bool:
        if right not in _AND or self._seen[(left + right).casefold()]:
            return False
        return right not in _AND_OR_END or left[-1].casefold() not in _VOWELS

    def _has_hyphen(self, left: str, right: str) -> bool:
        with_it = self._seen[f"{left}-{right}".casefold()]
        without = self._seen[(left + right).casefold()]
        if with_it != without:
            return with_it > without
        if not (left[-1].isalpha() and right[0].isalpha()):
            return True  # COVID-19, 3-fold, 10-12
        if "-" in left or len(left) == 1 or len(right) == 1:
            return True  # state-of-the-art, e-mail
        if left.isupper():
            is_one_word = right.isupper() and len(left) >= _SHORTEST_IN_CAPITALS
            return not is_one_word
        if right[0].isupper():
            return True  # Saint-Pierre, Lucene-BM25
        return _is_compound(left.casefold(), right.casefold())


def _is_compound(left: str, right: str) -> bool:
    """Whether both halves make a compound that is usually written with a hyphen."""
    if right in _ENDS_OF_QUESTIONS:
        return left[-1] in "td"  # est-il, dit-elle
    if left in _FIRST and right in _SECOND:
        return True
    return right in _SECOND_ALONE and left not in _PREFIXES and len(left) > 2
