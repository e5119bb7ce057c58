"""Hits with their pictures, also where the file of one of them is gone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mm_rag.errors import InputError
from mm_rag.segment import Hit

if TYPE_CHECKING:
    from mm_rag.collection import Collection

logger = logging.getLogger(__name__)


def shown_where_possible(collection: Collection, hits: Sequence[Hit]) -> list[Hit]:
    """As `Collection.shown`, but a hit whose file is gone or has changed stays as it was found.

    Args:
        collection: Where they were found.
        hits: What was found.
    """
    try:
        return collection.shown(hits)
    except InputError as error:
        if len(hits) == 1:
            segment = hits[0].segment
            logger.warning("%s %s cannot be shown: %s", segment.source, segment.where, error)
            return list(hits)
    return [shown for hit in hits for shown in shown_where_possible(collection, [hit])]
