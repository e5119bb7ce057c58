"""Rerank: score the best candidates again with a reranker."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from mm_rag.collection.assets import CollectionAssets
from mm_rag.collection.lexical.analysis import is_english
from mm_rag.collection.search.merging import Candidates, GroupKey
from mm_rag.collection.search.query import EncodedQuery
from mm_rag.collection.search.request import SearchRequest
from mm_rag.collection.search.scaling import best_first
from mm_rag.content import Content, Text
from mm_rag.errors import InputError
from mm_rag.reranker import Reranker
from mm_rag.segment import Segment

logger = logging.getLogger(__name__)

CROSS_ENCODER_DEPTH = 50
"""Candidates scored by a trained reranker."""

LATE_INTERACTION_DEPTH = 10
"""Candidates scored by late interaction: 0.1 s of CPU each."""

ENGLISH_DEPTH = 12
"""Candidates scored by the built-in cross-encoder for English: 0.04 s of CPU each. With 30, nDCG@10
is higher by 0.001 on the second halves of five text sets."""

LONGEST_ENGLISH_QUERY = 1_000
"""Characters, about 200 tokens. Longer queries leave a cross-encoder too little of the document."""


@dataclass(frozen=True)
class Rerankers:
    """The models that score the best candidates again.

    Attributes:
        main: A reranker with one label; None for no reranking.
        english: A cross-encoder that takes the place of late interaction where the query and most
            of the best candidates are English. None for late interaction everywhere.
    """

    main: Reranker | None
    english: Reranker | None = None


class Scorer(Enum):
    """The kind of model that scored, which says what a score means."""

    none = "none"
    english = "english"  # the built-in cross-encoder's logits
    late_interaction = "late interaction"  # mean cosines of token vectors
    trained = "trained"  # a cross-encoder that the user gave


@dataclass(frozen=True)
class Reranked:
    """What a reranker returned.

    Attributes:
        scorer: The kind of model that scored; `none` if there are no scores.
        scores: By group, for the groups it scored; higher is better.
        top: All groups that were to be scored: those without a score are in other languages, or of
            modalities that are not reranked.
    """

    scorer: Scorer = Scorer.none
    scores: Mapping[GroupKey, float] = field(default_factory=dict[GroupKey, float])
    top: Sequence[GroupKey] = ()


def rerank(
    rerankers: Rerankers,
    query: EncodedQuery,
    candidates: Candidates,
    order: Mapping[GroupKey, float],
    request: SearchRequest,
    assets: CollectionAssets,
) -> Reranked:
    """Score the best candidates again.

    Args:
        rerankers: The models.
        query: The query.
        candidates: All candidates.
        order: The scores that choose the best candidates.
        request: Says which modalities are reranked.
        assets: Draws the pictures that a reranker looks at, if none are kept.
    """
    reranker = rerankers.main
    if reranker is None or not order:
        return Reranked()
    ranked = best_first(order)
    if reranker.is_cross_encoder:
        top = ranked[:CROSS_ENCODER_DEPTH]
        matched = _matched(top, candidates, request)
        return _reranked(Scorer.trained, _scores(reranker, query, matched, assets), top)
    top = ranked[:ENGLISH_DEPTH]
    matched = _matched(top, candidates, request)
    english = _english(query, matched) if rerankers.english else {}
    if rerankers.english and len(english) > len(matched) / 2:
        scores = _scores(rerankers.english, query, english, assets)
        return _reranked(Scorer.english, scores, top)
    top = ranked[:LATE_INTERACTION_DEPTH]
    matched = _matched(top, candidates, request)
    return _reranked(Scorer.late_interaction, _scores(reranker, query, matched, assets), top)


def _reranked(
    scorer: Scorer, scores: Mapping[GroupKey, float], top: Sequence[GroupKey]
) -> Reranked:
    return Reranked(scorer, scores, top) if scores else Reranked()


def _matched(
    top: Sequence[GroupKey], candidates: Candidates, request: SearchRequest
) -> dict[GroupKey, list[Segment]]:
    """The retrieved segments of those groups whose modality is to be reranked."""
    wanted = [key for key in top if _kind(key, candidates) in request.rerank]
    return candidates.matched({key: candidates.groups[key] for key in wanted})


def _kind(key: GroupKey, candidates: Candidates) -> str:
    """The modality by which reranking is chosen: a page of a document counts as text."""
    modality = candidates.groups[key].modality
    return "text" if key.page is not None and modality == "image" else modality


def _english(
    query: EncodedQuery, matched: Mapping[GroupKey, Sequence[Segment]]
) -> dict[GroupKey, Sequence[Segment]]:
    """The groups in English, if the query is, too."""
    if len(query.words) > LONGEST_ENGLISH_QUERY or not is_english(query.words):
        return {}
    return {key: group for key, group in matched.items() if is_english(_text(group).text)}


def _scores(
    reranker: Reranker,
    query: EncodedQuery,
    matched: Mapping[GroupKey, Sequence[Segment]],
    assets: CollectionAssets,
) -> dict[GroupKey, float]:
    """A reranker's score of every group; empty if it cannot score them."""
    groups = list(matched.values())
    if reranker.supports("image") and not reranker.encodes_as_text("image"):
        groups = _with_pictures(groups, assets)
    predicted = _predict(reranker, query, groups) if groups else None
    return {} if predicted is None else dict(zip(matched, predicted, strict=True))


