"""What tantivy keeps of a Segment."""

from __future__ import annotations

from pathlib import Path

import tantivy

from mm_rag.collection.lexical.analysis import cleaned, codes, spaced, stems
from mm_rag.collection.lexical.languages import PLAIN, language_of
from mm_rag.segment import Segment

_SPACES = "mm_rag_spaces"  # the tokenizer's name in the index


def make_schema() -> tantivy.Schema:
    """The fields of the index.

    `title` and `text` hold stems of whichever language a Segment is in. All languages share the two
    fields, because tantivy compares a text's length with the mean of its field over all Segments:
    with a field for each language, the only German page among a thousand would be 1,000 times as
    long as the mean, and score next to nothing. `whole` holds words as they are written, and codes.
    """
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("sha256", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("language", tokenizer_name="raw", index_option="basic")
    # Stored, and counted, for `live`, which scores by what has not been deleted.
    for name in ("title", "text"):
        builder.add_text_field(name, stored=True, tokenizer_name=_SPACES, index_option="position")
        builder.add_integer_field(f"{name}_length", fast=True)
    builder.add_text_field("whole", tokenizer_name=_SPACES, index_option="basic")
    return builder.build()


def open_index(schema: tantivy.Schema, path: Path | None) -> tantivy.Index:
    """The index in a folder, or a new one in memory."""
    index = tantivy.Index(schema, path=None if path is None else str(path))
    # `analysis` is done by the time that tantivy gets a text: it finds words with spaces between.
    spaces = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer(_SPACES, spaces)
    return index


def as_document(segment: Segment) -> tantivy.Document:
    """A Segment as it is indexed."""
    title, text = (spaced(cleaned(part), ends=True) for part in (segment.title, segment.text))
    language = language_of(segment.text if segment.text.strip() else segment.title)
    in_title, in_text = stems(title, language), stems(text, language)
    whole = {*stems(title, PLAIN), *stems(text, PLAIN), *codes(title), *codes(text)}
    return tantivy.Document(
        id=segment.id,
        sha256=segment.sha256,
        language=language,
        title=" ".join(in_title),
        title_length=len(in_title),
        text=" ".join(in_text),
        text_length=len(in_text),
        whole=" ".join(whole),
    )
