"""Reindexing: replace all vectors by those of another model.

They are collected beside the old ones, which are used until all are there. A run that was killed
continues where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from mm_rag.collection.catalog import Catalog, State
from mm_rag.collection.encoding import SegmentEncoder
from mm_rag.collection.pipeline import BATCH
from mm_rag.collection.store import VectorStore
from mm_rag.collection.writer import SegmentWriter
from mm_rag.encoder import Encoder
from mm_rag.errors import CollectionError, InputError
from mm_rag.segment import Segment

logger = logging.getLogger(__name__)


def reindex(
    catalog: Catalog,
    store: VectorStore,
    writer: SegmentWriter,
    encoder: Encoder,
    on_progress: Callable[[int, int], None] | None,
) -> list[Segment]:
    """Encode every Segment with another model, and switch to its vectors.

    Args:
        catalog: The collection's catalog.
        store: The collection's vectors.
        writer: The collection's writer.
        encoder: The other model.
        on_progress: Called with the number of Segments done and the number of all.

    Returns:
        Segments that the model cannot encode, and that were deleted: for a model of texts, a
        picture without words.

    Raises:
        CollectionError: Chroma has records of other programs, which only they could encode again.
    """
    if foreign := store.ids() - catalog.ids():
        raise CollectionError(
            f"Other programs have {len(foreign)} records in this collection, which would be lost. "
            "mm-rag verify --repair takes in those that are Segments; move or delete the others."
        )
    catalog.begin_reindex(encoder.fingerprint)
    left, total = catalog.not_reindexed(), sum(catalog.counts().values())
    refused: list[Segment] = []
    for start in range(0, len(left), BATCH):
        segments = [entry.segment for entry in catalog.entries(left[start : start + BATCH])]
        refused += _encode(catalog, SegmentEncoder(encoder, catalog), segments)
        if on_progress:
            on_progress(total - len(left) + start + len(segments), total)
    for segment in refused:
        where = f"{segment.source} {segment.where}".strip()
        logger.warning("%s is left out: the model %s cannot encode it.", where, encoder.name)
    catalog.drop([segment.id for segment in refused])
    catalog.mark_unread({segment.sha256 for segment in refused})
    # From here on Chroma's vectors are outdated: a session that opens them now puts them again.
    catalog.switch_model(encoder=encoder.fingerprint, model=encoder.name)
    store.recreate()
    writer.update_indexes()
    catalog.advance(State.reindex_ended)
    return refused


def _encode(catalog: Catalog, encoder: SegmentEncoder, segments: list[Segment]) -> list[Segment]:
    """Keep the vectors of some Segments; return those that the model cannot encode."""
    refused: list[Segment] = []
    while segments:
        try:
            vectors = encoder.vectors(segments, range(len(segments)))
        except InputError as error:
            if error.position is None:
                raise
            refused.append(segments.pop(error.position))
            continue
        ids = [segment.id for segment in segments]
        catalog.put_features(encoder.features(segments).items())
        catalog.put_reindexed(
            (id_, vector.tobytes()) for id_, vector in zip(ids, vectors, strict=True)
        )
        break
    return refused