def _with_pictures(
    groups: Sequence[Sequence[Segment]], assets: CollectionAssets
) -> list[Sequence[Segment]]:
    """The groups with the pictures of their best segments drawn, where none are kept."""
    drawn = assets.drawn([best for best, *_ in groups], strict=False)
    return [[best, *rest] for best, (_, *rest) in zip(drawn, groups, strict=True)]


def _predict(
    reranker: Reranker, query: EncodedQuery, groups: Sequence[Sequence[Segment]]
) -> list[float] | None:
    """The reranker's score of every group; None if it cannot score them.

    A group whose picture cannot be opened is scored by its text. An error of the reranker is
    logged, and the search goes on without it.
    """
    # One that reads a picture without words would compare nothing.
    is_blank = not query.words.strip() and reranker.encodes_as_text(query.modality)
    can_take_query = reranker.supports(query.modality) and not is_blank
    asked = query.content if can_take_query else Text(query.words)
    if isinstance(asked, Text) and not asked.text.strip():
        return None
    documents = [_media(segments[0], reranker) or _text(segments) for segments in groups]
    while True:
        try:
            return reranker.predict([(asked, document) for document in documents]).tolist()
        except InputError as error:
            # Reset: the message would begin with it, and it only counts these pairs.
            position, error.position = error.position, None
            if position is None or isinstance(documents[position], Text):
                logger.warning("This search is not reranked: %s", error)
                return None
            source = groups[position][0].source
            logger.warning("%s is reranked by its text: %s", source, error)
            documents[position] = _text(groups[position])
        except Exception as error:
            logger.warning(
                "This search is not reranked: %s: %s", type(error).__name__, error, exc_info=True
            )
            return None


def _media(best: Segment, reranker: Reranker) -> Content | None:
    """The picture or clip if the reranker takes it as such; for a passage, the picture of its page.

    None if it takes text only, or there is no file.
    """
    if best.media is None or not Path(best.media).is_file():
        return None
    is_on_page = best.modality == "text" and (best.mime_type or "").startswith("image/")
    whole = replace(best, modality="image") if is_on_page else best
    takes = reranker.supports(whole.modality) and not reranker.encodes_as_text(whole.modality)
    return whole.content if takes else None


def _text(segments: Sequence[Segment]) -> Text:
    """The best passage."""
    return Text(next((one for one in segments if one.modality == "text"), segments[0]).words)
