"""How good is a search? Questions with known answers, scored as trec_eval does.

`read_questions` or `read_beir` -> `evaluate` asks them -> an Evaluation: nDCG, recall and MRR for
each kind of question, and how long a search takes.
"""

from __future__ import annotations

from mm_rag.evaluation.asking import Search, evaluate
from mm_rag.evaluation.beir import Beir, read_beir
from mm_rag.evaluation.measures import Evaluation, Latency, Measures, Score
from mm_rag.evaluation.places import Place, document_of, place_of
from mm_rag.evaluation.questions import Question, read_questions

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
