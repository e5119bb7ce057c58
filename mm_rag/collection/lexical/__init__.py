"""The words of all Segments, searched by BM25: tantivy, on disk, incremental.

`schema` says what is kept of a Segment, `languages` in which language it is, `analysis` what its
words are. `query` reads what a user typed, `scoring` makes tantivy's query of it, and `index` is
the one that others use.
"""

from __future__ import annotations

from mm_rag.collection.lexical.index import LexicalIndex, known_words

__all__ = ["LexicalIndex", "known_words"]
