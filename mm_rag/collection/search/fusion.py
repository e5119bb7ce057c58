"""Fuse: score lists on different scales become one.

Every list is first brought to [0, 1]. Calibrated cosines and MaxSim are min-max normalised. BM25 is
divided by the maximum possible for the query's words, so that a list whose best page has one of
eight words keeps low scores.

The two lists were chosen with all-MiniLM-L6-v2: nDCG@10 without a reranker, where "bounded" is BM25
divided by its maximum, z a score's distance from the mean of its list in standard deviations:

                                            mixed media     PubMedQA        XQuAD, 5 languages
                                            69 questions    200 questions   200 questions
vectors alone                               0.868           0.986           0.393
BM25 alone                                  0.624           0.988           0.380
reciprocal rank, k = 60 (20)                0.707 (0.742)   0.993 (0.993)   0.423 (0.425)
min-max + min-max                           0.809           0.995           0.435
z + z (BM25's z weighted by 0.7)            0.794 (0.821)   0.996 (0.995)   0.441 (0.442)
min-max of all candidates + bounded         0.861           0.993           0.412
min-max of the best 100 + bounded           0.855           0.991           0.410   (chosen)
the same, BM25 weighted by 0.8 (1.5)        0.855 (0.861)   0.991 (0.992)   0.408 (0.414)

Only the sums with the bounded BM25 stay near the vectors' result on mixed media, and both are above
either list on each text set. The chosen one normalises only the best 100: candidates far below,
which only share a word with the query, would make all others alike. That costs 0.006 of the mixed
media here, half a question of 69.

The default reranker is a third list, of weight 0.5: for English the logits of ms-marco-MiniLM-L12
over the top 12, else MaxSim over the top 10, each min-max normalised. nDCG@10 with
multilingual-e5-small and, in brackets, its 95% interval; "conclusions" are last sentences of
PubMed abstracts, which ask for the rest of the abstract, and man pages are asked for by their names
without the command:

                      questions of     English          conclusions,    PubMedQA,
                      manuals, 234     man pages, 100   100             100
vectors alone         0.783            0.888            0.688           0.990
BM25 alone            0.575            0.856            0.831           0.977
both                  0.775 (.73-.82)  0.917 (.87-.96)  0.774 (.70-.85) 0.993 (.98-1.0)
and MaxSim            0.788 (.74-.83)  0.917 (.87-.96)
and cross-encoder     0.789 (.75-.83)  0.932 (.89-.97)  0.796 (.73-.87) 0.995
and both rerankers    0.793 (.75-.84)  0.928 (.89-.97)

                      XQuAD's German, Chinese and Arabic  man pages in 10 other
                      questions, English answers, 131     languages, 128
vectors alone         0.927                               0.717
BM25 alone            0.320                               0.679
both                  0.930 (.90-.96)                     0.738 (.68-.80)
and MaxSim            0.952 (.92-.98)                     0.741 (.68-.80)

Weights from 0.5 to 1 were alike on the first half of each set. On the second halves, 0.5 of the
cross-encoder gains 0.006 (-.015 to .029), 0.028 (.005 to .058), 0.015 (-.013 to .044), 0.000; on
the first three together 0.013 (-.002 to .029). 0.5 of MaxSim gains 0.009 (-.013 to .033) and 0.018
(-.008 to .047). An order by the cross-encoder alone is worse than none on man pages. Prompts in
front of MaxSim's texts, and other weights of its tokens, change less than 0.01.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import TypeAlias, TypeVar

from mm_rag.collection.search.scaling import min_max

Key = TypeVar("Key", bound=Hashable)
ScoreList: TypeAlias = tuple[float, Mapping[Key, float]]
"""A weight, and scores in [0, 1] by key."""


def score_lists(candidates: Mapping[Key, Mapping[str, float]], depth: int) -> list[ScoreList[Key]]:
    """The two lists to fuse: calibrated cosines of the nearest `depth`, and BM25.

    The vectors of several clusters are one list: a candidate counts by its nearest segment, and
    segments in two clusters give no bonus.

    Args:
        candidates: The scores of each candidate, by list name.
        depth: How many of the nearest get a vector score above 0.
    """
    calibrated = {key: scores["calibrated"] for key, scores in candidates.items()}
    lexical = {k: scores["lexical"] for k, scores in candidates.items() if "lexical" in scores}
    return [(1.0, min_max(calibrated, depth)), (1.0, lexical)]


def fuse(*lists: ScoreList[Key]) -> dict[Key, float]:
    """The weighted mean of score lists; a key missing from a list scores 0 there.

    Args:
        lists: Weights and scores in [0, 1]. Empty lists are left out of the mean.
    """
    given = [(weight, scores) for weight, scores in lists if scores]
    weights = sum(weight for weight, _ in given)
    total: dict[Key, float] = defaultdict(float)
    for weight, scores in given:
        for key, score in scores.items():
            total[key] += weight * score / weights
    return dict(total)


def best_first(scores: Mapping[Key, float]) -> list[Key]:
    """The keys, best first; ties in the order of their string forms, so that it is stable."""
    return sorted(scores, key=lambda key: (-scores[key], str(key)))
