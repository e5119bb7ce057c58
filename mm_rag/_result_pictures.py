"""Make the pictures of search results available."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mm_rag.errors import InputError
from mm_rag.segment import Hit

if TYPE_CHECKING:
    from mm_rag.collection import Collection

logger = logging.getLogger(__name__)


def with_pictures(collection: Collection, hits: Sequence[Hit]) -> list[Hit]:
    """Apply `Collection.shown`; keep a hit unchanged if its file is missing or has changed.

    Args:
        collection: The collection that was searched.
        hits: Its results.
    """
    try:
        return collection.shown(hits)
    except InputError:  # of at least one of them
        return [_with_picture(collection, hit) for hit in hits]


def _with_picture(collection: Collection, hit: Hit) -> Hit:
    try:
        return collection.shown([hit])[0]
    except InputError as error:
        segment = hit.segment
        logger.warning("%s %s cannot be shown: %s", segment.source, segment.where, error)
        return hit
