"""The message for a search that found nothing."""

from __future__ import annotations

from mm_rag._printing import one_line
from mm_rag.collection.lexical.query import parse_query
from mm_rag.collection.search.query import has_words

_LONGEST = 60  # characters of a phrase


def nothing_found(query: str, threshold: float | None = None) -> str:
    """The sentence for a search without hits, which says what no segment could meet.

    Args:
        query: Words of the query; empty for a picture without words.
        threshold: The `threshold` of the search.
    """
    if query.strip() and not has_words(query):
        return "Nothing found: the query has no words, only punctuation."
    required = _required(query)
    if threshold is not None:
        among = f" among what has {required}" if required else ""
        return f"Nothing relevant found{among} (threshold {threshold:g})."
    if required:
        return f"Nothing has {required}. Without quotes and stars, similar words are found, too."
    return "Nothing found."


def _required(query: str) -> str:
    """Name the words that every hit has to have; empty without quotes and prefixes."""
    parsed = parse_query(query)
    phrases = [f'"{_short(phrase)}"' for phrase in parsed.quoted if any(map(str.isalnum, phrase))]
    prefixes = [f"{_short(prefix)}*" for prefix in parsed.prefixes]
    quoted = f"the words in quotes ({', '.join(phrases)})" if phrases else ""
    begun = f"words that begin with {', '.join(prefixes)}" if prefixes else ""
    return " and ".join(filter(None, (quoted, begun)))


def _short(phrase: str) -> str:
    line = one_line(phrase.strip())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
