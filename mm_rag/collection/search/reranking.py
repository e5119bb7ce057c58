"""Reranking: what a reranker is asked about the places that were found."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mm_rag.content import Content, Text, modality_name, parts_of
from mm_rag.errors import InputError
from mm_rag.reranker import Reranker
from mm_rag.segment import Segment

logger = logging.getLogger(__name__)


def rescored(
    reranker: Reranker, query: Content, places: Sequence[Sequence[Segment]]
) -> list[float] | None:
    """The reranker's score of every place.

    A place that it cannot take, as its picture is damaged or too large, is scored by its words. A
    reranker that fails, for whatever reason, costs no search either. The reason is logged.

    Args:
        reranker: With one label.
        query: What was asked. A reranker that does not take it is asked with its words.
        places: The Segments of each that were found, best first.

    Returns:
        None where there is nothing to ask with, or the reranker fails.
    """
    asked = query if reranker.supports(modality_name(query)) else Text(query_words(query))
    if isinstance(asked, Text) and not asked.text.strip():
        return None
    documents = [_shown(segments[0], reranker) or _words(segments) for segments in places]
    while True:
        try:
            return reranker.predict([(asked, document) for document in documents]).tolist()
        except InputError as error:
            place, error.position = error.position, None
            if place is None or isinstance(documents[place], Text):
                logger.warning("This search is not reranked: %s", error)
                return None
            logger.warning("%s is reranked by its words: %s", places[place][0].source, error)
            documents[place] = _words(places[place])
        except Exception as error:
            logger.warning(
                "This search is not reranked: %s: %s", type(error).__name__, error, exc_info=True
            )
            return None


def query_words(query: Content) -> str:
    """The words of a query, those read from its pictures and recordings included."""
    return "\n".join(part.text for part in parts_of(query) if part.text)


def _shown(best: Segment, reranker: Reranker) -> Content | None:
    """The picture or clip, if the reranker sees or hears such; of a passage, its page."""
    if best.media is None or not Path(best.media).is_file():
        return None
    on_page = best.modality == "text" and (best.mime_type or "").startswith("image/")
    whole = replace(best, modality="image") if on_page else best
    sees = reranker.supports(whole.modality) and not reranker.reads(whole.modality)
    return whole.content if sees else None


def _words(segments: Sequence[Segment]) -> Text:
    """The best passage."""
    return Text(next((one for one in segments if one.modality == "text"), segments[0]).words)
