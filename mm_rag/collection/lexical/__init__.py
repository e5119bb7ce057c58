"""The lexical index: the words of all segments, searched by BM25 (tantivy; on disk, incremental).

`analysis` splits and stems text, `query` parses what a user typed, `scoring` weights its terms, and
`index` is what the rest of the package uses.
"""

from __future__ import annotations

from mm_rag.collection.lexical.index import LexicalIndex, WordMatch, known_words

__all__ = ["LexicalIndex", "WordMatch", "known_words"]
