"""Encode: the query as users give it -> Content -> unit vector and words."""

from __future__ import annotations

import logging
import unicodedata
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from mm_rag.collection.lexical import without_syntax
from mm_rag.collection.search.pictures import query_features
from mm_rag.collection.search.scaling import unit
from mm_rag.collection.store import Vectors
from mm_rag.content import Content, Image, Mixed, Part, Text, modality_name, parts_of
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError
from mm_rag.inputs import as_content

MAX_CHARACTERS = 100_000
"""Longer queries are cut; a chapter of a book has half as many."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EncodedQuery:
    """A query as the two indexes and the reranker take it.

    Attributes:
        content: The query itself.
        vector: Its embedding, unit length, shape (dimension,).
        words: Its text, including text read from pictures and recordings; may be empty.
        modality: Its modality (`modality_name`).
        pictures: The looks of its pictures (`query_features`), shape (pictures, size); None if
            that is not searched for.
    """

    content: Content
    vector: Vectors
    words: str
    modality: str
    pictures: Vectors | None = None


def encode(query: Any, encoder: Encoder) -> EncodedQuery | None:
    """Encode a query.

    Args:
        query: A str is a user's words; or anything an Encoder takes.
        encoder: The model whose vectors the collection holds.

    Returns:
        None if the query would be encoded as text and has neither words (`has_words`) nor a picture
        whose looks can be compared. The vector of a picture without words is zero, and near to
        nothing.

    Raises:
        InputError: The query is not a valid input, or its embedding is not finite.
    """
    content = as_content(Text(_printable(query)) if isinstance(query, str) else query)
    content = _with_words(_shortened(content), encoder)
    pictures = query_features(content, encoder)
    content = encoder.read(content)
    words, modality = query_words(content), modality_name(content)
    is_text = isinstance(content, Text) or encoder.encodes_as_text(modality)
    if has_words(words) or not is_text:
        vector = unit(encoder.encode_query(content))
    elif pictures is not None:
        vector = np.zeros(encoder.dimension, np.float32)
    else:
        return None
    if not np.isfinite(vector).all():
        raise InputError("The encoder returned a non-finite embedding for this query.")
    return EncodedQuery(
        content=content, vector=vector, words=words, modality=modality, pictures=pictures
    )


def _with_words(content: Content, encoder: Encoder) -> Content:
    """The content with the words in each of its pictures, where the model encodes those."""
    if not isinstance(content, Mixed) or not encoder.encodes_as_text("image"):
        return encoder.read(content)
    return Mixed(
        tuple(
            cast("Part", encoder.read(part)) if isinstance(part, Image) else part
            for part in content.parts
        )
    )


def query_words(query: Content) -> str:
    """The text of a query, including text read from its pictures and recordings.

    Only what the user typed has syntax: a quotation on a picture requires nothing.
    """
    return "\n".join(
        part.text if isinstance(part, Text) else without_syntax(part.text)
        for part in parts_of(query)
        if part.text
    )


def has_words(text: str) -> bool:
    """Whether a text has a letter, a digit or a symbol such as an emoji; punctuation is neither."""
    return any(
        letter.isalnum() or (not letter.isascii() and unicodedata.category(letter)[0] == "S")
        for letter in text
    )


def _printable(query: str) -> str:
    """Replace lone surrogates, which broken clients send."""
    return query.encode("utf-8", "replace").decode()


def _shortened(content: Content) -> Content:
    """Cut a text query after `MAX_CHARACTERS`, with a warning in the log."""
    if not isinstance(content, Text) or len(content.text) <= MAX_CHARACTERS:
        return content
    logger.warning("%s", cut_notice(len(content.text)))
    return Text(content.text[:MAX_CHARACTERS])


def cut_notice(characters: int) -> str:
    """The warning for a query of this length; empty if the query is not cut."""
    if characters <= MAX_CHARACTERS:
        return ""
    return (
        f"The query has {characters:,} characters; only the first {MAX_CHARACTERS:,} are "
        "searched for."
    )
