"""Analysis: text -> terms, the same for documents and queries.

A text is cleaned, scripts without spaces are split into pairs of letters, and words are stemmed in
the language of the text. Identifiers and part numbers are also kept whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Protocol

import tantivy

from mm_rag._forking import ForkableLock
from mm_rag.words import (
    HAN_AND_KANA,
    HANGUL,
    THAI_TO_KHMER,
    THAI_TO_KHMER_MARKS,
    is_common,
    normalized,
)

PLAIN = "plain"
"""Stands for languages without a stemmer: their words are not stemmed."""

STEMMED = {
    "ar": "arabic",
    "ary": "arabic",
    "arz": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
"""tantivy's stemmers, by the codes that py3langid gives."""

LANGUAGES = (*sorted(set(STEMMED.values())), PLAIN)
"""The languages that a passage is analysed in."""

_LONGEST = 255  # bytes of a word; longer ones are data, such as a picture in base64

# Dashes look alike; soft hyphens, joiners and marks of direction are not seen, and differ from copy
# to copy.
_DASHES = dict.fromkeys(map(ord, "\u2010\u2012\u2013\u2212"), "-")
_UNSEEN = dict.fromkeys(
    (0xAD, 0x61C, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
)
_DIGITS = {
    code: str(unicodedata.decimal(chr(code)))
    for code in range(0x660, 0x1FBFA)
    if unicodedata.category(chr(code)) == "Nd"
}
_REPLACED = _DASHES | _UNSEEN | _DIGITS

_UNSPACED = HAN_AND_KANA + HANGUL + THAI_TO_KHMER
_UNIT = re.compile(rf"[{_UNSPACED}][{THAI_TO_KHMER_MARKS}]*")
_RUN = re.compile(rf"(?:[{_UNSPACED}][{THAI_TO_KHMER_MARKS}]*)+")

# Combining accents, vowel signs and such: tantivy's fast tokenizer splits words there.
_SIGNS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u1cff\u1dc0-\u1dff\u20d0-\u20ff\u302a-\u302f\u3099\u309a"
    "\ua66f-\uabff\ufe00-\ufe2f]"
)
_SIGNED_WORD = r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*"

# Words joined by something other than letters: XJ-9, 9001:2015, foo_bar, a@b.org, C++.
_CODE = re.compile(
    r"(?<![^\W_])[^\W_]++(?:(?:(?:[-_./:@+#&=\\]{1,3}|(?<=\d),(?=\d))[^\W_]++)++(?:\+\+|#)?|\+\+|#)"
)


def cleaned(text: str) -> str:
    """Replace characters that only look different: full-width letters, digits, dashes, ..."""
    if text.isascii():
        return text
    # Lone surrogates come from damaged files and file names; tantivy refuses them.
    whole = text.encode("utf-8", "ignore").decode()
    return normalized("NFKC", whole).translate(_REPLACED)


def spaced(text: str, *, ends: bool) -> str:
    """Split runs of letters in scripts without spaces into overlapping pairs.

    Args:
        text: A cleaned text.
        ends: Whether a run also gives its last letter by itself: ABC becomes AB, BC and C. The
            index has it, so that every letter begins a term and can be found alone.
    """
    if text.isascii():
        return text
    return _RUN.sub(lambda match: f" {' '.join(_pairs(match[0], ends))} ", text)


def _pairs(run: str, ends: bool) -> list[str]:
    units = _UNIT.findall(run)
    pairs = [first + second for first, second in pairwise(units)]
    return [*pairs, units[-1]] if ends or not pairs else pairs


def is_letter(word: str) -> bool:
    """Whether a word is a single letter of a script without spaces."""
    return _UNIT.fullmatch(word) is not None


def has_letters(text: str) -> bool:
    """Whether a text has any letter of a script without spaces."""
    return _UNIT.search(text) is not None


def stems(text: str, language: str) -> list[str]:
    """The stemmed words of a spaced text, in order.

    Args:
        text: The result of `spaced`.
        language: One of `LANGUAGES`.
    """
    signed = not text.isascii() and _SIGNS.search(text) is not None
    return _analyzer(language, _signed_words if signed else tantivy.Tokenizer.simple).analyze(text)


def codes(text: str) -> list[str]:
    """The identifiers and part numbers of a spaced text, unsplit.

    Includes other joined words, such as well-known.
    """
    # Most words are only letters; passing them over here is faster than by the expression.
    others = " ".join(word for word in text.split() if not word.isalnum())
    return as_written(" ".join(_CODE.findall(others)))


def _signed_words() -> tantivy.Tokenizer:
    return tantivy.Tokenizer.regex(_SIGNED_WORD)  # five times as slow


def as_written(text: str) -> list[str]:
    """The words between the spaces of a text, in lower case without accents."""
    return _analyzer(PLAIN, tantivy.Tokenizer.whitespace).analyze(text)


@cache
def _analyzer(language: str, tokenizer: Callable[[], tantivy.Tokenizer]) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tokenizer())
    builder = builder.filter(tantivy.Filter.remove_long(_LONGEST))
    builder = builder.filter(tantivy.Filter.lowercase())
    if language != PLAIN:
        builder = builder.filter(tantivy.Filter.stemmer(language))
    # After the stemmer, which needs the accents. Many people leave them out.
    return builder.filter(tantivy.Filter.ascii_fold()).build()


# The language of a passage, as far as its stemmer is concerned.

_DEFAULT = "english"
_SAMPLE = 160  # characters; 100 are enough to know 998 of 1,000 English abstracts by
_SHORT = 20  # characters; names and numbers rather than sentences
_SURE = 0.5  # least probability; of 948 questions in four languages, 3 were below or wrong
_ASCII = 0.9  # of the letters of an English text
_ENGLISH = 0.2  # of the words; English prose has 40% of these, Dutch and German some 10%
_SPACE = re.compile(r"\s+")
_loading = ForkableLock()


class _Identifier(Protocol):
    def classify(self, text: str) -> tuple[str, float]: ...


def language_of(text: str) -> str:
    """The language of a text, of `LANGUAGES`; English if it is too short or mixed to tell."""
    words = text[: 2 * _SAMPLE].split()
    sample = " ".join(words)[:_SAMPLE]
    if _is_english(words) or (len(sample) < _SHORT and sample.isascii()):
        return _DEFAULT
    code, probability = _identifier().classify(sample)
    return STEMMED.get(code, PLAIN) if probability >= _SURE else _DEFAULT


def is_english(text: str) -> bool:
    """Whether a text is taken for English: its letters are ASCII, and its language is not another.

    Names, numbers and a few words count as English: they are too short to tell.
    """
    sample = text[: 2 * _SAMPLE]
    letters = [letter for letter in sample if letter.isalpha()]
    ascii_letters = sum(letter.isascii() for letter in letters)
    return ascii_letters >= _ASCII * len(letters) > 0 and language_of(text) == "english"


def _is_english(words: Sequence[str]) -> bool:
    # Saves 0.2 ms per passage, and in an English collection 0.6 s and 60 MB for the model.
    common = sum(is_common(word.lower()) for word in words)
    return common > 2 and common >= _ENGLISH * len(words)


def _identifier() -> _Identifier:
    with _loading:
        return _loaded()


@cache
def _loaded() -> _Identifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    # Its module-level `classify` gives scores that depend on the length, not probabilities.
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
