"""Checks: whether what a collection is given fits it, and what it was given before."""

from __future__ import annotations

import logging
from pathlib import Path

from mm_rag.collection.pictures import MODES, PictureMode, Pictures
from mm_rag.collection.session import Parts
from mm_rag.content import Content, Text, Url
from mm_rag.encoder import Encoder
from mm_rag.errors import CollectionMismatch, InputError
from mm_rag.extraction.speech import PocketSphinxTranscriber
from mm_rag.media.addresses import shown
from mm_rag.reranker import Reranker
from mm_rag_loaders import LoadOptions
from mm_rag_loaders.sources import as_source

MOST_QUERY_CHARACTERS = 100_000  # a chapter of a book has half as many

logger = logging.getLogger(__name__)


def check_encoder(parts: Parts, encoder: Encoder) -> None:
    """See that a collection's vectors are of this model.

    Raises:
        CollectionMismatch: They are of another one.
    """
    catalog, place = parts.catalog, parts.storage.place
    made_with = catalog.meta("encoder")
    if made_with is not None and made_with != encoder.fingerprint:
        raise CollectionMismatch(
            f"{place} was made with the model {catalog.meta('model')} ({made_with}), and this is "
            f"{encoder.name} ({encoder.fingerprint}): their vectors cannot be mixed. Open it with "
            "the model it was made with, or encode it anew with this one: "
            f"Collection.reindex({place!r}, encoder=...), or mm-rag reindex."
        )
    dimension = parts.store.load() if made_with is None else None
    if dimension not in (None, encoder.dimension):
        raise CollectionMismatch(
            f"Another program wrote vectors of {dimension} dimensions into {place}, and "
            f"{encoder.name} gives {encoder.dimension}: they cannot be mixed. Open it with the "
            "model that they are of, or choose another name or folder."
        )


def note_encoder(parts: Parts, encoder: Encoder) -> None:
    """Write down whose vectors a collection holds from now on.

    Raises:
        CollectionMismatch: Another process has brought in those of another model meanwhile.
    """
    check_encoder(parts, encoder)
    parts.catalog.set_meta(encoder=encoder.fingerprint, model=encoder.name)


def check_reranker(reranker: Reranker | None) -> None:
    """See that places can be ordered by what a reranker says.

    Raises:
        InputError: It gives several labels.
    """
    if reranker is not None and reranker.num_labels != 1:
        raise InputError(
            f"The reranker {reranker.name} gives {reranker.num_labels} labels, by which "
            "nothing can be ordered. A Collection takes one that gives a single score."
        )


def pictures_of(parts: Parts, mode: PictureMode | None, max_bytes: int | None) -> Pictures:
    """How a collection keeps its pictures: as it is told, or as it did before.

    Raises:
        InputError: There is no such way.
    """
    chosen = mode or parts.catalog.meta("assets") or "jpeg"
    if chosen not in MODES:
        raise InputError(f"assets is one of {', '.join(MODES)}; got {chosen!r}.")
    return Pictures(parts.storage.assets, chosen, max_bytes)


def check_transcriber(parts: Parts, options: LoadOptions) -> None:
    """See that recordings are heard by who heard the others, or by one who is named.

    Raises:
        CollectionMismatch: Another one than the default heard them, and is not named.
    """
    heard_by = parts.catalog.meta("transcriber")
    if heard_by is not None and options.transcriber is None:
        raise CollectionMismatch(
            f"The recordings in {parts.storage.place} were heard by {heard_by}. Name it again: "
            "sync(..., options=LoadOptions(transcriber=...)); or name another, by which they "
            "are then all heard anew, such as PocketSphinxTranscriber()."
        )


def note_transcriber(parts: Parts, options: LoadOptions) -> None:
    """Write down who hears a collection's recordings from now on; the default needs no naming."""
    transcriber = options.transcriber
    if transcriber is not None:
        is_default = isinstance(transcriber, PocketSphinxTranscriber)
        parts.catalog.set_meta(transcriber=None if is_default else transcriber.name)


def folder_or_file(given: str | Path) -> Path:
    """What sync is given, absolute.

    Raises:
        InputError: It is an address.
    """
    place = as_source(given).place
    if isinstance(place, Url):
        raise InputError(
            f"sync makes a collection equal to files and folders, and {shown(place.address)} is an "
            "address. Load it once: collection.add(load(address))."
        )
    return place


def printable_words(query: str) -> str:
    """A user's words; half of a surrogate pair, which broken clients send, is no character."""
    return query.encode("utf-8", "replace").decode()


def bounded_query(content: Content) -> Content:
    """A query as it is; of words, no more than the first 100,000 characters, with a warning."""
    if not isinstance(content, Text) or len(content.text) <= MOST_QUERY_CHARACTERS:
        return content
    logger.warning("%s", cut_notice(len(content.text)))
    return Text(content.text[:MOST_QUERY_CHARACTERS])


def cut_notice(characters: int) -> str:
    """What is said of a query of so many characters, where that is too many; else nothing."""
    if characters <= MOST_QUERY_CHARACTERS:
        return ""
    return (
        f"The query has {characters:,} characters; only the first {MOST_QUERY_CHARACTERS:,} are "
        "searched for."
    )
