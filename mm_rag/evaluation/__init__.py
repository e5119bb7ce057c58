"""Measure the quality of a search with questions whose answers are known.

`read_questions` or `read_beir` reads questions, `evaluate` asks them and returns an `Evaluation`:
nDCG, recall and MRR for each kind of question, computed as by trec_eval, and the latency of a
search.
"""

from __future__ import annotations

from mm_rag.evaluation.beir import Beir, read_beir
from mm_rag.evaluation.evaluate import Evaluation, Latency, Measures, Score, Search, evaluate
from mm_rag.evaluation.questions import Place, Question, document_of, place_of, read_questions

__all__ = [
    "Beir",
    "Evaluation",
    "Latency",
    "Measures",
    "Place",
    "Question",
    "Score",
    "Search",
    "document_of",
    "evaluate",
    "place_of",
    "read_beir",
    "read_questions",
]
