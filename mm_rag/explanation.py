"""explained: the evidence of a hit in words, for `Hit.explain`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mm_rag._printing import one_line
from mm_rag.words import is_common, plain_words, stem

_MUCH = 2.0  # log-odds: odds seven times as high
_CLEAR = 0.7  # odds twice as high
_LITTLE = 0.3  # odds a third higher
_MOST_NAMED = 8  # words of the query that a line names
_LONGEST_NAMED = 40  # characters of a word
_BETWEEN = re.compile(r"[\W_]+")
_MOST_READ = 2_000  # words of the query that are looked for
_TOKEN = re.compile(r"[\w.,:/@+#&=*\\-]+")  # filtered by _IDENTIFIER: linear for any text
_IDENTIFIER = re.compile(r"[\d_@]")  # ZX-02201, 3.5, a@b.org, foo_bar


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The words of a query, and the text of a hit.

    Attributes:
        query: Words of the query.
        text: All texts of the hit, its title and its file name.
    """

    query: str
    text: str


def explained(evidence: Mapping[str, float], query: str, texts: Sequence[str]) -> list[str]:
    """A line for each signal, strongest first: its name, its share and what it means.

    Args:
        evidence: Share of each signal in the log-odds (`Hit.evidence`).
        query: Words of the query; empty if they are not known.
        texts: Everything of the hit that has words: its texts, title and file name.
    """
    found = _Found(query=query, text="\n".join(texts))
    strongest_first = sorted(evidence, key=lambda name: (name == "base", -abs(evidence[name])))
    return [_line(name, evidence[name], found) for name in strongest_first]


def _line(name: str, share: float, found: _Found) -> str:
    title, meant = _SIGNALS.get(name, (one_line(name).capitalize(), None))
    words = f": {meant(share, found)}" if meant else ""
    return f"{title} ({share + 0.0:+.1f}){words}"


def _base(share: float, found: _Found) -> str:
    return "what every candidate of this search begins with"


def _meaning(share: float, found: _Found) -> str:
    if share >= _MUCH:
        return "much closer to the query than unrelated content"
    if share >= _LITTLE:
        return "closer to the query than most unrelated content"
    if share > -_LITTLE:
        return "about as close to the query as unrelated content may be"
    return "no closer to the query than unrelated content"


def _words(share: float, found: _Found) -> str:
    has, lacks = _in_and_missing(found)
    if not has and not lacks:
        return "shares words with the query" if share > 0 else "shares few words with the query"
    if not has and share <= 0:
        return "has no word of the query"
    if not has:
        common = _common(found.query) & _common(found.text)
        # Another form is a plural that only a stemmer of its language knows, for example.
        return f"has {'only common words' if common else 'other forms of words'} of the query"
    asked = len(has) + len(lacks)
    many = f"all {asked} words" if not lacks else f"{len(has)} of {asked} words"
    line = f"has {'the word' if asked == 1 else many} of the query: {_named(has)}"
    return f"{line}; not {_named(lacks)}" if lacks else line


def _identifiers(share: float, found: _Found) -> str:
    has, lacks = _codes(found)
    codes = has if share > 0 else lacks
    if not codes:
        return "has those of the query" if share > 0 else "lacks some of the query"
    are = "is" if len(codes) == 1 else "are"
    return f"{_named(codes)} {are} {'in it' if share > 0 else 'missing'}"


def _looks(share: float, found: _Found) -> str:
    return "looks like the picture in the query" if share > 0 else "looks unlike the query"


def _required(share: float, found: _Found) -> str:
    return "has what the query puts in quotes, or ends with a star"


def _reranker(share: float, found: _Found) -> str:
    does = "reads" if share >= _CLEAR else "may read" if share >= _LITTLE else "does not read"
    return f"beside the query, it {does} like an answer"


_SIGNALS: Mapping[str, tuple[str, Callable[[float, _Found], str]]] = {
    "meaning": ("Meaning", _meaning),
    "words": ("Words", _words),
    "identifiers": ("Identifiers", _identifiers),
    "looks": ("Looks", _looks),
    "required": ("Required", _required),
    "reranker": ("Reranker", _reranker),
    "base": ("Base", _base),
}


def _in_and_missing(found: _Found) -> tuple[list[str], list[str]]:
    """The words of the query that the text has, and those that it lacks; without stop words."""
    has, lacks = _codes(found)
    tokens = [token for token in _TOKEN.findall(found.query) if not _IDENTIFIER.search(token)]
    prefixes = [token for token in tokens if token.endswith("*") and plain_words(token)]
    others = " ".join(token for token in tokens if not token.endswith("*"))
    asked = list(dict.fromkeys(plain_words(others)))[:_MOST_READ]
    telling = [word for word in asked if not is_common(word)]
    has_others = has or lacks or prefixes
    wanted = {stem(word): word for word in reversed(telling or ([] if has_others else asked))}
    there = plain_words(found.text) if wanted or prefixes else []
    for prefix in prefixes[:_MOST_NAMED]:
        begun = any(word.startswith(tuple(plain_words(prefix))) for word in there)
        (has if begun else lacks).append(prefix)
    stems = set(map(stem, there))
    for stemmed, word in reversed(wanted.items()):
        (has if stemmed in stems else lacks).append(word)
    return has, lacks


def _codes(found: _Found) -> tuple[list[str], list[str]]:
    """The numbers and identifiers of the query that the text has, and those that it lacks."""
    tokens = (token.strip(".,:/-=&*") for token in _TOKEN.findall(found.query))
    asked = list(dict.fromkeys(filter(_IDENTIFIER.search, tokens)))[:_MOST_READ]
    text = found.text.casefold() if asked else ""
    joined = _BETWEEN.sub("", text)  # zx02201 and ZX 02201 are ZX-02201
    has = {
        code
        for code in asked
        if code.casefold() in text or _BETWEEN.sub("", code).casefold() in joined
    }
    return [code for code in asked if code in has], [code for code in asked if code not in has]


def _common(text: str) -> set[str]:
    return set(filter(is_common, plain_words(text)))


def _named(words: Sequence[str]) -> str:
    return ", ".join(_shown(words))


def _shown(words: Sequence[str]) -> Iterator[str]:
    for word in words[:_MOST_NAMED]:
        line = one_line(word)
        yield line if len(line) <= _LONGEST_NAMED else f"{line[: _LONGEST_NAMED - 3]}..."
    if len(words) > _MOST_NAMED:
        yield f"and {len(words) - _MOST_NAMED:,} more"
