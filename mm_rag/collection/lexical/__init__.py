"""The lexical index: the words of all segments, searched by BM25 (tantivy; on disk, incremental).

`analysis` splits and stems text, `identifiers` gives each spelling of a code one form, `query`
parses what a user typed, `scoring` weights its terms, `live` leaves deleted documents out of the
counts, and `index` is what the rest of the package uses.
"""

from __future__ import annotations

from mm_rag.collection.lexical.index import (
    LexicalIndex,
    QueryMatches,
    WordMatch,
    known_words,
)
from mm_rag.collection.lexical.query import without_syntax

__all__ = ["LexicalIndex", "QueryMatches", "WordMatch", "known_words", "without_syntax"]
