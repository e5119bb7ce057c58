"""What the words of a text are: the same for what is indexed and for what is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import tantivy

from mm_rag.collection.lexical.languages import PLAIN
from mm_rag.words import normalized

_LONGEST = 255  # bytes of a word; what is longer is data, such as a picture in base64

# Dashes look alike; soft hyphens and joiners are seen by nobody, and differ from copy to copy.
_DASHES = dict.fromkeys(map(ord, "\u2010\u2012\u2013\u2212"), "-")
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_REPLACED = _DASHES | _UNSEEN

# Scripts without spaces: Han, kana, Thai, Lao, Burmese, Khmer. And Korean, which has spaces, and
# endings that no stemmer here takes off.
_LETTERS = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\uac00-\ud7a3"
    "\u0e01-\u0e30\u0e32-\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2-\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"
    "\u1000-\u102a\u103f\u1050-\u1055\u1780-\u17b3\u17d7\u17dc"
)
_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059"
    "\u17b4-\u17d3\u17dd"
)
_UNIT = re.compile(rf"[{_LETTERS}][{_MARKS}]*")
_RUN = re.compile(rf"(?:[{_LETTERS}][{_MARKS}]*)+")

# Accents by themselves, vowel signs and such: tantivy's quick tokenizer takes words apart there.
_SIGNS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u1cff\u1dc0-\u1dff\u20d0-\u20ff\u302a-\u302f\u3099\u309a"
    "\ua66f-\uabff\ufe00-\ufe2f]"
)
_SIGNED_WORD = r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*"

# Words that hang together by something other than letters: XJ-9, 9001:2015, foo_bar, a@b.org, C++.
_CODE = re.compile(
    r"(?<![^\W_])[^\W_]++(?:(?:(?:[-_./:@+#&=\\]{1,3}|(?<=\d),(?=\d))[^\W_]++)++(?:\+\+|#)?|\+\+|#)"
)
_IDENTIFIER = re.compile(r"[\d_:@+#&=\\]")


def cleaned(text: str) -> str:
    """A text without what looks the same and is not: full-width letters, ligatures, dashes, ..."""
    if text.isascii():
        return text
    # Half a surrogate pair comes from damaged files and file names; tantivy takes none.
    whole = text.encode("utf-8", "ignore").decode()
    return normalized("NFKC", whole).translate(_REPLACED)


def spaced(text: str, *, ends: bool) -> str:
    """A cleaned text in which scripts without spaces are pairs of letters with spaces between.

    Args:
        text: The text.
        ends: Whether a run of several letters is to end with the last one by itself: ABC is AB, BC
            and C. In the index it is, so that every letter begins a word and can be found alone.
    """
    if text.isascii():
        return text
    return _RUN.sub(lambda match: f" {' '.join(_pairs(match[0], ends))} ", text)


def _pairs(run: str, ends: bool) -> list[str]:
    units = _UNIT.findall(run)
    pairs = [first + second for first, second in pairwise(units)]
    return [*pairs, units[-1]] if ends or not pairs else pairs


def is_letter(word: str) -> bool:
    """Whether a word is one letter of a script without spaces: a pair's first, say."""
    return _UNIT.fullmatch(word) is not None


def has_letters(text: str) -> bool:
    """Whether there is anything in a script without spaces."""
    return _UNIT.search(text) is not None


def stems(text: str, language: str) -> list[str]:
    """The words of a spaced text without their endings, in one of `LANGUAGES`, in order."""
    signed = not text.isascii() and _SIGNS.search(text) is not None
    return _analyzer(language, _signed_words if signed else tantivy.Tokenizer.simple).analyze(text)


def codes(text: str) -> list[str]:
    """The identifiers and part numbers of a spaced text, whole: `stems` takes them apart.

    Other words with something between their letters are among them, such as well-known.
    """
    # Most words are only letters, and this is faster than the expression is in passing them over.
    others = " ".join(word for word in text.split() if not word.isalnum())
    return as_written(" ".join(_CODE.findall(others)))


def is_identifier(code: str) -> bool:
    """Whether a code is more than words put together, as well-known, and/or and e.g are."""
    return _IDENTIFIER.search(code) is not None


def _signed_words() -> tantivy.Tokenizer:
    return tantivy.Tokenizer.regex(_SIGNED_WORD)  # takes five times as long


def as_written(text: str) -> list[str]:
    """What is between the spaces of a text, in small letters without accents."""
    return _analyzer(PLAIN, tantivy.Tokenizer.whitespace).analyze(text)


@cache
def _analyzer(language: str, tokenizer: Callable[[], tantivy.Tokenizer]) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tokenizer())
    builder = builder.filter(tantivy.Filter.remove_long(_LONGEST))
    builder = builder.filter(tantivy.Filter.lowercase())
    if language != PLAIN:
        builder = builder.filter(tantivy.Filter.stemmer(language))
    # After the stemmer, to which accents mean something. Many people leave them out.
    return builder.filter(tantivy.Filter.ascii_fold()).build()
